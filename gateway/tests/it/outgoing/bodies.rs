//! What goes through unharmed: statuses, fields, bodies, trailers, and the pace of whoever takes them.

use super::{MODES, WAYS, all, fetch, get, pattern, rss_bytes, target};
use crate::support::origin::{Origin, Visit, chunk};
use crate::support::{Client, End, Protocol, Response, wait};
use socket2::SockRef;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const BIG: usize = 16 * 1024 * 1024;

fn kinds(visit: &mut Visit) {
    while let Some(request) = visit.request() {
        match request.target.as_str() {
            "/length" => {
                visit
                    .raw
                    .write("HTTP/1.1 203 Hm\r\ncontent-type: text/x-one\r\ncontent-length: 100000\r\n\r\n");
                visit.raw.write(pattern(100_000));
            }
            "/chunked" => {
                let head = "HTTP/1.1 418 Teapot\r\ncontent-type: text/x-two\r\ntransfer-encoding: chunked\r\n\
                    trailer: x-sum\r\n\r\n";
                visit.raw.write(head);
                // Pieces of no round size, so that boundaries fall everywhere.
                for piece in pattern(BIG).chunks(77_777) {
                    visit.chunk(piece);
                }
                visit.raw.write("0\r\nx-sum: 7\r\n\r\n");
            }
            "/close" => {
                visit
                    .raw
                    .write("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end");
                return;
            }
            "/old" => {
                visit.raw.write("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold");
                return;
            }
            "/interim" => {
                visit
                    .raw
                    .write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
                visit.raw.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlast");
            }
            "/none" => visit.raw.write("HTTP/1.1 204 No Content\r\n\r\n"),
            "/empty" => visit.raw.write("HTTP/1.1 404 Gone\r\ncontent-length: 0\r\n\r\n"),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn answers_come_back_as_they_were_sent() {
    let origin = Origin::start(kinds);
    let gateway = all(&[&origin.grant()]).start();
    for (mode, path) in WAYS {
        let ask = |kind: &str| {
            let target = target(&origin.url(kind), "").replacen('/', path, 1);
            let head =
                format!("GET {target} HTTP/1.1\r\nhost: {{host}}\r\nte: trailers\r\nconnection: te, close\r\n\r\n");
            let answer = gateway.send(mode.name, &head);
            assert_eq!(answer.end, End::Complete, "{mode:?} {path} {kind}");
            answer
        };
        let what = format!("{mode:?} {path}");
        let answer = ask("/length");
        assert_eq!(
            (answer.status, answer.field("content-type")),
            (203, Some("text/x-one")),
            "{what}"
        );
        assert_eq!(answer.field("content-length"), Some("100000"), "{what}");
        assert!(answer.body == pattern(100_000), "{what}");
        let answer = ask("/chunked");
        assert_eq!(
            (answer.status, answer.field("content-type")),
            (418, Some("text/x-two")),
            "{what}"
        );
        assert!(answer.body == pattern(BIG), "{what}: {} bytes", answer.body.len());
        assert_eq!(answer.trailer("x-sum"), Some("7"), "{what}");
        for (kind, status, body) in [
            ("/close", 200, "to the end"),
            ("/old", 200, "old"),
            ("/interim", 200, "last"),
            ("/none", 204, ""),
            ("/empty", 404, ""),
        ] {
            let answer = ask(kind);
            assert_eq!((answer.status, answer.text().as_str()), (status, body), "{what} {kind}");
        }
    }
    let request = origin.last();
    assert_eq!((request.method.as_str(), request.body.len()), ("GET", 0));
    assert_eq!(request.field("host"), origin.address.to_string());
}

#[test]
fn bodies_go_out_as_they_came() {
    let origin = Origin::start(|visit| {
        while let Some(request) = visit.request() {
            let sum = request.trailers.iter().find(|(name, _)| name == "x-sum");
            let sum = sum.map_or("none", |(_, value)| value.as_str());
            let length = request.body.len();
            visit.raw.write(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/{sum}\r\ncontent-length: {length}\r\n\r\n"
            ));
            visit.raw.write(request.body);
        }
    });
    let gateway = all(&[&origin.grant()]).listener_limits("{ body = '64MiB' }").start();
    let body = pattern(BIG);
    for (mode, path) in WAYS {
        let target = target(&origin.url("/echo"), "").replacen('/', path, 1);
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: {}.test\r\ncontent-type: text/x-mine\r\n",
            mode.name
        );
        let mut raw = gateway.connect();
        raw.write(format!("{head}content-length: {BIG}\r\n\r\n"));
        raw.write(&body);
        let answer = raw.response();
        assert!(
            answer.is(200).body == body,
            "{mode:?} {path}: {} bytes",
            answer.body.len()
        );
        let request = origin.last();
        assert_eq!(
            (request.method.as_str(), request.field("content-type")),
            ("POST", "text/x-mine")
        );
        assert_eq!(request.field("content-length"), BIG.to_string());

        raw.write(format!("{head}transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"));
        for piece in body[..1_000_000].chunks(33_333) {
            raw.write(chunk(piece));
        }
        raw.write("0\r\nx-sum: mine\r\n\r\n");
        let answer = raw.response();
        assert!(answer.is(200).body == body[..1_000_000], "{mode:?} {path}");
        assert_eq!(
            answer.field("content-type"),
            Some("text/mine"),
            "{mode:?} {path}: the trailer went out"
        );
    }
}

#[test]
fn both_bodies_move_at_once() {
    let origin = Origin::start(|visit| {
        if visit.head().is_none() {
            return;
        }
        visit.raw.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let mut sent = Response {
            status: 200,
            fields: Vec::new(),
            body: Vec::new(),
            chunks: Vec::new(),
            trailers: Vec::new(),
            end: End::Complete,
        };
        while visit.raw.chunk(&mut sent) {
            let piece = std::mem::take(&mut sent.body);
            visit.chunk(&piece);
        }
        visit.raw.write("0\r\n\r\n");
    });
    let gateway = all(&[&origin.grant()]).start();
    for (mode, path) in WAYS {
        let target = target(&origin.url("/"), "").replacen('/', path, 1);
        let mut client = Client::connect(Protocol::H1, gateway.address());
        let (mut upload, response) = client.begin(client.request("POST", mode.name, &target));
        assert!(upload.send(&b"first"[..]));
        let (head, mut download) = response().expect("a head, while the request's body is open");
        assert_eq!(head.status, 200, "{mode:?} {path}");
        assert_eq!(download.data().expect("a piece").as_deref(), Some(&b"first"[..]));
        for turn in 0..20 {
            let piece = format!("piece {turn}");
            assert!(upload.send(piece.clone()));
            let mut back = Vec::new();
            while back.len() < piece.len() {
                back.extend_from_slice(&download.data().expect("a piece").expect("more"));
            }
            assert_eq!(back, piece.as_bytes(), "{mode:?} {path}");
        }
        upload.finish(None);
        assert_eq!(download.data().expect("the end"), None, "{mode:?} {path}");
    }
}

#[test]
fn head_is_fetched_as_head() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-type: text/x-one\r\ncontent-length: 12345\r\n\r\n");
    let gateway = all(&[&origin.grant()]).set("workers", 1).start();
    for mode in MODES {
        let before = origin.accepted();
        let mut raw = gateway.connect();
        for _ in 0..3 {
            raw.write(get(mode, &origin.url("/x"), "").replacen("GET", "HEAD", 1));
            let answer = raw.response_to("HEAD");
            assert_eq!(
                (answer.status, answer.field("content-type")),
                (200, Some("text/x-one")),
                "{mode:?}"
            );
            assert_eq!(answer.field("content-length"), Some("12345"), "{mode:?}");
        }
        assert_eq!(origin.last().method, "HEAD");
        assert_eq!(
            origin.accepted() - before,
            1,
            "{mode:?}: an answer without a body leaves its connection usable"
        );
    }
}

/// Waits until `count` has stood still for a while, and gives what it stands at.
#[track_caller]
fn stands_still(what: &str, count: impl Fn() -> usize) -> usize {
    let mut last = (count(), Instant::now());
    wait::until(what, || {
        let now = count();
        if now != last.0 {
            last = (now, Instant::now());
        }
        (now > 0 && last.1.elapsed() > Duration::from_millis(400)).then_some(now)
    })
}

/// What the sockets of two connections may hold together, by Linux's defaults of tcp_rmem and tcp_wmem and more.
const SOCKETS_BYTES: usize = 96 * 1024 * 1024;
/// What the gateway may hold of one body, many times over.
const HELD_BYTES: usize = 16 * 1024 * 1024;

#[test]
fn a_server_is_held_by_a_client_that_does_not_read() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some_and(|request| request.target == "/endless") {
            visit.raw.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            visit.write_forever();
        } else {
            visit
                .raw
                .write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
        }
    });
    let gateway = all(&[&origin.grant()]).start();
    for mode in MODES {
        fetch(&gateway, mode, &origin.url("/"), "").is(200);
    }
    for (mode, path) in WAYS {
        let (rss, written) = (rss_bytes(&gateway), origin.written());
        let mut raw = gateway.connect();
        raw.write(get(mode, &origin.url("/endless"), "").replacen('/', path, 1));
        assert_eq!(raw.head().expect("a head").status, 200);
        let stood = stands_still("the server to be held", || origin.written() - written);
        let grown = rss_bytes(&gateway).saturating_sub(rss);
        println!(
            "{mode:?} {path}: held after {} KiB, RSS +{} KiB",
            stood / 1024,
            grown / 1024
        );
        assert!(stood < SOCKETS_BYTES, "{mode:?} {path}: {stood} bytes");
        assert!(grown < HELD_BYTES, "{mode:?} {path}: {grown} bytes");
        // It goes on as soon as the client does.
        raw.take(4 * 1024 * 1024);
        wait::until_true("the server to go on", || origin.written() - written > stood);
        drop(raw);
        wait::until_true("the server to be left", || origin.open() == 0);
    }
}

#[test]
fn a_client_is_held_by_a_server_that_does_not_read() {
    let (gone, mut clients) = (Arc::<AtomicUsize>::default(), 0);
    let seen = Arc::clone(&gone);
    let origin = Origin::start(move |visit| {
        let before = seen.load(Ordering::SeqCst);
        visit.head();
        // What it did not read keeps the end of the connection from it: the test tells it.
        wait::until_true("the client to be gone", || seen.load(Ordering::SeqCst) > before);
    });
    let gateway = all(&[&origin.grant()]).listener_limits("{ body = '1GiB' }").start();
    for (mode, path) in WAYS {
        let rss = rss_bytes(&gateway);
        let mut sent = 0;
        let mut raw = gateway.connect();
        let target = target(&origin.url("/"), "").replacen('/', path, 1);
        raw.write(format!(
            "POST {target} HTTP/1.1\r\nhost: {}.test\r\ncontent-length: 1000000000\r\n\r\n",
            mode.name
        ));
        let pause = Some(Duration::from_millis(500));
        raw.tcp().set_write_timeout(pause).expect("a TCP option");
        let piece = vec![b'x'; 16 * 1024];
        while sent < SOCKETS_BYTES && raw.try_write(&piece).is_ok() {
            sent += piece.len();
        }
        let grown = rss_bytes(&gateway).saturating_sub(rss);
        println!(
            "{mode:?} {path}: held after {} KiB, RSS +{} KiB",
            sent / 1024,
            grown / 1024
        );
        assert!(sent < SOCKETS_BYTES, "{mode:?} {path}: nobody held the client");
        assert!(grown < HELD_BYTES, "{mode:?} {path}: {grown} bytes");
        // A reset: the end of the connection would wait behind all that was sent before it.
        SockRef::from(raw.tcp())
            .set_linger(Some(Duration::ZERO))
            .expect("a socket option");
        drop(raw);
        let labels = [("component", mode.name)];
        gateway.wait_metric("tidegate_component_outgoing_connections", &labels, 0.0);
        gateway.wait_metric("tidegate_component_instances", &labels, 0.0);
        clients += 1;
        gone.store(clients, Ordering::SeqCst);
        wait::until_true("the server to be left", || origin.open() == 0);
    }
}
