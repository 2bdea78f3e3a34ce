//! Servers by name: a name server of the test's own says where they are, and changes its mind.

use super::native::Native;
use super::traffic::{Outcome, Traffic};
use super::upstream;
use crate::support::names::{NameServer, Says};
use crate::support::{Gateway, wait};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

const A: Ipv4Addr = Ipv4Addr::LOCALHOST;
const B: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const NO_SUCH_NAME: Says = Says::Code(3);
const SERVER_FAILURE: Says = Says::Code(2);

/// A gateway whose upstream `named` is `api.internal`, and what is said of that name.
struct Named {
    gateway: Gateway,
    answer: Arc<Mutex<Says>>,
    names: NameServer,
}

impl Named {
    #[track_caller]
    fn start(port: u16, says: Says, more: &str) -> Self {
        let answer = Arc::new(Mutex::new(says));
        let said = Arc::clone(&answer);
        let names = NameServer::start(move |name, _| match name {
            "api.internal" => *said.lock().unwrap(),
            _ => NO_SUCH_NAME,
        });
        let dns = toml::Value::Array(vec![names.address.to_string().into()]);
        let gateway = Gateway::with()
            .set("dns", dns)
            .upstream(
                "named",
                &format!("{{ servers = ['api.internal:{port}'], resolve = '200ms', {more} }}"),
            )
            .route("{ upstream = 'named' }")
            .start();
        Self { gateway, answer, names }
    }

    fn say(&self, says: Says) {
        *self.answer.lock().unwrap() = says;
    }

    /// Waits until it was asked for the name once more.
    fn asked_again(&self) {
        let before = self.names.asked("api.internal");
        wait::until_true("the name to be looked up", || {
            self.names.asked("api.internal") > before + 1
        });
    }

    #[track_caller]
    fn wait_servers(&self, count: usize) {
        wait::until_true(format!("{count} servers"), || {
            upstream(&self.gateway, "named")["servers"].as_array().unwrap().len() == count
        });
    }
}

/// Two servers on one port of two addresses.
fn two() -> (Native, Native) {
    let a = Native::start("a");
    let b = Native::beside(&a, B, "b");
    (a, b)
}

#[test]
fn traffic_follows_a_changed_answer() {
    let (a, b) = two();
    // With health checks, so that a server that is new is checked and one that is gone is not any more.
    let health = "health = { path = '/healthz', interval = '200ms' }";
    let named = Named::start(a.address.port(), Says::Address(A, 0), health);
    let traffic = Traffic::start(&named.gateway, 8, &["GET", "POST"]);
    traffic.go_on(50);
    assert_eq!(b.accepted(), 0);
    named.say(Says::Address(B, 1));
    wait::until_true("the other server to serve", || b.served() > 0);
    named.wait_servers(1);
    traffic.go_on(20);
    let served = a.served();
    traffic.go_on(50);
    assert_eq!(a.served(), served, "it is no server of the name any more");
    wait::until_true("its connections to be closed", || a.open() == 0);
    named.say(Says::Address(A, 0));
    wait::until_true("the first server to serve again", || a.served() > served);
    let outcomes = traffic.stop();
    assert!(outcomes.iter().all(Outcome::is_well), "{outcomes:?}");
}

#[test]
fn every_address_of_a_name_has_its_part() {
    let (a, b) = two();
    let named = Named::start(a.address.port(), Says::Both([A, B], 1), "");
    named.wait_servers(2);
    let names: Vec<_> = (0..20)
        .map(|n| named.gateway.get("any", &format!("/r/{n}")).text())
        .collect();
    let count = |name: &str| names.iter().filter(|known| *known == name).count();
    assert_eq!((count("a"), count("b")), (10, 10), "{names:?}");
    // One of them leaves; the other one keeps its connections.
    let (accepted, served) = (a.accepted(), b.served());
    named.say(Says::Address(A, 1));
    named.wait_servers(1);
    for n in 20..30 {
        assert_eq!(named.gateway.get("any", &format!("/r/{n}")).text(), "a");
    }
    assert_eq!(b.served(), served);
    let doors = std::thread::available_parallelism().unwrap().get();
    assert!(a.accepted() <= accepted.max(doors), "{} {accepted}", a.accepted());
    wait::until_true("the connections to the one that left to be closed", || b.open() == 0);
}

#[test]
fn a_name_that_is_lost_keeps_its_last_addresses() {
    let a = Native::start("a");
    let named = Named::start(a.address.port(), Says::Address(A, 0), "");
    named.wait_servers(1);
    assert_eq!(named.gateway.get("any", "/r/1").text(), "a");
    for (n, says) in [NO_SUCH_NAME, SERVER_FAILURE, Says::Nothing].into_iter().enumerate() {
        let failures = named
            .gateway
            .metric("tidegate_upstream_lookup_failures_total", &[("upstream", "named")]);
        named.say(says);
        wait::until_true("a lookup to fail", || {
            let now = named
                .gateway
                .metric("tidegate_upstream_lookup_failures_total", &[("upstream", "named")]);
            now > failures
        });
        let answer = named.gateway.get("any", &format!("/lost/{n}"));
        assert_eq!((answer.status, answer.text().as_str()), (200, "a"), "{says:?}");
    }
    let warned = named
        .gateway
        .wait_log("the failure", |line| line.to_string().contains("cannot be looked up"));
    assert!(warned.to_string().contains("api.internal"), "{warned}");
}

#[test]
fn a_name_that_is_not_known_yet_is_unavailable_until_it_is() {
    let a = Native::start("a");
    let named = Named::start(a.address.port(), NO_SUCH_NAME, "");
    named.asked_again();
    let answer = named.gateway.get("any", "/r/1");
    answer.is_fault(503, "upstream-unavailable");
    assert_eq!(answer.field("retry-after"), Some("1"));
    named.say(Says::Address(A, 1));
    wait::until_true("an answer", || named.gateway.get("any", "/r/2").status == 200);
    assert_eq!(
        upstream(&named.gateway, "named")["servers"][0]["name"],
        format!("api.internal:{}", a.address.port())
    );
}

/// What is under way on a server that the name has lost is finished.
#[test]
fn requests_under_way_survive_the_change() {
    let (a, b) = two();
    let named = Named::start(a.address.port(), Says::Address(A, 0), "");
    let mut raw = named.gateway.connect();
    raw.write("GET /hold HTTP/1.1\r\nhost: any.test\r\n\r\n");
    wait::until_true("the request to be held", || a.held() == 1);
    named.say(Says::Address(B, 0));
    wait::until_true("the other server to serve", || {
        named.gateway.get("any", "/r/1").text() == "b"
    });
    a.release();
    let answer = raw.response();
    assert_eq!((answer.status, answer.text().as_str()), (200, "a"));
    wait::until_true("its connection to be closed", || a.open() == 0);
    assert!(b.served() > 0);
}
