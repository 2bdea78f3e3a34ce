//! What a gateway does without a guest, beside nginx: a local answer, and a proxied one, saturated and at a fixed rate.

mod cases;
mod nginx_config;
mod peers;

pub(super) use cases::{Case, cases};

use super::goal::judge;
use super::turn::{Driven, drive};
use super::upstream::{self, Connections, Upstream};
use super::{Outcome, Paced, Setup, scratch};
use crate::error::{Context, Error};
use crate::loader::{Expected, Pace, Plan, probe};
use crate::rounds::{Row, Sample, Spread, interleave, rows};
use crate::server::{Server, free_address};
use cases::Load;
use peers::{Duty, Peer};
use std::fs;
use std::path::Path;

const LOCAL_BODY: &str = "ok\n";
const PROXIED_BYTES: usize = 1024;
/// What a proxy tells the upstream about the client. `nginx` is told to, and does not by itself.
const FORWARDED: [&str; 3] = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// It answers three bytes out of its own configuration.
    Local,
    /// It passes the request on to a server that answers 1 KiB.
    Proxy,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Local => "local answer",
            Self::Proxy => "proxied 1 KiB",
        }
    }

    /// What the upstream says; without one, what the server says by itself.
    fn body(self) -> String {
        match self {
            Self::Local => LOCAL_BODY.to_owned(),
            Self::Proxy => upstream::GREETING.chars().cycle().take(PROXIED_BYTES).collect(),
        }
    }
}

pub(super) fn run(case: &Case, setup: &Setup) -> Result<Outcome, Error> {
    let dir = scratch()?;
    let (turns, closed) = match case.load {
        Load::Saturating => (saturated(case, setup, dir.path())?, None),
        Load::Share(share) => {
            let (closed, open) = paced(case, share, setup, dir.path())?;
            (open, Some((share, closed)))
        }
    };
    let names: Vec<String> = case.peers.iter().map(|peer| peer.name().to_owned()).collect();
    let samples: Vec<Vec<Sample>> = turns.iter().map(|turns| samples(turns)).collect();
    let rows = rows(&names, &samples, case.baseline)
        .ok_or_else(|| premise(case, "the rounds do not give one ratio a peer".to_owned()))?;
    let name = format!("{}, {}", case.scenario, case.work.name());
    let (others, verdicts) = judge(&name, &case.beside, &case.goals, &rows)
        .ok_or_else(|| premise(case, "a goal names a peer that has no row".to_owned()))?;
    let paced = closed.map(|(share, closed)| {
        rates(share, &closed, &turns).ok_or_else(|| premise(case, "a round without a rate".to_owned()))
    });
    Ok(Outcome::Comparison {
        scenario: case.scenario.to_owned(),
        guest: case.work.name().to_owned(),
        baseline: rows
            .get(case.baseline)
            .map_or(String::new(), |row: &Row| row.peer.clone()),
        others,
        verdicts,
        rows,
        paced: paced.transpose()?,
    })
}

/// The turns of each peer, in the order of the rounds.
type Turns = Vec<Vec<Driven>>;

/// As many requests as each peer answers.
fn saturated(case: &Case, setup: &Setup, dir: &Path) -> Result<Turns, Error> {
    interleave(setup.rounds, case.peers.len(), |round, peer| {
        let driven = turn(case, peer, Pace::Closed, setup, dir)?;
        progress(case, round, peer, "", &driven.sample, setup);
        Ok(driven)
    })
}

/// Each round first finds what each peer can do, then asks a share of the least of it of all of them: how fast the
/// machine is at the moment goes into the rate, and the rate is the same for all. What is returned is both halves.
fn paced(case: &Case, share: f64, setup: &Setup, dir: &Path) -> Result<(Turns, Turns), Error> {
    let count = case.peers.len();
    let mut least = f64::INFINITY;
    let mut closed = interleave(setup.rounds, 2 * count, |round, turn_of_round| {
        let Some(peer) = turn_of_round.checked_sub(count) else {
            let driven = turn(case, turn_of_round, Pace::Closed, setup, dir)?;
            let rps = driven.sample.requests_per_second;
            least = if turn_of_round == 0 { rps } else { least.min(rps) };
            progress(case, round, turn_of_round, " at most", &driven.sample, setup);
            return Ok(driven);
        };
        let per_second = share * least;
        let driven = turn(case, peer, Pace::Open { per_second }, setup, dir)?;
        progress(case, round, peer, " paced", &driven.sample, setup);
        Ok::<_, Error>(driven)
    })?;
    let open = closed.split_off(count);
    Ok((closed, open))
}

/// One peer, one round: a new process, its answer checked, warmed up, measured, ended, its log counted.
fn turn(case: &Case, peer: usize, pace: Pace, setup: &Setup, dir: &Path) -> Result<Driven, Error> {
    let Some(&peer) = case.peers.get(peer) else {
        return Err(Error::Usage(format!("{}: no peer {peer}", case.scenario)));
    };
    let address = free_address()?;
    let upstream = match case.work {
        Work::Local => None,
        Work::Proxy => Some(Upstream::start(setup.loader_cpu, case.work.body())?),
    };
    let server = Server::start(&peer.spec(
        setup,
        Duty {
            address,
            dir,
            body: LOCAL_BODY,
            upstream: upstream.as_ref().map(|upstream| upstream.address),
        },
    )?)?;
    let expected = upstream::expected(&case.work.body());
    let authority = address.to_string();
    let first = probe(address, &authority, "/")?;
    let first = Expected {
        status: first.status,
        body: first.body,
    };
    if first != expected {
        let body = String::from_utf8_lossy(&first.body);
        return Err(premise(case, format!("{}: {} {body:?}", peer.name(), first.status)));
    }
    let plan = Plan {
        address,
        authority,
        path: "/".to_owned(),
        expected,
        connections: setup.connections,
        pace,
    };
    let driven = drive(peer.name(), &server, upstream.as_ref(), plan, setup)?;
    server.stop()?;
    // One more than the loader's: the answer that was looked at before.
    let requests = driven.answers + 1;
    let mut fault = upstream.and_then(|upstream| passed_on(&upstream, requests, setup));
    if fault.is_none() {
        fault = logged(peer, dir, requests)?;
    }
    match fault {
        Some(detail) => Err(premise(case, format!("{}: {detail}", peer.name()))),
        None => Ok(driven),
    }
}

/// Why the upstream did not see what it was to see.
fn passed_on(upstream: &Upstream, requests: u64, setup: &Setup) -> Option<String> {
    let fields = upstream.first_fields();
    let lacks = FORWARDED.iter().find(|name| !fields.iter().any(|field| field == *name));
    let lacks = lacks.map(|name| format!("no {name} in what the upstream got, which is {fields:?}"));
    lacks.or_else(|| upstream.seen().fault(requests, Connections::pooled(setup)))
}

/// Why the access log is not one line a request: a server that leaves lines out has done less.
fn logged(peer: Peer, dir: &Path, requests: u64) -> Result<Option<String>, Error> {
    let Some(name) = peer.access_log() else {
        return Ok(None);
    };
    let path = dir.join(name);
    let text = fs::read(&path).context(|| format!("reading {}", path.display()))?;
    let lines = text.iter().filter(|&&byte| byte == b'\n').count() as u64;
    Ok((lines != requests).then(|| format!("{lines} lines in the access log for {requests} requests")))
}

fn samples(turns: &[Driven]) -> Vec<Sample> {
    turns.iter().map(|turn| turn.sample).collect()
}

/// None without a round.
fn rates(share: f64, closed: &Turns, open: &Turns) -> Option<Paced> {
    let over = |peers: &Turns, get: fn(&Driven) -> f64| -> Option<Vec<Spread>> {
        let spread = |turns: &Vec<Driven>| Spread::of(&turns.iter().map(get).collect::<Vec<_>>());
        peers.iter().map(spread).collect()
    };
    Some(Paced {
        share,
        closed_rps: over(closed, |turn| turn.sample.requests_per_second)?,
        closed_server_busy: over(closed, |turn| turn.sample.server_busy)?,
        late_p99_us: over(open, |turn| turn.late_p99_us)?,
    })
}

fn progress(case: &Case, round: usize, peer: usize, how: &str, sample: &Sample, setup: &Setup) {
    eprintln!(
        "{} round {}/{} {}{how}: {:.1} µs/req, {:.0} rps, p99 {:.0} µs",
        case.scenario,
        round + 1,
        setup.rounds,
        case.peers.get(peer).map_or("", |peer| peer.name()),
        sample.cpu_us_per_request,
        sample.requests_per_second,
        sample.latency_p99_us
    );
}

fn premise(case: &Case, detail: String) -> Error {
    Error::Premise {
        name: format!("{}, {}", case.scenario, case.work.name()),
        detail,
    }
}

#[cfg(test)]
mod tests;
