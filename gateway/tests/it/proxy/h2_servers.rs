//! Servers that speak HTTP/2 and fail, or cheat, frame by frame.

use super::early::pour;
use super::peer::{Head, Peer, ok};
use super::{HOST, ONCE, SHORT, SHORT_TIME, api, failed, get, in_time, is_quiet, nobody_waits, post};
use crate::support::frames::{END_STREAM, INITIAL_WINDOW_SIZE};
use crate::support::hpack::Block;
use crate::support::origin::{Origin, Visit};
use crate::support::{Client, End, Gateway, Protocol, wait};
use h2::Reason;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Whether the connection goes on.
type Goes = bool;

#[derive(Clone, Copy, Debug)]
enum Told {
    Status(u16, &'static str),
    /// Cut behind this much of the body, or less.
    Cut(&'static str),
    /// Whole, with this body.
    Whole(&'static str),
}

struct Fault {
    target: &'static str,
    told: Told,
    is_slow: bool,
    script: fn(&mut Peer<'_>, u32) -> Goes,
}

const fn fault(target: &'static str, told: Told, script: fn(&mut Peer<'_>, u32) -> Goes) -> Fault {
    Fault {
        target,
        told,
        is_slow: false,
        script,
    }
}

const fn slow(target: &'static str, told: Told, script: fn(&mut Peer<'_>, u32) -> Goes) -> Fault {
    Fault {
        is_slow: true,
        ..fault(target, told, script)
    }
}

const PROTOCOL: Told = Told::Status(502, "upstream-protocol");
const CLOSED: Told = Told::Status(502, "upstream-closed");
const LATE: Told = Told::Status(504, "upstream-first-byte");

/// Answers with this head, and 4 bytes.
fn with(p: &mut Peer<'_>, stream: u32, head: Block) -> Goes {
    p.head(stream, 0, &head);
    p.data(stream, END_STREAM, "some");
    true
}

static FAULTS: [Fault; 31] = [
    fault("/closes", CLOSED, |_, _| false),
    fault("/resets", CLOSED, |p, _| {
        p.visit.reset();
        false
    }),
    fault("/leaves", PROTOCOL, |p, _| {
        p.go_away(0);
        false
    }),
    fault("/refused", PROTOCOL, |p, stream| {
        p.reset(stream, Reason::REFUSED_STREAM);
        true
    }),
    fault("/cancelled", PROTOCOL, |p, stream| {
        p.reset(stream, Reason::CANCEL);
        true
    }),
    fault("/no-error", PROTOCOL, |p, stream| {
        p.reset(stream, Reason::NO_ERROR);
        true
    }),
    slow("/stalls", LATE, |_, _| true),
    slow("/interims", LATE, |p, stream| {
        for _ in 0..50 {
            p.head(stream, 0, &Block::new().field(":status", "103"));
        }
        true
    }),
    fault("/interim-ends", PROTOCOL, |p, stream| {
        p.head(stream, END_STREAM, &Block::new().field(":status", "103"));
        true
    }),
    fault("/half-resets", Told::Cut("some"), |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        p.reset(stream, Reason::INTERNAL_ERROR);
        true
    }),
    fault("/half-cancelled", Told::Cut("some"), |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        p.reset(stream, Reason::CANCEL);
        true
    }),
    // RFC 9113 §8.1: only behind a whole answer does it mean that the request is not wanted.
    fault("/half-no-error", Told::Cut("some"), |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        p.reset(stream, Reason::NO_ERROR);
        true
    }),
    fault("/half-closes", Told::Cut("some"), |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        false
    }),
    fault("/half-leaves", Told::Cut("some"), |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        p.go_away(stream);
        false
    }),
    slow("/half-stalls", Told::Cut("some"), |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        true
    }),
    fault("/length-longer", Told::Cut("some"), |p, stream| {
        with(p, stream, ok().field("content-length", "10"))
    }),
    fault("/length-shorter", Told::Cut("some"), |p, stream| {
        with(p, stream, ok().field("content-length", "2"))
    }),
    fault("/length-letters", PROTOCOL, |p, stream| {
        with(p, stream, ok().field("content-length", "four"))
    }),
    fault("/length-twice-other", PROTOCOL, |p, stream| {
        with(
            p,
            stream,
            ok().field("content-length", "4").field("content-length", "5"),
        )
    }),
    fault("/length-twice", Told::Whole("some"), |p, stream| {
        with(
            p,
            stream,
            ok().field("content-length", "4").field("content-length", "4"),
        )
    }),
    fault("/coding", PROTOCOL, |p, stream| {
        with(p, stream, ok().field("transfer-encoding", "chunked"))
    }),
    fault("/connection", PROTOCOL, |p, stream| {
        with(p, stream, ok().field("connection", "close"))
    }),
    fault("/upper-case", PROTOCOL, |p, stream| {
        with(p, stream, ok().field("X-A", "b"))
    }),
    fault("/line", PROTOCOL, |p, stream| {
        with(p, stream, ok().field("x", "a\r\ny: z"))
    }),
    fault("/no-status", PROTOCOL, |p, stream| {
        with(p, stream, Block::new().field("x", "y"))
    }),
    fault("/odd-status", PROTOCOL, |p, stream| {
        with(p, stream, Block::new().field(":status", "20"))
    }),
    fault("/switches", PROTOCOL, |p, stream| {
        with(p, stream, Block::new().field(":status", "101"))
    }),
    fault("/no-head", PROTOCOL, |p, stream| {
        p.data(stream, END_STREAM, "some");
        true
    }),
    fault("/no-frame", PROTOCOL, |p, _| {
        p.visit.raw.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsome");
        true
    }),
    fault("/trailers", Told::Whole("some"), |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        p.head(stream, END_STREAM, &Block::new().field("x-sum", "1"));
        true
    }),
    fault("/interim", Told::Whole("some"), |p, stream| {
        p.head(stream, 0, &Block::new().field(":status", "103"));
        with(p, stream, ok())
    }),
];

fn faulty(visit: &mut Visit) {
    let Some(mut peer) = Peer::greet(visit, &[]) else {
        return;
    };
    while let Some(Head { stream, target, .. }) = peer.request() {
        let goes = match FAULTS.iter().find(|fault| fault.target == target) {
            Some(fault) => (fault.script)(&mut peer, stream),
            None => {
                peer.answer(stream, &format!("GET {target}"));
                true
            }
        };
        if !goes {
            return;
        }
    }
}

fn h2(origin: &Origin, more: &str) -> Gateway {
    api(&[origin.address], &format!(", protocol = 'h2'{SHORT}{more}"))
        .set("workers", 1)
        .start()
}

#[test]
fn each_fault_is_told_to_clients_of_http1() {
    let origin = Origin::start(faulty);
    let gateway = h2(&origin, ONCE);
    let mut wrong = Vec::new();
    for fault in &FAULTS {
        let least = if fault.is_slow { SHORT_TIME } else { Duration::ZERO };
        let mut raw = gateway.connect();
        raw.write(get(fault.target));
        let answer = in_time(fault.target, least, || raw.try_response());
        let is_right = answer.as_ref().is_some_and(|answer| match fault.told {
            Told::Status(status, code) => (answer.status, answer.field("tidegate-error")) == (status, Some(code)),
            Told::Cut(body) => answer.status == 200 && answer.end == End::Cut && body.starts_with(&answer.text()),
            Told::Whole(body) => {
                let lengths = answer
                    .fields
                    .iter()
                    .filter(|(name, _)| name == "content-length")
                    .count();
                (answer.status, answer.text().as_str(), answer.end) == (200, body, End::Complete) && lengths <= 1
            }
        });
        if !is_right {
            wrong.push(format!("{}: {answer:?}", fault.target));
        }
        super::is_own(&mut gateway.connect(), "/next");
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        FAULTS.len(),
        wrong.join("\n")
    );
    is_quiet(&gateway);
}

#[test]
fn each_fault_is_told_to_clients_of_http2() {
    let origin = Origin::start(faulty);
    let gateway = h2(&origin, ONCE);
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let mut wrong = Vec::new();
    for fault in &FAULTS {
        let least = if fault.is_slow { SHORT_TIME } else { Duration::ZERO };
        let head = client.request("GET", HOST, fault.target);
        let answer = in_time(fault.target, least, || client.send(head, b""));
        let is_right = match (&answer, fault.told) {
            (Ok(answer), Told::Status(status, code)) => {
                (answer.status, answer.field("tidegate-error")) == (status, Some(code))
            }
            (Err(broken), Told::Cut(_)) => broken.reset.is_some(),
            (Ok(answer), Told::Whole(body)) => (answer.status, answer.text().as_str()) == (200, body),
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{}: {answer:?}", fault.target));
        }
        assert_eq!(client.get(HOST, "/next").text(), "GET /next", "after {}", fault.target);
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        FAULTS.len(),
        wrong.join("\n")
    );
    is_quiet(&gateway);
}

/// What a server has refused it has not begun (RFC 9113 §8.7); one that leaves finishes what it has begun (§6.8).
#[test]
fn a_server_that_leaves_fails_nobody() {
    let origin = Origin::start(|visit| {
        let Some(mut peer) = Peer::greet(visit, &[]) else {
            return;
        };
        // The third request comes when this side has just said that there is to be none.
        let mut count = 0;
        while let Some(Head { stream, target, .. }) = peer.request() {
            count += 1;
            match count {
                1 => peer.answer(stream, &format!("GET {target}")),
                2 => {
                    peer.go_away(stream);
                    peer.answer(stream, &format!("GET {target}"));
                }
                _ => {}
            }
        }
    });
    let gateway = h2(&origin, ", ejection = { failures = 0 }");
    let mut raw = gateway.connect();
    for round in 0..50 {
        super::is_own(&mut raw, &format!("/{round}"));
    }
    assert_eq!(origin.accepted(), 25);
    is_quiet(&gateway);
}

#[test]
fn a_request_that_is_refused_is_sent_again() {
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    let origin = Origin::start(move |visit| {
        let Some(mut peer) = Peer::greet(visit, &[]) else {
            return;
        };
        while let Some(Head { stream, target, .. }) = peer.request() {
            if count.fetch_add(1, Ordering::SeqCst) % 2 == 0 {
                peer.reset(stream, Reason::REFUSED_STREAM);
            } else {
                peer.answer(stream, &format!("GET {target}"));
            }
        }
    });
    let gateway = h2(&origin, ", ejection = { failures = 0 }, retry = { budget = '100%' }");
    let mut raw = gateway.connect();
    for round in 0..10 {
        super::is_own(&mut raw, &format!("/{round}"));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 20);
    // A body that was on its way is not here any more.
    raw.write(post("/", "some body"));
    raw.response().is_fault(502, "upstream-protocol");
    is_quiet(&gateway);
}

#[test]
fn a_connection_that_is_stuck_meets_one_request() {
    let origin = Origin::start(|visit| {
        // The first connection is as good as dead behind its first answer.
        let Some(mut peer) = Peer::greet(visit, &[]) else {
            return;
        };
        while let Some(Head { stream, target, .. }) = peer.request() {
            if target == "/stuck" {
                return nobody_waits(peer.visit);
            }
            peer.answer(stream, &format!("GET {target}"));
        }
    });
    let gateway = h2(&origin, ONCE);
    let mut raw = gateway.connect();
    super::is_own(&mut raw, "/first");
    raw.write(get("/stuck"));
    in_time("504", SHORT_TIME, || raw.response()).is_fault(504, "upstream-first-byte");
    for round in 0..5 {
        in_time("200", Duration::ZERO, || super::is_own(&mut raw, &format!("/{round}")));
    }
    assert_eq!(origin.accepted(), 2);
    wait::until_true("the stuck connection to be closed", || origin.open() == 1);
}

#[test]
fn an_upload_without_a_window_runs_out_of_time() {
    let origin = Origin::start(|visit| {
        let Some(mut peer) = Peer::greet(visit, &[(INITIAL_WINDOW_SIZE, 10)]) else {
            return;
        };
        while let Some(Head { stream, method, target }) = peer.request() {
            if method == "GET" {
                peer.answer(stream, &format!("GET {target}"));
            }
        }
    });
    let gateway = h2(&origin, ONCE);
    for protocol in [Protocol::H1, Protocol::H2] {
        let mut client = Client::connect(protocol, gateway.address());
        assert_eq!(client.get(HOST, "/").text(), "GET /");
        let (upload, response) = client.begin(client.request("POST", HOST, "/"));
        let pouring = pour(upload);
        let (head, _download) = in_time("504", SHORT_TIME, response).expect("an answer");
        assert_eq!(head.status, 504, "{protocol:?}");
        drop(client);
        pouring.join().unwrap();
    }
    assert_eq!(failed(&gateway, "upstream-write"), 2.0);
    super::is_own(&mut gateway.connect(), "/next");
    is_quiet(&gateway);
}

#[test]
fn what_is_no_http2_is_told_as_such() {
    // HTTP/1.1 where HTTP/2 is expected, nothing at all, and a connection that ends at once.
    let h1 = Origin::start(|visit| {
        visit.raw.write("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
        visit.until_closed();
    });
    let silent = Origin::start(Visit::until_closed);
    let closing = Origin::start(|_| {});
    for (origin, status, least) in [
        (&h1, 502, Duration::ZERO),
        (&silent, 504, SHORT_TIME),
        (&closing, 502, Duration::ZERO),
    ] {
        let gateway = h2(origin, ONCE);
        for _ in 0..3 {
            let answer = in_time("an answer", least, || super::ask(&gateway, &get("/")));
            assert_eq!(answer.status, status, "{:?}", answer.field("tidegate-error"));
        }
        is_quiet(&gateway);
    }
}
