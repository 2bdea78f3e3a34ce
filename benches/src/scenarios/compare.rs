//! CPU per request and requests per second of one guest on every peer, in interleaved rounds.

use super::peers::Peer;
use super::{Outcome, Scenario, Setup, Verdict, scratch};
use crate::affinity::on_cpu;
use crate::error::Error;
use crate::loader::{Expected, Loader, Pace, Plan, Report, probe};
use crate::rounds::{Row, Sample, interleave, rows};
use crate::server::{Server, free_address, this_thread};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// Every guest named `hello*` begins its answer so.
const GREETING: &[u8] = b"Hello";
/// WASI beyond wasi:http has to be asked for; std guests import it. `wasmtime serve` gives a 0.2 component one request
/// per instance by default: it is written out so that the comparison stays fresh against fresh if that default moves.
const FRESH: &[&str] = &["-S", "cli", "--max-instance-reuse-count", "1"];
/// What `pool_reset = "scan"` sets in Tidegate.
const FRESH_SCAN: &[&str] = &[
    "-S",
    "cli",
    "--max-instance-reuse-count",
    "1",
    "-O",
    "pooling-allocator=y,pooling-memory-keep-resident=2097152,pooling-table-keep-resident=65536,pooling-pagemap-scan=y",
];
const P3_FRESH: &[&str] = &[
    "-W",
    "component-model-async=y",
    "-S",
    "cli,p3",
    "--max-instance-reuse-count",
    "1",
];
/// Its default for a 0.3 component: 128 requests an instance, 16 of them at a time.
const P3_REUSE: &[&str] = &["-W", "component-model-async=y", "-S", "cli,p3"];

/// One guest, its peers and what is to be reached.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) scenario: &'static str,
    pub(super) guest: &'static str,
    pub(super) peers: Vec<Peer>,
    /// Which of them is 1.0.
    pub(super) baseline: usize,
    /// Tidegate's CPU per request over the baseline's: reach and aim.
    pub(super) target: Option<(f64, f64)>,
}

/// The comparisons of a scenario; none for the scenarios of another kind.
pub(super) fn cases(scenario: Scenario) -> Vec<Case> {
    let hello = |scenario, reset, args, target| {
        ["hello", "hello-min"].map(|guest| Case {
            scenario,
            guest,
            peers: vec![
                Peer::Tidegate { pool_reset: reset },
                Peer::Wasmtime {
                    name: "wasmtime serve",
                    args,
                },
                Peer::Native,
            ],
            baseline: 1,
            target: Some(target),
        })
    };
    match scenario {
        Scenario::FreshDefault => hello("fresh-default", None, FRESH, (0.75, 0.55)).into(),
        Scenario::FreshScan => hello("fresh-scan", Some("scan"), FRESH_SCAN, (0.92, 0.83)).into(),
        Scenario::HelloP3 => vec![Case {
            scenario: "hello-p3",
            guest: "hello-p3",
            peers: vec![
                Peer::Tidegate { pool_reset: None },
                Peer::Wasmtime {
                    name: "wasmtime serve, fresh",
                    args: P3_FRESH,
                },
                Peer::Wasmtime {
                    name: "wasmtime serve, reuse",
                    args: P3_REUSE,
                },
                Peer::Native,
            ],
            baseline: 1,
            target: None,
        }],
        Scenario::Memory | Scenario::WarmStart => Vec::new(),
    }
}

pub(super) fn run(case: &Case, setup: &Setup) -> Result<Outcome, Error> {
    let dir = scratch()?;
    let mut expected = None;
    let samples = interleave(setup.rounds, case.peers.len(), |round, peer| {
        let Some(&peer) = case.peers.get(peer) else {
            return Err(Error::Usage(format!("{}: no peer {peer}", case.scenario)));
        };
        let sample = measure(case, peer, setup, dir.path(), &mut expected)?;
        eprintln!(
            "{} {} round {}/{} {}: {:.1} µs/req, {:.0} rps",
            case.scenario,
            case.guest,
            round + 1,
            setup.rounds,
            peer.name(),
            sample.cpu_us_per_request,
            sample.requests_per_second
        );
        Ok(sample)
    })?;
    let names: Vec<String> = case.peers.iter().map(|peer| peer.name().to_owned()).collect();
    let rows = rows(&names, &samples, case.baseline)
        .ok_or_else(|| premise(case, "the rounds do not give one ratio a peer".to_owned()))?;
    Ok(Outcome::Comparison {
        scenario: case.scenario.to_owned(),
        guest: case.guest.to_owned(),
        baseline: names.get(case.baseline).cloned().unwrap_or_default(),
        verdict: verdict(case, &rows),
        rows,
    })
}

fn verdict(case: &Case, rows: &[Row]) -> Option<Verdict> {
    let (reach, aim) = case.target?;
    let tidegate = case
        .peers
        .iter()
        .zip(rows)
        .find(|(peer, _)| matches!(peer, Peer::Tidegate { .. }))?
        .1;
    let what = format!("{} {}: CPU per request over wasmtime serve", case.scenario, case.guest);
    Some(Verdict::at_most(&what, tidegate.cpu_ratio.median, reach, Some(aim)))
}

/// One peer, one round: a new process, its answer checked, warmed up, measured, ended.
fn measure(
    case: &Case,
    peer: Peer,
    setup: &Setup,
    dir: &Path,
    expected: &mut Option<Expected>,
) -> Result<Sample, Error> {
    let address = free_address()?;
    let body = expected.as_ref().map(|expected| expected.body.as_slice());
    let server = Server::start(&peer.spec(setup, case.guest, address, dir, body)?)?;
    let expected = agree(case, peer, address, expected)?;
    let plan = Plan {
        address,
        authority: address.to_string(),
        path: "/".to_owned(),
        expected,
        connections: setup.connections,
        pace: Pace::Closed,
    };
    let sample = on_cpu(setup.loader_cpu, || drive(peer, &server, plan, setup))??;
    server.stop()?;
    Ok(sample)
}

/// The first guest peer says what the right answer is; everyone after it must give the same.
fn agree(case: &Case, peer: Peer, address: SocketAddr, agreed: &mut Option<Expected>) -> Result<Expected, Error> {
    let answer = probe(address, &address.to_string(), "/")?;
    let seen = Expected {
        status: answer.status,
        body: answer.body,
    };
    let shown = || {
        format!(
            "{}: {} {:?}",
            peer.name(),
            seen.status,
            String::from_utf8_lossy(&seen.body)
        )
    };
    if seen.status != 200 || !seen.body.starts_with(GREETING) {
        return Err(premise(
            case,
            format!("expected 200 and a body that starts with Hello; {}", shown()),
        ));
    }
    let agreed = agreed.get_or_insert_with(|| seen.clone());
    if *agreed != seen {
        return Err(premise(case, format!("the peers answer differently; {}", shown())));
    }
    Ok(seen)
}

fn drive(peer: Peer, server: &Server, plan: Plan, setup: &Setup) -> Result<Sample, Error> {
    let mut loader = Loader::connect(plan)?;
    loader.run(setup.warm_up)?.require_right(peer.name())?;

    let (cpu, own, begin) = (server.cpu()?, this_thread()?, Instant::now());
    let report = loader.run(setup.measure)?;
    let (wall, own, cpu) = (
        begin.elapsed(),
        this_thread()?.saturating_sub(own),
        server.cpu()?.since(&cpu),
    );
    report.require_right(peer.name())?;
    Ok(sample(&report, cpu, own, wall))
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

fn premise(case: &Case, detail: String) -> Error {
    Error::Premise {
        name: format!("{} on {}", case.scenario, case.guest),
        detail,
    }
}
