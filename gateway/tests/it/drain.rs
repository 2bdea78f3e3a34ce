//! The orderly end, and changes under load: no request that was accepted is lost.

use crate::support::config::{inline, list};
use crate::support::loader::{Answer, Check, Load, Loader, Report, allow_descriptors};
use crate::support::streams::Streams;
use crate::support::{End, Gateway, Raw, turn, wait};
use rustix::process::Signal;
use std::collections::HashSet;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Connections of the large loads.
const CONNECTIONS: usize = 2_000;

/// Waits until the gateway has begun to drain.
fn wait_draining(gateway: &Gateway) {
    gateway.wait_log("the drain", |line| line.to_string().contains("draining"));
}

#[track_caller]
fn exits_well(gateway: &mut Gateway) {
    let status = gateway.wait();
    assert_eq!(status.code(), Some(0), "{status:?}");
}

fn is_hello() -> Check {
    Arc::new(|answer: &Answer| match answer.status {
        200 if answer.body.starts_with(b"Hello") => Ok(()),
        status => Err(format!("{status}: {}", String::from_utf8_lossy(&answer.body))),
    })
}

/// Every request that the gateway accepted was answered: the access log, complete by now, knows just those.
#[track_caller]
fn lost_nothing(gateway: &Gateway, report: &Report) {
    let failures = &report.failures;
    assert!(failures.is_empty(), "{}: {:?}", failures.len(), failures.first());
    wait::until_true("the access log to be read", || {
        gateway.access().len() >= report.answered()
    });
    let mut accepted = HashSet::new();
    for line in gateway.access() {
        assert_eq!(
            line["outcome"], "complete",
            "an accepted request was not completed: {line}"
        );
        let number = line["path"]
            .as_str()
            .and_then(|path| path.strip_prefix('/'))
            .expect("a path");
        assert!(
            !report.unanswered.contains(number),
            "accepted and never answered: {line}"
        );
        accepted.insert(number.to_owned());
    }
    assert_eq!(accepted.len(), report.answered());
}

#[test]
fn two_thousand_connections_lose_nothing_when_it_ends() {
    let _alone = turn::alone();
    allow_descriptors(3 * CONNECTIONS as u64);
    let mut gateway = Gateway::with()
        .component_with("hello-min", |component| {
            component
                .limit("concurrency", 900)
                .limit("queue", 4000)
                .limit("queue_time", "20s")
        })
        .start();
    let loader = Loader::start(&Load {
        address: gateway.address(),
        component: "hello-min".to_owned(),
        target: "/{n}".to_owned(),
        connections: CONNECTIONS,
        // Longer than an idle connection is kept, so that some bring their one more request and some do not.
        pause: Duration::from_secs(5),
        check: is_hello(),
    });
    loader.wait_warm();
    let warm = loader.answered();
    wait::until_true("the load to go on", || loader.answered() > warm + CONNECTIONS);
    gateway.signal(Signal::TERM);
    let told = Instant::now();
    exits_well(&mut gateway);
    println!("exited {} ms after SIGTERM", told.elapsed().as_millis());
    let report = loader.join();
    println!(
        "{} answers; {} connections closed as announced, {} while idle, {} not taken, {} requests not accepted",
        report.answered(),
        report.closed_announced,
        report.closed_idle,
        report.refused,
        report.unanswered.len()
    );
    assert!(
        report.closed_announced > 0,
        "idle connections may bring one more request"
    );
    assert!(report.closed_idle > 0, "those that bring none are closed");
    lost_nothing(&gateway, &report);
}

/// Connections that only the kernel has accepted when the signal comes are served too.
#[test]
fn connections_in_the_kernels_queue_are_served() {
    let _alone = turn::alone();
    allow_descriptors(2_000);
    let mut gateway = Gateway::with().component("hello").start();
    gateway.signal(Signal::STOP);
    let clients: Vec<Raw> = (0..600)
        .map(|_| {
            let mut raw = gateway.connect();
            raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
            raw
        })
        .collect();
    gateway.signal(Signal::TERM);
    gateway.signal(Signal::CONT);
    for mut raw in clients {
        let response = raw.response();
        assert_eq!((response.status, response.end), (200, End::Complete));
    }
    exits_well(&mut gateway);
    gateway.wait_log("the end", |line| line["message"] == "stopped");
    let log = gateway.log();
    let stopped = log.iter().find(|line| line.to_string().contains("guest stopped"));
    assert_eq!(stopped, None, "its answer is complete");
}

/// Which versions an answer may be of.
#[derive(Default)]
struct Versions {
    /// The newest that was written to the file.
    offered: AtomicU64,
    /// When each, from the first on, was said to be in force.
    in_force: Mutex<Vec<Instant>>,
}

impl Versions {
    fn check(&self, answer: &Answer) -> Result<(), String> {
        let text = String::from_utf8_lossy(&answer.body);
        let version = text
            .trim()
            .strip_prefix("version ")
            .and_then(|number| number.parse::<u64>().ok());
        let Some(version) = version.filter(|_| answer.status == 200) else {
            return Err(format!("{}: {text:?}", answer.status));
        };
        // A request that began with a newer one in force may not see an older one.
        let oldest = self
            .in_force
            .lock()
            .unwrap()
            .iter()
            .filter(|since| **since < answer.asked)
            .count() as u64;
        if (oldest..=self.offered.load(Ordering::SeqCst)).contains(&version) {
            return Ok(());
        }
        Err(format!("version {version}, when {oldest} was in force"))
    }
}

/// A route's answer and a component's environment carry the same version.
fn set_version(gateway: &mut Gateway, version: u64) {
    gateway.edit(|config| {
        config["component"]["env-and-config"]["env"]["VERSION"] = format!("version {version} ").into();
        let routes = list(config, "route");
        routes.retain(|route| route["name"].as_str() != Some("fixed"));
        let fixed = format!(
            "{{ name = 'fixed', host = 'fixed.test', respond = {{ status = 200, body = 'version {version} ' }} }}"
        );
        // In another place each time, so that every reload changes the table.
        let at = usize::try_from(version).expect("a small number") % (routes.len() + 1);
        routes.insert(at, inline(&fixed));
    });
}

#[test]
fn two_thousand_connections_notice_nothing_of_twenty_reloads() {
    let _alone = turn::alone();
    allow_descriptors(3 * CONNECTIONS as u64);
    let mut gateway = Gateway::with()
        .component_with("env-and-config", |component| {
            let component = component
                .limit("concurrency", 900)
                .limit("queue", 4000)
                .limit("queue_time", "20s");
            component.env("VERSION", "version 0 ")
        })
        .route("{ name = 'fixed', host = 'fixed.test', respond = { status = 200, body = 'version 0 ' } }")
        .start();
    let versions = Arc::new(Versions::default());
    let check: Check = {
        let versions = Arc::clone(&versions);
        Arc::new(move |answer: &Answer| versions.check(answer))
    };
    let load = |component: &str, target: &str| Load {
        address: gateway.address(),
        component: component.to_owned(),
        target: target.to_owned(),
        connections: CONNECTIONS / 2,
        pause: Duration::from_secs(4),
        check: Arc::clone(&check),
    };
    let loaders = [
        Loader::start(&load("fixed", "/{n}")),
        Loader::start(&load("env-and-config", "/env/VERSION?{n}")),
    ];
    loaders.iter().for_each(Loader::wait_warm);
    for version in 1..=20 {
        versions.offered.store(version, Ordering::SeqCst);
        set_version(&mut gateway, version);
        let began = Instant::now();
        gateway.reload().is(200);
        versions.in_force.lock().unwrap().push(Instant::now());
        println!("reload {version} took {} ms", began.elapsed().as_millis());
        let now = format!("version {version}");
        // From here on every new request sees it.
        assert_eq!(gateway.get("fixed", "/").text().trim(), now);
        assert_eq!(gateway.get("env-and-config", "/env/VERSION").text().trim(), now);
        for loader in &loaders {
            let answered = loader.answered();
            wait::until_true("the load to go on", || loader.answered() > answered + 100);
        }
    }
    for loader in loaders {
        let report = loader.stop();
        println!("{:?}, p99 {:?}", report.answers, report.quantile(0.99));
        assert!(
            report.failures.is_empty(),
            "{}: {:?}",
            report.failures.len(),
            report.failures.first()
        );
        let lost = (
            report.unanswered.len(),
            report.closed_idle,
            report.closed_announced,
            report.refused,
        );
        assert_eq!(
            lost,
            (0, 0, 0, 0),
            "unanswered, closed while idle, closed with an answer, refused"
        );
    }
    assert_eq!(gateway.metric("tidegate_reloads_total", &[("result", "ok")]), 20.0);
    gateway.wait_metric("tidegate_snapshot_versions_alive", &[], 1.0);
}

#[test]
fn readiness_fails_first_and_what_is_in_flight_finishes() {
    let mut gateway = Gateway::with().component("hello").component("echo-stream").start();
    gateway.admin("GET", "/readyz", &[]).is(200);
    let mut talk = gateway.connect();
    talk.write("POST / HTTP/1.1\r\nhost: echo-stream.test\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    let mut response = talk.head().expect("a head");
    assert!(talk.chunk(&mut response));
    gateway.signal(Signal::TERM);
    wait::until_true("readiness to fail", || {
        gateway.admin("GET", "/readyz", &[]).status == 503
    });
    gateway.admin("GET", "/healthz", &[]).is(200);
    // Nobody new is taken.
    wait::until_true("the listener to close", || {
        TcpStream::connect(gateway.address()).is_err()
    });
    talk.write("6\r\nsecond\r\n0\r\n\r\n");
    while talk.chunk(&mut response) {}
    assert_eq!((response.text().as_str(), response.end), ("firstsecond", End::Complete));
    talk.is_closed();
    exits_well(&mut gateway);
    let line = gateway.wait_access("the talk", |line| line.to_string().contains("echo-stream"));
    assert!(line.to_string().contains("\"complete\""), "{line}");
}

#[test]
fn an_idle_connection_may_bring_one_more_request() {
    let mut gateway = Gateway::with().component("hello").start();
    let mut both: Vec<Raw> = (0..2).map(|_| gateway.connect()).collect();
    for raw in &mut both {
        raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
        assert_eq!(raw.response().is(200).field("connection"), None);
    }
    gateway.signal(Signal::TERM);
    wait_draining(&gateway);
    both[0].write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
    assert_eq!(both[0].response().is(200).field("connection"), Some("close"));
    // The one that has its answer, and the one that brings nothing.
    for mut raw in both {
        raw.is_closed();
    }
    exits_well(&mut gateway);
}

/// A request is accepted when the first byte of its head was read.
#[test]
fn a_head_that_has_begun_is_accepted() {
    let mut gateway = Gateway::with().component("hello").start();
    let mut fresh = gateway.connect();
    fresh.write("GET / HT");
    let mut used = gateway.connect();
    used.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
    used.response().is(200);
    used.write("GET / HT");
    let mut behind = gateway.connect();
    behind.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\nGET / HT");
    behind.response().is(200);
    gateway.wait_metric("tidegate_connections_open", &[], 3.0);
    gateway.signal(Signal::TERM);
    wait_draining(&gateway);
    // Longer than an idle connection is kept.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2_500) {
        std::thread::park_timeout(Duration::from_millis(100));
    }
    for mut raw in [fresh, used, behind] {
        raw.write("TP/1.1\r\nhost: hello.test\r\n\r\n");
        assert_eq!(raw.response().is(200).field("connection"), Some("close"));
    }
    exits_well(&mut gateway);
}

#[test]
fn streams_finish_after_goaway() {
    let mut gateway = Gateway::with().component("hello").component("echo-stream").start();
    let mut streams = Streams::connect(gateway.address());
    let talk = streams.ask("POST", "echo-stream", "/").expect("a stream");
    let (response, mut upload) = streams.head(talk).expect("a head");
    let mut body = response.into_body();
    gateway.signal(Signal::TERM);
    wait_draining(&gateway);
    let refused = wait::until("GOAWAY", || streams.get("hello", "/").err());
    assert!(refused.is_go_away() || refused.is_remote(), "{refused:?}");
    assert_eq!(refused.reason(), Some(h2::Reason::NO_ERROR), "{refused:?}");
    upload.send_data("still here".into(), true).expect("the stream is open");
    assert_eq!(
        streams.data(&mut body).expect("data").as_deref(),
        Some(&b"still here"[..])
    );
    assert_eq!(streams.data(&mut body).expect("the end"), None);
    drop((body, upload));
    streams.ended().expect("the connection ends in order");
    exits_well(&mut gateway);
}

#[test]
fn an_idle_http2_connection_is_told_and_closed() {
    let mut gateway = Gateway::with().component("hello").start();
    let mut streams = Streams::connect(gateway.address());
    assert_eq!(streams.get("hello", "/").expect("an answer").0, 200);
    gateway.signal(Signal::TERM);
    exits_well(&mut gateway);
    streams.ended().expect("the connection ends in order");
}

#[test]
fn a_request_that_outlives_the_drain_is_cut() {
    let mut gateway = Gateway::with()
        .set("drain", "1s")
        .component_with("sleep-forever", |component| component.limit("deadline", "10m"))
        .start();
    let mut raw = gateway.connect();
    raw.write("GET / HTTP/1.1\r\nhost: sleep-forever.test\r\n\r\n");
    gateway.wait_metric("tidegate_component_instances", &[("component", "sleep-forever")], 1.0);
    gateway.signal(Signal::TERM);
    exits_well(&mut gateway);
    let rest = raw.try_response();
    assert!(rest.as_ref().is_none_or(|response| response.status == 503), "{rest:?}");
    let cut = gateway.wait_log("the count", |line| line.to_string().contains("drain deadline"));
    assert!(cut.to_string().contains("\"cut\":1"), "{cut}");
    gateway.wait_log("the stopped guest", |line| {
        let line = line.to_string();
        line.contains("guest stopped") && line.contains("shutdown")
    });
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let mut gateway = Gateway::with()
            .set("drain", "10m")
            .component_with("sleep-forever", |component| component.limit("deadline", "10m"))
            .component_with("spin-forever", |component| {
                component.limit("deadline", "10m").limit("cpu", "0s")
            })
            .start();
        let mut clients = Vec::new();
        for name in ["sleep-forever", "spin-forever"] {
            let mut raw = gateway.connect();
            raw.write(format!("GET / HTTP/1.1\r\nhost: {name}.test\r\n\r\n"));
            gateway.wait_metric("tidegate_component_instances", &[("component", name)], 1.0);
            clients.push(raw);
        }
        gateway.signal(Signal::TERM);
        wait_draining(&gateway);
        gateway.signal(second);
        // It has ten minutes to finish what it does; a test has seconds.
        exits_well(&mut gateway);
        for mut raw in clients {
            raw.is_closed();
        }
    }
}

/// A guest that still works after its answer has the drain's time too.
#[test]
fn a_detached_guest_ends_before_the_process() {
    let mut gateway = Gateway::with()
        .component_with("silent-stream", |component| component.limit("body_deadline", "2s"))
        .start();
    let mut raw = gateway.connect();
    raw.write("HEAD / HTTP/1.1\r\nhost: silent-stream.test\r\nconnection: close\r\n\r\n");
    raw.response_to("HEAD").is(200);
    gateway.signal(Signal::TERM);
    exits_well(&mut gateway);
    gateway.wait_log("its own end", |line| {
        let line = line.to_string();
        line.contains("guest stopped") && line.contains("body-deadline")
    });
}
