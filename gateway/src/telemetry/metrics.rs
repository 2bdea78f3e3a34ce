//! The Prometheus metrics: handles resolved once, when a snapshot is built, never a lookup on a request.
//!
//! Counters and gauges live in the `metrics` crate's Prometheus recorder, histograms in [`histogram`]. A label
//! value is a configured name or one of ours, never what a client sent; each kind of name is bounded besides,
//! because the recorder keeps a series for as long as the process lives, across reloads.

pub(crate) mod histogram;
mod listener;
mod names;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::metrics::{Counter, Gauge, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use self::histogram::{DURATION_BOUNDS, Family, Histogram, STEP_BOUNDS};
pub(crate) use self::listener::{ListenerMetrics, TimeoutKind};
use self::names::{COUNTERS, CPU_SECONDS, GAUGES, INSTANTIATE_SECONDS, QUEUE_SECONDS, REQUEST_SECONDS};
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
    routes: Mutex<HashMap<Box<str>, Arc<RouteMetrics>>>,
    components: Mutex<HashMap<Box<str>, Arc<ComponentMetrics>>>,
    listeners: Mutex<HashMap<Box<str>, Arc<ListenerMetrics>>>,
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
                routes: Mutex::default(),
                components: Mutex::default(),
                listeners: Mutex::default(),
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
        ] {
            family.render(&mut out);
        }
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

/// Why a call of a component was stopped before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelCause {
    ClientGone,
    Deadline,
    BodyDeadline,
    Cpu,
    WriteTimeout,
    Shutdown,
}

impl CancelCause {
    /// In the order of the counters that [`ComponentMetrics::cancelled`] indexes by discriminant.
    const ALL: [Self; 6] = [
        Self::ClientGone,
        Self::Deadline,
        Self::BodyDeadline,
        Self::Cpu,
        Self::WriteTimeout,
        Self::Shutdown,
    ];

    /// The label value, also fit for a log line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ClientGone => "client_gone",
            Self::Deadline => "deadline",
            Self::BodyDeadline => "body_deadline",
            Self::Cpu => "cpu",
            Self::WriteTimeout => "write_timeout",
            Self::Shutdown => "shutdown",
        }
    }
}

/// What became of a guest's outgoing request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutgoingResult {
    /// The head of a response came.
    Ok,
    Denied,
    Failed,
}

impl OutgoingResult {
    /// In the order of the counters that [`ComponentMetrics::outgoing`] indexes by discriminant.
    const ALL: [Self; 3] = [Self::Ok, Self::Denied, Self::Failed];

    /// The label value.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// Why an instance that could have answered another request did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retirement {
    /// It has answered as many as it may.
    Requests,
    /// No request came for a while.
    Idle,
    Trap,
    /// A call of it was stopped: by its client, a deadline or its CPU limit.
    Cancelled,
    /// It kept handles of a request, or too many.
    Handles,
    /// Its memory grew, or it failed at its limit.
    Memory,
    /// Its place in the pool was wanted elsewhere.
    Reclaimed,
    /// Its component was replaced.
    Replaced,
    /// It computes in the CPU lane, so only what it has already is finished there.
    Lane,
}

impl Retirement {
    /// In the order of the counters that [`ComponentMetrics::retired`] indexes by discriminant.
    pub(crate) const ALL: [Self; 9] = [
        Self::Requests,
        Self::Idle,
        Self::Trap,
        Self::Cancelled,
        Self::Handles,
        Self::Memory,
        Self::Reclaimed,
        Self::Replaced,
        Self::Lane,
    ];

    /// The label value.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Idle => "idle",
            Self::Trap => "trap",
            Self::Cancelled => "cancelled",
            Self::Handles => "handles",
            Self::Memory => "memory",
            Self::Reclaimed => "reclaimed",
            Self::Replaced => "replaced",
            Self::Lane => "lane",
        }
    }
}

/// One component: its calls, its pool, its queue, and how calls failed.
#[derive(Debug)]
pub(crate) struct ComponentMetrics {
    pub(crate) calls: Counter,
    pub(crate) traps: Counter,
    /// Calls that failed because the guest reached its memory limit.
    pub(crate) memory_failures: Counter,
    /// Calls refused because every place and the queue were taken, or the wait was too long.
    pub(crate) saturated: Counter,
    /// Calls that moved to the CPU lane.
    pub(crate) lane_moves: Counter,
    pub(crate) queue_seconds: Arc<Histogram>,
    pub(crate) instantiate_seconds: Arc<Histogram>,
    /// CPU of one call: time inside its polls.
    pub(crate) cpu_seconds: Arc<Histogram>,
    instances: Gauge,
    idle_instances: Gauge,
    queued: Gauge,
    cancels: [Counter; CancelCause::ALL.len()],
    retirements: [Counter; Retirement::ALL.len()],
    outgoing: [Counter; OutgoingResult::ALL.len()],
    outgoing_connections: Gauge,
}

impl ComponentMetrics {
    fn new(inner: &Inner, component: &str) -> Self {
        let recorder = &inner.recorder;
        let label = [("component", component)];
        let total = |name| counter(recorder, name, &label);
        Self {
            calls: total("tidegate_component_calls_total"),
            traps: total("tidegate_component_traps_total"),
            memory_failures: total("tidegate_component_memory_failures_total"),
            saturated: total("tidegate_component_saturated_total"),
            lane_moves: total("tidegate_component_lane_moves_total"),
            queue_seconds: inner.queue_seconds.with(component),
            instantiate_seconds: inner.instantiate_seconds.with(component),
            cpu_seconds: inner.cpu_seconds.with(component),
            instances: gauge(recorder, "tidegate_component_instances", &label),
            idle_instances: gauge(recorder, "tidegate_component_idle_instances", &label),
            queued: gauge(recorder, "tidegate_component_queue_length", &label),
            cancels: CancelCause::ALL.map(|cause| {
                let labels = [("component", component), ("cause", cause.as_str())];
                counter(recorder, "tidegate_component_cancels_total", &labels)
            }),
            retirements: Retirement::ALL.map(|cause| {
                let labels = [("component", component), ("cause", cause.as_str())];
                counter(recorder, "tidegate_component_retirements_total", &labels)
            }),
            outgoing: OutgoingResult::ALL.map(|result| {
                let labels = [("component", component), ("result", result.as_str())];
                counter(recorder, "tidegate_component_outgoing_total", &labels)
            }),
            outgoing_connections: gauge(recorder, "tidegate_component_outgoing_connections", &label),
        }
    }

    /// Counts an instance as in use until the guard is dropped.
    pub(crate) fn instance(&self) -> GaugeGuard {
        GaugeGuard::new(&self.instances)
    }

    /// Counts an instance as kept for the next call until the guard is dropped.
    pub(crate) fn idle_instance(&self) -> GaugeGuard {
        GaugeGuard::new(&self.idle_instances)
    }

    /// One outgoing request that has its response, or never will.
    pub(crate) fn outgoing(&self, result: OutgoingResult) {
        if let Some(counter) = self.outgoing.get(result as usize) {
            counter.increment(1);
        }
    }

    /// Connections that its outgoing requests have open.
    pub(crate) fn outgoing_connections(&self, count: usize) {
        self.outgoing_connections.set(count as f64);
    }

    /// One reusable instance that is gone, and why.
    pub(crate) fn retired(&self, cause: Retirement) {
        if let Some(counter) = self.retirements.get(cause as usize) {
            counter.increment(1);
        }
    }

    /// Counts a call as waiting for a place until the guard is dropped.
    pub(crate) fn waiting(&self) -> GaugeGuard {
        GaugeGuard::new(&self.queued)
    }

    /// One call that was stopped, and why.
    pub(crate) fn cancelled(&self, cause: CancelCause) {
        if let Some(counter) = self.cancels.get(cause as usize) {
            counter.increment(1);
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
        }
    }

    /// The version that serves from now on. Exact up to 2^53.
    pub(crate) fn snapshot_version(&self, version: u64) {
        self.snapshot_version.set(version as f64);
    }

    /// Counts a snapshot version as alive until the guard is dropped.
    pub(crate) fn version_alive(&self) -> GaugeGuard {
        GaugeGuard::new(&self.versions_alive)
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
