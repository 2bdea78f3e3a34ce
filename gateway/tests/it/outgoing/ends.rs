//! Requests that end early take their outgoing requests with them, and nobody else's.

use super::{MODES, Mode, P3_CONCURRENT, all, all_with, fetch, get, outgoing, target};
use crate::support::origin::{Origin, Visit};
use crate::support::streams::Streams;
use crate::support::{Gateway, wait};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How soon a server sees that nobody waits any more: the promise is a second on a machine that has the time; none of
/// the times that could end it otherwise is shorter than this.
const SOON: Duration = Duration::from_secs(5);

/// A server that is silent at `/silent`, stalls within its body at `/stalls`, and otherwise answers.
fn stalling(visit: &mut Visit) {
    while let Some(request) = visit.request() {
        match request.target.as_str() {
            "/silent" => return visit.until_closed(),
            "/stalls" => {
                visit.raw.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                visit.chunk(b"some");
                return visit.until_closed();
            }
            _ => visit
                .raw
                .write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"),
        }
    }
}

#[track_caller]
fn is_left(origin: &Origin, since: Instant, mode: Mode, how: &str) {
    wait::until_true(format!("{mode:?}, {how}: the server to be left"), || origin.open() == 0);
    let after = since.elapsed();
    println!("{}, {how}: left after {} ms", mode.name, after.as_millis());
    assert!(after < SOON, "{mode:?}, {how}: {after:?}");
}

#[track_caller]
fn is_quiet(gateway: &Gateway) {
    gateway.wait_metric("tidegate_component_instances", &[], 0.0);
    gateway.wait_metric("tidegate_requests_in_flight", &[], 0.0);
}

#[test]
fn a_client_that_leaves_ends_the_fetch() {
    let origin = Origin::start(stalling);
    let gateway = all(&[&origin.grant()]).start();
    for mode in MODES {
        for path in ["/silent", "/stalls"] {
            let before = origin.received_count();
            let mut raw = gateway.connect();
            raw.write(get(mode, &origin.url(path), ""));
            wait::until_true("the server to be asked", || origin.received_count() > before);
            if path == "/stalls" {
                assert_eq!(raw.head().expect("a head").status, 200);
                assert_eq!(
                    raw.take_until(b"some").as_deref().map(<[u8]>::len),
                    Some(b"4\r\nsome".len())
                );
            }
            let since = Instant::now();
            drop(raw);
            is_left(&origin, since, mode, path);
        }
        fetch(&gateway, mode, &origin.url("/ok"), "").is(200);
    }
    is_quiet(&gateway);
}

#[test]
fn a_stream_that_is_reset_ends_the_fetch() {
    let origin = Origin::start(stalling);
    let gateway = all(&[&origin.grant()]).start();
    for mode in MODES {
        for path in ["/silent", "/stalls"] {
            let before = origin.received_count();
            let mut streams = Streams::connect(gateway.address());
            let asked = streams
                .ask("GET", mode.name, &target(&origin.url(path), ""))
                .expect("a stream");
            wait::until_true("the server to be asked", || origin.received_count() > before);
            let since;
            if path == "/stalls" {
                let (response, _upload) = streams.head(asked).expect("a head");
                let mut body = response.into_body();
                assert_eq!(streams.data(&mut body).expect("data").as_deref(), Some(&b"some"[..]));
                since = Instant::now();
                drop(body);
            } else {
                since = Instant::now();
                drop(asked);
            }
            is_left(&origin, since, mode, path);
            // The connection goes on.
            let (status, body) = streams
                .get(mode.name, &target(&origin.url("/ok"), ""))
                .expect("an answer");
            assert_eq!((status, body.as_slice()), (200, &b"ok"[..]), "{mode:?} after {path}");
        }
    }
    is_quiet(&gateway);
}

#[test]
fn a_deadline_ends_the_fetch() {
    let origin = Origin::start(stalling);
    let gateway = all_with(&[&origin.grant()], |component| {
        component.limit("deadline", "700ms").limit("body_deadline", "700ms")
    })
    .start();
    for mode in MODES {
        let since = Instant::now();
        fetch(&gateway, mode, &origin.url("/silent"), "").is_fault(504, "deadline");
        is_left(&origin, since, mode, "deadline");
        let since = Instant::now();
        let mut raw = gateway.connect();
        raw.write(get(mode, &origin.url("/stalls"), ""));
        let answer = raw.response();
        assert_eq!((answer.status, answer.text().as_str()), (200, "some"), "{mode:?}");
        assert_eq!(answer.end, crate::support::End::Cut, "{mode:?}");
        is_left(&origin, since, mode, "body deadline");
    }
    is_quiet(&gateway);
}

#[test]
fn an_upload_ends_with_its_client() {
    let origin = Origin::start(|visit| {
        visit.head();
        visit.until_closed();
    });
    let gateway = all(&[&origin.grant()]).start();
    for mode in MODES {
        let target = target(&origin.url("/"), "");
        let mut raw = gateway.connect();
        raw.write(format!(
            "POST {target} HTTP/1.1\r\nhost: {}.test\r\ncontent-length: 1000\r\n\r\nsome",
            mode.name
        ));
        wait::until_true("the server to be connected to", || origin.open() == 1);
        let since = Instant::now();
        drop(raw);
        is_left(&origin, since, mode, "upload");
    }
    is_quiet(&gateway);
}

/// One request of an instance breaks off; the others, at the same server, go on.
#[test]
fn the_other_requests_of_the_instance_go_on() {
    let is_time = Arc::<AtomicBool>::default();
    let told = Arc::clone(&is_time);
    let origin = Origin::start(move |visit| {
        while let Some(request) = visit.request() {
            if request.target == "/gone" {
                return visit.until_closed();
            }
            visit.raw.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            visit.chunk(b"before ");
            wait::until_true("the word to go on", || told.load(Ordering::SeqCst));
            visit.chunk(b"after");
            visit.raw.write("0\r\n\r\n");
        }
    });
    let mode = P3_CONCURRENT;
    let gateway = all(&[&origin.grant()]).set("workers", 1).start();
    let ask = |path: &str, more: &str| {
        let mut raw = gateway.connect();
        raw.write(get(mode, &origin.url(path), more));
        raw
    };
    let asked = [ask("/1", ""), ask("/2", ""), ask("/3", "")];
    wait::until_true("three to be asked", || origin.received_count() == 3);
    let gone = ask("/gone", "");
    let mut late = ask("/gone", "&first=300");
    wait::until_true("all to be asked", || origin.received_count() == 5);
    let since = Instant::now();
    drop(gone);
    wait::until_true("the server to be left by both", || origin.open() == 3);
    println!("{}: left after {} ms", mode.name, since.elapsed().as_millis());
    assert_eq!(late.response().text().trim(), "HTTP-response-timeout");
    is_time.store(true, Ordering::SeqCst);
    for mut raw in asked {
        assert_eq!(raw.response().is(200).text(), "before after");
    }
    fetch(&gateway, mode, &origin.url("/4"), "").is(200);
    assert_eq!(outgoing(&gateway, mode, "ok"), 4.0);
    is_quiet(&gateway);
}

/// The guest answers and has its body still coming: a client that wanted the head alone has it at once.
#[test]
fn a_head_that_is_shown_leaves_no_body_behind() {
    let origin = Origin::start(stalling);
    let gateway = all(&[&origin.grant()]).start();
    for mode in MODES {
        let since = Instant::now();
        let answer = fetch(&gateway, mode, &origin.url("/stalls"), "&head=1");
        assert!(
            answer.is(200).text().starts_with("{\"status\":200,"),
            "{mode:?} {answer:?}"
        );
        is_left(&origin, since, mode, "head=1");
    }
    is_quiet(&gateway);
}
