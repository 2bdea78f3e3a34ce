//! What is measured, against what, and the figure it is to reach.

mod compare;
mod config;
mod memory;
mod peers;
mod warm_start;

use crate::error::Error;
use crate::rounds::{Row, Spread};
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
    /// A 0.3 component; recorded, no target yet
    HelloP3,
    /// 1 GiB through a guest and back: growth of resident memory
    Memory,
    /// A second start with 200 components: time until it listens
    WarmStart,
}

/// What a run needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) tidegate: PathBuf,
    /// None only if no scenario that was asked for needs it.
    pub(crate) wasmtime: Option<PathBuf>,
    pub(crate) guests: PathBuf,
    pub(crate) rounds: usize,
    pub(crate) measure: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) connections: usize,
    pub(crate) server_cpu: usize,
    pub(crate) loader_cpu: usize,
    pub(crate) stream_bytes: u64,
    pub(crate) components: usize,
}

/// A figure that is to be reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) measured: f64,
    /// At most this.
    pub(crate) reach: f64,
    pub(crate) aim: Option<f64>,
    pub(crate) reached: bool,
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
        verdict: Option<Verdict>,
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
}

impl Scenario {
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    pub(crate) fn needs_wasmtime(self) -> bool {
        matches!(self, Self::FreshDefault | Self::FreshScan | Self::HelloP3)
    }

    /// Runs it on each of its guests and hands over each outcome as soon as it is there.
    pub(crate) fn run(self, setup: &Setup, mut each: impl FnMut(Outcome) -> Result<(), Error>) -> Result<(), Error> {
        match self {
            Self::FreshDefault | Self::FreshScan | Self::HelloP3 => compare::cases(self)
                .iter()
                .try_for_each(|case| each(compare::run(case, setup)?)),
            Self::Memory => memory::GUESTS
                .iter()
                .try_for_each(|guest| each(memory::run(guest, setup)?)),
            Self::WarmStart => each(warm_start::run(setup)?),
        }
    }
}

impl Verdict {
    pub(crate) fn at_most(what: &str, measured: f64, reach: f64, aim: Option<f64>) -> Self {
        Self {
            what: what.to_owned(),
            measured,
            reach,
            aim,
            reached: measured <= reach,
        }
    }
}

impl Outcome {
    pub(crate) fn verdict(&self) -> Option<&Verdict> {
        match self {
            Self::Comparison { verdict, .. } => verdict.as_ref(),
            Self::Memory { verdict, .. } | Self::WarmStart { verdict, .. } => Some(verdict),
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
