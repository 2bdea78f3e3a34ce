//! The reverse proxy between clients and servers that do not play along: what is malformed goes no further in either
//! direction, what fails is told for what it is, and nobody gets another one's answer.

mod bounds;
mod continue_;
mod downgrade;
mod early;
mod faults;
mod framing;
mod h2_servers;
mod leaving;
mod mixed;
mod peer;
mod responses;
mod retries;
mod told;
mod trusting;
mod windows;

use crate::support::gateway::Builder;
use crate::support::origin::{Received, Visit};
use crate::support::{Gateway, Raw, Response};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The host of all requests here; the route takes any.
const HOST: &str = "api";
/// What servers are waited for where waiting is what a test is about, in the configuration and as a time.
const SHORT: &str = ", timeout = { connect = '400ms', first_byte = '400ms', idle = '400ms' }";
const SHORT_TIME: Duration = Duration::from_millis(400);
/// Every failed attempt is seen, and its server stays where it is.
const ONCE: &str = ", retry = { attempts = 0 }, ejection = { failures = 0 }";

/// A gateway with one route `api`, behind which is one upstream `api` of these servers. `more` is further keys in TOML,
/// each behind a comma.
fn api(servers: &[SocketAddr], more: &str) -> Builder {
    Gateway::with()
        .upstream("api", &upstream(servers, more))
        .route("{ name = 'api', upstream = 'api' }")
}

fn upstream(servers: &[SocketAddr], more: &str) -> String {
    let servers: Vec<_> = servers.iter().map(|server| format!("'{server}'")).collect();
    format!("{{ servers = [{}]{more} }}", servers.join(", "))
}

/// The head of a request without a body; `more` is further fields, each with its CRLF.
fn head(method: &str, target: &str, more: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nhost: {HOST}.test\r\n{more}\r\n")
}

fn get(target: &str) -> String {
    head("GET", target, "")
}

/// A whole request with a body whose length is known.
fn post(target: &str, body: &str) -> String {
    head("POST", target, &format!("content-length: {}\r\n", body.len())) + body
}

/// Sends it on a connection of its own, which then stays open for nothing.
#[track_caller]
fn ask(gateway: &Gateway, request: &str) -> Response {
    let mut raw = gateway.connect();
    raw.write(request);
    raw.response()
}

/// A whole response.
fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// What a server answers that names the request.
fn own(request: &Received) -> String {
    ok(&format!("{} {}", request.method, request.target))
}

/// Answers every request with its own name.
fn echo(visit: &mut Visit) {
    while let Some(request) = visit.request() {
        visit.raw.write(own(&request));
    }
}

/// Asks on this connection, and asserts that the answer is this request's.
#[track_caller]
fn is_own(raw: &mut Raw, target: &str) {
    raw.write(get(target));
    let answer = raw.response();
    assert_eq!(answer.is(200).text(), format!("GET {target}"));
}

/// Runs `asking`, and asserts that it took about `least`, and far less than any default.
#[track_caller]
fn in_time<T>(what: &str, least: Duration, asking: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let answer = asking();
    let took = began.elapsed();
    assert!(
        took >= least.saturating_sub(Duration::from_millis(5)) && took < least + Duration::from_secs(5),
        "{what}: {took:?}"
    );
    answer
}

/// Nothing is left of what was under way.
#[track_caller]
fn is_quiet(gateway: &Gateway) {
    for gauge in ["tidegate_requests_in_flight", "tidegate_upstream_requests_in_flight"] {
        gateway.wait_metric(gauge, &[], 0.0);
    }
    assert_eq!(gateway.admin_json("/api/upstreams")["upstreams"][0]["requests"], 0);
}

/// Attempts at servers that failed with this code.
#[track_caller]
fn failed(gateway: &Gateway, code: &str) -> f64 {
    gateway.metric(
        "tidegate_upstream_failures_total",
        &[("upstream", "api"), ("code", code)],
    )
}
