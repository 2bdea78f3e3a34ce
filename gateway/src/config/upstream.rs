//! `[upstream.NAME]`: servers that requests are passed on to, how one of them is chosen, and what they may take.

mod balance;
mod health;
mod server;

use std::path::PathBuf;
use std::time::Duration;

use super::error::Location;
use super::listener::CertPaths;
use super::node::Value;
use super::reader::{Field, NamedField};
use super::scalar::{Name, Percent, Zero, none_if_zero};
use crate::limits;

pub use self::balance::{Balance, HashKey};
pub use self::health::{EjectionConfig, HealthConfig, HealthProbe};
pub use self::server::{ServerConfig, ServerHost};

/// One resolved `[upstream.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// Its name.
    pub name: Name,
    /// At least one; no two have the same host and port.
    pub servers: Vec<ServerConfig>,
    /// How one of them is chosen.
    pub balance: Balance,
    /// What is hashed: there if, and only if, `balance` is [`Balance::Hash`].
    pub hash: Option<HashKey>,
    /// What is spoken to the servers.
    pub protocol: UpstreamProtocol,
    /// How often servers' names are looked up again; an answer is kept as long as its time to live says.
    pub resolve: Duration,
    /// Checks of the servers' health; `None` is none.
    pub health: Option<HealthConfig>,
    /// When a server is left out for its failures.
    pub ejection: EjectionConfig,
    /// What each phase of a request may take.
    pub timeout: UpstreamTimeouts,
    /// When a failed request is tried again.
    pub retry: RetryConfig,
    /// What the servers may be given at once.
    pub limits: UpstreamLimits,
    /// How long an unused connection is kept.
    pub keepalive: Duration,
    /// TLS to the servers; `None` is none.
    pub tls: Option<UpstreamTls>,
    /// Where its name is written.
    pub location: Location,
}

/// What is spoken to the servers of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpstreamProtocol {
    /// With TLS what ALPN agrees on, HTTP/1.1 without.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: with TLS nothing else is taken, without it is begun with prior knowledge (RFC 9113 §3.3).
    H2,
}

/// The resolved `timeout` of an upstream; the `UPSTREAM_` constants of the same names in [`limits`] are the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// To a usable connection, TLS included.
    pub connect: Duration,
    /// From the end of a request, or its last progress, to the head of its response.
    pub first_byte: Duration,
    /// Between two pieces of a response body. A request body that a server does not take has first_byte.
    pub idle: Duration,
    /// From dispatch to the end of a response, all attempts together; `None` is no such limit.
    pub total: Option<Duration>,
    /// A tunnel without a byte either way.
    pub tunnel: Duration,
}

impl Default for UpstreamTimeouts {
    fn default() -> Self {
        Self {
            connect: limits::UPSTREAM_CONNECT_TIMEOUT,
            first_byte: limits::UPSTREAM_FIRST_BYTE_TIMEOUT,
            idle: limits::UPSTREAM_IDLE_TIMEOUT,
            total: none_if_zero(limits::UPSTREAM_TOTAL_TIMEOUT),
            tunnel: limits::UPSTREAM_TUNNEL_TIMEOUT,
        }
    }
}

/// The resolved `retry` of an upstream: only what is safe to repeat is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryConfig {
    /// Further attempts after the first; 0 is none.
    pub attempts: u32,
    /// Further attempts of all requests together, as a part of these.
    pub budget: Percent,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: limits::UPSTREAM_RETRIES_COUNT,
            budget: Percent::new(limits::UPSTREAM_RETRY_BUDGET_PERCENT),
        }
    }
}

/// The resolved `limits` of an upstream; the `UPSTREAM_` constants of the same names in [`limits`] are the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// Open connections to one server.
    pub connections: usize,
    /// Requests waiting for a connection to one server; 0 lets none wait.
    pub pending: usize,
    /// Requests in flight to all servers.
    pub requests: usize,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            connections: limits::UPSTREAM_CONNECTIONS_COUNT,
            pending: limits::UPSTREAM_PENDING_COUNT,
            requests: limits::UPSTREAM_REQUESTS_COUNT,
        }
    }
}

/// TLS to servers, whose certificates are always verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamTls {
    /// What the certificate must be for, and SNI says where it is a name: a DNS name in lower case or an IP address,
    /// never empty. `None` is each server's own name or address.
    pub server_name: Option<Box<str>>,
    /// PEM file of authorities; `None` is those of the system.
    pub ca: Option<PathBuf>,
    /// The certificate shown to the servers; `None` is none.
    pub client: Option<CertPaths>,
}

pub(super) fn read(named: &NamedField<'_>) -> Option<UpstreamConfig> {
    let name = named.defined_name("an upstream");
    let mut table = named.field.table("Upstream")?;
    let servers = table.require("servers", "such as servers = [\"127.0.0.1:9001\"]");
    let (balance, hash) = balance::take(&mut table);
    let protocol = table.take("protocol").and_then(|field| {
        field.one_of(&[
            ("auto", UpstreamProtocol::Auto),
            ("http1", UpstreamProtocol::Http1),
            ("h2", UpstreamProtocol::H2),
        ])
    });
    let resolve = table
        .take("resolve")
        .and_then(|field| field.duration_from(limits::UPSTREAM_INTERVAL_MIN));
    let health = table.take("health").and_then(|field| health::read(&field));
    let ejection = table.take("ejection").and_then(|field| health::read_ejection(&field));
    let timeout = table.take("timeout").and_then(|field| read_timeouts(&field));
    let retry = table.take("retry").and_then(|field| read_retry(&field));
    let limits = table.take("limits").and_then(|field| read_limits(&field));
    let keepalive = table.take("keepalive").and_then(|field| read_keepalive(&field));
    let tls = table.take("tls").and_then(|field| read_tls(&field));
    table.finish();
    let servers = servers.and_then(|field| server::read_list(&field));
    Some(UpstreamConfig {
        name: name?,
        servers: servers?,
        balance,
        hash,
        protocol: protocol.unwrap_or_default(),
        resolve: resolve.unwrap_or(limits::UPSTREAM_RESOLVE_INTERVAL),
        health,
        ejection: ejection.unwrap_or_default(),
        timeout: timeout.unwrap_or_default(),
        retry: retry.unwrap_or_default(),
        limits: limits.unwrap_or_default(),
        keepalive: keepalive.unwrap_or(limits::UPSTREAM_KEEPALIVE_IDLE),
        tls,
        location: named.at.clone(),
    })
}

fn read_timeouts(field: &Field<'_>) -> Option<UpstreamTimeouts> {
    let mut resolved = UpstreamTimeouts::default();
    let mut table = field.table("UpstreamTimeouts")?;
    for (key, duration) in [
        ("connect", &mut resolved.connect),
        ("first_byte", &mut resolved.first_byte),
        ("idle", &mut resolved.idle),
        ("tunnel", &mut resolved.tunnel),
    ] {
        if let Some(given) = table.take(key).and_then(|field| field.duration(Zero::Refused)) {
            *duration = given;
        }
    }
    if let Some(given) = table.take("total").and_then(|field| field.duration_or_none()) {
        resolved.total = given;
    }
    table.finish();
    Some(resolved)
}

fn read_retry(field: &Field<'_>) -> Option<RetryConfig> {
    let mut resolved = RetryConfig::default();
    let mut table = field.table("Retry")?;
    let attempts = 0..=limits::UPSTREAM_RETRIES_COUNT_MAX;
    if let Some(count) = table.take("attempts").and_then(|field| field.count(attempts)) {
        resolved.attempts = count;
    }
    if let Some(budget) = table.take("budget").and_then(|field| field.percent()) {
        resolved.budget = budget;
    }
    table.finish();
    Some(resolved)
}

fn read_limits(field: &Field<'_>) -> Option<UpstreamLimits> {
    let mut resolved = UpstreamLimits::default();
    let mut table = field.table("UpstreamLimits")?;
    for (key, count, bounds) in [
        (
            "connections",
            &mut resolved.connections,
            1..=limits::UPSTREAM_CONNECTIONS_COUNT_MAX,
        ),
        (
            "pending",
            &mut resolved.pending,
            0..=limits::UPSTREAM_REQUESTS_COUNT_MAX,
        ),
        (
            "requests",
            &mut resolved.requests,
            1..=limits::UPSTREAM_REQUESTS_COUNT_MAX,
        ),
    ] {
        if let Some(given) = table.take(key).and_then(|field| field.integer(bounds)) {
            *count = given;
        }
    }
    table.finish();
    Some(resolved)
}

fn read_keepalive(field: &Field<'_>) -> Option<Duration> {
    let mut table = field.table("Keepalive")?;
    let idle = table.take("idle").and_then(|field| field.duration(Zero::Refused));
    table.finish();
    idle
}

fn read_tls(field: &Field<'_>) -> Option<UpstreamTls> {
    if let Value::Boolean(_) = field.value() {
        return field.wrong_type("a table", "write tls = {}, or leave it out for none");
    }
    let mut table = field.table("UpstreamTls")?;
    let server_name = table.take("server_name");
    let ca = table.take("ca");
    let cert = table.take("cert");
    let key = table.take("key");
    table.finish();
    for (given, missing) in [((&cert, "cert"), (&key, "key")), ((&key, "key"), (&cert, "cert"))] {
        if let ((Some(field), name), (None, other)) = (given, missing) {
            let message = format!("`{}` is given without `{other}`", field.path());
            let help = format!("add `{other}`, or remove `{name}`: a client certificate is shown with both");
            field.fail::<()>(message, format!("`{other}` is missing"), help);
        }
    }
    let server_name = server_name.and_then(|name| server::read_name(&name));
    let ca = ca.and_then(|path| path.readable_file());
    let cert = cert.and_then(|path| path.readable_file());
    let key = key.and_then(|path| path.readable_file());
    let client = cert.zip(key).map(|(cert, key)| CertPaths {
        cert,
        key,
        location: field.location(),
    });
    Some(UpstreamTls {
        server_name,
        ca,
        client,
    })
}

#[cfg(test)]
mod tests;
