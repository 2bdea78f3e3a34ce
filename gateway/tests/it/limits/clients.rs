//! How long a client may take, and how many there may be.

use crate::support::{Client, Gateway, Protocol, wait};
use std::time::{Duration, Instant};

#[test]
fn a_head_that_stops_in_its_middle_is_answered_with_408() {
    let gateway = Gateway::with()
        .listener_limits("{ header_timeout = '300ms' }")
        .component("hello")
        .start();
    let began = Instant::now();
    let mut raw = gateway.connect();
    raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n");
    let answer = raw.response();
    assert_eq!(
        (answer.status, answer.field("connection")),
        (408, Some("close")),
        "{answer:?}"
    );
    assert!(
        began.elapsed() >= Duration::from_millis(300),
        "after {:?}",
        began.elapsed()
    );
    raw.is_closed();
    // A trickle does not help: the time is for the whole head.
    let mut raw = gateway.connect();
    raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n");
    wait::until_true("the refusal of a trickled head", || raw.try_write("x").is_err());
    gateway.wait_metric("tidegate_component_calls_total", &[("component", "hello")], 0.0);
    gateway.wait_metric(
        "tidegate_timeouts_total",
        &[("listener", "public"), ("kind", "header")],
        2.0,
    );
}

#[test]
fn a_client_that_says_nothing_is_closed_without_a_word() {
    let gateway = Gateway::with()
        .listener_limits("{ header_timeout = '300ms' }")
        .component("hello")
        .start();
    let began = Instant::now();
    gateway.connect().is_closed();
    assert!(
        began.elapsed() >= Duration::from_millis(250),
        "after {:?}",
        began.elapsed()
    );
}

#[test]
fn a_client_that_comes_after_a_quiet_time_has_all_of_its_own() {
    let gateway = Gateway::with()
        .listener_limits("{ header_timeout = '500ms' }")
        .component("hello")
        .start();
    let started = Instant::now();
    wait::until_true("a time without connections", || {
        started.elapsed() > Duration::from_secs(1)
    });
    let began = Instant::now();
    gateway.connect().is_closed();
    assert!(
        began.elapsed() >= Duration::from_millis(450),
        "after {:?}",
        began.elapsed()
    );
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let gateway = Gateway::with()
        .listener_limits("{ idle_timeout = '300ms' }")
        .component("hello")
        .start();
    let mut raw = gateway.connect();
    raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
    raw.response().is(200);
    let began = Instant::now();
    raw.is_closed();
    assert!(
        began.elapsed() >= Duration::from_millis(200),
        "after {:?}",
        began.elapsed()
    );
    let mut client = Client::connect(Protocol::H2, gateway.address());
    assert_eq!(client.get("hello", "/").status, 200);
    // GOAWAY, which for the client is an orderly end.
    client.ended().unwrap();
    gateway.wait_metric(
        "tidegate_timeouts_total",
        &[("listener", "public"), ("kind", "idle")],
        2.0,
    );
}

#[test]
fn a_guest_at_work_is_not_idle() {
    let gateway = Gateway::with()
        .listener_limits("{ idle_timeout = '200ms', header_timeout = '200ms' }")
        .component_with("sleep-forever", |guest| guest.limit("deadline", "1s"))
        .start();
    gateway.get("sleep-forever", "/").is_fault(504, "deadline");
}

#[test]
fn a_body_that_stops_coming_is_answered_with_408() {
    let gateway = Gateway::with()
        .listener_limits("{ body_idle_timeout = '300ms' }")
        .component("env-and-config")
        .start();
    let mut raw = gateway.connect();
    raw.write("POST /log HTTP/1.1\r\nhost: env-and-config.test\r\ncontent-length: 10\r\n\r\nhalf");
    let answer = raw.response();
    answer.is_fault(408, "body-timeout");
    assert_eq!(answer.field("connection"), Some("close"));
    raw.is_closed();
    gateway.wait_metric("tidegate_component_instances", &[("component", "env-and-config")], 0.0);
    gateway.wait_metric(
        "tidegate_timeouts_total",
        &[("listener", "public"), ("kind", "body_idle")],
        1.0,
    );
}

#[test]
fn a_body_that_trickles_is_answered_with_408() {
    let gateway = Gateway::with()
        .listener_limits("{ body_idle_timeout = '500ms' }")
        .component("env-and-config")
        .start();
    let mut raw = gateway.connect();
    raw.write("POST /log HTTP/1.1\r\nhost: env-and-config.test\r\ncontent-length: 100000\r\n\r\n");
    // Never idle for long, and far below what a client has to bring each second.
    let mut sent = Instant::now();
    wait::until_true("the refusal of a trickled body", || {
        if sent.elapsed() > Duration::from_millis(100) {
            sent = Instant::now();
            raw.write("x");
        }
        gateway.metric(
            "tidegate_timeouts_total",
            &[("listener", "public"), ("kind", "body_idle")],
        ) > 0.0
    });
    raw.response().is_fault(408, "body-timeout");
    raw.is_closed();
}

#[test]
fn a_client_that_does_not_read_is_cut_and_its_guest_stopped() {
    let gateway = Gateway::with()
        .listener_limits("{ write_timeout = '400ms' }")
        .component_with("big-response", |guest| guest.limit("cpu", "60s"))
        .start();
    // More than all buffers between guest and client hold.
    let mut raw = gateway.connect();
    raw.write("GET /?bytes=100000000 HTTP/1.1\r\nhost: big-response.test\r\n\r\n");
    assert_eq!(raw.head().unwrap().status, 200);
    let labels = [("component", "big-response"), ("cause", "write_timeout")];
    gateway.wait_metric("tidegate_component_cancels_total", &labels, 1.0);
    gateway.wait_metric("tidegate_component_instances", &[("component", "big-response")], 0.0);
    gateway.wait_metric("tidegate_connections_open", &[("listener", "public")], 0.0);
    gateway.wait_metric(
        "tidegate_timeouts_total",
        &[("listener", "public"), ("kind", "write")],
        1.0,
    );
}

#[test]
fn connections_are_bounded_per_listener() {
    let gateway = Gateway::with()
        .listener_limits("{ connections = 2 }")
        .component("hello")
        .start();
    let mut open = (0..2).map(|_| gateway.connect()).collect::<Vec<_>>();
    for raw in &mut open {
        raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
        raw.response().is(200);
    }
    gateway.connect().is_closed();
    gateway.wait_metric("tidegate_connections_refused_total", &[("listener", "public")], 1.0);
    // Those that are open stay good, and a place that comes free is given away again.
    open[0].write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
    open[0].response().is(200);
    open.pop();
    gateway.wait_metric("tidegate_connections_open", &[("listener", "public")], 1.0);
    gateway.get("hello", "/").is(200);
}

#[test]
fn connections_are_bounded_per_address() {
    let gateway = Gateway::with()
        .listener_limits("{ connections_per_address = 1 }")
        .component("hello")
        .start();
    let mut open = gateway.connect();
    open.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
    open.response().is(200);
    gateway.connect().is_closed();
    // Another address of this machine has a place of its own.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let other: std::net::SocketAddr = "127.0.0.2:0".parse().unwrap();
    socket.bind(&other.into()).unwrap();
    socket.connect(&gateway.address().into()).unwrap();
    let mut raw = crate::support::Raw::over_tcp(socket.into());
    raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
    raw.response().is(200);
}
