//! Answers that must not pass, and odd ones that must: the next request gets its own, whatever came before it.

use super::told::nothing_is_wrong;
use super::{ONCE, api, get, head, is_own, is_quiet, ok, own, upstream};
use crate::golden::responses::{Asked, BAD, Bad, Ends, GOOD, Good, Harm};
use crate::support::certs::Authority;
use crate::support::origin::{Origin, Received, Visit};
use crate::support::{Client, End, Gateway, Protocol, Raw, Response, wait};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Bodies of at most these bytes stand before what is wrong with them.
const BEFORE_FAULT: [&[u8]; 2] = [b"hello", &[b'x'; 300]];
/// Bad answers whose good part is without a body.
const EMPTY: [&str; 4] = [
    "length-zero-body",
    "chunks-then-chunk",
    "chunks-then-response",
    "upgrade-refused-frames",
];

/// A server that answers `/bad/N` and `/good/N` out of the tables.
struct Table {
    origin: Origin,
    /// Requests that came behind an answer after which none may come.
    reused: Arc<AtomicUsize>,
}

/// How a server sends what is in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// At once, and then it waits for what is done about it.
    AtOnce,
    /// At once, and then it closes.
    AndCloses,
    /// One byte after the other.
    InPieces,
    /// At once, over TLS.
    OverTls,
}

impl Way {
    const ALL: [Self; 4] = [Self::AtOnce, Self::AndCloses, Self::InPieces, Self::OverTls];
}

impl Table {
    /// With the gateway before it.
    fn start(way: Way) -> (Self, Gateway) {
        let reused = Arc::<AtomicUsize>::default();
        let seen = Arc::clone(&reused);
        let script = move |visit: &mut Visit| serve(visit, way, &seen);
        let builder = api(&[], "");
        let (origin, tls) = if way == Way::OverTls {
            let authority = Authority::new();
            let file = authority.write(builder.folder());
            let origin = Origin::start_tls(authority.sign(&["127.0.0.1"]).server(&["http/1.1"]), script);
            (origin, format!(", tls = {{ ca = '{}' }}", file.display()))
        } else {
            (Origin::start(script), String::new())
        };
        let upstream = upstream(&[origin.address], &format!("{ONCE}{tls}"));
        let gateway = builder.upstream("api", &upstream).set("workers", 1).start();
        (Self { origin, reused }, gateway)
    }

    fn is_never_reused(&self) {
        assert_eq!(
            self.reused.load(Ordering::SeqCst),
            0,
            "a spoiled connection had a request"
        );
        wait::until_true("spoiled connections to be closed", || self.origin.open() <= 1);
    }
}

fn serve(visit: &mut Visit, way: Way, reused: &AtomicUsize) {
    while let Some(request) = visit.request() {
        if serve_one(visit, &request, way == Way::InPieces) {
            continue;
        }
        if request.target.starts_with("/bad/") && way != Way::AndCloses && visit.request().is_some() {
            reused.fetch_add(1, Ordering::SeqCst);
        }
        return;
    }
}

/// Answers out of the tables, or with the request's own name. Whether the connection goes on.
pub(super) fn serve_one(visit: &mut Visit, request: &Received, in_pieces: bool) -> bool {
    let write = |visit: &mut Visit, bytes: &[u8]| {
        // What is only long is long in any pieces.
        let piece = if in_pieces && bytes.len() < 1000 {
            1
        } else {
            bytes.len()
        };
        bytes.chunks(piece).for_each(|piece| visit.raw.write(piece));
    };
    let number = |prefix: &str| -> Option<usize> { request.target.strip_prefix(prefix)?.parse().ok() };
    if let Some(at) = number("/bad/") {
        write(visit, BAD[at].bytes);
        return false;
    }
    let Some(at) = number("/good/") else {
        visit.raw.write(own(request));
        return true;
    };
    write(visit, GOOD[at].bytes);
    if GOOD[at].ends == Ends::Http {
        visit.until_closed();
    }
    GOOD[at].ends == Ends::Itself
}

fn request(asked: Asked, target: &str) -> (&'static str, String) {
    match asked {
        Asked::Get => ("GET", get(target)),
        Asked::Head => ("HEAD", head("HEAD", target, "")),
        Asked::Upgrade => (
            "GET",
            head("GET", target, "connection: upgrade\r\nupgrade: websocket\r\n"),
        ),
    }
}

/// What the good part of a bad answer is: status and body.
fn good_part(case: &Bad) -> (u16, &'static [u8]) {
    let status = std::str::from_utf8(&case.bytes[9..12]).unwrap().parse().unwrap();
    let is_empty = status != 200 || case.asked == Asked::Head || EMPTY.contains(&case.name);
    (status, if is_empty { b"" } else { b"hello" })
}

/// What is wrong with the answer a client of HTTP/1.1 got, if something is.
fn misjudged(case: &Bad, answer: Option<&Response>) -> Option<String> {
    let is_right = answer.is_some_and(|answer| match case.harm {
        Harm::Head => {
            let code = answer.field("tidegate-error");
            (answer.status, code, answer.end) == (502, Some("upstream-protocol"), End::Complete)
        }
        Harm::Body => {
            let is_before = BEFORE_FAULT.iter().any(|known| known.starts_with(&answer.body));
            (answer.status, answer.end) == (200, End::Cut) && is_before
        }
        Harm::Behind => (answer.status, answer.body.as_slice()) == good_part(case) && answer.end == End::Complete,
    });
    (!is_right).then(|| format!("{}: {answer:?}", case.name))
}

#[test]
fn a_bad_answer_is_told_as_such_and_spoils_nothing_else() {
    for way in Way::ALL {
        let (table, gateway) = Table::start(way);
        let mut wrong = Vec::new();
        let mut raw = gateway.connect();
        for (at, case) in BAD.iter().enumerate() {
            if way == Way::InPieces && case.harm == Harm::Behind {
                // What comes when the next request is on its way may be its answer, for all that anybody can tell.
                continue;
            }
            let (method, request) = request(case.asked, &format!("/bad/{at}"));
            raw.write(request);
            let answer = raw.head().map(|mut answer| {
                raw.body(&mut answer, method);
                answer
            });
            wrong.extend(misjudged(case, answer.as_ref()));
            if answer.is_none_or(|answer| answer.end != End::Complete) {
                raw.is_closed();
                raw = gateway.connect();
            }
            is_own(&mut raw, &format!("/own/{at}"));
        }
        println!("{way:?}");
        nothing_is_wrong(&wrong, BAD.len());
        table.is_never_reused();
        is_quiet(&gateway);
    }
}

#[test]
fn a_bad_answer_to_one_stream_is_told_to_that_stream() {
    let (table, gateway) = Table::start(Way::AtOnce);
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let mut wrong = Vec::new();
    for (at, case) in BAD.iter().enumerate().filter(|(_, case)| case.asked != Asked::Upgrade) {
        let (method, _) = request(case.asked, "");
        let head = client.request(method, super::HOST, &format!("/bad/{at}"));
        let answer = client.send(head, b"");
        let is_right = match (&answer, case.harm) {
            (Ok(answer), Harm::Head) => {
                (answer.status, answer.field("tidegate-error")) == (502, Some("upstream-protocol"))
            }
            (Err(broken), Harm::Body) => broken.reset == Some(h2::Reason::INTERNAL_ERROR),
            (Ok(answer), Harm::Behind) => (answer.status, answer.body.as_slice()) == good_part(case),
            _ => false,
        };
        if !is_right {
            wrong.push(format!("{}: {answer:?}", case.name));
        }
        let own = client.get(super::HOST, &format!("/own/{at}"));
        assert_eq!(
            (own.status, own.text()),
            (200, format!("GET /own/{at}")),
            "after {}",
            case.name
        );
    }
    nothing_is_wrong(&wrong, BAD.len());
    table.is_never_reused();
}

/// Whether the server's connection is good for another request behind this answer.
fn is_kept(case: &Good) -> bool {
    let closes = ["length-closes", "version-1.0-length", "version-1.0-kept", "100-1.0"];
    case.ends == Ends::Itself && !closes.contains(&case.name)
}

#[test]
fn odd_and_valid_answers_pass() {
    for way in [Way::AtOnce, Way::InPieces] {
        let (table, gateway) = Table::start(way);
        let wrong: Vec<_> = GOOD
            .iter()
            .enumerate()
            .flat_map(|(at, case)| misjudged_good(&table, &gateway, at, case))
            .collect();
        println!("{way:?}");
        nothing_is_wrong(&wrong, GOOD.len());
    }
}

/// What is wrong with the answer a client of HTTP/1.1 got, and with what came behind it.
fn misjudged_good(table: &Table, gateway: &Gateway, at: usize, case: &Good) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut raw = gateway.connect();
    is_own(&mut raw, "/before");
    let before = table.origin.accepted();
    let (method, request) = request(case.asked, &format!("/good/{at}"));
    raw.write(request);
    let Some(mut answer) = raw.head() else {
        return vec![format!("{}: no answer", case.name)];
    };
    if answer.status == 101 {
        answer.body = raw.take(case.body.len());
    } else {
        raw.body(&mut answer, method);
    }
    let is_tunnel = case.ends == Ends::Http;
    // Whoever asks for a WebSocket gets no other protocol.
    let is_other = is_tunnel && memchr::memmem::find(case.bytes, b"websocket").is_none();
    let status = if is_other { 502 } else { case.status };
    let is_right = (answer.status, answer.end) == (status, End::Complete) && (is_other || answer.body == case.body);
    if !is_right {
        wrong.push(format!("{}: {answer:?}", case.name));
    }
    if is_tunnel && !is_other {
        return wrong;
    }
    raw.write(get("/behind"));
    match raw.try_response() {
        Some(behind) if behind.status == 200 && behind.text() == "GET /behind" => {}
        behind => wrong.push(format!("{}: behind it came {behind:?}", case.name)),
    }
    let is_same = table.origin.accepted() == before;
    if is_same != is_kept(case) {
        wrong.push(format!("{}: the server's connection was kept: {is_same}", case.name));
    }
    wrong
}

#[test]
fn odd_and_valid_answers_pass_to_streams() {
    let (_table, gateway) = Table::start(Way::AtOnce);
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let mut wrong = Vec::new();
    for (at, case) in GOOD.iter().enumerate().filter(|(_, case)| case.asked != Asked::Upgrade) {
        let (method, _) = request(case.asked, "");
        let head = client.request(method, super::HOST, &format!("/good/{at}"));
        match client.send(head, b"") {
            Ok(answer) if (answer.status, answer.body.as_slice()) == (case.status, case.body) => {}
            answer => wrong.push(format!("{}: {answer:?}", case.name)),
        }
    }
    nothing_is_wrong(&wrong, GOOD.len());
}

#[test]
fn lengths_of_bodies_that_are_not_sent_are_passed_on() {
    let (_table, gateway) = Table::start(Way::AtOnce);
    for (name, length) in [("head-length", "500"), ("head-404", "9"), ("head-interim", "9")] {
        let at = GOOD.iter().position(|case| case.name == name).unwrap();
        let (method, request) = request(GOOD[at].asked, &format!("/good/{at}"));
        let mut raw = gateway.connect();
        raw.write(request);
        let answer = raw.response_to(method);
        assert_eq!(answer.field("content-length"), Some(length), "{name}: {answer:?}");
        is_own(&mut raw, "/behind");
    }
}

#[test]
fn what_comes_to_an_idle_connection_answers_nobody() {
    let (may_speak, spoken) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let (speak, count) = (Arc::clone(&may_speak), Arc::clone(&spoken));
    let origin = Origin::start(move |visit| {
        let Some(request) = visit.request() else { return };
        visit.raw.write(own(&request));
        visit.until(|| speak.load(Ordering::SeqCst));
        visit.raw.write(ok("forged"));
        // The gateway closes what spoke out of turn.
        visit.until_closed();
        count.fetch_add(1, Ordering::SeqCst);
    });
    let gateway: Gateway = api(&[origin.address], ONCE).set("workers", 1).start();
    let mut raw: Raw = gateway.connect();
    let mut client = Client::connect(Protocol::H2, gateway.address());
    for round in 0..10 {
        may_speak.store(false, Ordering::SeqCst);
        let target = format!("/{round}");
        if round % 2 == 0 {
            is_own(&mut raw, &target);
        } else {
            assert_eq!(client.get(super::HOST, &target).text(), format!("GET {target}"));
        }
        may_speak.store(true, Ordering::SeqCst);
        wait::until_true("the connection to be closed", || {
            spoken.load(Ordering::SeqCst) == round + 1
        });
    }
    assert_eq!((origin.accepted(), origin.received_count()), (10, 10));
    is_quiet(&gateway);
}

/// Clients of HTTP/1.0 know no chunks: their answers end with the connection where no length is known.
#[test]
fn answers_to_old_clients() {
    let (_table, gateway) = Table::start(Way::AtOnce);
    for (name, length, body) in [
        ("plain", Some("5"), "hello"),
        ("chunks", None, "hello0123456789"),
        ("trailers", None, "hello"),
        ("version-1.0-length", Some("5"), "hello"),
        ("version-1.0-close", None, "hello"),
        ("interims", Some("0"), ""),
    ] {
        let at = GOOD.iter().position(|case| case.name == name).unwrap();
        let mut raw = gateway.connect();
        raw.write(format!("GET /good/{at} HTTP/1.0\r\nhost: api.test\r\n\r\n"));
        let mut answer = raw.head().expect("an answer");
        assert_eq!(answer.field("transfer-encoding"), None, "{name}: {answer:?}");
        assert_eq!(answer.field("content-length"), length, "{name}: {answer:?}");
        raw.body(&mut answer, "GET");
        assert_eq!(answer.is(200).text(), body, "{name}");
        raw.is_closed();
    }
}
