//! Servers that speak HTTP/2 and fail, or cheat, frame by frame.

use super::early::pour;
use super::peer::{Head, Peer, ok};
use super::told::{Fault, Told, at_once, nothing_is_wrong, slowly};
use super::{HOST, ONCE, SHORT, SHORT_TIME, api, failed, get, in_time, is_quiet, post};
use crate::support::frames::{END_STREAM, INITIAL_WINDOW_SIZE};
use crate::support::hpack::Block;
use crate::support::origin::{Origin, Visit};
use crate::support::{Client, Gateway, Protocol, wait};
use h2::Reason;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What the server does with a request on this stream. Whether its connection goes on.
type Script = fn(&mut Peer<'_>, u32) -> bool;

const BAD: Told = Told::Status(502);
const LATE: Told = Told::Status(504);
const SOME: Told = Told::Cut("some");
const PROTOCOL: &str = "upstream-protocol";
const CLOSED: &str = "upstream-closed";

/// Answers with this head, and 4 bytes.
fn with(p: &mut Peer<'_>, stream: u32, head: Block) -> bool {
    p.head(stream, 0, &head);
    p.data(stream, END_STREAM, "some");
    true
}

static FAULTS: [Fault<Script>; 31] = [
    at_once("/closes", BAD, CLOSED, |_, _| false),
    at_once("/resets", BAD, CLOSED, |p, _| {
        p.visit.reset();
        false
    }),
    at_once("/leaves", BAD, PROTOCOL, |p, _| {
        p.go_away(0);
        false
    }),
    at_once("/refused", BAD, PROTOCOL, |p, stream| {
        p.reset(stream, Reason::REFUSED_STREAM);
        true
    }),
    at_once("/cancelled", BAD, PROTOCOL, |p, stream| {
        p.reset(stream, Reason::CANCEL);
        true
    }),
    at_once("/no-error", BAD, PROTOCOL, |p, stream| {
        p.reset(stream, Reason::NO_ERROR);
        true
    }),
    slowly("/stalls", LATE, "upstream-first-byte", |_, _| true),
    slowly("/interims", LATE, "upstream-first-byte", |p, stream| {
        for _ in 0..50 {
            p.head(stream, 0, &Block::new().field(":status", "103"));
        }
        true
    }),
    at_once("/interim-ends", BAD, PROTOCOL, |p, stream| {
        p.head(stream, END_STREAM, &Block::new().field(":status", "103"));
        true
    }),
    at_once("/half-resets", SOME, PROTOCOL, |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        p.reset(stream, Reason::INTERNAL_ERROR);
        true
    }),
    at_once("/half-cancelled", SOME, PROTOCOL, |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        p.reset(stream, Reason::CANCEL);
        true
    }),
    // RFC 9113 §8.1: only behind a whole answer does it mean that the request is not wanted.
    at_once("/half-no-error", SOME, CLOSED, |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        p.reset(stream, Reason::NO_ERROR);
        true
    }),
    at_once("/half-closes", SOME, PROTOCOL, |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        false
    }),
    at_once("/half-leaves", SOME, PROTOCOL, |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        p.go_away(stream);
        false
    }),
    slowly("/half-stalls", SOME, "upstream-idle", |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        true
    }),
    at_once("/length-longer", Told::Cut(""), PROTOCOL, |p, stream| {
        with(p, stream, ok().field("content-length", "10"))
    }),
    at_once("/length-shorter", Told::Cut(""), PROTOCOL, |p, stream| {
        with(p, stream, ok().field("content-length", "2"))
    }),
    at_once("/length-letters", BAD, PROTOCOL, |p, stream| {
        with(p, stream, ok().field("content-length", "four"))
    }),
    at_once("/length-twice-other", BAD, PROTOCOL, |p, stream| {
        with(
            p,
            stream,
            ok().field("content-length", "4").field("content-length", "5"),
        )
    }),
    at_once("/length-twice", Told::Whole("some"), "complete", |p, stream| {
        with(
            p,
            stream,
            ok().field("content-length", "4").field("content-length", "4"),
        )
    }),
    at_once("/coding", BAD, PROTOCOL, |p, stream| {
        with(p, stream, ok().field("transfer-encoding", "chunked"))
    }),
    at_once("/connection", BAD, PROTOCOL, |p, stream| {
        with(p, stream, ok().field("connection", "close"))
    }),
    at_once("/upper-case", BAD, PROTOCOL, |p, stream| {
        with(p, stream, ok().field("X-A", "b"))
    }),
    at_once("/line", BAD, PROTOCOL, |p, stream| {
        with(p, stream, ok().field("x", "a\r\ny: z"))
    }),
    at_once("/no-status", BAD, PROTOCOL, |p, stream| {
        with(p, stream, Block::new().field("x", "y"))
    }),
    at_once("/odd-status", BAD, PROTOCOL, |p, stream| {
        with(p, stream, Block::new().field(":status", "20"))
    }),
    at_once("/switches", BAD, PROTOCOL, |p, stream| {
        with(p, stream, Block::new().field(":status", "101"))
    }),
    at_once("/no-head", BAD, PROTOCOL, |p, stream| {
        p.data(stream, END_STREAM, "some");
        true
    }),
    at_once("/no-frame", BAD, PROTOCOL, |p, _| {
        p.visit.raw.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsome");
        true
    }),
    at_once("/trailers", Told::Whole("some"), "complete", |p, stream| {
        p.head(stream, 0, &ok());
        p.data(stream, 0, "some");
        p.head(stream, END_STREAM, &Block::new().field("x-sum", "1"));
        true
    }),
    at_once("/interim", Told::Whole("some"), "complete", |p, stream| {
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
    let wrong: Vec<_> = FAULTS.iter().filter_map(|fault| fault.over_http1(&gateway)).collect();
    nothing_is_wrong(&wrong, FAULTS.len());
    is_quiet(&gateway);
}

#[test]
fn each_fault_is_told_to_clients_of_http2() {
    let origin = Origin::start(faulty);
    let gateway = h2(&origin, ONCE);
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let wrong: Vec<_> = FAULTS
        .iter()
        .filter_map(|fault| fault.over_http2(&gateway, &mut client))
        .collect();
    nothing_is_wrong(&wrong, FAULTS.len());
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
                return peer.visit.ignore();
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
