//! Which requests are sent again, to whom, and how often: none that a server may have acted on, unless acting twice is
//! acting once.

use super::{api, ask, echo, get, head, is_own, is_quiet, own, post};
use crate::support::origin::{Origin, Visit, nowhere};
use crate::support::{Client, Gateway, Protocol, wait};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Both servers stay among those that are chosen from, whatever they do; the budget is none of these tests' matter.
const PATIENT: &str = ", ejection = { failures = 0 }, retry = { budget = '100%' }";

/// Requests of one client in turn, so that each server is asked first half of the time.
const ROUNDS: usize = 20;

fn counted(gateway: &Gateway, name: &str) -> f64 {
    gateway.metric(name, &[("upstream", "api")])
}

fn retries(gateway: &Gateway) -> f64 {
    counted(gateway, "tidegate_upstream_retries_total")
}

/// Reads a request and closes.
fn closing() -> Origin {
    Origin::start(|visit| {
        visit.request();
    })
}

/// A server that answers with its own name, and one that fails before it.
fn beside(failing: SocketAddr, more: &str) -> (Origin, Gateway) {
    let live = Origin::start(echo);
    let gateway = api(&[failing, live.address], more).start();
    (live, gateway)
}

#[test]
fn what_was_never_sent_goes_to_another_server() {
    let (live, gateway) = beside(nowhere(), PATIENT);
    for round in 0..ROUNDS {
        let answer = ask(&gateway, &get(&format!("/{round}")));
        assert_eq!(answer.is(200).text(), format!("GET /{round}"));
        let answer = ask(&gateway, &post(&format!("/{round}"), "some body"));
        assert_eq!(answer.is(200).text(), format!("POST /{round}"));
        assert_eq!(live.last().body, b"some body");
    }
    let mut client = Client::connect(Protocol::H2, gateway.address());
    for round in 0..ROUNDS {
        let (mut upload, response) = client.begin(client.request("POST", super::HOST, "/streamed"));
        upload.send("in ");
        upload.send("pieces");
        upload.finish(None);
        let (answer, _download) = response().expect("an answer");
        assert_eq!(
            (answer.status.as_u16(), live.last().body.as_slice()),
            (200, &b"in pieces"[..]),
            "{round}"
        );
    }
    assert_eq!(live.received_count(), 3 * ROUNDS);
    let retries = retries(&gateway);
    assert!(retries >= ROUNDS as f64, "{retries}: the dead one was asked");
    is_quiet(&gateway);
}

#[test]
fn what_a_server_may_have_acted_on_is_sent_once() {
    for (method, body) in [
        ("POST", "some body"),
        ("POST", ""),
        ("PATCH", "some body"),
        ("PUT", "some body"),
    ] {
        let closing = closing();
        let (live, gateway) = beside(closing.address, PATIENT);
        let request = head(method, "/", &format!("content-length: {}\r\n", body.len())) + body;
        let mut failed = 0;
        for _ in 0..ROUNDS {
            let answer = ask(&gateway, &request);
            if answer.status != 200 {
                answer.is_fault(502, "upstream-closed");
                failed += 1;
            }
        }
        assert_eq!(
            (closing.received_count(), live.received_count()),
            (failed, ROUNDS - failed),
            "{method}"
        );
        assert!(failed > 0, "the closing one was asked");
        assert_eq!(retries(&gateway), 0.0, "{method}");
        is_quiet(&gateway);
    }
}

#[test]
fn what_may_be_done_twice_goes_to_another_server() {
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"] {
        let closing = closing();
        let (live, gateway) = beside(closing.address, PATIENT);
        for round in 0..ROUNDS {
            let mut raw = gateway.connect();
            raw.write(head(method, &format!("/{round}"), ""));
            raw.head().expect("a head").is(200);
        }
        let first = closing.received();
        assert!(!first.is_empty(), "the closing one was asked");
        for request in &first {
            let again = closing
                .received()
                .iter()
                .filter(|other| other.target == request.target)
                .count();
            assert_eq!(
                again, 1,
                "{method} {} was sent to the same server again",
                request.target
            );
        }
        assert_eq!(
            (live.received_count(), retries(&gateway)),
            (ROUNDS, first.len() as f64),
            "{method}"
        );
    }
}

#[test]
fn a_request_without_another_server_is_sent_to_the_same_again() {
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    // Every second request is answered.
    let origin = Origin::start(move |visit| {
        while let Some(request) = visit.request() {
            if count.fetch_add(1, Ordering::SeqCst) % 2 == 0 {
                return;
            }
            visit.raw.write(own(&request));
        }
    });
    let gateway = api(&[origin.address], PATIENT).start();
    for round in 0..ROUNDS {
        assert_eq!(
            ask(&gateway, &get(&format!("/{round}"))).is(200).text(),
            format!("GET /{round}")
        );
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2 * ROUNDS);
}

#[test]
fn attempts_are_bounded() {
    for (attempts, expected) in [(0, 1), (1, 2), (2, 3), (5, 4)] {
        let servers = [closing(), closing(), closing(), closing()];
        let addresses = servers.each_ref().map(|server| server.address);
        let more = format!(", ejection = {{ failures = 0 }}, retry = {{ attempts = {attempts} }}");
        let gateway = api(&addresses, &more).start();
        ask(&gateway, &get("/")).is_fault(502, "upstream-closed");
        let asked = servers.each_ref().map(Origin::received_count);
        if attempts < 4 {
            assert_eq!(asked.iter().sum::<usize>(), expected, "{attempts} further attempts");
            assert!(
                asked.iter().all(|count| *count <= 1),
                "{asked:?}: one was asked twice before others"
            );
        } else {
            // Four servers and two of them again.
            assert_eq!(asked.iter().sum::<usize>(), attempts + 1);
            assert!(asked.iter().all(|count| *count >= 1), "{asked:?}");
        }
    }
}

#[test]
fn a_budget_bounds_the_attempts_of_all() {
    let closing = closing();
    let more = ", ejection = { failures = 0 }, retry = { attempts = 1, budget = '0%' }";
    let gateway = api(&[closing.address], more).start();
    // What an upstream may spend before its requests have brought any.
    const RESERVE: usize = 20;
    for _ in 0..RESERVE + 10 {
        ask(&gateway, &get("/")).is_fault(502, "upstream-closed");
    }
    assert_eq!(retries(&gateway), RESERVE as f64);
    assert_eq!(counted(&gateway, "tidegate_upstream_retries_refused_total"), 10.0);
    assert_eq!(closing.received_count(), 2 * RESERVE + 10);
    assert_eq!(gateway.admin_json("/api/upstreams")["upstreams"][0]["retries_left"], 0);
    // Half of a retry for each request: of two one has a second attempt.
    let more = ", ejection = { failures = 0 }, retry = { attempts = 1, budget = '50%' }";
    let gateway = api(&[closing.address], more).start();
    for _ in 0..60 {
        ask(&gateway, &get("/")).is_fault(502, "upstream-closed");
    }
    // n requests bring n / 2, beside the reserve: 20 + 60 / 2.
    assert_eq!(retries(&gateway), 50.0);
}

#[test]
fn what_took_too_long_is_not_made_to_take_longer() {
    let silent = Origin::silent();
    let more = format!("{PATIENT}, timeout = {{ first_byte = '400ms' }}");
    let (live, gateway) = beside(silent.address, &more);
    let mut late = 0;
    for _ in 0..4 {
        let answer = super::in_time("an answer", std::time::Duration::ZERO, || ask(&gateway, &get("/")));
        if answer.status != 200 {
            answer.is_fault(504, "upstream-first-byte");
            late += 1;
        }
    }
    assert_eq!((silent.received_count(), live.received_count()), (late, 4 - late));
    assert!(late > 0, "the silent one was asked");
    assert_eq!(retries(&gateway), 0.0);
}

#[test]
fn an_answer_that_began_is_not_begun_again() {
    let half = Origin::start(|visit| {
        visit.request();
        visit.raw.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nsome");
    });
    let (_live, gateway) = beside(half.address, PATIENT);
    let mut cut = 0;
    for _ in 0..ROUNDS {
        let answer = ask(&gateway, &get("/"));
        let text = answer.is(200).text();
        if answer.end == crate::support::End::Cut {
            assert_eq!(text, "some");
            cut += 1;
        } else {
            assert_eq!(text, "GET /");
        }
    }
    assert_eq!(half.received_count(), cut);
    assert!(cut > 0);
    assert_eq!(retries(&gateway), 0.0);
}

#[test]
fn an_answer_with_a_status_is_an_answer() {
    let failing = Origin::answering("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    let (live, gateway) = beside(failing.address, ", ejection = { failures = 1 }");
    let statuses: Vec<_> = (0..ROUNDS).map(|_| ask(&gateway, &get("/")).status).collect();
    let failed = statuses.iter().filter(|status| **status == 503).count();
    assert_eq!(
        (failing.received_count(), live.received_count()),
        (failed, ROUNDS - failed)
    );
    assert!(failed > 0);
    assert_eq!(
        (
            retries(&gateway),
            counted(&gateway, "tidegate_upstream_ejections_total")
        ),
        (0.0, 0.0)
    );
}

/// Answers one request on each connection, and closes it without a word.
fn closing_behind(visit: &mut Visit, closed: &AtomicUsize) {
    if let Some(request) = visit.request() {
        visit.raw.write(own(&request));
        visit.until_taken();
        visit.raw.finish_writing();
        closed.fetch_add(1, Ordering::SeqCst);
        visit.until_closed();
    }
}

#[test]
fn a_connection_that_was_closed_while_idle_fails_no_request() {
    let closed = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&closed);
    let origin = Origin::start(move |visit| closing_behind(visit, &count));
    // One further attempt would hide what is to be seen.
    let gateway = api(&[origin.address], super::ONCE).start();
    let (mut one, mut other) = (gateway.connect(), gateway.connect());
    let mut client = Client::connect(Protocol::H2, gateway.address());
    for round in 0..100 {
        let target = format!("/{round}");
        let raw = if round % 2 == 0 { &mut one } else { &mut other };
        is_own(raw, &target);
        // The very next request comes when the server has closed, and maybe nobody here has looked.
        let is_closed =
            |count: usize| wait::until_true("the server to close", || closed.load(Ordering::SeqCst) >= count);
        is_closed(3 * round + 1);
        raw.write(post(&target, "some body"));
        assert_eq!(raw.response().is(200).text(), format!("POST {target}"));
        is_closed(3 * round + 2);
        let head = client.request("POST", super::HOST, &target);
        let answer = client.send(head, b"some body").expect("an answer");
        assert_eq!((answer.status, answer.text()), (200, format!("POST {target}")));
        is_closed(3 * round + 3);
    }
    assert_eq!(origin.received_count(), 300, "each was sent once");
    assert_eq!(gateway.metric("tidegate_upstream_failures_total", &[]), 0.0);
}

#[test]
fn a_connection_that_is_closed_as_a_request_comes_fails_no_get() {
    // Closes at any moment around the next request.
    let origin = Origin::start(|visit| {
        let Some(request) = visit.request() else { return };
        visit.raw.write(own(&request));
        let number = request
            .target
            .trim_start_matches('/')
            .parse::<u64>()
            .unwrap_or_default();
        std::thread::park_timeout(std::time::Duration::from_micros(number % 10 * 50));
    });
    let gateway = api(&[origin.address], PATIENT).start();
    let mut raw = gateway.connect();
    for round in 0..1000 {
        is_own(&mut raw, &format!("/{round}"));
    }
    let mut refused = 0;
    for round in 0..300 {
        raw.write(post(&format!("/{round}"), "some body"));
        let answer = raw.response();
        if answer.status == 200 {
            assert_eq!(answer.text(), format!("POST /{round}"));
        } else {
            answer.is_fault(502, "upstream-closed");
            refused += 1;
        }
    }
    println!("{refused} of 300 POSTs met a connection that closed at that moment");
    let mut posts: Vec<_> = origin
        .received()
        .into_iter()
        .filter(|request| request.method == "POST")
        .collect();
    posts.sort_by(|a, b| a.target.cmp(&b.target));
    posts.dedup_by(|a, b| a.target == b.target);
    let all = origin
        .received()
        .iter()
        .filter(|request| request.method == "POST")
        .count();
    assert_eq!(posts.len(), all, "a POST was sent twice");
    is_quiet(&gateway);
}
