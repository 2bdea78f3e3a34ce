//! One component in numbers: its calls, its instances, its queue, its outgoing requests, and how calls failed.

use super::histogram::Histogram;
use super::{GaugeGuard, Inner, counter, gauge};
use ::metrics::{Counter, Gauge};
use std::sync::Arc;

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
    pub(super) const ALL: [Self; 6] = [
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
    pub(super) fn new(inner: &Inner, component: &str) -> Self {
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

    /// Instances kept for the next call, where they are looked at from outside.
    pub(crate) fn idle_instances(&self, count: usize) {
        self.idle_instances.set(count as f64);
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
