//! Tunnels in streams of an HTTP/2 connection: each ends by itself, and takes nothing else with it.

use super::one;
use super::tunnels::{accepted, echo, ended, gateway};
use crate::support::origin::{Origin, Visit};
use crate::support::streams::Streams;
use crate::support::{Gateway, wait};
use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// A server that accepts every handshake and then runs `script`.
fn accepting(script: impl Fn(&mut Visit) + Send + Sync + 'static) -> Origin {
    Origin::start(move |visit| {
        while let Some(request) = visit.request() {
            if request.fields("upgrade").is_empty() {
                visit.raw.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain");
                continue;
            }
            visit.raw.write(accepted(request.field("sec-websocket-key")));
            return script(visit);
        }
    })
}

/// One tunnel from the client's side.
struct Tunnel {
    to: SendStream<Bytes>,
    from: RecvStream,
}

#[track_caller]
fn open(streams: &mut Streams) -> Tunnel {
    let asked = streams.websocket("/tunnel").expect("a stream");
    let (answer, to) = streams.head(asked).expect("an answer");
    assert_eq!(answer.status(), 200, "{answer:?}");
    let from = answer.into_body();
    Tunnel { to, from }
}

impl Tunnel {
    fn send(&mut self, bytes: &'static str, is_end: bool) {
        self.to.send_data(bytes.into(), is_end).expect("the stream takes data");
    }

    /// Exactly these bytes, however they are cut.
    #[track_caller]
    fn brings(&mut self, streams: &Streams, bytes: &str) {
        let mut got = Vec::new();
        while got.len() < bytes.len() {
            let data = streams.data(&mut self.from).expect("the stream is whole");
            got.extend_from_slice(&data.expect("more is to come"));
        }
        assert_eq!(String::from_utf8_lossy(&got), bytes);
    }

    /// The end of the stream, or the reason it was reset for. Both are the same to a WebSocket, whose own frames say
    /// whether it was closed or cut.
    #[track_caller]
    fn end(&mut self, streams: &Streams) -> Option<Reason> {
        match streams.data(&mut self.from) {
            Ok(data) => {
                assert_eq!(data, None);
                None
            }
            Err(error) => error.reason(),
        }
    }
}

/// The connection still serves.
#[track_caller]
fn lives_on(streams: &mut Streams) {
    assert_eq!(streams.get("ws", "/next").expect("an answer"), (200, b"plain".to_vec()));
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
    let mut streams = Streams::connect(gateway.address());
    let mut asked = streams.websocket("/tunnel").expect("a stream");
    // Before there is an answer.
    asked
        .upload
        .send_data("client first|".into(), false)
        .expect("the stream takes data");
    let (answer, to) = streams.head(asked).expect("an answer");
    assert_eq!(answer.status(), 200);
    let from = answer.into_body();
    let mut tunnel = Tunnel { to, from };
    tunnel.brings(&streams, "server first|got it|");
    tunnel.send("", true);
    assert_eq!(tunnel.end(&streams), None);
    ended(&gateway, 200, "complete", 13, 20);
}

#[test]
fn either_side_may_end_first_and_still_hear_the_other() {
    let origin = accepting(|visit| {
        assert_eq!(visit.raw.rest(), b"question");
        visit.raw.write("answer");
    });
    let gateway = gateway(&origin, "");
    let mut streams = Streams::connect(gateway.address());
    let mut tunnel = open(&mut streams);
    tunnel.send("question", true);
    tunnel.brings(&streams, "answer");
    assert_eq!(tunnel.end(&streams), None);
    ended(&gateway, 200, "complete", 8, 6);
    lives_on(&mut streams);

    let origin = accepting(|visit| {
        visit.raw.write("enough");
        visit.raw.finish_writing();
        assert_eq!(visit.raw.rest(), b"and yet");
    });
    let gateway = self::gateway(&origin, "");
    let mut streams = Streams::connect(gateway.address());
    let mut tunnel = open(&mut streams);
    tunnel.brings(&streams, "enough");
    assert_eq!(tunnel.end(&streams), None);
    tunnel.send("and yet", true);
    ended(&gateway, 200, "complete", 7, 6);
    lives_on(&mut streams);
}

#[test]
fn a_silent_tunnel_is_closed_and_its_connection_is_not() {
    let origin = accepting(echo);
    let gateway = gateway(&origin, "timeout = { tunnel = '300ms' }");
    let mut streams = Streams::connect(gateway.address());
    let mut tunnel = open(&mut streams);
    tunnel.send("x", false);
    tunnel.brings(&streams, "x");
    let silent = Instant::now();
    tunnel.end(&streams);
    let lasted = silent.elapsed();
    assert!(
        (Duration::from_millis(250)..Duration::from_secs(5)).contains(&lasted),
        "{lasted:?}"
    );
    ended(&gateway, 200, "tunnel-idle", 1, 1);
    wait::until_true("the server's end to be closed", || origin.open() == 0);
    lives_on(&mut streams);
}

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
            &one(
                origin.address,
                &format!("timeout = {{ first_byte = {short}, idle = {short}, total = {short} }}"),
            ),
        )
        .route(&format!("{{ limits = {{ deadline = {short}, body_deadline = {short} }}, upstream = 'ws' }}"))
        .start();
    let mut streams = Streams::connect(gateway.address());
    let mut tunnel = open(&mut streams);
    let began = Instant::now();
    wait::until_true("a while to pass", || began.elapsed() > Duration::from_millis(1_500));
    tunnel.send("x", true);
    tunnel.brings(&streams, "x");
    assert_eq!(tunnel.end(&streams), None);
    ended(&gateway, 200, "complete", 1, 1);
}

#[test]
fn a_server_has_to_answer_to_the_key() {
    for accept in ["", "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"] {
        let origin = Origin::start(move |visit| {
            while let Some(request) = visit.request() {
                visit.raw.write(match request.target.as_str() {
                    "/next" => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain".to_owned(),
                    _ => format!(
                        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n{accept}\r\n"
                    ),
                });
            }
        });
        let gateway = gateway(&origin, "");
        let mut streams = Streams::connect(gateway.address());
        let asked = streams.websocket("/tunnel").expect("a stream");
        let (answer, _to) = streams.head(asked).expect("an answer");
        assert_eq!(answer.status(), 502);
        assert_eq!(answer.headers()["tidegate-error"], "upstream-protocol");
        lives_on(&mut streams);
        assert_eq!(gateway.metric("tidegate_upstream_tunnels_total", &[]), 0.0);
        wait::until_true("its connection to be closed", || origin.open() <= 1);
    }
}

/// A stream that is reset, a connection that is closed, a server that is gone.
#[test]
fn whoever_is_gone_takes_the_other_end_with_it_and_nothing_else() {
    let origin = accepting(echo);
    // What a browser resets a stream with that it is done with is as good as its end.
    for (reason, outcome) in [(Reason::CANCEL, "complete"), (Reason::INTERNAL_ERROR, "client-gone")] {
        let gateway = self::gateway(&origin, "");
        let mut streams = Streams::connect(gateway.address());
        let mut tunnel = open(&mut streams);
        tunnel.send("x", false);
        tunnel.brings(&streams, "x");
        tunnel.to.send_reset(reason);
        ended(&gateway, 200, outcome, 1, 1);
        lives_on(&mut streams);
        wait::until_true("the server's end to be closed", || origin.open() == 1);
    }

    let gateway = gateway(&origin, "");
    let mut streams = Streams::connect(gateway.address());
    let mut tunnel = open(&mut streams);
    tunnel.send("x", false);
    tunnel.brings(&streams, "x");
    drop(streams);
    ended(&gateway, 200, "client-gone", 1, 1);

    let dying = accepting(|visit| {
        visit.raw.write("bye");
        visit.until_taken();
        assert_eq!(visit.raw.take(1), b"x");
        visit.reset();
    });
    let gateway = self::gateway(&dying, "");
    let mut streams = Streams::connect(gateway.address());
    let mut tunnel = open(&mut streams);
    tunnel.brings(&streams, "bye");
    tunnel.send("x", false);
    tunnel.end(&streams);
    ended(&gateway, 200, "upstream-closed", 1, 3);
}

#[test]
fn a_tunnel_that_is_open_when_the_gateway_ends_is_cut_at_the_deadline() {
    let origin = accepting(echo);
    let mut gateway = Gateway::with()
        .set("drain", "700ms")
        .upstream("ws", &one(origin.address, ""))
        .route("{ upstream = 'ws' }")
        .start();
    let mut streams = Streams::connect(gateway.address());
    let mut tunnel = open(&mut streams);
    tunnel.send("before", false);
    tunnel.brings(&streams, "before");
    gateway.signal(Signal::TERM);
    let told = Instant::now();
    gateway.wait_log("the drain", |line| line.to_string().contains("draining"));
    tunnel.send("during", false);
    tunnel.brings(&streams, "during");
    tunnel.end(&streams);
    assert!(told.elapsed() > Duration::from_millis(500), "{:?}", told.elapsed());
    assert_eq!(gateway.wait().code(), Some(0));
    let line = gateway.wait_access("the tunnel's line", |line| line["path"] == "/tunnel");
    let said = (&line["outcome"], &line["bytes_in"], &line["bytes_out"]);
    assert_eq!(said, (&"shutdown".into(), &12.into(), &12.into()), "{line}");
}

/// A hundred tunnels one after the other, and a hundred at once, on one connection.
#[test]
fn a_connection_has_room_for_many() {
    let origin = accepting(echo);
    let gateway = gateway(&origin, "");
    let mut streams = Streams::connect(gateway.address());
    for _ in 0..100 {
        let mut tunnel = open(&mut streams);
        tunnel.send("x", true);
        tunnel.brings(&streams, "x");
        assert_eq!(tunnel.end(&streams), None);
    }
    let mut all: Vec<_> = (0..100).map(|_| open(&mut streams)).collect();
    for tunnel in &mut all {
        tunnel.send("y", false);
    }
    gateway.wait_metric("tidegate_upstream_tunnels_open", &[], 100.0);
    for tunnel in &mut all {
        tunnel.brings(&streams, "y");
    }
    lives_on(&mut streams);
    drop(all);
    gateway.wait_metric("tidegate_upstream_tunnels_open", &[], 0.0);
    gateway.wait_metric("tidegate_upstream_tunnels_total", &[], 200.0);
    lives_on(&mut streams);
}
