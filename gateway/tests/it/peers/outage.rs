//! Servers that die under load, and come back.

use super::native::{Killed, Native};
use super::traffic::{Outcome, Traffic};
use super::{upstream, wait_server};
use crate::support::{Gateway, wait};
use std::time::{Duration, Instant};

const CLIENTS: usize = 12;
const METHODS: &[&str] = &["GET", "POST"];
/// A process that was killed closes its sockets some milliseconds later on a busy machine, and what was written to one
/// until then may have been read, for all the gateway knows.
const NOTICE: Duration = Duration::from_millis(50);

/// A gateway with three servers behind it, a, b and c.
struct Three {
    gateway: Gateway,
    a: Native,
    b: Option<Native>,
    c: Native,
}

impl Three {
    /// `more` is further keys of the upstream in TOML.
    #[track_caller]
    fn start(more: &str) -> Self {
        let [a, b, c] = ["a", "b", "c"].map(Native::start);
        let servers = format!("'{}', '{}', '{}'", a.address, b.address, c.address);
        let gateway = Gateway::with()
            .upstream("three", &format!("{{ servers = [{servers}], {more} }}"))
            .route("{ upstream = 'three' }")
            .start();
        let b = Some(b);
        Self { gateway, a, b, c }
    }

    fn b(&self) -> &Native {
        self.b.as_ref().expect("it lives")
    }

    /// Waits until every server has its part of the traffic.
    fn all_serve(&self, traffic: &Traffic) {
        let before = [&self.a, self.b(), &self.c].map(Native::served);
        traffic.go_on(CLIENTS);
        wait::until_true("every server to serve", || {
            let now = [&self.a, self.b(), &self.c].map(Native::served);
            now.iter().zip(before).all(|(now, before)| *now > before + 10)
        });
    }

    fn kill_b(&mut self) -> Killed {
        self.b.take().expect("it lives").kill()
    }
}

/// What failed were POSTs that were on their way when the server died, no more than it can have had at once, and none
/// of them was sent to another one. Everything else was answered.
#[track_caller]
fn only_those_in_flight_failed(three: &Three, outcomes: &[Outcome], killed: &Killed) {
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_well()).collect();
    for outcome in &failed {
        assert_eq!(
            (outcome.method, outcome.status, outcome.code.as_deref()),
            ("POST", Some(502), Some("upstream-closed")),
            "{outcome:?}"
        );
        let late = outcome.asked.saturating_duration_since(killed.at);
        assert!(late < NOTICE, "the server was dead for {late:?} by then: {outcome:?}");
        let again = [&three.a, three.b(), &three.c].map(|server| server.has_seen(&outcome.target));
        assert_eq!(
            again, [false; 3],
            "what may have been done is done once more: {outcome:?}"
        );
    }
    assert!(failed.len() <= CLIENTS, "{failed:?}");
    let well = outcomes.iter().filter(|outcome| outcome.is_well());
    for outcome in well {
        assert!(["a", "b", "c"].contains(&outcome.body.as_str()), "{outcome:?}");
    }
    println!(
        "{} of {} requests failed with their server",
        failed.len(),
        outcomes.len()
    );
}

#[test]
fn a_server_that_dies_takes_only_what_it_had_and_comes_back_with_its_health() {
    let mut three = Three::start("health = { path = '/healthz', interval = '200ms' }");
    let traffic = Traffic::start(&three.gateway, CLIENTS, METHODS);
    three.all_serve(&traffic);
    let killed = three.kill_b();
    wait_server(&three.gateway, "three", killed.address, "unhealthy", |server| {
        server["healthy"] == false
    });
    let (a, c) = (three.a.served(), three.c.served());
    traffic.go_on(10 * CLIENTS);
    assert!(three.a.served() > a && three.c.served() > c, "the other two carry on");
    three.b = Some(Native::start_at(killed.address, "b"));
    three.all_serve(&traffic);
    let outcomes = traffic.stop();
    only_those_in_flight_failed(&three, &outcomes, &killed);
    wait_server(&three.gateway, "three", killed.address, "healthy", |server| {
        server["healthy"] == true
    });
}

/// A server that says it is ill is left in peace, and what it has under way is finished.
#[test]
fn a_server_that_is_ill_gets_no_more_and_loses_nothing() {
    let three = Three::start("health = { path = '/healthz', interval = '200ms', unhealthy_after = 1 }");
    let traffic = Traffic::start(&three.gateway, CLIENTS, METHODS);
    three.all_serve(&traffic);
    let b = three.b();
    b.set_ill(true);
    wait_server(&three.gateway, "three", b.address, "unhealthy", |server| {
        server["healthy"] == false
    });
    // What was given to it before may still come to it.
    traffic.go_on(2 * CLIENTS);
    let served = b.served();
    traffic.go_on(10 * CLIENTS);
    assert_eq!(b.served(), served, "it got further requests");
    b.set_ill(false);
    three.all_serve(&traffic);
    let outcomes = traffic.stop();
    assert!(outcomes.iter().all(Outcome::is_well), "{outcomes:?}");
}

/// Without health checks: requests that fail are what tells.
#[test]
fn failures_alone_leave_a_dead_server_out_until_it_is_back() {
    let mut three = Three::start("ejection = { failures = 2, time = '300ms' }");
    let traffic = Traffic::start(&three.gateway, CLIENTS, METHODS);
    three.all_serve(&traffic);
    let killed = three.kill_b();
    wait_server(&three.gateway, "three", killed.address, "left out", |server| {
        server["ejected_for"].is_number()
    });
    traffic.go_on(20 * CLIENTS);
    three.b = Some(Native::start_at(killed.address, "b"));
    three.all_serve(&traffic);
    let outcomes = traffic.stop();
    only_those_in_flight_failed(&three, &outcomes, &killed);
    let server = killed.address.to_string();
    let count = |name: &str, labels: &[(&str, &str)]| three.gateway.metric(name, labels);
    assert!(count("tidegate_upstream_ejections_total", &[("server", &server)]) >= 1.0);
    assert!(count("tidegate_upstream_retries_total", &[("upstream", "three")]) >= 1.0);
    let others = [three.a.address, three.c.address].map(|address| address.to_string());
    for other in &others {
        assert_eq!(count("tidegate_upstream_failures_total", &[("server", other)]), 0.0);
    }
}

#[test]
fn without_a_healthy_server_there_is_an_answer_at_once() {
    let three = Three::start("health = { path = '/healthz', interval = '200ms', unhealthy_after = 1 }");
    let all = [&three.a, three.b(), &three.c];
    for server in all {
        server.set_ill(true);
    }
    for server in all {
        wait_server(&three.gateway, "three", server.address, "unhealthy", |server| {
            server["healthy"] == false
        });
    }
    let began = Instant::now();
    let answer = three.gateway.get("any", "/r/1");
    answer.is_fault(503, "upstream-unavailable");
    assert_eq!(answer.field("retry-after"), Some("1"));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let labels = [("upstream", "three"), ("code", "upstream-unavailable")];
    three
        .gateway
        .wait_metric("tidegate_upstream_refused_total", &labels, 1.0);
    three.c.set_ill(false);
    wait::until_true("an answer", || three.gateway.get("any", "/r/2").status == 200);
    assert_eq!(three.a.served() + three.b().served(), 0);
    assert_eq!(upstream(&three.gateway, "three")["requests"], 0);
}
