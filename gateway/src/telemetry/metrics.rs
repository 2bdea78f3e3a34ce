//! The Prometheus metrics: handles resolved once, when a snapshot is built, never a lookup on a request.
//!
//! Counters and gauges live in the `metrics` crate's Prometheus recorder, histograms in [`histogram`], and what may
//! end before the process in `upstream`. A label
//! value is a configured name or one of ours, never what a client sent; each kind of name is bounded besides,
//! because the recorder keeps a series for as long as the process lives, across reloads.

mod component;
pub(crate) mod histogram;
mod listener;
mod names;
#[cfg(test)]
mod tests;
mod upstream;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

pub(crate) use self::component::{CancelCause, ComponentMetrics, OutgoingResult, Retirement};
use self::histogram::{DURATION_BOUNDS, Family, Histogram, STEP_BOUNDS};
pub(crate) use self::listener::{ListenerMetrics, TimeoutKind};
use self::names::{
    COUNTERS, CPU_SECONDS, FIRST_BYTE_SECONDS, GAUGES, INSTANTIATE_SECONDS, QUEUE_SECONDS, REQUEST_SECONDS,
};
use self::upstream::Servers;
pub(crate) use self::upstream::{ServerMetrics, UpstreamMetrics};
use crate::limits;

/// The media type of [`Registry::render`].
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Listener names that get series of their own in the life of a process.
const LISTENERS_COUNT: usize = 1_024;
/// The label value of every name beyond a bound.
const OTHER: &str = "other";

/// Owns every metric of one gateway. Cloning is cheap; nothing is global, so tests run side by side.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
    request_seconds: Family,
    queue_seconds: Family,
    instantiate_seconds: Family,
    cpu_seconds: Family,
    first_byte_seconds: Family,
    routes: Mutex<HashMap<Box<str>, Arc<RouteMetrics>>>,
    components: Mutex<HashMap<Box<str>, Arc<ComponentMetrics>>>,
    listeners: Mutex<HashMap<Box<str>, Arc<ListenerMetrics>>>,
    upstreams: Mutex<HashMap<Box<str>, Arc<UpstreamMetrics>>>,
    servers: Servers,
    gateway: Arc<GatewayMetrics>,
}

impl Registry {
    /// An empty registry. Nothing is installed globally.
    pub(crate) fn new() -> Self {
        let recorder = Arc::new(PrometheusBuilder::new().build_recorder());
        for (name, help) in COUNTERS {
            recorder.describe_counter((*name).into(), None, (*help).into());
        }
        for (name, help) in GAUGES {
            recorder.describe_gauge((*name).into(), None, (*help).into());
        }
        let gateway = Arc::new(GatewayMetrics::new(&recorder));
        let family = |(name, help), label, bounds| Family::new(name, help, label, bounds);
        Self {
            inner: Arc::new(Inner {
                handle: recorder.handle(),
                recorder,
                request_seconds: family(REQUEST_SECONDS, "route", DURATION_BOUNDS),
                queue_seconds: family(QUEUE_SECONDS, "component", STEP_BOUNDS),
                instantiate_seconds: family(INSTANTIATE_SECONDS, "component", STEP_BOUNDS),
                cpu_seconds: family(CPU_SECONDS, "component", STEP_BOUNDS),
                first_byte_seconds: family(FIRST_BYTE_SECONDS, "upstream", DURATION_BOUNDS),
                routes: Mutex::default(),
                components: Mutex::default(),
                listeners: Mutex::default(),
                upstreams: Mutex::default(),
                servers: Servers::default(),
                gateway,
            }),
        }
    }

    /// Everything in the Prometheus text format ([`CONTENT_TYPE`]). Milliseconds per thousand routes: for the
    /// control side, never for a request's thread.
    pub(crate) fn render(&self) -> String {
        let mut out = self.inner.handle.render();
        for family in [
            &self.inner.request_seconds,
            &self.inner.queue_seconds,
            &self.inner.instantiate_seconds,
            &self.inner.cpu_seconds,
            &self.inner.first_byte_seconds,
        ] {
            family.render(&mut out);
        }
        self.inner.servers.render(&mut out);
        out
    }

    /// The handles of a route. The same name is the same series, whichever snapshot asks.
    pub(crate) fn route(&self, route: &str) -> Arc<RouteMetrics> {
        let inner = &*self.inner;
        resolve(&inner.routes, limits::ROUTES_COUNT, route, |name| {
            RouteMetrics::new(inner, name)
        })
    }

    /// The handles of a component.
    pub(crate) fn component(&self, component: &str) -> Arc<ComponentMetrics> {
        let inner = &*self.inner;
        resolve(&inner.components, limits::COMPONENTS_COUNT, component, |name| {
            ComponentMetrics::new(inner, name)
        })
    }

    /// The handles of a listener.
    pub(crate) fn listener(&self, listener: &str) -> Arc<ListenerMetrics> {
        let inner = &*self.inner;
        resolve(&inner.listeners, LISTENERS_COUNT, listener, |name| {
            ListenerMetrics::new(&inner.recorder, name)
        })
    }

    /// The handles of an upstream.
    pub(crate) fn upstream(&self, upstream: &str) -> Arc<UpstreamMetrics> {
        let inner = &*self.inner;
        resolve(&inner.upstreams, limits::UPSTREAMS_COUNT, upstream, |name| {
            UpstreamMetrics::new(inner, name)
        })
    }

    /// The handles of one server of an upstream. Its series end when the last of them is dropped.
    pub(crate) fn server(&self, upstream: &str, server: &str) -> Arc<ServerMetrics> {
        self.inner.servers.get(self.upstream(upstream), server)
    }

    /// The handles of the gateway as a whole.
    pub(crate) fn gateway(&self) -> Arc<GatewayMetrics> {
        Arc::clone(&self.inner.gateway)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

/// One route: rate, errors, duration, and what is under way.
#[derive(Debug)]
pub(crate) struct RouteMetrics {
    /// By status class, 1xx first.
    requests: [Counter; 5],
    seconds: Arc<Histogram>,
    request_body_bytes: Counter,
    response_body_bytes: Counter,
    in_flight: Gauge,
}

impl RouteMetrics {
    fn new(inner: &Inner, route: &str) -> Self {
        let recorder = &inner.recorder;
        let label = [("route", route)];
        Self {
            requests: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| {
                counter(
                    recorder,
                    "tidegate_requests_total",
                    &[("route", route), ("code", class)],
                )
            }),
            seconds: inner.request_seconds.with(route),
            request_body_bytes: counter(recorder, "tidegate_request_body_bytes_total", &label),
            response_body_bytes: counter(recorder, "tidegate_response_body_bytes_total", &label),
            in_flight: gauge(recorder, "tidegate_requests_in_flight", &label),
        }
    }

    /// Counts a request as under way until the guard is dropped.
    pub(crate) fn enter(&self) -> GaugeGuard {
        GaugeGuard::new(&self.in_flight)
    }

    /// One request that is over: its status, the time from its head to its last byte, and body bytes both
    /// ways. A status outside 100..=599 can only be a fault of ours and counts as 5xx.
    pub(crate) fn finished(&self, status: u16, duration: Duration, bytes_in: u64, bytes_out: u64) {
        let class = usize::from(status / 100).wrapping_sub(1);
        if let Some(requests) = self.requests.get(class).or(self.requests.last()) {
            requests.increment(1);
        }
        self.seconds.record(duration);
        if bytes_in > 0 {
            self.request_body_bytes.increment(bytes_in);
        }
        if bytes_out > 0 {
            self.response_body_bytes.increment(bytes_out);
        }
    }
}

/// The gateway as a whole.
#[derive(Debug)]
pub(crate) struct GatewayMetrics {
    pub(crate) reloads_ok: Counter,
    pub(crate) reloads_failed: Counter,
    pub(crate) access_log: AccessLogMetrics,
    snapshot_version: Gauge,
    versions_alive: Gauge,
    tasks: [(&'static str, Gauge); 3],
    free_places: [(&'static str, Gauge); 2],
}

impl GatewayMetrics {
    fn new(recorder: &PrometheusRecorder) -> Self {
        let reloads = |result| counter(recorder, "tidegate_reloads_total", &[("result", result)]);
        gauge(
            recorder,
            "tidegate_build_info",
            &[("version", env!("CARGO_PKG_VERSION"))],
        )
        .set(1.0);
        Self {
            reloads_ok: reloads("ok"),
            reloads_failed: reloads("failed"),
            access_log: AccessLogMetrics {
                written: counter(recorder, "tidegate_access_log_lines_total", &[]),
                dropped: counter(recorder, "tidegate_access_log_dropped_total", &[]),
                failed: counter(recorder, "tidegate_access_log_failed_total", &[]),
            },
            snapshot_version: gauge(recorder, "tidegate_snapshot_version", &[]),
            versions_alive: gauge(recorder, "tidegate_snapshot_versions_alive", &[]),
            tasks: ["doors", "io", "lane"].map(|runtime| {
                let label = [("runtime", runtime)];
                (runtime, gauge(recorder, "tidegate_tasks", &label))
            }),
            free_places: ["p2", "p3"].map(|dialect| {
                let label = [("dialect", dialect)];
                (dialect, gauge(recorder, "tidegate_pool_free", &label))
            }),
        }
    }

    /// The version that serves from now on. Exact up to 2^53.
    pub(crate) fn snapshot_version(&self, version: u64) {
        self.snapshot_version.set(version as f64);
    }

    /// Tasks alive in one of "doors", "io" and "lane".
    pub(crate) fn tasks(&self, runtime: &str, count: usize) {
        set(&self.tasks, runtime, count);
    }

    /// Places free in the pool of "p2" or "p3".
    pub(crate) fn free_places(&self, dialect: &str, count: usize) {
        set(&self.free_places, dialect, count);
    }

    /// Counts a snapshot version as alive until the guard is dropped.
    pub(crate) fn version_alive(&self) -> GaugeGuard {
        GaugeGuard::new(&self.versions_alive)
    }
}

fn set(gauges: &[(&'static str, Gauge)], label: &str, count: usize) {
    if let Some((_, gauge)) = gauges.iter().find(|(known, _)| *known == label) {
        gauge.set(count as f64);
    }
}

/// What became of access-log lines.
#[derive(Clone, Debug)]
pub(crate) struct AccessLogMetrics {
    pub(crate) written: Counter,
    /// Never queued: the queue was full or the log had ended.
    pub(crate) dropped: Counter,
    /// Lost because the sink failed.
    pub(crate) failed: Counter,
}

/// One unit on a gauge for as long as it lives, so that no way out of a request can forget to take it off.
#[derive(Debug)]
pub(crate) struct GaugeGuard {
    gauge: Gauge,
}

impl GaugeGuard {
    fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self { gauge: gauge.clone() }
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.gauge.decrement(1.0);
    }
}

/// The handles of `name`, made at its first use; beyond `names_max` names, those of [`OTHER`].
fn resolve<T>(
    known: &Mutex<HashMap<Box<str>, Arc<T>>>,
    names_max: usize,
    name: &str,
    make: impl FnOnce(&str) -> T,
) -> Arc<T> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known.get(name) {
        return Arc::clone(found);
    }
    let name = if known.len() < names_max { name } else { OTHER };
    if let Some(found) = known.get(name) {
        return Arc::clone(found);
    }
    if known.len() >= names_max {
        tracing::warn!(
            names_max,
            "further names share the metric label \"{OTHER}\" until a restart"
        );
    }
    let made = Arc::new(make(name));
    known.insert(name.into(), Arc::clone(&made));
    made
}

/// The level and target the recorder asks for and does not use.
const METADATA: Metadata<'static> = Metadata::new("tidegate", Level::INFO, None);

fn counter(recorder: &PrometheusRecorder, name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
    recorder.register_counter(&key(name, labels), &METADATA)
}

fn gauge(recorder: &PrometheusRecorder, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
    recorder.register_gauge(&key(name, labels), &METADATA)
}

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels
        .iter()
        .map(|(label, value)| Label::new(*label, (*value).to_owned()))
        .collect();
    Key::from_parts(name, labels)
}
