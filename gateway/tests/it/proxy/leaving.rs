//! Clients that leave, or do not keep up: their server is left at once, and sees no whole request that was none.

use super::{HOST, ONCE, SHORT, api, get, head, is_own, is_quiet, own, upstream};
use crate::support::origin::{Full, Origin, Visit};
use crate::support::streams::Streams;
use crate::support::{Client, End, Gateway, Protocol, Raw, wait};
use h2::Reason;
use socket2::SockRef;
use std::time::{Duration, Instant};

/// Answers `/half` with half an answer, `/silent` with nothing, `/endless` without end, and others with their name.
fn stalling(visit: &mut Visit) {
    while let Some(request) = visit.request() {
        match request.target.as_str() {
            "/half" => {
                visit.raw.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nsome");
                return visit.until_closed();
            }
            "/silent" => return visit.until_closed(),
            "/endless" => {
                visit.raw.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                return visit.write_forever();
            }
            _ => visit.raw.write(own(&request)),
        }
    }
}

/// The server's connection ends, and how soon is printed: the promise is 150 ms on a machine that has the time.
#[track_caller]
fn is_left(origin: &Origin, since: Instant, what: &str) {
    wait::until_true(what, || origin.open() == 0);
    println!("{what}: left after {} ms", since.elapsed().as_millis());
    assert!(since.elapsed() < Duration::from_secs(5), "{what}");
}

fn leave(raw: Raw, with_reset: bool) {
    if with_reset {
        let now = Some(Duration::ZERO);
        SockRef::from(raw.tcp()).set_linger(now).expect("a socket option");
    }
}

#[test]
fn a_client_that_leaves_takes_its_exchange_along() {
    let origin = Origin::start(stalling);
    let gateway = api(&[origin.address], ONCE).start();
    for with_reset in [false, true] {
        for (what, request) in [
            ("before an answer", get("/silent")),
            ("within an answer", get("/half")),
            (
                "within a request",
                head("POST", "/upload", "content-length: 1000\r\n") + "some",
            ),
            (
                "within a chunked request",
                head("POST", "/upload", "transfer-encoding: chunked\r\n") + "4\r\nsome\r\n",
            ),
            ("within an endless answer", get("/endless")),
        ] {
            let before = origin.accepted();
            let mut raw = gateway.connect();
            raw.write(&request);
            wait::until_true("the server to be asked", || origin.accepted() > before);
            if what.ends_with("an answer") && !what.starts_with("before") {
                let answer = raw.head().expect("a head");
                assert_eq!(answer.status, 200);
            }
            let since = Instant::now();
            leave(raw, with_reset);
            is_left(&origin, since, what);
        }
    }
    let whole = origin
        .received()
        .into_iter()
        .filter(|request| request.target == "/upload");
    assert_eq!(whole.count(), 0, "half a request was taken for a whole one");
    // The client is to blame, and no server.
    assert_eq!(gateway.metric("tidegate_upstream_failures_total", &[]), 0.0);
    is_own(&mut gateway.connect(), "/next");
    is_quiet(&gateway);
}

#[test]
fn a_client_that_leaves_before_there_is_a_connection() {
    let full = Full::start();
    let gateway = api(&[full.address], &format!("{ONCE}, timeout = {{ connect = '10m' }}")).start();
    let in_flight = |count: f64| gateway.wait_metric("tidegate_upstream_requests_in_flight", &[], count);
    let mut raw = gateway.connect();
    raw.write(get("/"));
    in_flight(1.0);
    drop(raw);
    in_flight(0.0);
    let mut streams = Streams::connect(gateway.address());
    let mut asked = streams.ask("GET", HOST, "/").expect("a stream");
    in_flight(1.0);
    asked.upload.send_reset(Reason::CANCEL);
    in_flight(0.0);
    gateway.wait_metric("tidegate_upstream_connections_open", &[], 0.0);
    assert_eq!(gateway.metric("tidegate_upstream_failures_total", &[]), 0.0);
    drop(streams);
    is_quiet(&gateway);
}

#[test]
fn a_stream_that_is_reset_takes_its_exchange_along() {
    let origin = Origin::start(stalling);
    let gateway = api(&[origin.address], ONCE).start();
    let mut streams = Streams::connect(gateway.address());
    for path in ["/silent", "/half", "/endless"] {
        let before = origin.accepted();
        let mut asked = streams.ask("GET", HOST, path).expect("a stream");
        wait::until_true("the server to be asked", || origin.accepted() > before);
        let since;
        if path == "/silent" {
            since = Instant::now();
            asked.upload.send_reset(Reason::CANCEL);
        } else {
            let (response, mut upload) = streams.head(asked).expect("a head");
            let mut body = response.into_body();
            assert!(streams.data(&mut body).expect("data").is_some(), "one piece comes");
            since = Instant::now();
            upload.send_reset(Reason::CANCEL);
        }
        is_left(&origin, since, path);
    }
    // The connection goes on.
    let (status, body) = streams.get(HOST, "/next").expect("an answer");
    assert_eq!((status, body.as_slice()), (200, &b"GET /next"[..]));
    assert_eq!(gateway.metric("tidegate_upstream_failures_total", &[]), 0.0);
    drop(streams);
    is_quiet(&gateway);
}

/// Whatever a reset says, a body without its end is not whole (RFC 9113 §8.1).
#[test]
fn an_upload_that_is_reset_is_no_whole_request() {
    for reason in [
        Reason::CANCEL,
        Reason::NO_ERROR,
        Reason::INTERNAL_ERROR,
        Reason::REFUSED_STREAM,
    ] {
        let origin = Origin::start(stalling);
        let gateway = api(&[origin.address], ONCE).start();
        let mut streams = Streams::connect(gateway.address());
        let mut asked = streams.ask("POST", HOST, "/upload").expect("a stream");
        asked.upload.send_data("some".into(), false).expect("a window");
        wait::until_true("the server to be asked", || origin.accepted() > 0);
        asked.upload.send_reset(reason);
        is_left(&origin, Instant::now(), &format!("{reason:?}"));
        assert_eq!(
            origin.received_count(),
            0,
            "{reason:?}: half a request was taken for a whole one"
        );
        assert_eq!(gateway.metric("tidegate_upstream_failures_total", &[]), 0.0);
        assert_eq!(streams.get(HOST, "/next").expect("an answer").0, 200);
        drop(streams);
        is_quiet(&gateway);
    }
}

/// The connection to the server may be driven by another thread than the one that hears of the reset.
#[test]
fn an_upload_that_is_reset_without_an_error_is_no_whole_request() {
    let origin = Origin::start(stalling);
    let gateway = api(&[origin.address], ONCE).set("workers", 4).start();
    for round in 0..100 {
        is_own(&mut gateway.connect(), &format!("/{round}"));
        let mut streams = Streams::connect(gateway.address());
        let mut asked = streams.ask("POST", HOST, "/upload").expect("a stream");
        asked.upload.send_data("some".into(), false).expect("a window");
        gateway.wait_metric("tidegate_upstream_requests_in_flight", &[], 1.0);
        asked.upload.send_reset(Reason::NO_ERROR);
        gateway.wait_metric("tidegate_upstream_requests_in_flight", &[], 0.0);
    }
    let uploads = origin.received().into_iter().filter(|request| request.method == "POST");
    assert_eq!(uploads.count(), 0, "half a request was taken for a whole one");
}

#[test]
fn a_request_that_stops_coming() {
    let origin = Origin::start(stalling);
    let gateway = api(&[origin.address], &format!("{SHORT}{ONCE}"))
        .listener_limits("{ body_idle_timeout = '800ms' }")
        .start();
    let mut raw = gateway.connect();
    raw.write(head("POST", "/upload", "content-length: 1000\r\n") + "some");
    raw.response().is_fault(408, "body-timeout");
    raw.is_closed();
    is_left(&origin, Instant::now(), "HTTP/1.1");
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let (mut upload, response) = client.begin(client.request("POST", HOST, "/upload"));
    upload.send("some");
    let (answer, _download) = response().expect("an answer");
    assert_eq!(answer.status, 408);
    is_left(&origin, Instant::now(), "HTTP/2");
    assert_eq!(origin.received_count(), 0);
    // Or clients could have servers left out.
    assert_eq!(gateway.metric("tidegate_upstream_failures_total", &[]), 0.0);
    is_quiet(&gateway);
}

#[test]
fn an_answer_that_nobody_takes() {
    let origin = Origin::start(stalling);
    let gateway = api(&[origin.address], ONCE)
        .listener_limits("{ write_timeout = '400ms' }")
        .start();
    let mut raw = gateway.connect();
    raw.write(get("/endless"));
    wait::until_true("the server to be asked", || origin.open() == 1);
    is_left(&origin, Instant::now(), "HTTP/1.1");
    assert!(raw.response().end == End::Cut);
    let mut streams = Streams::connect(gateway.address());
    let asked = streams.ask("GET", HOST, "/endless").expect("a stream");
    let (_response, _upload) = streams.head(asked).expect("a head");
    is_left(&origin, Instant::now(), "HTTP/2");
    assert_eq!(gateway.metric("tidegate_upstream_failures_total", &[]), 0.0);
    drop(streams);
    is_quiet(&gateway);
}

/// A gateway whose route takes bodies of 64 KiB.
fn bounded(origin: &Origin) -> Gateway {
    Gateway::with()
        .upstream("api", &upstream(&[origin.address], ONCE))
        .route("{ name = 'api', upstream = 'api', limits = { body = '64KiB' } }")
        .start()
}

#[test]
fn a_body_beyond_the_bound_ends_what_it_was_part_of() {
    let origin = Origin::start(stalling);
    let gateway = bounded(&origin);
    // Announced, it goes nowhere.
    let mut raw = gateway.connect();
    raw.write(head("POST", "/upload", "content-length: 65537\r\n"));
    raw.response().is_fault(413, "body-too-large");
    assert_eq!(origin.accepted(), 0);
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let mut raw = gateway.connect();
    raw.write(head("POST", "/upload", "transfer-encoding: chunked\r\n") + &chunk + &chunk);
    wait::until_true("the server to be asked", || origin.open() == 1);
    raw.write("1\r\nx\r\n0\r\n\r\n");
    raw.response().is_fault(413, "body-too-large");
    raw.is_closed();
    is_left(&origin, Instant::now(), "HTTP/1.1");
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let (mut upload, response) = client.begin(client.request("POST", HOST, "/upload"));
    for bytes in [0x8000, 0x8000, 1] {
        upload.send(vec![b'x'; bytes]);
    }
    let (answer, _download) = response().expect("an answer");
    assert_eq!(answer.status, 413);
    is_left(&origin, Instant::now(), "HTTP/2");
    assert_eq!(origin.received_count(), 0, "half a request was taken for a whole one");
    // At the bound all is well.
    let mut raw = gateway.connect();
    raw.write(head("POST", "/whole", "transfer-encoding: chunked\r\n") + &chunk + &chunk + "0\r\n\r\n");
    assert_eq!(raw.response().is(200).text(), "POST /whole");
    assert_eq!(origin.last().body.len(), 65536);
    assert_eq!(gateway.metric("tidegate_upstream_failures_total", &[]), 0.0);
    is_quiet(&gateway);
}

#[test]
fn a_body_beyond_the_bound_cuts_an_answer_that_began() {
    let origin = Origin::start(|visit| {
        if visit.head().is_some() {
            visit.raw.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nsome");
            visit.until_closed();
        }
    });
    let gateway = bounded(&origin);
    let mut raw = gateway.connect();
    raw.write(head("POST", "/upload", "transfer-encoding: chunked\r\n"));
    let mut answer = raw.head().expect("a head");
    raw.write(format!("10001\r\n{}\r\n0\r\n\r\n", "x".repeat(0x10001)));
    raw.body(&mut answer, "POST");
    assert_eq!(
        (answer.status, answer.text().as_str(), answer.end),
        (200, "some", End::Cut)
    );
    is_left(&origin, Instant::now(), "the server");
    is_quiet(&gateway);
}
