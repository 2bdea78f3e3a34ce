//! The HTTP/1.1 client: N keep-alive connections on one thread over epoll, every status and body checked.
//!
//! Closed loop: each connection sends its next request when its answer is complete, which saturates the server and
//! gives CPU per request. Open loop: requests are due at a fixed rate whatever the server does, and a latency counts
//! from the moment the request was due, so a stall is charged to everyone who had to wait for it.

mod connection;
mod engine;
mod probe;
pub(crate) mod response;

use crate::error::Error;
use hdrhistogram::Histogram;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) use engine::Loader;
pub(crate) use probe::{Answer, connect, exchange, probe};

/// What is asked, and how.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) expected: Expected,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
}

/// The one right answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    Closed,
    Open { per_second: f64 },
}

/// What a run of the loader saw. Latencies are nanoseconds.
pub(crate) struct Report {
    /// Right answers.
    pub(crate) requests: u64,
    /// Wrong or missing answers.
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// Connections opened again, because the server closed one in an orderly way.
    pub(crate) reconnects: u64,
    pub(crate) latency: Histogram<u64>,
    /// Open loop: how long after it was due, and a connection free, each request was sent. This much of a latency is the
    /// loader's own.
    pub(crate) late: Histogram<u64>,
}

impl fmt::Debug for Report {
    /// Without the histograms, which are some thousand counters.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("requests", &self.requests)
            .field("errors", &self.errors)
            .field("first_error", &self.first_error)
            .field("elapsed", &self.elapsed)
            .field("reconnects", &self.reconnects)
            .finish_non_exhaustive()
    }
}

impl Report {
    pub(crate) fn requests_per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The latency that this share of the requests stayed under, in microseconds.
    pub(crate) fn latency_us(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// The loader's own lateness that this share of the requests stayed under, in microseconds. 0 in a closed loop.
    pub(crate) fn late_us(&self, quantile: f64) -> f64 {
        self.late.value_at_quantile(quantile) as f64 / 1000.0
    }

    pub(crate) fn latency_max_us(&self) -> f64 {
        self.latency.max() as f64 / 1000.0
    }

    /// Fails if a single answer was wrong, or if there was none at all.
    pub(crate) fn require_right(&self, name: &str) -> Result<(), Error> {
        if self.errors == 0 && self.requests > 0 {
            return Ok(());
        }
        Err(Error::WrongAnswers {
            name: name.to_owned(),
            errors: self.errors,
            requests: self.requests,
            first: self
                .first_error
                .clone()
                .unwrap_or_else(|| "no answer at all".to_owned()),
        })
    }
}

/// The bytes of one request. Nothing optional: both sides do the least a real client would make them do.
fn request_bytes(authority: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests;
