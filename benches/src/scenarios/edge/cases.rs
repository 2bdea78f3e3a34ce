//! The list: the peers of each comparison with nginx, and what is to be reached.

use super::Work;
use super::peers::{Log, Peer};
use crate::rounds::Figure;
use crate::scenarios::Scenario;
use crate::scenarios::goal::Goal;

/// Of what the slower peer can do.
const P99_SHARE: f64 = 0.6;
const LOCAL_CPU_MAX: f64 = 1.2;
const PROXY_CPU_MAX: f64 = 1.25;
const P99_MAX: f64 = 1.5;
/// Not slower than nginx is what we are after.
const AIM: f64 = 1.0;
/// The place of nginx as it comes among the peers.
const NGINX: usize = 1;
const NGINX_BUFFERED: usize = 2;

/// One piece of work, who does it, and what is to be reached.
#[derive(Debug)]
pub(in crate::scenarios) struct Case {
    pub(in crate::scenarios) scenario: &'static str,
    pub(super) work: Work,
    pub(super) load: Load,
    pub(super) peers: Vec<Peer>,
    /// Which of them is 1.0.
    pub(super) baseline: usize,
    /// Columns beside the ratios to the baseline: a figure over another peer's.
    pub(super) beside: Vec<(usize, Figure)>,
    pub(super) goals: Vec<Goal>,
}

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Load {
    /// The next request as soon as there is an answer.
    Saturating,
    /// A fixed rate: this share of what the slowest peer answered just before.
    Share(f64),
}

/// The comparison of a scenario; none for the scenarios of another kind.
pub(in crate::scenarios) fn cases(scenario: Scenario) -> Option<Case> {
    match scenario {
        Scenario::Local => Some(saturated("local", Work::Local, LOCAL_CPU_MAX)),
        Scenario::LocalP99 => Some(paced("local-p99", Work::Local)),
        Scenario::ProxyH1 => Some(saturated("proxy-h1", Work::Proxy, PROXY_CPU_MAX)),
        Scenario::ProxyP99 => Some(paced("proxy-p99", Work::Proxy)),
        _ => None,
    }
}

fn saturated(scenario: &'static str, work: Work, reach: f64) -> Case {
    let mut peers = vec![Peer::Tidegate, Peer::Nginx(Log::Written), Peer::Nginx(Log::Buffered)];
    // Without a proxy there is nothing in the way: only a local answer has a floor that is comparable.
    peers.extend((work == Work::Local).then_some(Peer::Native));
    Case {
        scenario,
        work,
        load: Load::Saturating,
        peers,
        baseline: NGINX,
        beside: vec![(NGINX_BUFFERED, Figure::CpuPerRequest)],
        goals: vec![Goal::at_most(Figure::CpuPerRequest, reach, NGINX, Some(AIM))],
    }
}

fn paced(scenario: &'static str, work: Work) -> Case {
    Case {
        scenario,
        work,
        load: Load::Share(P99_SHARE),
        peers: vec![Peer::Tidegate, Peer::Nginx(Log::Written)],
        baseline: NGINX,
        beside: vec![(NGINX, Figure::LatencyP99)],
        goals: vec![Goal::at_most(Figure::LatencyP99, P99_MAX, NGINX, Some(AIM))],
    }
}
