//! Guests at their worst, many at a time, beside one that only wants to work.
//!
//! Statuses are asserted; how much slower the good one gets is printed, because only a quiet machine can promise it:
//! the goal is a p99 under the larger of three times what it is alone and 20 ms more.

mod everything;

use crate::support::command::tidegate;
use crate::support::loader::{Answer, Load, Loader, Report};
use crate::support::{Gateway, Raw, guest, turn};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the storm lasts.
const STORM: Duration = Duration::from_secs(10);
/// How long `hello` is measured alone.
const CALM: Duration = Duration::from_secs(3);

fn gateway() -> Gateway {
    Gateway::with()
        .component("hello")
        .component_with("spin-forever", |component| {
            component.limit("cpu", "200ms").limit("deadline", "3s")
        })
        .component_with("sleep-forever", |component| component.limit("deadline", "1s"))
        // Only its memory ends it, however long the others keep it from the processor.
        .component_with("allocate-forever", |component| {
            component
                .limit("memory", "16MiB")
                .limit("cpu", "0s")
                .limit("deadline", "10m")
        })
        .component("trap")
        .start()
}

fn load(gateway: &Gateway, component: &str, connections: usize, expected: &[(u16, &'static str)]) -> Load {
    let expected = expected.to_vec();
    let check = move |answer: &Answer| {
        let got = (answer.status, answer.code.as_deref().unwrap_or_default());
        if expected.contains(&got) {
            Ok(())
        } else {
            Err(format!("{got:?}: {}", String::from_utf8_lossy(&answer.body)))
        }
    };
    Load {
        address: gateway.address(),
        component: component.to_owned(),
        target: "/{n}".to_owned(),
        connections,
        pause: Duration::ZERO,
        check: Arc::new(check),
    }
}

fn lasts(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

#[track_caller]
fn went_well(name: &str, report: &Report) {
    println!(
        "{name}: {:?}, p50 {:?}, p99 {:?}, at most {:?}",
        report.answers,
        report.quantile(0.5),
        report.quantile(0.99),
        report.quantile(1.0)
    );
    assert!(
        report.failures.is_empty(),
        "{name}: {:?}",
        &report.failures[..report.failures.len().min(3)]
    );
    let lost = (report.unanswered.len(), report.closed_idle, report.refused);
    assert_eq!(lost, (0, 0, 0), "{name}: unanswered, closed while idle, refused");
    assert!(report.answered() > 0, "{name} was never answered");
}

#[test]
fn bad_guests_get_their_answers_and_a_good_one_notices_nothing() {
    let _alone = turn::alone();
    let gateway = gateway();
    let hello = Load {
        pause: Duration::from_millis(10),
        ..load(&gateway, "hello", 4, &[(200, "")])
    };
    let calm = Loader::start(&hello);
    lasts(CALM);
    let calm = calm.stop();
    went_well("hello alone", &calm);

    let bad: [(&str, &[(u16, &str)]); 4] = [
        ("spin-forever", &[(504, "cpu"), (504, "deadline")]),
        ("sleep-forever", &[(504, "deadline")]),
        ("allocate-forever", &[(502, "memory")]),
        ("trap", &[(502, "trap")]),
    ];
    let storm: Vec<_> = bad
        .into_iter()
        .map(|(name, expected)| (name, Loader::start(&load(&gateway, name, 16, expected))))
        .collect();
    let under_storm = Loader::start(&hello);
    lasts(STORM);
    let under_storm = under_storm.stop();
    let storm: Vec<_> = storm.into_iter().map(|(name, loader)| (name, loader.stop())).collect();
    went_well("hello under storm", &under_storm);
    for (name, report) in &storm {
        went_well(name, report);
    }
    let (alone, beside) = (calm.quantile(0.99), under_storm.quantile(0.99));
    let goal = (alone * 3).max(alone + Duration::from_millis(20));
    println!("hello p99 {alone:?} alone, {beside:?} under storm; the goal is {goal:?}");
    println!(
        "hello in the lane: {}",
        gateway.metric("tidegate_component_lane_moves_total", &[("component", "hello")])
    );

    // A few of its calls computed for longer than a tick, and went on in the lane: they too were answered, not stopped.
    assert_eq!(
        gateway.metric("tidegate_component_cancels_total", &[("component", "hello")]),
        0.0
    );

    // Nothing of the storm is left.
    gateway.wait_metric("tidegate_component_instances", &[], 0.0);
    gateway.wait_metric("tidegate_requests_in_flight", &[], 0.0);
    gateway.wait_metric("tidegate_component_queue_length", &[], 0.0);
    assert_eq!(gateway.metric("tidegate_component_saturated_total", &[]), 0.0);
    gateway.get("hello", "/").is(200);
}

/// Killed when dropped.
struct Unread(Child);

impl Drop for Unread {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every trap is a line of the log. When nobody takes them, they are what is lost, not requests.
#[test]
fn a_log_that_nobody_reads_holds_up_nobody() {
    let _alone = turn::alone();
    let mut command = tidegate();
    command.arg("serve").arg(guest("trap")).args(["--addr", "127.0.0.1:0"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = Unread(command.spawn().expect("tidegate cannot be started"));
    let mut stderr = BufReader::new(child.0.stderr.take().expect("stderr is piped"));
    let mut first = String::new();
    stderr.read_line(&mut first).expect("a line");
    let (_, address) = first.trim().split_once("http://").expect("an address");
    let address: SocketAddr = address.parse().expect("an address");
    // Several times what a pipe holds.
    for _ in 0..2_000 {
        let mut raw = Raw::connect(address);
        raw.write("GET / HTTP/1.1\r\nhost: any.test\r\nconnection: close\r\n\r\n");
        raw.response().is_fault(502, "trap");
    }
}
