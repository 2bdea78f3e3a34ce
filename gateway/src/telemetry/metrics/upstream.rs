//! Upstreams in numbers, and each of their servers.
//!
//! Servers come and go with the answers of a name server, so theirs is the one kind of series that ends: it is shown
//! for as long as somebody holds the [`ServerMetrics`], and the recorder, which never forgets, has none of it.

use super::histogram::{Histogram, escaped};
use super::names::{SERVER_COUNTERS, SERVER_GAUGES};
use super::{GaugeGuard, Inner, OTHER, counter, gauge};
use crate::error::UpstreamFault;
use crate::limits;
use ::metrics::{Counter, Gauge};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// One upstream: what became of requests before, between and beside its servers.
#[derive(Debug)]
pub(crate) struct UpstreamMetrics {
    /// Its label value, which is not its name where there are too many names.
    label: Box<str>,
    first_byte_seconds: Arc<Histogram>,
    retries: Counter,
    retries_refused: Counter,
    unavailable: Counter,
    busy: Counter,
    tunnels: Counter,
    tunnels_open: Gauge,
    tunnel_bytes_to: Counter,
    tunnel_bytes_from: Counter,
    interim: Counter,
    lookup_failures: Counter,
}

impl UpstreamMetrics {
    pub(super) fn new(inner: &Inner, upstream: &str) -> Self {
        let recorder = &inner.recorder;
        let label = [("upstream", upstream)];
        let total = |name| counter(recorder, name, &label);
        let refused = |kind: UpstreamFault| {
            let labels = [("upstream", upstream), ("code", kind.code())];
            counter(recorder, "tidegate_upstream_refused_total", &labels)
        };
        let tunnel_bytes = |direction| {
            let labels = [("upstream", upstream), ("direction", direction)];
            counter(recorder, "tidegate_upstream_tunnel_bytes_total", &labels)
        };
        Self {
            label: upstream.into(),
            first_byte_seconds: inner.first_byte_seconds.with(upstream),
            retries: total("tidegate_upstream_retries_total"),
            retries_refused: total("tidegate_upstream_retries_refused_total"),
            unavailable: refused(UpstreamFault::Unavailable),
            busy: refused(UpstreamFault::Busy),
            tunnels: total("tidegate_upstream_tunnels_total"),
            tunnels_open: gauge(recorder, "tidegate_upstream_tunnels_open", &label),
            tunnel_bytes_to: tunnel_bytes("to"),
            tunnel_bytes_from: tunnel_bytes("from"),
            interim: total("tidegate_upstream_interim_responses_total"),
            lookup_failures: total("tidegate_upstream_lookup_failures_total"),
        }
    }

    /// One more attempt for a request that had one.
    pub(crate) fn retried(&self) {
        self.retries.increment(1);
    }

    /// A further attempt that would have been safe and had no budget left.
    pub(crate) fn retry_refused(&self) {
        self.retries_refused.increment(1);
    }

    /// One request that no server was asked for: [`UpstreamFault::Unavailable`] or [`UpstreamFault::Busy`]. Others
    /// are a server's, and counted there.
    pub(crate) fn refused(&self, kind: UpstreamFault) {
        match kind {
            UpstreamFault::Unavailable => self.unavailable.increment(1),
            UpstreamFault::Busy => self.busy.increment(1),
            _ => {}
        }
    }

    /// Counts one tunnel, and it as open until the guard is dropped.
    pub(crate) fn tunnel(&self) -> GaugeGuard {
        self.tunnels.increment(1);
        GaugeGuard::new(&self.tunnels_open)
    }

    /// Bytes carried through a tunnel, to the server and from it.
    pub(crate) fn tunnel_bytes(&self, to: u64, from: u64) {
        if to > 0 {
            self.tunnel_bytes_to.increment(to);
        }
        if from > 0 {
            self.tunnel_bytes_from.increment(from);
        }
    }

    /// Interim responses (1xx, RFC 9110 §15.2) that came before a final one.
    pub(crate) fn interim(&self, count: u64) {
        if count > 0 {
            self.interim.increment(count);
        }
    }

    /// One server name that could not be looked up.
    pub(crate) fn lookup_failed(&self) {
        self.lookup_failures.increment(1);
    }
}

/// The faults of an attempt at one server. Without a healthy server there is none.
const SERVER_FAULTS: [UpstreamFault; 9] = [
    UpstreamFault::Connect,
    UpstreamFault::Tls,
    UpstreamFault::Closed,
    UpstreamFault::Protocol,
    UpstreamFault::ConnectTimeout,
    UpstreamFault::FirstByteTimeout,
    UpstreamFault::WriteTimeout,
    UpstreamFault::IdleTimeout,
    UpstreamFault::Busy,
];

/// One server of an upstream. Each addition is one relaxed atomic.
#[derive(Debug)]
pub(crate) struct ServerMetrics {
    upstream: Arc<UpstreamMetrics>,
    label: Box<str>,
    /// By status class, 1xx first.
    responses: [AtomicU64; 5],
    /// In the order of [`SERVER_FAULTS`].
    failures: [AtomicU64; SERVER_FAULTS.len()],
    ejections: AtomicU64,
    is_healthy: AtomicBool,
    in_flight: AtomicUsize,
    connections: AtomicUsize,
}

impl ServerMetrics {
    /// A server is healthy until it is found not to be.
    fn new(upstream: Arc<UpstreamMetrics>, server: &str) -> Self {
        Self {
            upstream,
            label: server.into(),
            responses: Default::default(),
            failures: Default::default(),
            ejections: AtomicU64::new(0),
            is_healthy: AtomicBool::new(true),
            in_flight: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        }
    }

    /// One attempt that has the head of its response: its status, and the time from the attempt's begin. A status
    /// outside 100..=599 counts as 5xx.
    pub(crate) fn answered(&self, status: u16, until_head: Duration) {
        let class = usize::from(status / 100).wrapping_sub(1);
        if let Some(responses) = self.responses.get(class).or(self.responses.last()) {
            responses.fetch_add(1, Ordering::Relaxed);
        }
        self.upstream.first_byte_seconds.record(until_head);
    }

    /// One attempt that failed, before its response or in the middle of it. [`UpstreamFault::Unavailable`] is no
    /// server's: [`UpstreamMetrics::refused`] counts it.
    pub(crate) fn failed(&self, kind: UpstreamFault) {
        let place = SERVER_FAULTS.iter().position(|known| *known == kind);
        if let Some(failures) = place.and_then(|at| self.failures.get(at)) {
            failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What its health checks have found.
    pub(crate) fn healthy(&self, is_healthy: bool) {
        self.is_healthy.store(is_healthy, Ordering::Relaxed);
    }

    /// It is left out for a while, having failed too often.
    pub(crate) fn ejected(&self) {
        self.ejections.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests it has, where they are looked at from outside.
    pub(crate) fn in_flight(&self, count: usize) {
        self.in_flight.store(count, Ordering::Relaxed);
    }

    /// Connections open to it, where they are looked at from outside.
    pub(crate) fn connections(&self, count: usize) {
        self.connections.store(count, Ordering::Relaxed);
    }
}

type ServerKey = (Box<str>, Box<str>);

/// The servers that somebody holds, by the labels of upstream and server.
#[derive(Debug, Default)]
pub(super) struct Servers {
    known: Mutex<BTreeMap<ServerKey, Weak<ServerMetrics>>>,
}

impl Servers {
    /// The handles of a server, made where nobody holds them; beyond [`limits::SERVER_METRICS_COUNT`] servers, those of
    /// [`OTHER`] in its upstream.
    pub(super) fn get(&self, upstream: Arc<UpstreamMetrics>, server: &str) -> Arc<ServerMetrics> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key: ServerKey = (upstream.label.clone(), server.into());
        if let Some(found) = known.get(&key).and_then(Weak::upgrade) {
            return found;
        }
        if known.len() >= limits::SERVER_METRICS_COUNT {
            known.retain(|_, server| server.strong_count() > 0);
        }
        if known.len() >= limits::SERVER_METRICS_COUNT {
            key.1 = OTHER.into();
            if let Some(found) = known.get(&key).and_then(Weak::upgrade) {
                return found;
            }
            tracing::warn!(
                servers_max = limits::SERVER_METRICS_COUNT,
                upstream = &*key.0,
                "further servers share the metric label \"{OTHER}\""
            );
        }
        let made = Arc::new(ServerMetrics::new(upstream, &key.1));
        known.insert(key, Arc::downgrade(&made));
        made
    }

    /// Appends what is known of all of them, in label order; nothing while there is none.
    pub(super) fn render(&self, out: &mut String) {
        let servers = self.living();
        if servers.is_empty() {
            return;
        }
        let labelled: Vec<(String, &ServerMetrics)> = servers.iter().map(|one| (labels(one), &**one)).collect();
        let [responses, failures, ejections] = SERVER_COUNTERS;
        declare(out, responses, "counter");
        for (labels, server) in &labelled {
            for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(&server.responses) {
                sample(out, responses.0, labels, Some(class), count.load(Ordering::Relaxed));
            }
        }
        declare(out, failures, "counter");
        for (labels, server) in &labelled {
            for (kind, count) in SERVER_FAULTS.iter().zip(&server.failures) {
                sample(
                    out,
                    failures.0,
                    labels,
                    Some(kind.code()),
                    count.load(Ordering::Relaxed),
                );
            }
        }
        declare(out, ejections, "counter");
        for (labels, server) in &labelled {
            sample(out, ejections.0, labels, None, server.ejections.load(Ordering::Relaxed));
        }
        type Read = fn(&ServerMetrics) -> u64;
        let reads: [Read; 3] = [
            |server| u64::from(server.is_healthy.load(Ordering::Relaxed)),
            |server| server.in_flight.load(Ordering::Relaxed) as u64,
            |server| server.connections.load(Ordering::Relaxed) as u64,
        ];
        for (gauge, read) in SERVER_GAUGES.into_iter().zip(reads) {
            declare(out, gauge, "gauge");
            for (labels, server) in &labelled {
                sample(out, gauge.0, labels, None, read(server));
            }
        }
        out.push('\n');
    }

    /// Those that are held, and forgets the others.
    fn living(&self) -> Vec<Arc<ServerMetrics>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut living = Vec::with_capacity(known.len());
        known.retain(|_, server| {
            let held = server.upgrade();
            let is_held = held.is_some();
            living.extend(held);
            is_held
        });
        living
    }
}

fn labels(server: &ServerMetrics) -> String {
    let (upstream, server) = (escaped(&server.upstream.label), escaped(&server.label));
    format!("upstream=\"{upstream}\",server=\"{server}\"")
}

// Writing to a String cannot fail.
fn declare(out: &mut String, (name, help): (&str, &str), kind: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(out: &mut String, name: &str, labels: &str, code: Option<&str>, value: u64) {
    let _ = match code {
        Some(code) => writeln!(out, "{name}{{{labels},code=\"{code}\"}} {value}"),
        None => writeln!(out, "{name}{{{labels}}} {value}"),
    };
}
