//! Guests that outlive what their client wants of them, and clients that do not take what they asked for.

use crate::support::certs::{Authority, greet};
use crate::support::streams::Streams;
use crate::support::{End, Gateway, wait};
use std::io::Read;
use std::time::{Duration, Instant};

fn cancels(gateway: &Gateway, name: &str, cause: &str) -> f64 {
    gateway.metric(
        "tidegate_component_cancels_total",
        &[("component", name), ("cause", cause)],
    )
}

#[test]
fn a_guest_goes_on_after_an_answer_without_a_body() {
    let gateway = Gateway::with()
        .component("hello")
        .component("chunked-trailers")
        .component("big-response")
        .start();
    for (name, target) in [("chunked-trailers", "/"), ("big-response", "/?bytes=10000000")] {
        let mut raw = gateway.connect();
        raw.write(format!("HEAD {target} HTTP/1.1\r\nhost: {name}.test\r\n\r\n"));
        let response = raw.response_to("HEAD");
        response.is(200);
        // The connection is free for the next request at once.
        raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
        raw.response().is(200);
        gateway.wait_metric("tidegate_component_instances", &[("component", name)], 0.0);
        assert_eq!(
            gateway.metric("tidegate_component_cancels_total", &[("component", name)]),
            0.0,
            "{name}"
        );
        assert_eq!(
            gateway.metric("tidegate_component_traps_total", &[("component", name)]),
            0.0,
            "{name}"
        );
    }
}

/// HTTP/1 needs no more of an answer than its head says: what the guest does after those bytes is no cancelled call.
#[test]
fn a_guest_goes_on_after_all_its_length() {
    let gateway = Gateway::with().component("big-response").start();
    let mut raw = gateway.connect();
    for n in 1..=50 {
        let bytes = n * 50_000;
        raw.write(format!(
            "GET /?bytes={bytes}&length=1 HTTP/1.1\r\nhost: big-response.test\r\n\r\n"
        ));
        let response = raw.response();
        assert_eq!((response.status, response.body.len()), (200, bytes));
    }
    gateway.wait_metric("tidegate_component_instances", &[("component", "big-response")], 0.0);
    assert_eq!(gateway.metric("tidegate_component_cancels_total", &[]), 0.0);
    wait::until_true("50 lines of the access log", || gateway.access().len() == 50);
    for line in gateway.access() {
        assert!(line.to_string().contains("\"complete\""), "{line}");
    }
}

#[test]
fn a_detached_guest_is_ended_by_its_deadline() {
    let gateway = Gateway::with()
        .component("hello")
        .component_with("silent-stream", |component| component.limit("body_deadline", "1s"))
        .component_with("spin-forever", |component| {
            component.limit("cpu", "0s").limit("body_deadline", "1s")
        })
        .start();
    for (name, target) in [("silent-stream", "/"), ("spin-forever", "/after-head")] {
        let asked = Instant::now();
        let mut raw = gateway.connect();
        raw.write(format!("HEAD {target} HTTP/1.1\r\nhost: {name}.test\r\n\r\n"));
        raw.response_to("HEAD").is(200);
        println!("{name}: HEAD answered after {} ms", asked.elapsed().as_millis());
        raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
        raw.response().is(200);
        // Its client's leave ends nothing: the answer was complete.
        drop(raw);
        gateway.wait_metric(
            "tidegate_component_cancels_total",
            &[("component", name), ("cause", "body_deadline")],
            1.0,
        );
        gateway.wait_metric("tidegate_component_instances", &[("component", name)], 0.0);
        assert_eq!(cancels(&gateway, name, "client_gone"), 0.0, "{name}");
    }
}

#[test]
fn a_trap_leaves_the_others_alone() {
    let gateway = Gateway::with()
        .component("trap")
        .component("trap-after-head")
        .component("echo-stream")
        .start();
    let talks: Vec<_> = (0..8)
        .map(|_| {
            let mut raw = gateway.connect();
            raw.write("POST / HTTP/1.1\r\nhost: echo-stream.test\r\ntransfer-encoding: chunked\r\n\r\n");
            let response = raw.head().expect("a head");
            (raw, response)
        })
        .collect();
    for _ in 0..20 {
        gateway.get("trap", "/").is_fault(502, "trap");
        assert_eq!(gateway.get("trap-after-head", "/").end, End::Cut);
    }
    for (mut raw, mut response) in talks {
        raw.write("5\r\nafter\r\n0\r\n\r\n");
        while raw.chunk(&mut response) {}
        assert_eq!((response.text().as_str(), response.end), ("after", End::Complete));
    }
    gateway.wait_metric("tidegate_component_instances", &[], 0.0);
}

#[test]
fn a_client_that_takes_nothing_is_cut_and_its_guest_stopped() {
    let authority = Authority::new();
    for has_tls in [false, true] {
        let mut builder = Gateway::with()
            .component("hello")
            .component_with("big-response", |component| component.limit("cpu", "0s"))
            .listener_limits("{ write_timeout = '1s' }");
        if has_tls {
            let pair = authority.sign(&["edge.test"]).write(builder.folder(), "edge");
            builder = builder.tls(&[pair]);
        }
        let gateway = builder.start();
        let mut raw = if has_tls {
            greet(gateway.address(), "edge.test", &authority.client(&[], None))
                .expect("a handshake")
                .raw
        } else {
            gateway.connect()
        };
        raw.write("GET /?bytes=1000000000 HTTP/1.1\r\nhost: big-response.test\r\n\r\n");
        raw.head().expect("a head").is(200);
        let labels = [("component", "big-response"), ("cause", "write_timeout")];
        gateway.wait_metric("tidegate_component_cancels_total", &labels, 1.0);
        gateway.wait_metric("tidegate_component_instances", &[("component", "big-response")], 0.0);
        gateway.wait_metric("tidegate_connections_open", &[], 0.0);
        assert_eq!(gateway.metric("tidegate_timeouts_total", &[("kind", "write")]), 1.0);
        assert!(raw.rest().len() < 100_000_000, "it was cut");
    }
}

#[test]
fn a_client_that_takes_its_time_is_served() {
    let gateway = Gateway::with()
        .component("big-response")
        .listener_limits("{ write_timeout = '1s' }")
        .start();
    let mut raw = gateway.connect();
    raw.write("GET /?bytes=30000000&length=1 HTTP/1.1\r\nhost: big-response.test\r\n\r\n");
    let mut response = raw.head().expect("a head");
    // Twice the write timeout in all, but never that long without taking anything.
    let mut got = 0;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        got += raw.take(500_000).len();
        std::thread::park_timeout(Duration::from_millis(50));
    }
    raw.body(&mut response, "HEAD");
    let rest = raw.take(30_000_000 - got);
    assert_eq!(got + rest.len(), 30_000_000);
    gateway.wait_metric("tidegate_component_instances", &[], 0.0);
    assert_eq!(cancels(&gateway, "big-response", "write_timeout"), 0.0);
}

/// A write that was slow once must not count against a connection that has long taken all of it.
#[test]
fn a_slow_answer_over_tls_is_forgiven() {
    let authority = Authority::new();
    let builder = Gateway::with()
        .component("hello")
        .component("big-response")
        .listener_limits("{ write_timeout = '1s' }");
    let pair = authority.sign(&["edge.test"]).write(builder.folder(), "edge");
    let gateway = builder.tls(&[pair]).start();
    // Sizes over all a socket may take: at some of them the very last flush is the one that waits.
    let clients: Vec<_> = (1..=80_usize)
        .map(|n| {
            let bytes = n * 64 * 1024;
            let mut raw = greet(gateway.address(), "edge.test", &authority.client(&[], None))
                .expect("a handshake")
                .raw;
            raw.write(format!(
                "GET /?bytes={bytes}&length=1 HTTP/1.1\r\nhost: big-response.test\r\n\r\n"
            ));
            (raw, bytes)
        })
        .collect();
    let mut idle = Vec::new();
    for (mut raw, bytes) in clients {
        raw.head().expect("a head").is(200);
        assert_eq!(raw.take(bytes).len(), bytes);
        idle.push(raw);
    }
    // Longer than the write timeout: the gateway must have looked at them all again.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        std::thread::park_timeout(Duration::from_millis(100));
    }
    for mut raw in idle {
        raw.write("GET / HTTP/1.1\r\nhost: hello.test\r\n\r\n");
        raw.response().is(200);
    }
    assert_eq!(gateway.metric("tidegate_timeouts_total", &[("kind", "write")]), 0.0);
}

#[test]
fn a_stream_that_takes_nothing_is_reset_and_its_neighbours_go_on() {
    let gateway = Gateway::with()
        .component("hello")
        .component("echo-stream")
        .component_with("big-response", |component| component.limit("cpu", "0s"))
        .listener_limits("{ write_timeout = '1s' }")
        .start();
    let mut streams = Streams::connect(gateway.address());
    let talk = streams.ask("POST", "echo-stream", "/").expect("a stream");
    let (talk, mut upload) = streams.head(talk).expect("a head");
    let stuck = streams
        .ask("GET", "big-response", "/?bytes=1000000000")
        .expect("a stream");
    let (stuck, _stuck_upload) = streams.head(stuck).expect("a head");
    let labels = [("component", "big-response"), ("cause", "write_timeout")];
    gateway.wait_metric("tidegate_component_cancels_total", &labels, 1.0);
    gateway.wait_metric("tidegate_component_instances", &[("component", "big-response")], 0.0);
    drop(stuck);
    assert_eq!(streams.get("hello", "/").expect("the connection serves on").0, 200);
    upload
        .send_data("still here".into(), true)
        .expect("the neighbour's stream is open");
    let mut body = talk.into_body();
    assert_eq!(
        streams.data(&mut body).expect("data").as_deref(),
        Some(&b"still here"[..])
    );
}

/// The deadline counts from dispatch, and waiting for a place is a part of it.
#[test]
fn a_deadline_holds_in_the_queue() {
    let gateway = Gateway::with()
        .component_with("sleep-forever", |component| {
            let component = component
                .limit("concurrency", 1)
                .limit("queue", 8)
                .limit("queue_time", "10m");
            component.limit("deadline", "300ms")
        })
        .route("{ host = 'holder.test', component = 'sleep-forever', limits = { deadline = '10m' } }")
        .start();
    let mut holder = gateway.connect();
    holder.write("GET / HTTP/1.1\r\nhost: holder.test\r\n\r\n");
    gateway.wait_metric("tidegate_component_instances", &[], 1.0);
    gateway.get("sleep-forever", "/").is_fault(504, "deadline");
    let mut streams = Streams::connect(gateway.address());
    assert_eq!(streams.get("sleep-forever", "/").expect("an answer").0, 504);
    gateway.wait_metric("tidegate_component_queue_length", &[], 0.0);
    // Neither of them ran, and the holder still does.
    assert_eq!(gateway.metric("tidegate_component_cancels_total", &[]), 0.0);
    assert_eq!(gateway.metric("tidegate_component_saturated_total", &[]), 0.0);
    assert_eq!(gateway.metric("tidegate_component_instances", &[]), 1.0);
    drop(holder);
    gateway.wait_metric("tidegate_component_instances", &[], 0.0);
}

/// A reader that stops for good while the guest is silent is not cut by the write timeout: nothing waits for it.
#[test]
fn a_silent_stream_is_no_slow_client() {
    let gateway = Gateway::with()
        .component_with("silent-stream", |component| component.limit("body_deadline", "3s"))
        .listener_limits("{ write_timeout = '1s' }")
        .start();
    let mut raw = gateway.connect();
    raw.write("GET / HTTP/1.1\r\nhost: silent-stream.test\r\n\r\n");
    raw.head().expect("a head").is(200);
    let mut rest = [0; 64];
    // Ends when the gateway ends it.
    while raw.tcp().read(&mut rest).is_ok_and(|read| read > 0) {}
    gateway.wait_metric("tidegate_component_instances", &[], 0.0);
    assert_eq!(cancels(&gateway, "silent-stream", "body_deadline"), 1.0);
}
