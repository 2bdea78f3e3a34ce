//! Servers that fail, at each step of an exchange: the client is told what happened, or can tell that its answer is not
//! whole.

use super::told::{Fault, Told, at_once, nothing_is_wrong, slowly};
use super::{HOST, ONCE, SHORT, SHORT_TIME, api, failed, get, in_time, is_quiet, responses, upstream};
use crate::support::certs::Authority;
use crate::support::origin::{Full, Origin, Visit, nowhere};
use crate::support::{Client, End, Gateway, Protocol, wait};
use std::net::SocketAddr;
use std::time::Duration;

const LENGTH: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const UNTIL_CLOSE: &str = "HTTP/1.1 200 OK\r\n\r\n";

/// Says it, and then nothing.
fn stalls(visit: &mut Visit, text: &str) {
    visit.raw.write(text);
    visit.until_closed();
}

/// Says it, and resets the connection.
fn resets(visit: &mut Visit, text: &str) {
    visit.raw.write(text);
    visit.until_taken();
    visit.reset();
}

/// Says it again and again.
fn trickles(visit: &mut Visit, text: &str) {
    while visit.raw.try_write(text).is_ok() {
        // The server's own pace.
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

const GATEWAY: Told = Told::Status(502);
const TIMEOUT: Told = Told::Status(504);

pub(super) static FAULTS: [Fault<fn(&mut Visit)>; 29] = [
    at_once("/closes", GATEWAY, "upstream-closed", |_| {}),
    at_once("/resets", GATEWAY, "upstream-closed", |visit| visit.reset()),
    slowly("/stalls", TIMEOUT, "upstream-first-byte", |visit| stalls(visit, "")),
    at_once("/head-closes", GATEWAY, "upstream-closed", |visit| {
        visit.raw.write("HTTP/1.1 200 OK\r\nx-a: b\r\n");
    }),
    at_once("/head-resets", GATEWAY, "upstream-closed", |visit| {
        resets(visit, "HTTP/1.1 200 OK\r\nx-a: b\r\n");
    }),
    slowly("/head-stalls", TIMEOUT, "upstream-first-byte", |visit| {
        stalls(visit, "HTTP/1.1 200 OK\r\nx-a: b\r\n");
    }),
    slowly("/head-trickles", TIMEOUT, "upstream-first-byte", |visit| {
        visit.raw.write("HTTP/1.1 200 OK\r\n");
        trickles(visit, "x-a: b\r\n");
    }),
    at_once("/interim-closes", GATEWAY, "upstream-closed", |visit| {
        visit.raw.write("HTTP/1.1 103 Early Hints\r\n\r\n");
    }),
    slowly("/interim-stalls", TIMEOUT, "upstream-first-byte", |visit| {
        stalls(visit, "HTTP/1.1 103 Early Hints\r\n\r\n");
    }),
    at_once("/length-closes", Told::Cut(""), "upstream-closed", |visit| {
        visit.raw.write(LENGTH);
    }),
    at_once("/length-resets", Told::Cut(""), "upstream-closed", |visit| {
        resets(visit, LENGTH)
    }),
    slowly("/length-stalls", Told::Cut(""), "upstream-idle", |visit| {
        stalls(visit, LENGTH)
    }),
    at_once("/half-closes", Told::Cut("some"), "upstream-closed", |visit| {
        visit.raw.write(format!("{LENGTH}some"));
    }),
    at_once("/half-resets", Told::Cut("some"), "upstream-closed", |visit| {
        resets(visit, &format!("{LENGTH}some"));
    }),
    slowly("/half-stalls", Told::Cut("some"), "upstream-idle", |visit| {
        stalls(visit, &format!("{LENGTH}some"));
    }),
    at_once("/one-byte-less", Told::Cut("something"), "upstream-closed", |visit| {
        visit.raw.write(format!("{LENGTH}something"));
    }),
    at_once("/chunks-close", Told::Cut("some"), "upstream-closed", |visit| {
        visit.raw.write(format!("{CHUNKED}4\r\nsome\r\n"));
    }),
    at_once("/chunks-reset", Told::Cut("some"), "upstream-closed", |visit| {
        resets(visit, &format!("{CHUNKED}4\r\nsome\r\n"));
    }),
    slowly("/chunks-stall", Told::Cut("some"), "upstream-idle", |visit| {
        stalls(visit, &format!("{CHUNKED}4\r\nsome\r\n"));
    }),
    at_once("/chunk-line-closes", Told::Cut("some"), "upstream-closed", |visit| {
        visit.raw.write(format!("{CHUNKED}4\r\nsome\r\n5"));
    }),
    at_once("/chunk-closes", Told::Cut("someth"), "upstream-closed", |visit| {
        visit.raw.write(format!("{CHUNKED}4\r\nsome\r\n5\r\nth"));
    }),
    slowly("/chunk-stalls", Told::Cut("someth"), "upstream-idle", |visit| {
        stalls(visit, &format!("{CHUNKED}4\r\nsome\r\n5\r\nth"));
    }),
    at_once("/last-chunk-closes", Told::Cut("some"), "upstream-closed", |visit| {
        visit.raw.write(format!("{CHUNKED}4\r\nsome\r\n0\r\n"));
    }),
    at_once("/trailers-close", Told::Cut("some"), "upstream-closed", |visit| {
        visit.raw.write(format!("{CHUNKED}4\r\nsome\r\n0\r\nx-sum: 1\r\n"));
    }),
    slowly("/trailers-stall", Told::Cut("some"), "upstream-idle", |visit| {
        stalls(visit, &format!("{CHUNKED}4\r\nsome\r\n0\r\nx-sum: 1\r\n"));
    }),
    at_once("/until-close-resets", Told::Cut("some"), "upstream-closed", |visit| {
        resets(visit, &format!("{UNTIL_CLOSE}some"));
    }),
    at_once("/old-resets", Told::Cut("some"), "upstream-closed", |visit| {
        resets(visit, "HTTP/1.0 200 OK\r\n\r\nsome");
    }),
    at_once("/old-closes", Told::Cut("some"), "upstream-closed", |visit| {
        visit.raw.write("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nsome");
    }),
    slowly("/until-close-stalls", Told::Cut("some"), "upstream-idle", |visit| {
        stalls(visit, &format!("{UNTIL_CLOSE}some"));
    }),
];

/// Fails in the way the target says; others are answered with their name, or out of the tables.
pub(super) fn faulty(visit: &mut Visit) {
    while let Some(request) = visit.request() {
        if let Some(fault) = FAULTS.iter().find(|fault| fault.target == request.target) {
            return (fault.script)(visit);
        }
        if !responses::serve_one(visit, &request, false) {
            return;
        }
    }
}

#[test]
fn each_fault_is_told_to_clients_of_http1() {
    let origin = Origin::start(faulty);
    let gateway = api(&[origin.address], &format!("{SHORT}{ONCE}")).start();
    let mut wrong = Vec::new();
    for fault in &FAULTS {
        let before = (failed(&gateway, fault.code), origin.received_count());
        wrong.extend(fault.over_http1(&gateway));
        // The next one among them.
        assert_eq!(origin.received_count(), before.1 + 2, "{} was sent once", fault.target);
        assert_eq!(failed(&gateway, fault.code), before.0 + 1.0, "{} counts", fault.target);
    }
    nothing_is_wrong(&wrong, FAULTS.len());
    wait::until_true("broken connections to be closed", || origin.open() <= 2);
    is_quiet(&gateway);
}

#[test]
fn each_fault_is_told_to_clients_of_http2() {
    let origin = Origin::start(faulty);
    let gateway = api(&[origin.address], &format!("{SHORT}{ONCE}")).start();
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let wrong: Vec<_> = FAULTS
        .iter()
        .filter_map(|fault| fault.over_http2(&gateway, &mut client))
        .collect();
    nothing_is_wrong(&wrong, FAULTS.len());
    is_quiet(&gateway);
}

/// Asks both ways for `/`, which fails like this.
#[track_caller]
fn is_told(gateway: &Gateway, status: u16, code: &str, least: Duration) {
    let mut raw = gateway.connect();
    raw.write(get("/"));
    in_time(code, least, || raw.response()).is_fault(status, code);
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let answer = in_time(code, least, || client.get(HOST, "/"));
    assert_eq!((answer.status, answer.field("tidegate-error")), (status, Some(code)));
    assert_eq!(failed(gateway, code), 2.0);
}

#[test]
fn nobody_listens_there() {
    let gateway = api(&[nowhere()], &format!("{SHORT}{ONCE}")).start();
    is_told(&gateway, 502, "upstream-connect", Duration::ZERO);
}

#[test]
fn a_connection_is_not_made_in_time() {
    let full = Full::start();
    let gateway = api(&[full.address], &format!("{SHORT}{ONCE}")).start();
    is_told(&gateway, 504, "upstream-connect-timeout", SHORT_TIME);
}

#[test]
fn a_connection_is_closed_before_the_request_is_read() {
    for closes in [Visit::reset, |_: &mut Visit| {}] {
        let origin = Origin::start(closes);
        let gateway = api(&[origin.address], &format!("{SHORT}{ONCE}")).start();
        // A reset may come before the connection is made as far as this side is concerned.
        for _ in 0..20 {
            let answer = in_time("502", Duration::ZERO, || super::ask(&gateway, &get("/")));
            let code = answer.field("tidegate-error").unwrap_or_default();
            assert_eq!(answer.status, 502, "{code}");
            assert!(["upstream-closed", "upstream-connect"].contains(&code), "{code}");
        }
    }
}

#[test]
fn a_server_behind_tls_that_only_connects() {
    let silent = Origin::start(Visit::until_closed);
    let gateway = api(&[silent.address], &format!("{SHORT}{ONCE}, tls = {{}}")).start();
    is_told(&gateway, 504, "upstream-connect-timeout", SHORT_TIME);
    let plain = Origin::start(|visit| {
        visit.raw.write("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
        visit.until_closed();
    });
    let gateway = api(&[plain.address], &format!("{SHORT}{ONCE}, tls = {{}}")).start();
    is_told(&gateway, 502, "upstream-tls", Duration::ZERO);
}

/// RFC 9112 §9.8: without the alert anybody on the way may have cut it.
#[test]
fn tls_that_ends_without_its_alert_cuts_the_answer() {
    let authority = Authority::new();
    let origin = Origin::start_tls(authority.sign(&["127.0.0.1"]).server(&["http/1.1"]), |visit| {
        visit.request();
        visit.raw.write(format!("{UNTIL_CLOSE}some"));
    });
    let builder = api(&[origin.address], "");
    let file = authority.write(builder.folder());
    let more = format!("{SHORT}{ONCE}, tls = {{ ca = '{}' }}", file.display());
    let gateway = builder.upstream("api", &upstream(&[origin.address], &more)).start();
    let mut raw = gateway.connect();
    raw.write(get("/"));
    let answer = raw.response();
    assert_eq!(
        (answer.status, answer.text().as_str(), answer.end),
        (200, "some", End::Cut)
    );
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let head = client.request("GET", HOST, "/");
    let broken = client.send(head, b"").expect_err("the end was not the server's");
    assert_eq!(broken.reset, Some(h2::Reason::INTERNAL_ERROR));
}

#[test]
fn a_slow_answer_is_in_time_as_long_as_it_moves() {
    let origin = Origin::start(|visit| {
        visit.request();
        visit.raw.write(CHUNKED);
        for _ in 0..10 {
            // The server's own pace.
            std::thread::park_timeout(Duration::from_millis(100));
            visit.chunk(b"x");
        }
        visit.raw.write("0\r\n\r\n");
    });
    let gateway = api(&[origin.address], &format!("{SHORT}{ONCE}")).start();
    let answer = super::ask(&gateway, &get("/"));
    assert_eq!(
        (answer.end, answer.is(200).text().as_str()),
        (End::Complete, "xxxxxxxxxx")
    );
}

#[test]
fn deadlines_of_the_route_and_of_the_upstream_end_what_goes_on() {
    let origin = Origin::start(|visit| {
        let Some(request) = visit.request() else { return };
        if request.target == "/silent" {
            return visit.until_closed();
        }
        visit.raw.write(UNTIL_CLOSE);
        trickles(visit, "x");
    });
    let server: SocketAddr = origin.address;
    let gateway = Gateway::with()
        .upstream("api", &upstream(&[server], ONCE))
        .upstream(
            "total",
            &upstream(&[server], &format!("{ONCE}, timeout = {{ total = '400ms' }}")),
        )
        .route("{ path = '/silent', limits = { deadline = '400ms' }, upstream = 'api' }")
        .route("{ path = '/stream', limits = { body_deadline = '400ms' }, upstream = 'api' }")
        .route("{ path = '/total/*', upstream = 'total', rewrite = { strip_prefix = '/total' } }")
        .start();
    for (target, told) in [
        ("/silent", Some("deadline")),
        ("/stream", None),
        ("/total/silent", Some("body-deadline")),
        ("/total/stream", None),
    ] {
        let mut raw = gateway.connect();
        raw.write(get(target));
        let answer = in_time(target, SHORT_TIME, || raw.response());
        match told {
            Some(code) => {
                answer.is_fault(504, code);
            }
            None => assert_eq!((answer.status, answer.end), (200, End::Cut), "{target}"),
        }
        wait::until_true("the server to be left", || origin.open() == 0);
    }
    is_quiet(&gateway);
}

#[test]
fn with_all_servers_down_it_is_told_at_once() {
    let gateway = api(
        &[nowhere(), nowhere(), nowhere()],
        ", health = { tcp = true, interval = '100ms', unhealthy_after = 1 }",
    )
    .start();
    gateway.wait_metric("tidegate_upstream_server_healthy", &[], 0.0);
    let refused = gateway.metric("tidegate_upstream_refused_total", &[("code", "upstream-unavailable")]);
    let mut raw = gateway.connect();
    raw.write(get("/"));
    let answer = in_time("503", Duration::ZERO, || raw.response());
    answer.is_fault(503, "upstream-unavailable");
    assert_eq!(answer.field("retry-after"), Some("1"));
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let head = client.request("POST", HOST, "/");
    let answer = client.send(head, b"some").expect("an answer");
    assert_eq!((answer.status, answer.field("retry-after")), (503, Some("1")));
    let labels = [("code", "upstream-unavailable")];
    assert_eq!(
        gateway.metric("tidegate_upstream_refused_total", &labels),
        refused + 2.0
    );
}
