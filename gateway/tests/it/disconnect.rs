//! Clients that leave: whatever their request is at, its guest is stopped, counted and logged, and its place is free.
//!
//! How soon is printed, not asserted: the promise is 150 ms on a machine that has the time.

use crate::support::certs::{Authority, greet};
use crate::support::gateway::Builder;
use crate::support::streams::Streams;
use crate::support::{Gateway, Raw, wait};
use socket2::SockRef;
use std::time::{Duration, Instant};

/// A gateway with `name` under limits that end nothing within a test, and `hello` beside it.
fn patient(name: &str) -> Builder {
    Gateway::with().component("hello").component_with(name, |component| {
        component
            .limit("cpu", "0s")
            .limit("deadline", "10m")
            .limit("queue_time", "10m")
    })
}

fn get(component: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {component}.test\r\n\r\n")
}

/// Waits until so many guests of `name` are at work.
#[track_caller]
fn wait_guests(gateway: &Gateway, name: &str, count: f64) {
    gateway.wait_metric("tidegate_component_instances", &[("component", name)], count);
}

/// Waits until the guests of a client that left at `left` are stopped: no instance, `count` cancels, a log line.
#[track_caller]
fn stopped(gateway: &Gateway, name: &str, count: f64, left: Instant, how: &str) {
    let labels = [("component", name), ("cause", "client_gone")];
    gateway.wait_metric("tidegate_component_cancels_total", &labels, count);
    let after = left.elapsed();
    wait_guests(gateway, name, 0.0);
    println!("{name}, {how}: stopped after {} ms", after.as_millis());
    gateway.wait_log("the stopped guest", |line| {
        let text = line.to_string();
        ["guest stopped", name, "client-gone"]
            .iter()
            .all(|part| text.contains(part))
    });
}

/// The gateway serves on as if nothing had happened.
#[track_caller]
fn serves_on(gateway: &Gateway) {
    gateway.get("hello", "/").is(200);
    gateway.wait_metric("tidegate_connections_open", &[], 0.0);
    gateway.wait_metric("tidegate_requests_in_flight", &[], 0.0);
}

#[test]
fn in_the_middle_of_a_loop() {
    let gateway = patient("spin-forever").start();
    let mut raw = gateway.connect();
    raw.write(get("spin-forever", "/"));
    wait_guests(&gateway, "spin-forever", 1.0);
    let left = Instant::now();
    drop(raw);
    stopped(&gateway, "spin-forever", 1.0, left, "closed");
    serves_on(&gateway);
}

#[test]
fn in_the_middle_of_a_sleep() {
    let gateway = patient("sleep-forever").start();
    let mut raw = gateway.connect();
    raw.write(get("sleep-forever", "/"));
    wait_guests(&gateway, "sleep-forever", 1.0);
    let left = Instant::now();
    drop(raw);
    stopped(&gateway, "sleep-forever", 1.0, left, "closed");
    serves_on(&gateway);
}

#[test]
fn with_a_reset() {
    let gateway = patient("spin-forever").start();
    let mut raw = gateway.connect();
    raw.write(get("spin-forever", "/"));
    wait_guests(&gateway, "spin-forever", 1.0);
    SockRef::from(raw.tcp())
        .set_linger(Some(Duration::ZERO))
        .expect("a socket option");
    let left = Instant::now();
    drop(raw);
    stopped(&gateway, "spin-forever", 1.0, left, "reset");
    serves_on(&gateway);
}

#[test]
fn with_its_body_unread() {
    for name in ["spin-forever", "sleep-forever"] {
        let gateway = patient(name).start();
        let mut raw = gateway.connect();
        raw.write(format!(
            "POST / HTTP/1.1\r\nhost: {name}.test\r\ncontent-length: 1000000\r\n\r\n"
        ));
        // As much as the gateway's socket takes in: TCP tells of the end only behind all that was sent before it.
        raw.write(vec![b'x'; 40_000]);
        wait_guests(&gateway, name, 1.0);
        let left = Instant::now();
        drop(raw);
        stopped(&gateway, name, 1.0, left, "a part of its body sent, none of it read");
        serves_on(&gateway);
    }
}

#[test]
fn in_the_middle_of_an_upload_that_is_read() {
    for name in ["echo-stream", "echo-stream-p3"] {
        let gateway = patient(name).start();
        let mut raw = gateway.connect();
        raw.write(format!(
            "POST / HTTP/1.1\r\nhost: {name}.test\r\ncontent-length: 1000\r\n\r\n0123456789"
        ));
        let mut response = raw.head().expect("a head");
        response.is(200);
        assert!(raw.chunk(&mut response), "what was sent comes back");
        let left = Instant::now();
        drop(raw);
        stopped(&gateway, name, 1.0, left, "in the middle of its upload");
        serves_on(&gateway);
    }
}

#[test]
fn with_a_pipelined_request_behind() {
    let gateway = patient("spin-forever").start();
    let mut raw = gateway.connect();
    raw.write(get("spin-forever", "/") + &get("hello", "/"));
    wait_guests(&gateway, "spin-forever", 1.0);
    let left = Instant::now();
    drop(raw);
    stopped(&gateway, "spin-forever", 1.0, left, "a pipelined request behind");
    assert_eq!(
        gateway.metric("tidegate_component_calls_total", &[("component", "hello")]),
        0.0
    );
    serves_on(&gateway);
}

#[test]
fn over_tls() {
    let authority = Authority::new();
    for (name, path) in [("spin-forever", "/"), ("silent-stream", "/")] {
        let builder = patient(name);
        let pair = authority.sign(&["edge.test"]).write(builder.folder(), "edge");
        let gateway = builder.tls(&[pair]).start();
        let mut raw = greet(gateway.address(), "edge.test", &authority.client(&[], None))
            .expect("a handshake")
            .raw;
        raw.write(get(name, path));
        wait_guests(&gateway, name, 1.0);
        let left = Instant::now();
        drop(raw);
        stopped(&gateway, name, 1.0, left, "over TLS");
        gateway.wait_metric("tidegate_connections_open", &[], 0.0);
    }
}

#[test]
fn over_tls_with_more_to_read() {
    let authority = Authority::new();
    let builder = patient("spin-forever");
    let pair = authority.sign(&["edge.test"]).write(builder.folder(), "edge");
    let gateway = builder.tls(&[pair]).start();
    let mut raw = greet(gateway.address(), "edge.test", &authority.client(&[], None))
        .expect("a handshake")
        .raw;
    raw.write("POST / HTTP/1.1\r\nhost: spin-forever.test\r\ncontent-length: 1000000\r\n\r\n");
    raw.write(vec![b'x'; 40_000]);
    wait_guests(&gateway, "spin-forever", 1.0);
    let left = Instant::now();
    drop(raw);
    stopped(&gateway, "spin-forever", 1.0, left, "over TLS, its body unread");
    gateway.wait_metric("tidegate_connections_open", &[], 0.0);
}

#[test]
fn on_a_silent_stream() {
    let gateway = patient("silent-stream").start();
    let mut raw = gateway.connect();
    raw.write(get("silent-stream", "/"));
    let mut response = raw.head().expect("a head");
    assert!(raw.chunk(&mut response), "one chunk comes");
    let left = Instant::now();
    drop(raw);
    stopped(&gateway, "silent-stream", 1.0, left, "silent after the head");
    serves_on(&gateway);
}

#[test]
fn in_the_lane_after_the_head() {
    let gateway = patient("spin-forever").start();
    let mut raw = gateway.connect();
    raw.write(get("spin-forever", "/after-head"));
    let mut response = raw.head().expect("a head");
    assert!(raw.chunk(&mut response), "one chunk comes");
    gateway.wait_metric(
        "tidegate_component_lane_moves_total",
        &[("component", "spin-forever")],
        1.0,
    );
    let left = Instant::now();
    drop(raw);
    stopped(&gateway, "spin-forever", 1.0, left, "in the lane after the head");
    serves_on(&gateway);
}

#[test]
fn while_waiting_in_the_queue() {
    let gateway = Gateway::with()
        .component("hello")
        .component_with("sleep-forever", |component| {
            component
                .limit("concurrency", 1)
                .limit("queue", 8)
                .limit("queue_time", "10m")
                .limit("deadline", "10m")
        })
        .start();
    let queue = |count| {
        gateway.wait_metric(
            "tidegate_component_queue_length",
            &[("component", "sleep-forever")],
            count,
        )
    };
    let mut first = gateway.connect();
    first.write(get("sleep-forever", "/"));
    wait_guests(&gateway, "sleep-forever", 1.0);
    let mut second = gateway.connect();
    second.write(get("sleep-forever", "/"));
    queue(1.0);
    let mut over_h2 = Streams::connect(gateway.address());
    let mut third = over_h2.ask("GET", "sleep-forever", "/").expect("a stream");
    queue(2.0);
    let left = Instant::now();
    drop(second);
    queue(1.0);
    third.upload.send_reset(h2::Reason::CANCEL);
    queue(0.0);
    println!(
        "sleep-forever, in the queue: both left it after {} ms",
        left.elapsed().as_millis()
    );
    wait_guests(&gateway, "sleep-forever", 1.0);
    let left = Instant::now();
    drop(first);
    stopped(&gateway, "sleep-forever", 1.0, left, "with a queue behind it");
    assert_eq!(over_h2.get("hello", "/").expect("the connection serves on").0, 200);
    drop(over_h2);
    serves_on(&gateway);
}

#[test]
fn by_resetting_a_stream() {
    let cases = [
        ("spin-forever", "/", false),
        ("sleep-forever", "/", false),
        ("silent-stream", "/", true),
    ];
    for (name, path, has_head) in cases.into_iter().chain([("spin-forever", "/after-head", true)]) {
        let gateway = patient(name).start();
        let mut streams = Streams::connect(gateway.address());
        let mut asked = streams.ask("GET", name, path).expect("a stream");
        let left = if has_head {
            let (response, mut upload) = streams.head(asked).expect("a head");
            let mut body = response.into_body();
            assert!(streams.data(&mut body).expect("data").is_some(), "one piece comes");
            upload.send_reset(h2::Reason::CANCEL);
            Instant::now()
        } else {
            wait_guests(&gateway, name, 1.0);
            asked.upload.send_reset(h2::Reason::CANCEL);
            Instant::now()
        };
        stopped(&gateway, name, 1.0, left, &format!("RST_STREAM, {path}"));
        assert_eq!(streams.get("hello", "/").expect("the connection serves on").0, 200);
        drop(streams);
        serves_on(&gateway);
    }
}

#[test]
fn with_many_streams_at_once() {
    let gateway = patient("spin-forever").component("sleep-forever").start();
    let mut streams = Streams::connect(gateway.address());
    let spinning: Vec<_> = (0..8)
        .map(|_| streams.ask("GET", "spin-forever", "/").expect("a stream"))
        .collect();
    wait_guests(&gateway, "spin-forever", 8.0);
    let left = Instant::now();
    drop((spinning, streams));
    stopped(&gateway, "spin-forever", 8.0, left, "eight streams of one connection");
    serves_on(&gateway);
}

#[test]
fn everything_is_given_back() {
    let gateway = patient("spin-forever")
        .component("sleep-forever")
        .component("silent-stream")
        .start();
    // What a first request of each kind opens may stay open.
    serves_on(&gateway);
    let descriptors = || {
        let folder = format!("/proc/{}/fd", gateway.pid());
        std::fs::read_dir(folder).expect("the process is there").count()
    };
    let before = descriptors();
    let names = ["spin-forever", "sleep-forever", "silent-stream"];
    for _ in 0..3 {
        let clients: Vec<Raw> = (0..30)
            .map(|n| {
                let mut raw = gateway.connect();
                raw.write(get(names[n % names.len()], "/"));
                raw
            })
            .collect();
        for name in names {
            wait_guests(&gateway, name, 10.0);
        }
        drop(clients);
        for name in names {
            wait_guests(&gateway, name, 0.0);
        }
    }
    for name in names {
        gateway.wait_metric(
            "tidegate_component_cancels_total",
            &[("component", name), ("cause", "client_gone")],
            30.0,
        );
    }
    serves_on(&gateway);
    // The reading connection of the admin API itself comes and goes.
    wait::until_true("the descriptors to be given back", || descriptors() <= before);
}
