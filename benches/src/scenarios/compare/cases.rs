//! The list: each guest, the peers that serve it, their settings, and what is to be reached.

use crate::rounds::Figure;
use crate::scenarios::config::Isolation;
use crate::scenarios::goal::Goal;
use crate::scenarios::peers::Peer;
use crate::scenarios::{Bound, Scenario};

/// Requests an instance serves before it is retired, on both sides.
const REUSE_REQUESTS: u32 = 128;
/// Of these, so many at a time, on both sides.
const REUSE_AT_ONCE: u32 = 16;

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
const REUSE: &[&str] = &["-S", "cli", "--max-instance-reuse-count", "128"];
const P3_FRESH: &[&str] = &[
    "-W",
    "component-model-async=y",
    "-S",
    "cli,p3",
    "--max-instance-reuse-count",
    "1",
];
/// Its default for a 0.3 component, written out for the same reason.
const P3_REUSE: &[&str] = &[
    "-W",
    "component-model-async=y",
    "-S",
    "cli,p3",
    "--max-instance-reuse-count",
    "128",
    "--max-instance-concurrent-reuse-count",
    "16",
];
const OUTGOING: &[&str] = &["-S", "cli,http", "--max-instance-reuse-count", "1"];
const OUTGOING_REUSE: &[&str] = &["-S", "cli,http", "--max-instance-reuse-count", "128"];

/// One guest, its peers and what is to be reached.
#[derive(Debug)]
pub(in crate::scenarios) struct Case {
    pub(in crate::scenarios) scenario: &'static str,
    pub(in crate::scenarios) guest: &'static str,
    pub(in crate::scenarios) peers: Vec<Peer>,
    /// Which of them is 1.0.
    pub(in crate::scenarios) baseline: usize,
    /// Columns beside the ratios to the baseline: a figure over another peer's.
    pub(in crate::scenarios) beside: Vec<(usize, Figure)>,
    /// The guest fetches its answer from a server of the harness.
    pub(in crate::scenarios) calls_out: bool,
    pub(in crate::scenarios) goals: Vec<Goal>,
}

/// The comparisons of a scenario; none for the scenarios of another kind.
pub(in crate::scenarios) fn cases(scenario: Scenario) -> Vec<Case> {
    match scenario {
        Scenario::FreshDefault => fresh("fresh-default", None, FRESH, (0.75, 0.55)),
        Scenario::FreshScan => fresh("fresh-scan", Some("scan"), FRESH_SCAN, (0.92, 0.83)),
        Scenario::HelloP3 => vec![Case {
            scenario: "hello-p3",
            guest: "hello-p3",
            peers: vec![
                tidegate("tidegate", Isolation::Fresh),
                wasmtime("wasmtime serve, fresh", P3_FRESH),
                wasmtime("wasmtime serve, reuse", P3_REUSE),
                Peer::Native,
            ],
            baseline: 1,
            beside: Vec::new(),
            calls_out: false,
            goals: Vec::new(),
        }],
        Scenario::Reuse => reuse(),
        Scenario::Concurrent => vec![concurrent()],
        Scenario::Outgoing => vec![outgoing()],
        Scenario::Local
        | Scenario::LocalP99
        | Scenario::ProxyH1
        | Scenario::ProxyP99
        | Scenario::Memory
        | Scenario::WarmStart
        | Scenario::IdleConnections => Vec::new(),
    }
}

fn fresh(
    scenario: &'static str,
    pool_reset: Option<&'static str>,
    args: &'static [&'static str],
    (reach, aim): (f64, f64),
) -> Vec<Case> {
    let case = |guest| Case {
        scenario,
        guest,
        peers: vec![
            Peer::Tidegate {
                name: "tidegate",
                pool_reset,
                isolation: Isolation::Fresh,
            },
            wasmtime("wasmtime serve", args),
            Peer::Native,
        ],
        baseline: 1,
        beside: Vec::new(),
        calls_out: false,
        goals: vec![cpu_at_most(reach, 1, Some(aim))],
    };
    ["hello", "hello-min"].map(case).into()
}

/// The same number of requests an instance on both sides, and beside it what `wasmtime serve` does by default.
fn reuse() -> Vec<Case> {
    let case = |guest| Case {
        scenario: "reuse",
        guest,
        peers: vec![
            tidegate("tidegate", ONE_BY_ONE),
            wasmtime("wasmtime serve, reuse", REUSE),
            wasmtime("wasmtime serve, fresh", FRESH),
            Peer::Native,
        ],
        baseline: 1,
        beside: vec![(2, Figure::CpuPerRequest)],
        calls_out: false,
        goals: vec![cpu_at_most(0.92, 1, Some(0.83)), cpu_at_most(0.33, 2, None)],
    };
    ["hello", "hello-min"].map(case).into()
}

fn concurrent() -> Case {
    Case {
        scenario: "concurrent",
        guest: "hello-p3",
        peers: vec![
            tidegate(
                "tidegate",
                Isolation::Concurrent {
                    requests: REUSE_REQUESTS,
                    at_once: REUSE_AT_ONCE,
                },
            ),
            tidegate("tidegate, one by one", ONE_BY_ONE),
            wasmtime("wasmtime serve", P3_REUSE),
            Peer::Native,
        ],
        baseline: 2,
        beside: Vec::new(),
        calls_out: false,
        goals: vec![cpu_at_most(1.10, 2, Some(0.9))],
    }
}

/// `wasmtime serve` as it comes is the baseline. With its reuse, a row of its own, the two differ in the client alone.
fn outgoing() -> Case {
    Case {
        scenario: "outgoing",
        guest: "outbound-proxy",
        peers: vec![
            tidegate("tidegate", ONE_BY_ONE),
            wasmtime("wasmtime serve, fresh", OUTGOING),
            wasmtime("wasmtime serve, reuse", OUTGOING_REUSE),
        ],
        baseline: 1,
        beside: vec![(2, Figure::RequestsPerSecond)],
        calls_out: true,
        goals: vec![Goal {
            peer: 0,
            over: 1,
            figure: Figure::RequestsPerSecond,
            bound: Bound::AtLeast(5.0),
            aim: None,
        }],
    }
}

const ONE_BY_ONE: Isolation = Isolation::Reuse {
    requests: REUSE_REQUESTS,
};

fn tidegate(name: &'static str, isolation: Isolation) -> Peer {
    Peer::Tidegate {
        name,
        pool_reset: None,
        isolation,
    }
}

fn wasmtime(name: &'static str, args: &'static [&'static str]) -> Peer {
    Peer::Wasmtime { name, args }
}

fn cpu_at_most(reach: f64, over: usize, aim: Option<f64>) -> Goal {
    Goal::at_most(Figure::CpuPerRequest, reach, over, aim)
}
