//! Connections to servers: kept, shared out, bounded, replaced when they are stale, and closed in the end.

use super::{MODES, Mode, all, all_with, fetch, get, outgoing, target};
use crate::support::origin::{Origin, Visit};
use crate::support::{Client, Gateway, Protocol, Raw, turn, wait};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Connections of a component, as its gauge says.
#[track_caller]
fn gauge(gateway: &Gateway, mode: Mode) -> f64 {
    gateway.metric("tidegate_component_outgoing_connections", &[("component", mode.name)])
}

#[test]
fn one_connection_carries_many_requests() {
    let origin = Origin::answering(OK);
    let gateway = all(&[&origin.grant()]).set("workers", 1).start();
    for mode in MODES {
        let before = origin.accepted();
        let mut raw = gateway.connect();
        for _ in 0..100 {
            raw.write(get(mode, &origin.url("/"), ""));
            assert_eq!(raw.response().is(200).text(), "ok");
        }
        assert_eq!(origin.accepted() - before, 1, "{mode:?}");
        assert_eq!(
            (gauge(&gateway, mode), outgoing(&gateway, mode, "ok")),
            (1.0, 100.0),
            "{mode:?}"
        );
    }
    assert_eq!(origin.open(), MODES.len(), "components share no connections");
}

/// A server that closes every connection after one answer, when it is told to.
fn one_answer_each(is_time: &Arc<AtomicBool>) -> Origin {
    let is_time = Arc::clone(is_time);
    Origin::start(move |visit| {
        if visit.request().is_some() {
            visit.raw.write(OK);
            wait::until_true("the word to close", || is_time.load(Ordering::SeqCst));
        }
    })
}

#[test]
fn a_stale_connection_is_replaced_unseen() {
    let is_time = Arc::<AtomicBool>::default();
    let origin = one_answer_each(&is_time);
    let gateway = all(&[&origin.grant()]).set("workers", 1).start();
    let mut fetched = 0;
    for mode in MODES {
        let mut raw = gateway.connect();
        for turn in 0..20 {
            is_time.store(false, Ordering::SeqCst);
            if turn % 2 == 0 {
                raw.write(get(mode, &origin.url("/"), ""));
            } else {
                // Even with a body: not a byte of it was sent.
                let target = target(&origin.url("/"), "");
                raw.write(format!(
                    "POST {target} HTTP/1.1\r\nhost: {}.test\r\ncontent-length: 4\r\n\r\nbody",
                    mode.name
                ));
            }
            assert_eq!(raw.response().is(200).text(), "ok", "{mode:?}, the {turn}th");
            fetched += 1;
            // The connection is in the pool, and then the server closes it.
            is_time.store(true, Ordering::SeqCst);
            wait::until_true("the server to close", || origin.open() == 0);
        }
    }
    assert_eq!(
        (origin.received_count(), origin.accepted()),
        (fetched, fetched),
        "each is sent once"
    );
    assert!(
        origin
            .received()
            .iter()
            .all(|request| request.method == "GET" || request.body == b"body")
    );
}

#[test]
fn no_more_connections_than_the_limit() {
    let origin = Origin::start(|visit| {
        while visit.request().is_some() {
            // The server's own time: it must be long enough for the others to be waiting.
            thread::park_timeout(Duration::from_millis(150));
            visit.raw.write(OK);
        }
    });
    let gateway = all_with(&[&origin.grant()], |component| component.limit("connections", 2)).start();
    for mode in MODES {
        let others = origin.open();
        let mut most = 0;
        let mut asked: Vec<Raw> = (0..6)
            .map(|_| {
                let mut raw = gateway.connect();
                raw.write(get(mode, &origin.url("/"), ""));
                raw
            })
            .collect();
        wait::until_true("a request to arrive", || origin.open() > others);
        for raw in &mut asked {
            most = most.max(origin.open() - others);
            assert_eq!(raw.response().is(200).text(), "ok", "{mode:?}");
            most = most.max(origin.open() - others);
        }
        assert_eq!(most, 2, "{mode:?}");
        assert_eq!(gauge(&gateway, mode), 2.0, "{mode:?}");
        assert_eq!(origin.open() - others, 2, "{mode:?}");
    }
    assert_eq!(origin.most(), 2 * MODES.len());
    // On a busy machine one that is not ready again in time is closed, and another takes its place.
    assert!(
        origin.accepted() <= 3 * MODES.len(),
        "{} connections",
        origin.accepted()
    );
}

#[test]
fn a_request_that_gets_no_connection_is_told_so() {
    let is_time = Arc::<AtomicBool>::default();
    let told = Arc::clone(&is_time);
    let origin = Origin::start(move |visit| {
        while visit.request().is_some() {
            wait::until_true("the word to answer", || told.load(Ordering::SeqCst));
            visit.raw.write(OK);
        }
    });
    let gateway = all_with(&[&origin.grant()], |component| component.limit("connections", 2)).start();
    for mode in MODES {
        is_time.store(false, Ordering::SeqCst);
        let before = origin.received_count();
        let ask = |more: &str| {
            let mut raw = gateway.connect();
            raw.write(get(mode, &origin.url("/"), more));
            raw
        };
        let served = [ask(""), ask("")];
        wait::until_true("both connections to be in use", || {
            origin.received_count() == before + 2
        });
        let late = [ask("&connect=200"), ask("&connect=200"), ask("&connect=200")];
        for mut raw in late {
            let answer = raw.response();
            assert_eq!(
                (answer.status, answer.text().trim()),
                (502, "connection-limit-reached"),
                "{mode:?}"
            );
        }
        // One that waits long enough gets the first connection that comes free.
        let mut patient = ask("&connect=15000");
        is_time.store(true, Ordering::SeqCst);
        for mut raw in served {
            raw.response().is(200);
        }
        patient.response().is(200);
        assert_eq!(outgoing(&gateway, mode, "failed"), 3.0, "{mode:?}");
        assert_eq!(gauge(&gateway, mode), 2.0, "{mode:?}");
    }
}

#[test]
fn a_second_server_has_the_idle_connection_of_the_first() {
    let (one, two) = (Origin::answering(OK), Origin::answering(OK));
    let gateway = all_with(&["http://127.0.0.1:*"], |component| component.limit("connections", 1)).start();
    for mode in MODES {
        for _ in 0..3 {
            fetch(&gateway, mode, &one.url("/"), "").is(200);
            fetch(&gateway, mode, &two.url("/"), "").is(200);
            assert!(gauge(&gateway, mode) <= 1.0, "{mode:?}");
        }
        assert_eq!(outgoing(&gateway, mode, "ok"), 6.0, "{mode:?}");
    }
}

#[test]
fn a_component_that_is_gone_has_no_connections() {
    let origin = Origin::answering(OK);
    let mut gateway = all(&[&origin.grant()]).component("hello").start();
    for mode in MODES {
        fetch(&gateway, mode, &origin.url("/"), "").is(200);
    }
    assert_eq!(origin.open(), MODES.len());
    let sum = |gateway: &Gateway| gateway.metric("tidegate_component_outgoing_connections", &[]);
    assert_eq!(sum(&gateway), MODES.len() as f64);
    gateway.edit(|config| {
        let is_kept = |name: &str| MODES.iter().all(|mode| mode.name != name);
        config["component"]
            .as_table_mut()
            .unwrap()
            .retain(|name, _| is_kept(name));
        config["route"]
            .as_array_mut()
            .unwrap()
            .retain(|route| is_kept(route["name"].as_str().unwrap()));
    });
    gateway.reload().is(200);
    wait::until_true("their connections to be closed", || origin.open() == 0);
    wait::until_true("the gauge to say so", || sum(&gateway) == 0.0);
    gateway.get("hello", "/").is(200);
}

#[test]
fn a_reload_that_keeps_a_component_breaks_no_answer() {
    let is_time = Arc::<AtomicBool>::default();
    let told = Arc::clone(&is_time);
    let origin = Origin::start(move |visit| {
        while visit.request().is_some() {
            visit.raw.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            visit.chunk(b"before ");
            wait::until_true("the word to go on", || told.load(Ordering::SeqCst));
            visit.chunk(b"after");
            visit.raw.write("0\r\n\r\n");
        }
    });
    let mut gateway = all(&[&origin.grant()]).start();
    let mut asked: Vec<Raw> = MODES
        .iter()
        .map(|mode| {
            let mut raw = gateway.connect();
            raw.write(get(*mode, &origin.url("/"), ""));
            raw
        })
        .collect();
    wait::until_true("all to be under way", || origin.received_count() == MODES.len());
    gateway.edit(|config| {
        for mode in MODES {
            config["component"][mode.name]["limits"]
                .as_table_mut()
                .unwrap()
                .insert("connections".into(), 1.into());
        }
    });
    gateway.reload().is(200);
    is_time.store(true, Ordering::SeqCst);
    for raw in &mut asked {
        assert_eq!(raw.response().is(200).text(), "before after");
    }
    for mode in MODES {
        fetch(&gateway, mode, &origin.url("/"), "").is(200);
    }
}

/// Answers with what it was asked, so that an answer for another request would be seen.
fn named(visit: &mut Visit) {
    while let Some(request) = visit.request() {
        let text = request.target;
        visit.raw.write(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        ));
    }
}

/// A connection to the gateway has as many of them as a client likes, whatever way a guest ends its answers: clients
/// count frames without data, and give up a connection that brings many.
#[test]
fn one_http2_client_makes_many_requests() {
    let origin = Origin::start(named);
    let gateway = all(&[&origin.grant()]).start();
    for mode in MODES {
        let mut client = Client::connect(Protocol::H2, gateway.address());
        for turn in 0..150 {
            let path = format!("/{turn}");
            let head = client.request("GET", mode.name, &target(&origin.url(&path), ""));
            let answer = client
                .send(head, b"")
                .unwrap_or_else(|error| panic!("{mode:?}, the {turn}th: {error:?}"));
            assert_eq!((answer.status, answer.text()), (200, path), "{mode:?}");
        }
    }
}

#[test]
fn many_small_requests_of_many_clients() {
    const CLIENTS: usize = 16;
    let _alone = turn::alone();
    let origin = Origin::start(named);
    let gateway = all(&[&origin.grant()]).start();
    let (end, done) = (Instant::now() + Duration::from_secs(5), AtomicUsize::new(0));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (gateway, origin, done) = (&gateway, &origin, &done);
            scope.spawn(move || {
                let protocol = if client % 2 == 0 { Protocol::H1 } else { Protocol::H2 };
                let mut connection = Client::connect(protocol, gateway.address());
                for turn in 0.. {
                    if Instant::now() >= end {
                        return;
                    }
                    let path = format!("/{client}-{turn}");
                    let mode = MODES[(client + turn) % MODES.len()];
                    let answer = connection.get(mode.name, &target(&origin.url(&path), ""));
                    assert_eq!((answer.status, answer.text()), (200, path), "{mode:?}");
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    let done = done.into_inner();
    let (accepted, open) = (origin.accepted(), origin.open());
    println!("{done} fetches by {CLIENTS} clients over {accepted} connections, {open} of them open at the end");
    assert!(done >= CLIENTS * MODES.len(), "{done}");
    assert_eq!(origin.received_count(), done, "each is sent once");
    let ok: f64 = MODES.iter().map(|mode| outgoing(&gateway, *mode, "ok")).sum();
    assert_eq!(ok, done as f64);
    assert!(open <= CLIENTS * MODES.len(), "{open}");
    let said: f64 = MODES.iter().map(|mode| gauge(&gateway, *mode)).sum();
    assert_eq!(said, open as f64, "the gauge counts what is open");
}
