//! CPU per request and requests per second of one guest on every peer, in interleaved rounds.

mod cases;

pub(super) use cases::{Case, cases};

use super::peers::{Duty, Peer};
use super::upstream::{Connections, Upstream};
use super::{Outcome, Setup, Verdict, scratch};
use crate::affinity::on_cpu;
use crate::error::Error;
use crate::loader::{Expected, Loader, Pace, Plan, Report, probe};
use crate::rounds::{Beside, Figure, Row, Sample, beside, interleave, ratio, rows};
use crate::server::{Server, free_address, this_thread};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

/// Every guest named `hello*` begins its answer so, and so does the server that guests call.
const GREETING: &[u8] = b"Hello";
/// Pooled connections to the upstream may be this many for each request in flight: one is what it takes, and one more
/// may be opened while another is on its way back to the pool.
const UPSTREAM_CONNECTIONS_EACH: u64 = 2;

pub(super) fn run(case: &Case, setup: &Setup) -> Result<Outcome, Error> {
    let dir = scratch()?;
    let mut expected = case.calls_out.then(Upstream::expected);
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
    let (others, verdicts) =
        judge(case, &rows).ok_or_else(|| premise(case, "a goal names a peer that has no row".to_owned()))?;
    Ok(Outcome::Comparison {
        scenario: case.scenario.to_owned(),
        guest: case.guest.to_owned(),
        baseline: names.get(case.baseline).cloned().unwrap_or_default(),
        others,
        verdicts,
        rows,
    })
}

/// The columns beside the baseline's, and what came of each goal. None if one of them names a peer without a row.
pub(super) fn judge(case: &Case, rows: &[Row]) -> Option<(Vec<Beside>, Vec<Verdict>)> {
    let others = case.beside.iter();
    let others = others.map(|&(other, figure)| beside(rows, other, figure));
    let verdicts = case.goals.iter().map(|goal| {
        let (own, base) = (rows.get(goal.peer)?, rows.get(goal.over)?);
        let measured = ratio(own, base, goal.figure)?.median;
        let figure = match goal.figure {
            Figure::CpuPerRequest => "CPU per request",
            Figure::RequestsPerSecond => "requests per second",
        };
        let what = format!("{} {}: {figure} over {}", case.scenario, case.guest, base.peer);
        Some(Verdict::new(&what, measured, goal.bound, goal.aim))
    });
    Some((others.collect::<Option<_>>()?, verdicts.collect::<Option<_>>()?))
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
    let upstream = case.calls_out.then(|| Upstream::start(setup.loader_cpu)).transpose()?;
    let server = Server::start(&peer.spec(
        setup,
        Duty {
            guest: case.guest,
            address,
            dir,
            body: expected.as_ref().map(|expected| expected.body.as_slice()),
            upstream: upstream.as_ref().map(|upstream| upstream.address),
        },
    )?)?;
    let path = upstream.as_ref().map_or("/".to_owned(), Upstream::path);
    let expected = agree(case, peer, address, &path, expected)?;
    let plan = Plan {
        address,
        authority: address.to_string(),
        path,
        expected,
        connections: setup.connections,
        pace: Pace::Closed,
    };
    let driven = on_cpu(setup.loader_cpu, || {
        drive(peer, &server, upstream.as_ref(), plan, setup)
    })??;
    if let Some(upstream) = &upstream {
        // One more than the loader's: the answer that was looked at before.
        let fault = upstream.seen().fault(driven.answers + 1, connections(peer, setup));
        if let Some(detail) = fault.or_else(|| flattering(peer, &driven.sample)) {
            return Err(premise(case, format!("{}: {detail}", peer.name())));
        }
    }
    server.stop()?;
    Ok(driven.sample)
}

/// Where the other peer is held back by what it calls, requests per second would say too much for us. The other way
/// round they say too little, which the table shows.
pub(super) fn flattering(peer: Peer, sample: &Sample) -> Option<String> {
    let Sample {
        server_busy,
        loader_busy,
        ..
    } = sample;
    (matches!(peer, Peer::Wasmtime { .. }) && loader_busy >= server_busy).then(|| {
        format!(
            "its core was at work for {server_busy:.2} of the time and the core of the loader and the upstream for \
             {loader_busy:.2}: they, not the peer, were the limit"
        )
    })
}

/// The stock client opens a connection for every call, which is what it is compared for; ours keeps them.
fn connections(peer: Peer, setup: &Setup) -> Connections {
    match peer {
        Peer::Wasmtime { .. } => Connections::OneACall,
        Peer::Tidegate { .. } | Peer::Native => {
            Connections::AtMost(UPSTREAM_CONNECTIONS_EACH * setup.connections as u64)
        }
    }
}

/// The first guest peer says what the right answer is; everyone after it must give the same.
fn agree(
    case: &Case,
    peer: Peer,
    address: SocketAddr,
    path: &str,
    agreed: &mut Option<Expected>,
) -> Result<Expected, Error> {
    let answer = probe(address, &address.to_string(), path)?;
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

/// The measured part of a turn, and how many right answers came in all of it.
struct Driven {
    sample: Sample,
    answers: u64,
}

fn drive(peer: Peer, server: &Server, upstream: Option<&Upstream>, plan: Plan, setup: &Setup) -> Result<Driven, Error> {
    // What the loader's core does: this thread, and the upstream's where there is one.
    let loaders_core = || -> Result<Duration, Error> {
        let upstream = upstream.map(Upstream::cpu).transpose()?;
        Ok(this_thread()? + upstream.unwrap_or_default())
    };
    let mut loader = Loader::connect(plan)?;
    let warm_up = loader.run(setup.warm_up)?;
    warm_up.require_right(peer.name())?;

    let (cpu, own, begin) = (server.cpu()?, loaders_core()?, Instant::now());
    let report = loader.run(setup.measure)?;
    let (wall, own, cpu) = (
        begin.elapsed(),
        loaders_core()?.saturating_sub(own),
        server.cpu()?.since(&cpu),
    );
    report.require_right(peer.name())?;
    Ok(Driven {
        sample: sample(&report, cpu, own, wall),
        answers: warm_up.requests + report.requests,
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

fn premise(case: &Case, detail: String) -> Error {
    Error::Premise {
        name: format!("{} on {}", case.scenario, case.guest),
        detail,
    }
}
