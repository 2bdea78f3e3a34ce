//! Keep-alive connections between two requests: how much resident memory does each one hold?

mod client;

use super::config::{Certificate, Config};
use super::peers::{native, run_arguments, spec};
use super::{Bound, IdleRow, Outcome, Setup, Verdict, guest, scratch, tidegate};
use crate::affinity::on_cpu;
use crate::error::Error;
use crate::loader::Answer;
use crate::open_files;
use crate::rounds::{Spread, interleave};
use crate::server::{Server, free_address};
use client::{Client, Identity};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

const SCENARIO: &str = "idle-connections";
const GUEST: &str = "hello";
const KIB_EACH_MAX: f64 = 16.0;
/// Before the first reading: what a process makes once, for whatever number of connections, is made by then.
const WARM_UP_REQUESTS: usize = 256;
/// Files that each side has open beside the connections.
const OTHER_FILES: usize = 256;
/// Memory has settled when so many readings in a row, a pause apart, lie so close together.
const PAUSE: Duration = Duration::from_millis(100);
const STEADY_READINGS: usize = 10;
const STEADY_BYTES: u64 = 128 * 1024;
const READINGS_MAX: usize = 300;
const KIB: f64 = 1024.0;

/// Whose connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Tidegate,
    TidegateTls,
    Native,
}

/// The figure to be reached is the first one's.
const PEERS: [Peer; 3] = [Peer::Tidegate, Peer::TidegateTls, Peer::Native];

/// Resident memory of one peer in one round, in bytes.
#[derive(Debug, Clone, Copy)]
struct Reading {
    before: u64,
    after: u64,
}

pub(super) fn run(setup: &Setup) -> Result<Outcome, Error> {
    open_files::ensure((setup.idle_connections + OTHER_FILES) as u64)?;
    let dir = scratch()?;
    let identity = Identity::write(dir.path())?;
    // The first start compiles, and what the compiler frees would be there for the connections to use unseen.
    let address = free_address()?;
    Server::start(&Peer::Tidegate.spec(setup, dir.path(), &identity, address, None)?)?.stop()?;

    let mut agreed = None;
    let readings = interleave(setup.rounds, PEERS.len(), |round, peer| {
        let Some(&peer) = PEERS.get(peer) else {
            return Err(Error::Usage(format!("{SCENARIO}: no peer {peer}")));
        };
        let reading = measure(setup, dir.path(), &identity, peer, &mut agreed)?;
        eprintln!(
            "{SCENARIO} round {}/{} {}: {:.2} KiB each",
            round + 1,
            setup.rounds,
            peer.name(),
            kib_each(reading, setup.idle_connections)
        );
        Ok(reading)
    })?;
    let rows = PEERS.iter().zip(&readings);
    let rows = rows.map(|(peer, readings)| row(*peer, readings, setup.idle_connections));
    let rows = rows
        .collect::<Option<Vec<_>>>()
        .filter(|rows| !rows.is_empty())
        .ok_or_else(|| Error::Usage("at least one round is needed".to_owned()))?;
    let each = rows.first().map_or(f64::NAN, |row| row.kib_per_connection.median);
    let what = format!("{SCENARIO}: KiB of resident memory for an idle h1 connection");
    Ok(Outcome::IdleConnections {
        scenario: SCENARIO.to_owned(),
        guest: GUEST.to_owned(),
        connections: setup.idle_connections,
        rows,
        verdict: Verdict::new(&what, each, Bound::AtMost(KIB_EACH_MAX), None),
    })
}

fn row(peer: Peer, readings: &[Reading], connections: usize) -> Option<IdleRow> {
    let over = |get: &dyn Fn(Reading) -> f64| Spread::of(&readings.iter().copied().map(get).collect::<Vec<_>>());
    Some(IdleRow {
        peer: peer.name().to_owned(),
        kib_per_connection: over(&|reading| kib_each(reading, connections))?,
        rss_before_mib: over(&|reading| reading.before as f64 / KIB / KIB)?,
        rss_after_mib: over(&|reading| reading.after as f64 / KIB / KIB)?,
    })
}

/// Memory that shrank in the meantime counts against the connections: it is less than nothing, and is shown so.
fn kib_each(reading: Reading, connections: usize) -> f64 {
    (reading.after as f64 - reading.before as f64) / KIB / connections as f64
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Self::Tidegate => "tidegate",
            Self::TidegateTls => "tidegate, TLS",
            Self::Native => "native hyper",
        }
    }

    fn spec(
        self,
        setup: &Setup,
        dir: &Path,
        identity: &Identity,
        address: SocketAddr,
        body: Option<&[u8]>,
    ) -> Result<crate::server::Spec, Error> {
        let certificate = match self {
            Self::Native => return native(setup, address, dir, body),
            Self::Tidegate => None,
            Self::TidegateTls => Some(&identity.certificate),
        };
        let config = config(setup, dir, address, certificate)?;
        let args = run_arguments(&config, dir)?;
        let program = tidegate(setup)?;
        Ok(spec(self.name(), program, args, address, dir, Some(setup.server_cpu)))
    }
}

fn config(setup: &Setup, dir: &Path, address: SocketAddr, certificate: Option<&Certificate>) -> Result<Config, Error> {
    let config = Config::new(address, &dir.join("data"));
    let config = config.serve("guest", &guest(setup, GUEST)?, "/");
    // One more than are left open: the warm-up's may not have been given up yet.
    let config = config.allow_connections(setup.idle_connections + 1);
    Ok(match certificate {
        Some(certificate) => config.tls(certificate),
        None => config,
    })
}

/// One peer, one round: a new process, a few requests, a reading, the connections, another reading. Then each
/// connection is asked again: one that was closed meanwhile would have been counted as one that costs nothing.
fn measure(
    setup: &Setup,
    dir: &Path,
    identity: &Identity,
    peer: Peer,
    agreed: &mut Option<Answer>,
) -> Result<Reading, Error> {
    let address = free_address()?;
    let body = agreed.as_ref().map(|answer| answer.body.as_slice());
    let mut server = Server::start(&peer.spec(setup, dir, identity, address, body)?)?;
    let tls = (peer == Peer::TidegateTls).then_some(identity);
    let reading = on_cpu(setup.loader_cpu, || {
        let mut first = Client::connect(address, tls)?;
        for _ in 0..WARM_UP_REQUESTS {
            agree(peer, agreed, first.ask()?)?;
        }
        drop(first);
        let before = settled(&mut server)?;
        let mut clients = Vec::with_capacity(setup.idle_connections);
        for _ in 0..setup.idle_connections {
            let mut client = Client::connect(address, tls)?;
            agree(peer, agreed, client.ask()?)?;
            clients.push(client);
        }
        let after = settled(&mut server)?;
        for client in &mut clients {
            agree(peer, agreed, client.ask()?)?;
        }
        Ok::<_, Error>(Reading { before, after })
    })??;
    server.stop()?;
    Ok(reading)
}

fn agree(peer: Peer, agreed: &mut Option<Answer>, answer: Answer) -> Result<(), Error> {
    if answer.status == 200
        && answer.body.starts_with(b"Hello")
        && *agreed.get_or_insert_with(|| answer.clone()) == answer
    {
        return Ok(());
    }
    let body = String::from_utf8_lossy(&answer.body);
    Err(Error::Premise {
        name: SCENARIO.to_owned(),
        detail: format!("{} answered {} {body:?}", peer.name(), answer.status),
    })
}

fn settled(server: &mut Server) -> Result<u64, Error> {
    steady(|| {
        server.stays_for(PAUSE)?;
        server.rss_bytes()
    })
}

/// The reading at which a series of them stops moving.
fn steady(mut read: impl FnMut() -> Result<u64, Error>) -> Result<u64, Error> {
    let (mut held, mut same) = (read()?, 0);
    for _ in 0..READINGS_MAX {
        let now = read()?;
        if now.abs_diff(held) > STEADY_BYTES {
            (held, same) = (now, 0);
            continue;
        }
        same += 1;
        if same == STEADY_READINGS {
            return Ok(now);
        }
    }
    Err(Error::Premise {
        name: SCENARIO.to_owned(),
        detail: format!(
            "resident memory does not settle within {:?}",
            PAUSE * READINGS_MAX as u32
        ),
    })
}

#[cfg(test)]
mod tests;
