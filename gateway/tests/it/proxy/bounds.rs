//! Bounds of upstreams and routes: at the bound all is well, and one beyond it is told what and when to try again.

use super::{HOST, ONCE, api, ask, echo, get, head, in_time, is_quiet, own, upstream};
use crate::support::origin::{Origin, Visit};
use crate::support::{Client, Gateway, Protocol, Raw, Response, wait};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// A server that keeps `/held` until it is told otherwise.
struct Holding {
    origin: Origin,
    holds: Arc<AtomicBool>,
}

impl Holding {
    fn start() -> Self {
        let holds = Arc::new(AtomicBool::new(true));
        let held = Arc::clone(&holds);
        let origin = Origin::start(move |visit| {
            while let Some(request) = visit.request() {
                if request.target == "/held" {
                    visit.until(|| !held.load(Ordering::SeqCst));
                }
                visit.raw.write(own(&request));
            }
        });
        Self { origin, holds }
    }

    /// A request that is under way at the server.
    fn hold(&self, mut raw: Raw) -> Raw {
        let before = self.origin.received_count();
        raw.write(get("/held"));
        wait::until_true("the server to be asked", || self.origin.received_count() > before);
        raw
    }

    fn let_go(&self, held: Vec<Raw>) {
        self.holds.store(false, Ordering::SeqCst);
        for mut raw in held {
            assert_eq!(raw.response().is(200).text(), "GET /held");
        }
        self.holds.store(true, Ordering::SeqCst);
    }
}

/// Told at once, with when to try again; by HTTP/2 too.
#[track_caller]
fn is_refused(gateway: &Gateway, code: &str) {
    let answer = in_time(code, Duration::ZERO, || ask(gateway, &get("/")));
    assert_eq!(answer.is_fault(503, code).field("retry-after"), Some("1"));
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let answer = client.get(HOST, "/");
    let told = (
        answer.status,
        answer.field("tidegate-error"),
        answer.field("retry-after"),
    );
    assert_eq!(told, (503, Some(code), Some("1")));
}

#[test]
fn requests_of_an_upstream() {
    let holding = Holding::start();
    let gateway = api(&[holding.origin.address], ", limits = { requests = 2 }").start();
    for round in 1..=2 {
        let held = vec![holding.hold(gateway.connect()), holding.hold(gateway.connect())];
        is_refused(&gateway, "upstream-busy");
        let labels = [("upstream", "api"), ("code", "upstream-busy")];
        gateway.wait_metric("tidegate_upstream_refused_total", &labels, 2.0 * f64::from(round));
        holding.let_go(held);
        is_quiet(&gateway);
        ask(&gateway, &get("/")).is(200);
    }
    // The server has nothing to do with it.
    assert_eq!(gateway.metric("tidegate_upstream_failures_total", &[]), 0.0);
}

#[test]
fn connections_to_a_server_with_nobody_waiting() {
    let holding = Holding::start();
    let more = format!("{ONCE}, limits = {{ connections = 2, pending = 0 }}");
    let gateway = api(&[holding.origin.address], &more).start();
    let held = vec![holding.hold(gateway.connect()), holding.hold(gateway.connect())];
    is_refused(&gateway, "upstream-busy");
    holding.let_go(held);
    for _ in 0..10 {
        ask(&gateway, &get("/")).is(200);
    }
    assert!(
        holding.origin.most() <= 2,
        "{} connections at once",
        holding.origin.most()
    );
    assert_eq!(gateway.metric("tidegate_upstream_ejections_total", &[]), 0.0);
    is_quiet(&gateway);
}

#[test]
fn connections_to_a_server_and_those_who_wait() {
    let holding = Holding::start();
    let more = format!("{ONCE}, limits = {{ connections = 1, pending = 1 }}, timeout = {{ connect = '10s' }}");
    let gateway = api(&[holding.origin.address], &more).start();
    let held = holding.hold(gateway.connect());
    let mut waiting = gateway.connect();
    waiting.write(get("/waiting"));
    // The one that waits is counted with the upstream, as its server's.
    gateway.wait_metric("tidegate_upstream_requests_in_flight", &[], 2.0);
    is_refused(&gateway, "upstream-busy");
    holding.let_go(vec![held]);
    assert_eq!(waiting.response().is(200).text(), "GET /waiting");
    assert_eq!(holding.origin.accepted(), 1);
    // One that leaves gives its place back.
    let held = holding.hold(gateway.connect());
    for _ in 0..3 {
        let mut leaving = gateway.connect();
        leaving.write(get("/leaving"));
        gateway.wait_metric("tidegate_upstream_requests_in_flight", &[], 2.0);
        drop(leaving);
        gateway.wait_metric("tidegate_upstream_requests_in_flight", &[], 1.0);
    }
    holding.let_go(vec![held]);
    is_quiet(&gateway);
}

#[test]
fn who_waits_for_a_connection_waits_for_a_while() {
    let holding = Holding::start();
    let more = format!("{ONCE}, limits = {{ connections = 1 }}, timeout = {{ connect = '400ms' }}");
    let gateway = api(&[holding.origin.address], &more).start();
    let held = holding.hold(gateway.connect());
    let answer = in_time("503", super::SHORT_TIME, || ask(&gateway, &get("/")));
    answer.is_fault(503, "upstream-busy");
    holding.let_go(vec![held]);
    ask(&gateway, &get("/")).is(200);
    is_quiet(&gateway);
}

/// A GET whose head is so many bytes on HTTP/1.1.
fn of_bytes(bytes: usize) -> String {
    let empty = head("GET", "/", "x: \r\n").len();
    head("GET", "/", &format!("x: {}\r\n", "a".repeat(bytes - empty)))
}

#[test]
fn heads_of_a_route() {
    let origin = Origin::start(echo);
    let gateway = Gateway::with()
        .upstream("api", &upstream(&[origin.address], ONCE))
        .route("{ limits = { header_bytes = '1KiB' }, upstream = 'api' }")
        .start();
    let mut raw = gateway.connect();
    raw.write(of_bytes(1024));
    raw.response().is(200);
    raw.write(of_bytes(1025));
    raw.response().is_fault(431, "head-bytes");
    let mut client = Client::connect(Protocol::H2, gateway.address());
    for (bytes, status) in [(900, 200), (1024, 431)] {
        let mut head = client.request("GET", HOST, "/");
        head.headers_mut().insert("x", "a".repeat(bytes).parse().unwrap());
        let answer = client.send(head, b"").expect("an answer");
        assert_eq!(answer.status, status, "{bytes}");
    }
    assert_eq!(origin.received_count(), 2);
}

#[test]
fn requests_of_a_route() {
    let holding = Holding::start();
    let gateway = Gateway::with()
        .upstream("api", &upstream(&[holding.origin.address], ""))
        .route("{ path = '/*', limits = { connections = 2 }, upstream = 'api' }")
        .route("{ path = '/other', upstream = 'api' }")
        .start();
    for _ in 0..2 {
        let held = vec![holding.hold(gateway.connect()), holding.hold(gateway.connect())];
        is_refused(&gateway, "route-busy");
        ask(&gateway, &get("/other")).is(200);
        holding.let_go(held);
        is_quiet(&gateway);
    }
    // One whose client leaves is over.
    let held = vec![holding.hold(gateway.connect()), holding.hold(gateway.connect())];
    drop(held);
    wait::until_true("a place", || ask(&gateway, &get("/")).status == 200);
    holding.let_go(Vec::new());
}

/// GET from another of this machine's own addresses.
#[track_caller]
fn ask_from(gateway: &Gateway, address: &str, target: &str) -> Response {
    let mut raw = Raw::connect_from(address, gateway.address());
    raw.write(get(target));
    raw.response()
}

#[test]
fn requests_of_a_route_by_address() {
    let holding = Holding::start();
    let gateway = Gateway::with()
        .upstream("api", &upstream(&[holding.origin.address], ""))
        .route("{ limits = { connections_per_address = 1 }, upstream = 'api' }")
        .start();
    let held = vec![holding.hold(gateway.connect())];
    is_refused(&gateway, "route-busy");
    ask_from(&gateway, "127.0.0.2", "/").is(200);
    let other = holding.hold(Raw::connect_from("127.0.0.2", gateway.address()));
    ask_from(&gateway, "127.0.0.2", "/").is_fault(503, "route-busy");
    holding.let_go(held.into_iter().chain([other]).collect());
    is_quiet(&gateway);
    ask(&gateway, &get("/")).is(200);
}

#[test]
fn addresses_of_a_route() {
    let origin = Origin::start(echo);
    let gateway = Gateway::with()
        .upstream("api", &upstream(&[origin.address], ""))
        .route("{ path = '/allow', allow = ['127.0.0.2'], upstream = 'api' }")
        .route("{ path = '/deny', deny = ['127.0.0.2/32'], upstream = 'api' }")
        .route("{ path = '/both', allow = ['127.0.0.0/8'], deny = ['127.0.0.2'], upstream = 'api' }")
        .start();
    for (target, from_one, from_two) in [("/allow", 403, 200), ("/deny", 200, 403), ("/both", 200, 403)] {
        for (address, status) in [("127.0.0.1", from_one), ("127.0.0.2", from_two)] {
            let answer = ask_from(&gateway, address, target);
            if status == 403 {
                answer.is_fault(403, "denied");
            }
            answer.is(status);
        }
    }
    assert_eq!(origin.received_count(), 3);
    let mut client = Client::connect(Protocol::H2, gateway.address());
    let answer = client.get(HOST, "/allow");
    assert_eq!((answer.status, answer.field("tidegate-error")), (403, Some("denied")));
}

#[test]
fn servers_that_are_all_unhealthy_and_recover() {
    let (is_well, asked) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicUsize>::default());
    let start = || {
        let (well, count) = (Arc::clone(&is_well), Arc::clone(&asked));
        Origin::start(move |visit: &mut Visit| {
            while let Some(request) = visit.request() {
                if request.target != "/healthz" {
                    count.fetch_add(1, Ordering::SeqCst);
                    visit.raw.write(own(&request));
                } else if well.load(Ordering::SeqCst) {
                    visit.raw.write("HTTP/1.1 204 No Content\r\n\r\n");
                } else {
                    visit.raw.write("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n");
                }
            }
        })
    };
    let (one, two) = (start(), start());
    let more = ", health = { path = '/healthz', interval = '100ms', unhealthy_after = 1 }";
    let gateway = api(&[one.address, two.address], more).start();
    for _ in 0..2 {
        gateway.wait_metric("tidegate_upstream_server_healthy", &[], 2.0);
        ask(&gateway, &get("/")).is(200);
        is_well.store(false, Ordering::SeqCst);
        gateway.wait_metric("tidegate_upstream_server_healthy", &[], 0.0);
        let before = asked.load(Ordering::SeqCst);
        is_refused(&gateway, "upstream-unavailable");
        assert_eq!(asked.load(Ordering::SeqCst), before);
        is_well.store(true, Ordering::SeqCst);
    }
    let labels = [("upstream", "api"), ("code", "upstream-unavailable")];
    assert_eq!(gateway.metric("tidegate_upstream_refused_total", &labels), 4.0);
}
