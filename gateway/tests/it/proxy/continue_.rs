//! `Expect: 100-continue` from end to end, and the other interim responses, which end here (RFC 9110 §10.1.1, §15.2).

use super::{HOST, ONCE, SHORT, SHORT_TIME, api, ask, failed, get, head, in_time, is_own, is_quiet, ok, own};
use crate::support::frames::{DATA, END_STREAM, Frames};
use crate::support::hpack::Block;
use crate::support::origin::{Origin, Visit, nowhere};
use crate::support::{Gateway, Raw, wait};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const EXPECTS: &str = "expect: 100-continue\r\ncontent-length: 4\r\n";
/// How long a body is held back from a server that says nothing.
const HELD: Duration = Duration::from_secs(1);

/// Reads the four bytes of a body.
fn body(visit: &mut Visit) -> Vec<u8> {
    visit.raw.take(4)
}

/// Nothing comes for a moment.
#[track_caller]
fn is_silent(raw: &Raw) {
    let tcp = raw.tcp();
    let usual = tcp.read_timeout().expect("a TCP option");
    tcp.set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a TCP option");
    let came = tcp.peek(&mut [0; 1]);
    tcp.set_read_timeout(usual).expect("a TCP option");
    let is_silent = matches!(&came, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    assert!(is_silent, "{came:?}");
}

/// The next head is 100, and nothing else is in it.
#[track_caller]
fn is_asked_for_more(raw: &mut Raw) {
    let interim = raw.head().expect("an interim response");
    assert_eq!((interim.status, interim.fields.len()), (100, 0), "{interim:?}");
}

#[test]
fn the_client_is_asked_for_its_body_when_the_server_asks() {
    let (may_ask, heads) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let (ask, seen) = (Arc::clone(&may_ask), Arc::clone(&heads));
    let origin = Origin::start(move |visit| {
        while let Some(request) = visit.head() {
            assert_eq!(request.field("expect"), "100-continue");
            seen.fetch_add(1, Ordering::SeqCst);
            visit.until(|| ask.swap(false, Ordering::SeqCst));
            visit.raw.write(CONTINUE);
            let body = body(visit);
            visit.raw.write(ok(&String::from_utf8_lossy(&body)));
        }
    });
    let gateway = api(&[origin.address], ONCE).set("workers", 1).start();
    let mut raw = gateway.connect();
    for round in 1..=2 {
        raw.write(head("POST", "/", EXPECTS));
        wait::until_true("the server to have the head", || heads.load(Ordering::SeqCst) == round);
        is_silent(&raw);
        in_time("100", Duration::ZERO, || {
            may_ask.store(true, Ordering::SeqCst);
            is_asked_for_more(&mut raw);
        });
        raw.write("body");
        assert_eq!(raw.response().is(200).text(), "body");
    }
    assert_eq!(origin.accepted(), 1, "the connection is good for more");
    is_quiet(&gateway);
}

#[test]
fn a_body_that_is_not_wanted_is_not_asked_for() {
    for status in ["417 Expectation Failed", "401 Unauthorized", "200 OK"] {
        let bytes = Arc::<AtomicUsize>::default();
        let seen = Arc::clone(&bytes);
        let origin = Origin::start(move |visit| {
            let Some(request) = visit.head() else { return };
            if request.method == "GET" {
                return visit.raw.write(own(&request));
            }
            visit
                .raw
                .write(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nno"));
            seen.fetch_add(visit.raw.rest().len(), Ordering::SeqCst);
        });
        let gateway = api(&[origin.address], ONCE).set("workers", 1).start();
        let mut raw = gateway.connect();
        raw.write(head("POST", "/", EXPECTS));
        let answer = in_time(status, Duration::ZERO, || raw.response());
        assert_eq!(
            (answer.status.to_string().as_str(), answer.text().as_str()),
            (&status[..3], "no")
        );
        // Whether a body follows is the client's choice now: neither connection may guess.
        raw.is_closed();
        wait::until_true("the server's connection to be closed", || origin.open() == 0);
        assert_eq!(bytes.load(Ordering::SeqCst), 0, "{status}: the server got a part of it");
        is_own(&mut gateway.connect(), "/next");
        is_quiet(&gateway);
    }
}

/// Servers that know nothing of it wait for the body.
fn ignoring(visit: &mut Visit) {
    while let Some(request) = visit.request() {
        visit.raw.write(own(&request));
    }
}

#[test]
fn a_server_that_says_nothing_gets_the_body_after_a_while() {
    let origin = Origin::start(ignoring);
    let gateway = api(&[origin.address], ONCE).start();
    let mut raw = gateway.connect();
    raw.write(head("POST", "/waits", EXPECTS));
    in_time("100", HELD, || is_asked_for_more(&mut raw));
    raw.write("body");
    assert_eq!(raw.response().is(200).text(), "POST /waits");
    // Clients need not wait (RFC 9110 §10.1.1).
    raw.write(head("POST", "/hurries", EXPECTS) + "body");
    let answer = in_time("an answer", HELD, || {
        let mut answer = raw.response();
        if answer.status == 100 {
            answer = raw.response();
        }
        answer
    });
    assert_eq!(answer.is(200).text(), "POST /hurries");
    // Without a body there is nothing to wait for.
    for (method, more) in [
        ("GET", "expect: 100-continue\r\n"),
        ("POST", "expect: 100-continue\r\ncontent-length: 0\r\n"),
    ] {
        raw.write(head(method, "/", more));
        let began = std::time::Instant::now();
        assert_eq!(raw.response().is(200).text(), format!("{method} /"));
        assert!(began.elapsed() < HELD, "{method}");
    }
    assert_eq!(origin.received()[0].body, b"body");
}

#[test]
fn what_expectations_become() {
    let origin = Origin::start(ignoring);
    let gateway = api(&[origin.address], ONCE).start();
    for expectation in ["200-ok", "100-continue, other", "100-continue=1", ""] {
        let more = format!("expect: {expectation}\r\ncontent-length: 4\r\n");
        let mut raw = gateway.connect();
        raw.write(head("POST", "/", &more));
        raw.response().is_fault(417, "expect");
    }
    assert_eq!(origin.accepted(), 0);
    // HTTP/1.0 has none.
    let mut raw = gateway.connect();
    raw.write(format!("POST / HTTP/1.0\r\nhost: {HOST}.test\r\n{EXPECTS}\r\nbody"));
    assert_eq!(raw.response().is(200).text(), "POST /");
    assert!(origin.last().fields("expect").is_empty());
    let mut raw = gateway.connect();
    raw.write(head("POST", "/", "Expect: 100-Continue\r\ncontent-length: 4\r\n"));
    is_asked_for_more(&mut raw);
    raw.write("body");
    raw.response().is(200);
}

#[test]
fn what_waits_for_its_body_can_go_elsewhere() {
    let origin = Origin::start(|visit| {
        while visit.head().is_some() {
            visit.raw.write(CONTINUE);
            let body = body(visit);
            visit.raw.write(ok(&String::from_utf8_lossy(&body)));
        }
    });
    let gateway = api(&[nowhere(), origin.address], ", ejection = { failures = 0 }").start();
    for _ in 0..4 {
        let mut raw = gateway.connect();
        raw.write(head("POST", "/", EXPECTS));
        is_asked_for_more(&mut raw);
        raw.write("body");
        assert_eq!(raw.response().is(200).text(), "body");
    }
}

#[test]
fn a_server_that_fails_meanwhile_is_told_without_100() {
    let origin = Origin::start(|visit| {
        visit.head();
    });
    let gateway = api(&[origin.address], ONCE).start();
    let mut raw = gateway.connect();
    raw.write(head("POST", "/", EXPECTS));
    raw.response().is_fault(502, "upstream-closed");
    raw.is_closed();
    is_quiet(&gateway);
}

#[test]
fn a_server_that_asks_and_then_says_nothing() {
    let origin = Origin::start(|visit| {
        visit.head();
        visit.raw.write(CONTINUE);
        visit.until_closed();
    });
    let gateway = api(&[origin.address], &format!("{SHORT}{ONCE}")).start();
    let mut raw = gateway.connect();
    raw.write(head("POST", "/", EXPECTS));
    is_asked_for_more(&mut raw);
    raw.write("body");
    in_time("504", SHORT_TIME, || raw.response()).is_fault(504, "upstream-first-byte");
    wait::until_true("the server to be left", || origin.open() == 0);
    // The time the body was held back is none of the server's.
    let silent = Origin::start(ignoring);
    let gateway = api(&[silent.address], &format!("{SHORT}{ONCE}")).start();
    let mut raw = gateway.connect();
    raw.write(head("POST", "/", EXPECTS));
    in_time("100", HELD, || is_asked_for_more(&mut raw));
    raw.write("body");
    raw.response().is(200);
}

/// Over HTTP/2 hyper's server sends no interim response: clients that wait for 100 send their body after a while.
#[test]
fn a_stream_sends_its_body_unasked() {
    let origin = Origin::start(ignoring);
    let asking = Origin::start(|visit| {
        while visit.head().is_some() {
            visit.raw.write(CONTINUE);
            let body = body(visit);
            visit.raw.write(ok(&String::from_utf8_lossy(&body)));
        }
    });
    for (server, least, expected) in [(&origin, HELD, "POST /"), (&asking, Duration::ZERO, "body")] {
        let gateway = api(&[server.address], ONCE).start();
        let mut frames = Frames::over(gateway.connect());
        frames.greet(&[]).unwrap();
        let block = Block::request("POST", "api.test", "/")
            .field("expect", "100-continue")
            .field("content-length", "4");
        frames.head(1, 0, &block).unwrap();
        frames.send(DATA, END_STREAM, 1, b"body").unwrap();
        let answer = in_time("an answer", least, || frames.answered(1, "200").unwrap());
        assert_eq!(answer.text(), expected);
    }
    assert_eq!(origin.last().body, b"body");
}

/// Answers `/N` behind so many interim responses.
fn with_interims(visit: &mut Visit) {
    while let Some(request) = visit.request() {
        let count = request.target.trim_start_matches('/').parse().unwrap_or_default();
        let kinds = ["102 Processing", "103 Early Hints\r\nlink: </a>", "199 Hm"];
        for kind in kinds.iter().cycle().take(count) {
            visit.raw.write(format!("HTTP/1.1 {kind}\r\n\r\n"));
        }
        visit.raw.write(own(&request));
    }
}

#[test]
fn interim_responses_end_here_and_are_counted() {
    let origin = Origin::start(with_interims);
    let gateway: Gateway = api(&[origin.address], ONCE).set("workers", 1).start();
    let mut raw = gateway.connect();
    for count in [0, 1, 2, 16] {
        is_own(&mut raw, &format!("/{count}"));
    }
    assert_eq!(origin.accepted(), 1);
    let labels = [("upstream", "api")];
    gateway.wait_metric("tidegate_upstream_interim_responses_total", &labels, 19.0);
    // Each request has its own bound.
    is_own(&mut raw, "/16");
    ask(&gateway, &get("/17")).is_fault(502, "upstream-protocol");
    ask(&gateway, &get("/1000")).is_fault(502, "upstream-protocol");
    assert_eq!(failed(&gateway, "upstream-protocol"), 2.0);
    is_own(&mut raw, "/0");
    is_quiet(&gateway);
}
