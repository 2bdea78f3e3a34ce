//! The measured part of one peer's turn in one round: warm up, read the clocks, load, read the clocks again.

use super::Setup;
use super::upstream::Upstream;
use crate::affinity::on_cpu;
use crate::error::Error;
use crate::loader::{Loader, Plan, Report};
use crate::rounds::Sample;
use crate::server::{Server, this_thread};
use std::time::{Duration, Instant};

/// What a turn gave, and how many right answers came in all of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Driven {
    pub(super) sample: Sample,
    pub(super) answers: u64,
    /// Open loop: the loader's own part of the latency, which 99 in 100 requests stayed under.
    pub(super) late_p99_us: f64,
}

/// Loads a peer from the loader's core, first to warm it up, then to measure it.
pub(super) fn drive(
    name: &str,
    server: &Server,
    upstream: Option<&Upstream>,
    plan: Plan,
    setup: &Setup,
) -> Result<Driven, Error> {
    on_cpu(setup.loader_cpu, || load(name, server, upstream, plan, setup))?
}

fn load(name: &str, server: &Server, upstream: Option<&Upstream>, plan: Plan, setup: &Setup) -> Result<Driven, Error> {
    // What the loader's core does: this thread, and the upstream's where there is one.
    let loaders_core = || -> Result<Duration, Error> {
        let upstream = upstream.map(Upstream::cpu).transpose()?;
        Ok(this_thread()? + upstream.unwrap_or_default())
    };
    let mut loader = Loader::connect(plan)?;
    let warm_up = loader.run(setup.warm_up)?;
    warm_up.require_right(name)?;

    let (cpu, own, begin) = (server.cpu()?, loaders_core()?, Instant::now());
    let report = loader.run(setup.measure)?;
    let (wall, own, cpu) = (
        begin.elapsed(),
        loaders_core()?.saturating_sub(own),
        server.cpu()?.since(&cpu),
    );
    report.require_right(name)?;
    Ok(Driven {
        sample: sample(&report, cpu, own, wall),
        answers: warm_up.requests + report.requests,
        late_p99_us: report.late_us(0.99),
    })
}

fn sample(report: &Report, server: Duration, loader: Duration, wall: Duration) -> Sample {
    let wall = wall.as_secs_f64().max(f64::MIN_POSITIVE);
    Sample {
        cpu_us_per_request: server.as_secs_f64() * 1e6 / report.requests as f64,
        requests_per_second: report.requests_per_second(),
        latency_p50_us: report.latency_us(0.5),
        latency_p99_us: report.latency_us(0.99),
        latency_max_us: report.latency_max_us(),
        server_busy: server.as_secs_f64() / wall,
        loader_busy: loader.as_secs_f64() / wall,
    }
}
