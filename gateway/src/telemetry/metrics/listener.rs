//! What a listener counts: its connections, and what it refused.

use std::sync::{Arc, PoisonError, RwLock};

use ::metrics::{Counter, Gauge};
use metrics_exporter_prometheus::PrometheusRecorder;

use super::{GaugeGuard, OTHER, counter, gauge};

/// Rejection codes of one listener with a series of their own.
pub(super) const REJECTION_CODES_COUNT: usize = 64;

/// Which of a listener's timers ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeoutKind {
    Handshake,
    Header,
    Idle,
    BodyIdle,
    BodyRate,
    Write,
}

impl TimeoutKind {
    /// In the order of the counters that [`ListenerMetrics::timed_out`] indexes by discriminant.
    pub(super) const ALL: [Self; 6] = [
        Self::Handshake,
        Self::Header,
        Self::Idle,
        Self::BodyIdle,
        Self::BodyRate,
        Self::Write,
    ];

    /// The label value, also fit for a log line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Header => "header",
            Self::Idle => "idle",
            Self::BodyIdle => "body_idle",
            Self::BodyRate => "body_rate",
            Self::Write => "write",
        }
    }
}

/// One listener: its connections, and what it refused.
#[derive(Debug)]
pub(crate) struct ListenerMetrics {
    pub(crate) accepted: Counter,
    /// Closed at once: the listener holds all the connections it may.
    pub(crate) refused_total: Counter,
    /// Closed at once: their address holds all the connections it may.
    pub(crate) refused_address: Counter,
    /// Closed at once: without the PROXY header they must begin with, or from where none may come.
    pub(crate) refused_proxy_protocol: Counter,
    pub(crate) accept_errors: Counter,
    pub(crate) tls_handshake_failures: Counter,
    open: Gauge,
    timeouts: [Counter; TimeoutKind::ALL.len()],
    rejections: Rejections,
}

impl ListenerMetrics {
    pub(super) fn new(recorder: &Arc<PrometheusRecorder>, listener: &str) -> Self {
        let label = [("listener", listener)];
        let refused = |reason| {
            let labels = [("listener", listener), ("reason", reason)];
            counter(recorder, "tidegate_connections_refused_total", &labels)
        };
        Self {
            accepted: counter(recorder, "tidegate_connections_total", &label),
            refused_total: refused("listener_limit"),
            refused_address: refused("address_limit"),
            refused_proxy_protocol: refused("proxy_protocol"),
            accept_errors: counter(recorder, "tidegate_accept_errors_total", &label),
            tls_handshake_failures: counter(recorder, "tidegate_tls_handshake_failures_total", &label),
            open: gauge(recorder, "tidegate_connections_open", &label),
            timeouts: TimeoutKind::ALL.map(|kind| {
                let labels = [("listener", listener), ("kind", kind.as_str())];
                counter(recorder, "tidegate_timeouts_total", &labels)
            }),
            rejections: Rejections::new(recorder, listener),
        }
    }

    /// Counts a connection as open until the guard is dropped.
    pub(crate) fn connection(&self) -> GaugeGuard {
        GaugeGuard::new(&self.open)
    }

    /// One timer that ran out.
    pub(crate) fn timed_out(&self, kind: TimeoutKind) {
        if let Some(counter) = self.timeouts.get(kind as usize) {
            counter.increment(1);
        }
    }

    /// One request the guard refused, by the guard's own code. The first of a code resolves its counter.
    pub(crate) fn rejected(&self, code: &'static str) {
        self.rejections.count(code);
    }
}

/// A listener's counters by rejection code. The codes are the guard's constants, so a short list scanned under
/// a read lock is cheaper than a map, and only refused requests come here at all.
#[derive(Debug)]
struct Rejections {
    recorder: Arc<PrometheusRecorder>,
    listener: Box<str>,
    codes: RwLock<Vec<(&'static str, Counter)>>,
}

impl Rejections {
    fn new(recorder: &Arc<PrometheusRecorder>, listener: &str) -> Self {
        Self {
            recorder: Arc::clone(recorder),
            listener: listener.into(),
            codes: RwLock::default(),
        }
    }

    fn count(&self, code: &'static str) {
        let codes = self.codes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, counter)) = codes.iter().find(|(known, _)| *known == code) {
            counter.increment(1);
            return;
        }
        drop(codes);
        let mut codes = self.codes.write().unwrap_or_else(PoisonError::into_inner);
        let code = if codes.len() < REJECTION_CODES_COUNT {
            code
        } else {
            OTHER
        };
        let labels = [("listener", &*self.listener), ("code", code)];
        // Two threads may both come here with the same new code: the recorder gives both the same counter.
        let counter = counter(&self.recorder, "tidegate_rejected_total", &labels);
        counter.increment(1);
        if !codes.iter().any(|(known, _)| *known == code) {
            codes.push((code, counter));
        }
    }
}
