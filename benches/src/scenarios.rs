//! What is measured, against what, and the figure it is to reach.

mod compare;
mod config;
mod edge;
mod goal;
mod idle;
mod memory;
mod peers;
mod turn;
mod upstream;
mod warm_start;

use crate::error::Error;
use crate::rounds::{Beside, Row, Spread};
use clap::ValueEnum;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The scenarios, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// A fresh 0.2 instance per request, every peer at its defaults
    FreshDefault,
    /// The same with the pool tuned on both sides (`pool_reset = "scan"`)
    FreshScan,
    /// A 0.3 component, an instance per request; recorded
    HelloP3,
    /// 128 requests an instance, one after another, on both sides
    Reuse,
    /// A 0.3 component: 128 requests an instance, 16 at a time, on both sides
    Concurrent,
    /// A guest that calls a keep-alive server for every request
    Outgoing,
    /// A local answer of three bytes, beside nginx
    Local,
    /// Latency of the local answer at 60% of what the slower of the two can do, beside nginx
    LocalP99,
    /// A proxied answer of 1 KiB over HTTP/1.1 keep-alive on both sides, beside nginx
    ProxyH1,
    /// Latency of the proxied answer at 60% of what the slower of the two can do, beside nginx
    ProxyP99,
    /// 1 GiB through a guest and back: growth of resident memory
    Memory,
    /// A second start with 200 components: time until it listens
    WarmStart,
    /// Thousands of idle keep-alive connections: resident memory for each
    IdleConnections,
}

/// What a run needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) tidegate: PathBuf,
    /// None only if no scenario that was asked for needs it.
    pub(crate) wasmtime: Option<PathBuf>,
    /// Likewise.
    pub(crate) nginx: Option<PathBuf>,
    pub(crate) guests: PathBuf,
    pub(crate) rounds: usize,
    pub(crate) measure: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) connections: usize,
    pub(crate) server_cpu: usize,
    pub(crate) loader_cpu: usize,
    pub(crate) stream_bytes: u64,
    pub(crate) components: usize,
    pub(crate) idle_connections: usize,
}

/// A figure that is to be reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) measured: f64,
    pub(crate) reach: Bound,
    pub(crate) aim: Option<f64>,
    pub(crate) reached: bool,
}

/// On which side of a figure the measured one has to be; the figure itself will do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// The result of one scenario on one guest.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Comparison {
        scenario: String,
        guest: String,
        baseline: String,
        rows: Vec<Row>,
        /// The rows over peers other than the baseline, where a goal asks for it.
        others: Vec<Beside>,
        verdicts: Vec<Verdict>,
        /// Of a load at a fixed rate.
        #[serde(skip_serializing_if = "Option::is_none")]
        paced: Option<Paced>,
    },
    Memory {
        scenario: String,
        guest: String,
        bytes: u64,
        seconds: f64,
        rss_before_bytes: u64,
        rss_peak_bytes: u64,
        verdict: Verdict,
    },
    WarmStart {
        scenario: String,
        guest: String,
        components: usize,
        /// The first start, which compiles.
        cold_ms: f64,
        listening_ms: Spread,
        /// From exec to the answer of the last component's route.
        answered_ms: Spread,
        verdict: Verdict,
    },
    IdleConnections {
        scenario: String,
        guest: String,
        connections: usize,
        rows: Vec<IdleRow>,
        verdict: Verdict,
    },
}

/// How a fixed rate came about and how well it was kept; each list in the order of the rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Paced {
    /// The rate of a round is this share of the least of what the peers could do in it.
    pub(crate) share: f64,
    /// What each could do, asked as fast as it answered.
    pub(crate) closed_rps: Vec<Spread>,
    /// Share of that time that the server's core worked for the server.
    pub(crate) closed_server_busy: Vec<Spread>,
    /// The loader's own part of the latency at the fixed rate, which 99 in 100 requests stayed under.
    pub(crate) late_p99_us: Vec<Spread>,
}

/// What idle connections cost one peer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct IdleRow {
    pub(crate) peer: String,
    /// Resident memory that came with the connections, divided by their number.
    pub(crate) kib_per_connection: Spread,
    pub(crate) rss_before_mib: Spread,
    pub(crate) rss_after_mib: Spread,
}

impl Scenario {
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    pub(crate) fn needs_wasmtime(self) -> bool {
        // The others are about the gateway alone, or have another peer beside it.
        !compare::cases(self).is_empty()
    }

    pub(crate) fn needs_nginx(self) -> bool {
        edge::cases(self).is_some()
    }

    /// Runs it on each of its guests and hands over each outcome as soon as it is there.
    pub(crate) fn run(self, setup: &Setup, mut each: impl FnMut(Outcome) -> Result<(), Error>) -> Result<(), Error> {
        match self {
            Self::FreshDefault | Self::FreshScan | Self::HelloP3 | Self::Reuse | Self::Concurrent | Self::Outgoing => {
                compare::cases(self)
                    .iter()
                    .try_for_each(|case| each(compare::run(case, setup)?))
            }
            Self::Local | Self::LocalP99 | Self::ProxyH1 | Self::ProxyP99 => edge::cases(self)
                .iter()
                .try_for_each(|case| each(edge::run(case, setup)?)),
            Self::Memory => memory::GUESTS
                .iter()
                .try_for_each(|guest| each(memory::run(guest, setup)?)),
            Self::WarmStart => each(warm_start::run(setup)?),
            Self::IdleConnections => each(idle::run(setup)?),
        }
    }
}

impl Verdict {
    pub(crate) fn new(what: &str, measured: f64, reach: Bound, aim: Option<f64>) -> Self {
        Self {
            what: what.to_owned(),
            measured,
            reach,
            aim,
            // A figure that is not a number reaches neither.
            reached: match reach {
                Bound::AtMost(most) => measured <= most,
                Bound::AtLeast(least) => measured >= least,
            },
        }
    }
}

impl Outcome {
    pub(crate) fn verdicts(&self) -> &[Verdict] {
        match self {
            Self::Comparison { verdicts, .. } => verdicts,
            Self::Memory { verdict, .. } | Self::WarmStart { verdict, .. } | Self::IdleConnections { verdict, .. } => {
                std::slice::from_ref(verdict)
            }
        }
    }
}

/// The component file of a guest.
fn guest(setup: &Setup, name: &str) -> Result<PathBuf, Error> {
    required(setup.guests.join(format!("{name}.wasm")), "run `cargo xtask guests`")
}

fn tidegate(setup: &Setup) -> Result<PathBuf, Error> {
    required(setup.tidegate.clone(), "run `cargo build --profile dist -p tidegate`")
}

/// An absolute path: configs and peers are read from another folder.
fn required(path: PathBuf, remedy: &'static str) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|_| Error::Missing { path, remedy })
}

fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Error> {
    use crate::error::Context;
    std::fs::write(path, content).context(|| format!("writing {}", path.display()))
}

/// A folder for the configs, logs and data of one scenario; it goes when the scenario ends.
fn scratch() -> Result<tempfile::TempDir, Error> {
    use crate::error::Context;
    tempfile::Builder::new()
        .prefix("tidegate-bench-")
        .tempdir()
        .context(|| "making a temporary folder".to_owned())
}

#[cfg(test)]
mod tests;
