//! `health` and `ejection`: which servers are fit to be chosen.

use std::time::Duration;

use http::HeaderValue;

use crate::config::header;
use crate::config::reader::{Field, Table};
use crate::config::scalar::{Percent, Zero};
use crate::limits;

/// The resolved `health` of an upstream; the `UPSTREAM_` constants of the same names in [`limits`] are the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    /// What is asked.
    pub check: HealthProbe,
    /// From one check to the next.
    pub interval: Duration,
    /// From the beginning of a check to its answer.
    pub timeout: Duration,
    /// Checks failed in a row after which a server gets no requests; at least 1.
    pub unhealthy_after: u32,
    /// Checks passed in a row after which it gets them again; at least 1.
    pub healthy_after: u32,
}

/// One check of a server's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthProbe {
    /// A GET request; status 200 to 399 is healthy.
    Http {
        /// Path and query (origin-form, RFC 9112 §3.2.1).
        path: String,
        /// The Host field; `None` is that of the server.
        host: Option<HeaderValue>,
    },
    /// A connection; one that is made is healthy. With TLS the handshake is part of it.
    Tcp,
}

/// The resolved `ejection` of an upstream: a server is left out for its failures to answer requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EjectionConfig {
    /// Failures in a row that suffice; 0 is off.
    pub failures: u32,
    /// How long it is left out.
    pub time: Duration,
    /// Of the servers of an upstream, how many may be left out at once.
    pub most: Percent,
}

impl Default for EjectionConfig {
    fn default() -> Self {
        Self {
            failures: limits::UPSTREAM_EJECTION_FAILURES_COUNT,
            time: limits::UPSTREAM_EJECTION_TIME,
            most: Percent::new(limits::UPSTREAM_EJECTION_PERCENT),
        }
    }
}

pub(super) fn read(field: &Field<'_>) -> Option<HealthConfig> {
    let mut table = field.table("Health")?;
    let check = read_probe(&mut table);
    let mut resolved = HealthConfig {
        check: HealthProbe::Tcp,
        interval: limits::UPSTREAM_HEALTH_INTERVAL,
        timeout: limits::UPSTREAM_HEALTH_TIMEOUT,
        unhealthy_after: limits::UPSTREAM_UNHEALTHY_AFTER_COUNT,
        healthy_after: limits::UPSTREAM_HEALTHY_AFTER_COUNT,
    };
    let interval = table.take("interval");
    if let Some(interval) = interval.and_then(|field| field.duration_from(limits::UPSTREAM_INTERVAL_MIN)) {
        resolved.interval = interval;
    }
    if let Some(timeout) = table.take("timeout").and_then(|field| field.duration(Zero::Refused)) {
        resolved.timeout = timeout;
    }
    for (key, count) in [
        ("unhealthy_after", &mut resolved.unhealthy_after),
        ("healthy_after", &mut resolved.healthy_after),
    ] {
        let bounds = 1..=limits::UPSTREAM_HEALTH_CHECKS_COUNT_MAX;
        if let Some(given) = table.take(key).and_then(|field| field.count(bounds)) {
            *count = given;
        }
    }
    table.finish();
    Some(HealthConfig {
        check: check?,
        ..resolved
    })
}

fn read_probe(table: &mut Table<'_>) -> Option<HealthProbe> {
    const HELP: &str = "write path = \"/healthz\" to ask for a page, or tcp = true to only connect";
    let path = table.take("path");
    let host = table.take("host");
    let tcp = table.take("tcp");
    match (path, tcp) {
        (Some(path), None) => Some(HealthProbe::Http {
            host: match host {
                Some(host) => Some(header::read_host(&host)?),
                None => None,
            },
            path: read_path(&path)?,
        }),
        (None, Some(tcp)) if tcp.boolean()? => match host {
            None => Some(HealthProbe::Tcp),
            Some(host) => host.fail(
                format!("`{}` is given, but nothing is asked for", host.path()),
                "only with `path`",
                "remove it, or write `path` instead of `tcp`",
            ),
        },
        (None, Some(tcp)) => tcp.fail(
            format!("`{}` cannot be false", tcp.path()),
            "only true says something here",
            HELP,
        ),
        (given, _) => {
            let field = table.field();
            let label = match given {
                Some(_) => "both `path` and `tcp`",
                None => "neither `path` nor `tcp`",
            };
            field.fail(format!("`{}` asks for no one thing", field.path()), label, HELP)
        }
    }
}

/// A request target in origin-form.
fn read_path(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    let known = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
    if text.starts_with('/') && text.len() <= limits::URI_BYTES && text.bytes().all(known) {
        return Some(text.to_owned());
    }
    field.fail(
        format!("`{}` is not a path", field.path()),
        "not a path",
        "a path that begins with `/`, such as \"/healthz\"; percent-encode everything but visible ASCII",
    )
}

pub(super) fn read_ejection(field: &Field<'_>) -> Option<EjectionConfig> {
    let mut resolved = EjectionConfig::default();
    let mut table = field.table("Ejection")?;
    let failures = 0..=limits::UPSTREAM_EJECTION_FAILURES_COUNT_MAX;
    if let Some(count) = table.take("failures").and_then(|field| field.count(failures)) {
        resolved.failures = count;
    }
    if let Some(time) = table.take("time").and_then(|field| field.duration(Zero::Refused)) {
        resolved.time = time;
    }
    if let Some(most) = table.take("most").and_then(|field| field.percent()) {
        resolved.most = most;
    }
    table.finish();
    Some(resolved)
}
