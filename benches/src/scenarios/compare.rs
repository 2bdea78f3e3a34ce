//! CPU per request and requests per second of one guest on every peer, in interleaved rounds.

mod cases;

pub(super) use cases::{Case, cases};

use super::peers::{Duty, Peer};
use super::turn::drive;
use super::upstream::{self, Connections, Upstream};
use super::{Outcome, Setup, Verdict, goal, scratch};
use crate::error::Error;
use crate::loader::{Expected, Pace, Plan, probe};
use crate::rounds::{Beside, Row, Sample, interleave, rows};
use crate::server::{Server, free_address};
use std::net::SocketAddr;
use std::path::Path;

/// Every guest named `hello*` begins its answer so, and so does the server that guests call.
const GREETING: &[u8] = b"Hello";

pub(super) fn run(case: &Case, setup: &Setup) -> Result<Outcome, Error> {
    let dir = scratch()?;
    let mut expected = case.calls_out.then(|| upstream::expected(upstream::GREETING));
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
        paced: None,
    })
}

/// What [`goal::judge`] says of this case.
pub(super) fn judge(case: &Case, rows: &[Row]) -> Option<(Vec<Beside>, Vec<Verdict>)> {
    let name = format!("{} {}", case.scenario, case.guest);
    goal::judge(&name, &case.beside, &case.goals, rows)
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
    let upstream = case
        .calls_out
        .then(|| Upstream::start(setup.loader_cpu, upstream::GREETING.to_owned()));
    let upstream = upstream.transpose()?;
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
    let driven = drive(peer.name(), &server, upstream.as_ref(), plan, setup)?;
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
        Peer::Tidegate { .. } | Peer::Native => Connections::pooled(setup),
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

fn premise(case: &Case, detail: String) -> Error {
    Error::Premise {
        name: format!("{} on {}", case.scenario, case.guest),
        detail,
    }
}
