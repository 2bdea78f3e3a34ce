//! What a guest may use up: memory, CPU, time; and what becomes of its answer when it fails.

use crate::support::{Client, End, Gateway, Protocol, Response, turn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The page of a fault names the request, and never the reason.
#[track_caller]
fn keeps_its_reason(answer: &Response) {
    let text = answer.text();
    assert!(text.contains("request: "), "{text}");
    for word in ["unreachable", "wasm", "backtrace", "panic", "at 0x"] {
        assert!(!text.contains(word), "{word:?} is for the log: {text}");
    }
}

#[test]
fn memory_is_bounded() {
    let gateway = Gateway::with()
        .component_with("allocate-forever", |guest| guest.limit("memory", "8MiB"))
        .component_with("allocate-forever", |guest| guest.named("wide").limit("memory", "32MiB"))
        .component("hello")
        .start();
    let answer = gateway.get("allocate-forever", "/");
    keeps_its_reason(answer.is_fault(502, "memory"));
    // One that asks, and gives back what it could not use, goes on: it got nearly all of its limit and no more.
    for (name, limit) in [("allocate-forever", 8), ("wide", 32)] {
        let held: usize = gateway.get(name, "/report").is(200).text().trim().parse().unwrap();
        assert!(
            held <= limit << 20 && held >= (limit - 4) << 20,
            "{name} held {held} bytes"
        );
    }
    gateway.wait_metric(
        "tidegate_component_memory_failures_total",
        &[("component", "allocate-forever")],
        1.0,
    );
    gateway.get("hello", "/").is(200);
}

#[test]
fn cpu_is_bounded() {
    let gateway = Gateway::with()
        .component_with("spin-forever", |guest| {
            guest.limit("cpu", "300ms").limit("deadline", "60s")
        })
        .component("hello")
        .start();
    let began = Instant::now();
    keeps_its_reason(gateway.get("spin-forever", "/").is_fault(504, "cpu"));
    assert!(began.elapsed() >= Duration::from_millis(300));
    gateway.wait_metric(
        "tidegate_component_cancels_total",
        &[("component", "spin-forever"), ("cause", "cpu")],
        1.0,
    );
    gateway.wait_metric("tidegate_component_instances", &[("component", "spin-forever")], 0.0);
    gateway.wait_log("the stopped guest", |line| {
        line["code"] == "cpu" && line["component"] == "spin-forever"
    });
    gateway.get("hello", "/").is(200);
}

/// On a machine with more to do than cores, a guest is slower and nothing else.
#[test]
fn waiting_for_a_core_costs_no_cpu() {
    let _alone = turn::alone();
    let gateway = Gateway::with()
        .component_with("remember-p3", |guest| guest.limit("cpu", "2s").limit("deadline", "60s"))
        .start();
    let done = AtomicBool::new(false);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores * 4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        // Four seconds by the clock, of which it gets the less the more others compute.
        let answer = catch_unwind(AssertUnwindSafe(|| gateway.get("remember-p3", "/spin?ms=4000")));
        done.store(true, Ordering::Relaxed);
        answer.unwrap_or_else(|panic| resume_unwind(panic)).is(200);
    });
}

#[test]
fn waiting_costs_no_cpu_and_ends_at_the_deadline() {
    let gateway = Gateway::with()
        .component_with("sleep-forever", |guest| {
            guest.limit("cpu", "100ms").limit("deadline", "400ms")
        })
        .start();
    let began = Instant::now();
    keeps_its_reason(gateway.get("sleep-forever", "/").is_fault(504, "deadline"));
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(400) && took < Duration::from_secs(4),
        "{took:?}"
    );
    let labels = [("component", "sleep-forever"), ("cause", "deadline")];
    gateway.wait_metric("tidegate_component_cancels_total", &labels, 1.0);
}

#[test]
fn the_body_deadline_ends_what_the_head_deadline_let_pass() {
    let gateway = Gateway::with()
        .component_with("silent-stream", |guest| {
            guest.limit("deadline", "200ms").limit("body_deadline", "600ms")
        })
        .start();
    let mut raw = gateway.connect();
    let began = Instant::now();
    raw.write("GET / HTTP/1.1\r\nhost: silent-stream.test\r\n\r\n");
    let answer = raw.response();
    assert_eq!(
        (answer.status, answer.end, answer.text().as_str()),
        (200, End::Cut, "and now, silence\n")
    );
    assert!(
        began.elapsed() >= Duration::from_millis(600),
        "cut after {:?}",
        began.elapsed()
    );
    let labels = [("component", "silent-stream"), ("cause", "body_deadline")];
    gateway.wait_metric("tidegate_component_cancels_total", &labels, 1.0);
}

#[test]
fn a_trap_is_a_502_and_its_reason_is_for_the_log() {
    let gateway = Gateway::with().component("trap").component("hello").start();
    for path in ["/", "/panic"] {
        keeps_its_reason(gateway.get("trap", path).is_fault(502, "trap"));
    }
    // Neither traps, and neither answers.
    assert_eq!(gateway.get("trap", "/exit").status, 502);
    keeps_its_reason(gateway.get("trap", "/return").is_fault(502, "no-response"));
    let trap = gateway.wait_log("the trap", |line| line["code"] == "trap");
    assert!(trap["message"].as_str().unwrap().contains("unreachable"), "{trap}");
    let line = gateway.wait_access("the request", |line| line["id"] == trap["request"]);
    assert_eq!(
        (&line["status"], &line["outcome"]),
        (&502.into(), &"trap".into()),
        "{line}"
    );
    gateway.get("hello", "/").is(200);
}

#[test]
fn a_page_gives_the_reason_with_dev() {
    let gateway = Gateway::with().set("dev", true).component("trap").start();
    let answer = gateway.get("trap", "/");
    answer.is_fault(502, "trap");
    assert!(answer.text().contains("unreachable"), "{}", answer.text());
}

#[test]
fn resources_are_bounded() {
    let gateway = Gateway::with()
        .component_with("handle-hoarder", |guest| {
            guest.limit("cpu", "20s").limit("deadline", "20s")
        })
        .start();
    assert_eq!(
        gateway.get("handle-hoarder", "/").is(502).field("tidegate-error"),
        Some("trap")
    );
}

#[test]
fn an_answer_that_breaks_after_its_head_is_seen_as_broken() {
    let gateway = Gateway::with().component("trap-after-head").start();
    let mut raw = gateway.connect();
    raw.write("GET / HTTP/1.1\r\nhost: trap-after-head.test\r\n\r\n");
    let answer = raw.response();
    assert_eq!(
        (answer.status, answer.end, answer.text().as_str()),
        (200, End::Cut, "this is the only chunk\n")
    );

    let mut client = Client::connect(Protocol::H2, gateway.address());
    let head = client.request("GET", "trap-after-head", "/");
    let (mut upload, response) = client.begin(head);
    upload.finish(None);
    let (head, mut download) = response().unwrap();
    assert_eq!(head.status, 200);
    assert_eq!(
        download.data().unwrap().as_deref(),
        Some(b"this is the only chunk\n".as_slice())
    );
    let broken = download.data().expect_err("the stream is reset");
    assert_eq!(broken.reset, Some(h2::Reason::INTERNAL_ERROR), "{broken:?}");
    // The connection lives: other streams are not affected.
    let head = client.request("GET", "trap-after-head", "/");
    assert!(client.send(head, b"").is_err());
    gateway.wait_metric(
        "tidegate_component_traps_total",
        &[("component", "trap-after-head")],
        3.0,
    );
    gateway.wait_access("the broken answer", |line| {
        line["outcome"] == "trap" && line["status"] == 200
    });
}
