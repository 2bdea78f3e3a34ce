//! Tunnels byte by byte: what comes early, late or never, who ends first, and what is told of it afterwards.

use super::one;
use crate::support::origin::{Origin, Visit};
use crate::support::{Gateway, Raw, wait};
use rustix::process::Signal;
use serde_json::Value as Json;
use std::fs;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A handshake with the key of RFC 6455 §1.3.
const HANDSHAKE: &str = "GET /tunnel HTTP/1.1\r\nhost: ws.test\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The answer to a key.
pub(super) fn accepted(key: &str) -> String {
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {accept}\r\n\r\n"
    )
}

/// A gateway before this server; `more` is further keys of its upstream.
#[track_caller]
pub(super) fn gateway(origin: &Origin, more: &str) -> Gateway {
    Gateway::with()
        .upstream("ws", &one(origin.address, more))
        .route("{ upstream = 'ws' }")
        .start()
}

/// A server that accepts every handshake and then runs `script`.
fn accepting(script: impl Fn(&mut Visit) + Send + Sync + 'static) -> Origin {
    Origin::start(move |visit| {
        if let Some(request) = visit.request() {
            visit.raw.write(accepted(request.field("sec-websocket-key")));
            script(visit);
        }
    })
}

/// Sends back what comes, until nothing comes.
pub(super) fn echo(visit: &mut Visit) {
    loop {
        let piece = visit.raw.take(1);
        if piece.is_empty() {
            return;
        }
        visit.raw.write(piece);
    }
}

#[track_caller]
pub(super) fn open(gateway: &Gateway) -> Raw {
    let mut raw = gateway.connect();
    raw.write(HANDSHAKE);
    let head = raw.head().expect("an answer");
    assert_eq!(head.status, 101, "{head:?}");
    raw
}

#[track_caller]
fn line(gateway: &Gateway, status: u16) -> Json {
    let line = gateway.wait_access("the tunnel's line", |line| line["path"] == "/tunnel");
    assert_eq!(line["status"], status, "{line}");
    line
}

/// What is told of the one tunnel of a gateway when it has ended.
#[track_caller]
pub(super) fn ended(gateway: &Gateway, status: u16, outcome: &str, bytes_in: u64, bytes_out: u64) {
    let line = line(gateway, status);
    let said = (&line["outcome"], &line["bytes_in"], &line["bytes_out"]);
    assert_eq!(said, (&outcome.into(), &bytes_in.into(), &bytes_out.into()), "{line}");
    let lines = gateway.access().iter().filter(|line| line["path"] == "/tunnel").count();
    assert_eq!(lines, 1, "one line for one tunnel");
    gateway.wait_metric("tidegate_upstream_tunnels_open", &[], 0.0);
    gateway.wait_metric("tidegate_upstream_tunnels_total", &[("upstream", "ws")], 1.0);
    for (direction, bytes) in [("to", bytes_in), ("from", bytes_out)] {
        let labels = [("upstream", "ws"), ("direction", direction)];
        gateway.wait_metric("tidegate_upstream_tunnel_bytes_total", &labels, bytes as f64);
    }
    wait::until_true("its load to be given back", || {
        super::upstream(gateway, "ws")["requests"] == 0
    });
}

#[test]
fn bytes_that_come_with_the_handshakes_are_kept() {
    let origin = Origin::start(|visit| {
        let request = visit.request().expect("a handshake");
        let accepted = accepted(request.field("sec-websocket-key"));
        visit.raw.write(format!("{accepted}server first|"));
        assert_eq!(visit.raw.take(13), b"client first|");
        visit.raw.write("got it|");
        visit.until_closed();
    });
    let gateway = gateway(&origin, "");
    let mut raw = gateway.connect();
    raw.write(format!("{HANDSHAKE}client first|"));
    assert_eq!(raw.head().expect("an answer").status, 101);
    assert_eq!(raw.take(20), b"server first|got it|");
    let seen = origin.last();
    assert_eq!(
        (seen.field("upgrade"), seen.field("connection")),
        ("websocket", "upgrade")
    );
    assert_eq!(seen.field("sec-websocket-key"), "dGhlIHNhbXBsZSBub25jZQ==");
    raw.finish_writing();
    raw.is_closed();
    ended(&gateway, 101, "complete", 13, 20);
}

/// More than one read brings, in the packet of the handshake: nothing of it is taken for HTTP, and nothing is lost.
#[test]
fn a_great_deal_may_come_with_the_handshake() {
    const EARLY: usize = 1_000_000;
    let origin = accepting(|visit| {
        let early = visit.raw.take(EARLY);
        assert!(early.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8));
        visit.raw.write("all of it");
        visit.until_closed();
    });
    let gateway = gateway(&origin, "");
    let mut raw = gateway.connect();
    let mut bytes = HANDSHAKE.as_bytes().to_vec();
    bytes.extend((0..EARLY).map(|at| (at % 251) as u8));
    raw.write(bytes);
    assert_eq!(raw.head().expect("an answer").status, 101);
    assert_eq!(raw.take(9), b"all of it");
    drop(raw);
    ended(&gateway, 101, "complete", EARLY as u64, 9);
}

#[test]
fn either_side_may_end_first_and_still_hear_the_other() {
    let origin = accepting(|visit| {
        assert_eq!(visit.raw.rest(), b"question");
        visit.raw.write("answer");
        visit.raw.finish_writing();
    });
    let gateway = gateway(&origin, "");
    let mut raw = open(&gateway);
    raw.write("question");
    raw.finish_writing();
    assert_eq!(raw.rest(), b"answer");
    ended(&gateway, 101, "complete", 8, 6);

    let origin = accepting(|visit| {
        visit.raw.write("enough");
        visit.raw.finish_writing();
        assert_eq!(visit.raw.rest(), b"and yet");
    });
    let gateway = self::gateway(&origin, "");
    let mut raw = open(&gateway);
    assert_eq!(raw.rest(), b"enough");
    raw.write("and yet");
    raw.finish_writing();
    ended(&gateway, 101, "complete", 7, 6);
}

#[test]
fn a_silent_tunnel_is_closed_and_one_that_moves_is_not() {
    let origin = accepting(echo);
    let gateway = gateway(&origin, "timeout = { tunnel = '300ms' }");
    let mut raw = open(&gateway);
    let began = Instant::now();
    let mut moved = 0;
    // Four times as long as it may be silent.
    while began.elapsed() < Duration::from_millis(1_200) {
        raw.write("x");
        assert_eq!(raw.take(1), b"x");
        moved += 1;
    }
    let silent = Instant::now();
    raw.is_closed();
    let lasted = silent.elapsed();
    assert!(
        (Duration::from_millis(250)..Duration::from_secs(5)).contains(&lasted),
        "{lasted:?}"
    );
    ended(&gateway, 101, "tunnel-idle", moved, moved);
    wait::until_true("the server's end to be closed", || origin.open() == 0);
}

/// Only its own idle time bounds a tunnel: not the times of requests, nor those of connections.
#[test]
fn no_time_of_a_request_cuts_a_tunnel() {
    let origin = accepting(echo);
    let short = "'200ms'";
    let gateway = Gateway::with()
        .listener_limits(&format!(
            "{{ idle_timeout = {short}, body_idle_timeout = {short}, write_timeout = {short}, header_timeout = {short} }}"
        ))
        .upstream(
            "ws",
            &one(origin.address, &format!("timeout = {{ first_byte = {short}, idle = {short}, total = {short} }}")),
        )
        .route(&format!("{{ limits = {{ deadline = {short}, body_deadline = {short} }}, upstream = 'ws' }}"))
        .start();
    let mut raw = open(&gateway);
    // Requests that take longer than all of these times, so that they have passed for the tunnel too.
    let began = Instant::now();
    wait::until_true("a while to pass", || began.elapsed() > Duration::from_millis(1_500));
    raw.write("x");
    assert_eq!(raw.take(1), b"x");
    raw.finish_writing();
    raw.is_closed();
    ended(&gateway, 101, "complete", 1, 1);
}

#[test]
fn a_refused_handshake_passes_and_the_connection_lives_on() {
    let origin = Origin::start(|visit| {
        while let Some(request) = visit.request() {
            visit.raw.write(match request.target.as_str() {
                "/forbidden" => "HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\nx-why: you\r\n\r\nno\n",
                "/version" => {
                    "HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                     content-length: 0\r\n\r\n"
                }
                "/ignored" => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain",
                _ => "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext",
            });
        }
    });
    let gateway = gateway(&origin, "");
    let mut raw = gateway.connect();
    for (path, status, body) in [
        ("/forbidden", 403, "no\n"),
        ("/version", 426, ""),
        ("/ignored", 200, "plain"),
    ] {
        raw.write(HANDSHAKE.replace("/tunnel", path));
        let answer = raw.response();
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{path}");
        raw.write("GET /next HTTP/1.1\r\nhost: ws.test\r\n\r\n");
        assert_eq!(raw.response().text(), "next", "behind {path}");
        assert!(origin.last().fields("upgrade").is_empty());
    }
    // A request behind the handshake waits until it is known that it is one.
    raw.write(format!(
        "{}GET /next HTTP/1.1\r\nhost: ws.test\r\n\r\n",
        HANDSHAKE.replace("/tunnel", "/forbidden")
    ));
    assert_eq!((raw.response().status, raw.response().text().as_str()), (403, "next"));
    assert_eq!(origin.accepted(), 1, "the server's connection lives on too");
    assert_eq!(gateway.metric("tidegate_upstream_tunnels_total", &[]), 0.0);
}

#[test]
fn only_websockets_are_upgrades() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let gateway = Gateway::with()
        .upstream("ws", &one(origin.address, ""))
        .route("{ path = '/without', websocket = false, upstream = 'ws' }")
        .route("{ upstream = 'ws' }")
        .start();
    let mut raw = gateway.connect();
    let h2c = "upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nconnection: upgrade, http2-settings\r\n";
    for (path, fields) in [
        ("/", h2c),
        ("/", "upgrade: TLS/1.2\r\nconnection: upgrade\r\n"),
        ("/", "upgrade: websocket\r\n"),
        (
            "/without",
            "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n",
        ),
    ] {
        raw.write(format!("GET {path} HTTP/1.1\r\nhost: ws.test\r\n{fields}\r\n"));
        assert_eq!(raw.response().text(), "ok", "{fields}");
        let seen = origin.last();
        for name in ["upgrade", "connection", "http2-settings"] {
            assert!(seen.fields(name).is_empty(), "{fields}: {seen:?}");
        }
    }
    // By another method it is none either (RFC 6455 §4.1).
    raw.write(
        HANDSHAKE
            .replace("GET /tunnel", "POST /tunnel")
            .replace("\r\n\r\n", "\r\ncontent-length: 0\r\n\r\n"),
    );
    assert_eq!(raw.response().text(), "ok");
    assert!(origin.last().fields("upgrade").is_empty());
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn an_answer_that_is_no_handshake_is_a_fault_of_the_server() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ] {
        let origin = Origin::start(move |visit| {
            visit.request();
            visit.raw.write(answer);
            visit.until_closed();
        });
        let gateway = gateway(&origin, "");
        let mut raw = gateway.connect();
        raw.write(HANDSHAKE);
        raw.response().is_fault(502, "upstream-protocol");
        wait::until_true("the server's connection to be closed", || origin.open() == 0);
        assert_eq!(gateway.metric("tidegate_upstream_tunnels_total", &[]), 0.0);
    }
}

#[test]
fn a_client_that_is_gone_takes_the_servers_end_with_it_and_the_other_way_round() {
    // By a FIN and by a reset.
    for is_reset in [false, true] {
        let origin = accepting(echo);
        let gateway = gateway(&origin, "");
        let mut raw = open(&gateway);
        raw.write("x");
        assert_eq!(raw.take(1), b"x");
        if is_reset {
            socket2::SockRef::from(raw.tcp())
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
        drop(raw);
        wait::until_true("the server's end to be closed", || origin.open() == 0);
        ended(&gateway, 101, if is_reset { "client-gone" } else { "complete" }, 1, 1);
    }
    for is_reset in [false, true] {
        let origin = accepting(move |visit| {
            visit.raw.write("bye");
            visit.until_taken();
            if is_reset {
                assert_eq!(visit.raw.take(1), b"x");
                visit.reset();
            }
        });
        let gateway = gateway(&origin, "");
        let mut raw = open(&gateway);
        assert_eq!(raw.take(3), b"bye");
        raw.write("x");
        raw.is_closed();
        let line = line(&gateway, 101);
        if is_reset {
            assert_eq!(line["outcome"], "upstream-closed", "{line}");
        }
        gateway.wait_metric("tidegate_upstream_tunnels_open", &[], 0.0);
    }
}

#[test]
fn a_tunnel_that_is_open_when_the_gateway_ends_is_cut_at_the_deadline() {
    let origin = accepting(echo);
    let mut gateway = Gateway::with()
        .set("drain", "700ms")
        .upstream("ws", &one(origin.address, ""))
        .route("{ upstream = 'ws' }")
        .start();
    let mut raw = open(&gateway);
    raw.write("before");
    assert_eq!(raw.take(6), b"before");
    gateway.wait_metric("tidegate_upstream_tunnels_open", &[], 1.0);
    gateway.signal(Signal::TERM);
    let told = Instant::now();
    gateway.wait_log("the drain", |line| line.to_string().contains("draining"));
    raw.write("during");
    assert_eq!(raw.take(6), b"during", "it is served until then");
    raw.is_closed();
    let lasted = told.elapsed();
    assert!(lasted > Duration::from_millis(500), "{lasted:?}");
    assert_eq!(gateway.wait().code(), Some(0));
    let line = line(&gateway, 101);
    assert_eq!(
        (&line["outcome"], &line["bytes_in"], &line["bytes_out"]),
        (&"shutdown".into(), &12.into(), &12.into()),
        "{line}"
    );
}

/// A tunnel is counted while it lasts, and its bytes as they pass: it may last for days.
#[test]
fn an_open_tunnel_can_be_seen() {
    let origin = accepting(echo);
    let gateway = gateway(&origin, "");
    let mut raw = open(&gateway);
    raw.write("seen");
    assert_eq!(raw.take(4), b"seen");
    gateway.wait_metric("tidegate_upstream_tunnels_open", &[("upstream", "ws")], 1.0);
    for direction in ["to", "from"] {
        gateway.wait_metric("tidegate_upstream_tunnel_bytes_total", &[("direction", direction)], 4.0);
    }
    let upstream = super::upstream(&gateway, "ws");
    assert_eq!(
        (&upstream["requests"], &upstream["servers"][0]["requests"]),
        (&1.into(), &1.into())
    );
    assert_eq!(upstream["servers"][0]["connections"], 1, "{upstream:#}");
    assert!(gateway.access().is_empty(), "its line comes at its end");
}

/// A tunnel keeps its place among the connections to its server.
#[test]
fn tunnels_are_connections() {
    let origin = accepting(echo);
    let gateway = gateway(
        &origin,
        "limits = { connections = 1, pending = 0 }, retry = { attempts = 0 }",
    );
    let first = open(&gateway);
    let mut second = gateway.connect();
    second.write(HANDSHAKE);
    second.response().is_fault(503, "upstream-busy");
    drop(first);
    wait::until_true("its place to be free", || {
        let mut raw = gateway.connect();
        raw.write(HANDSHAKE);
        raw.head().expect("an answer").status == 101
    });
}

/// A side that does not read stops the other one: nothing piles up in the gateway.
#[test]
fn a_tunnel_holds_little() {
    let origin = accepting(|visit| visit.write_forever());
    let gateway = gateway(&origin, "");
    let rss = || {
        let text = fs::read_to_string(format!("/proc/{}/statm", gateway.pid())).unwrap();
        text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    let before = rss();
    let raw = open(&gateway);
    let (mut last, mut since) = (0, Instant::now());
    wait::until_true("the server to be stopped", || {
        if origin.written() != last {
            (last, since) = (origin.written(), Instant::now());
        }
        last > 0 && since.elapsed() > Duration::from_millis(500)
    });
    let grown = rss().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more for {last} that nobody reads");
    drop(raw);
    wait::until_true("the server's end to be closed", || origin.open() == 0);
}
