//! What a gateway holds: counted before a storm and after it.

use super::origin::Origin;
use super::pause;
use crate::support::Gateway;
use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};
use tidegate::limits;

/// What the number after a storm must be.
#[derive(Clone, Copy, Debug)]
enum Bound {
    Exactly(f64),
    /// What it was before, or less.
    NoMore,
    /// What it was before, and at most so many besides.
    Spare(f64),
    /// A number of its own.
    AtMost(f64),
    /// At most this many times what it was before.
    Within(f64),
}

enum Source {
    Metric(&'static str, &'static [(&'static str, &'static str)]),
    /// Entries of a folder of `/proc/PID`.
    Entries(&'static str),
    /// Resident KiB of the stacks that guests run on, or of everything else.
    Resident {
        of_stacks: bool,
    },
    /// Connections at the origin.
    Origin,
}

/// The places of each pool (`limits::INSTANCES_COUNT`).
const POOL: f64 = limits::INSTANCES_COUNT as f64;

/// All places of both pools, each with a stack of which no guest here touches more than this.
const STACKS_KIB: f64 = 2.0 * POOL * 128.0;

const MEASURES: &[(&str, Bound, Source)] = &[
    (
        "requests in flight",
        Bound::Exactly(0.0),
        Source::Metric("tidegate_requests_in_flight", &[]),
    ),
    (
        "calls at work",
        Bound::Exactly(0.0),
        Source::Metric("tidegate_component_instances", &[]),
    ),
    (
        "calls in queues",
        Bound::Exactly(0.0),
        Source::Metric("tidegate_component_queue_length", &[]),
    ),
    (
        "idle instances",
        Bound::Exactly(0.0),
        Source::Metric("tidegate_component_idle_instances", &[]),
    ),
    (
        "places free, 0.2",
        Bound::Exactly(POOL),
        Source::Metric("tidegate_pool_free", &[("dialect", "p2")]),
    ),
    (
        "places free, 0.3",
        Bound::Exactly(POOL),
        Source::Metric("tidegate_pool_free", &[("dialect", "p3")]),
    ),
    (
        "guests in the CPU lane",
        Bound::Exactly(0.0),
        Source::Metric("tidegate_tasks", &[("runtime", "lane")]),
    ),
    (
        "tasks of the doors",
        Bound::NoMore,
        Source::Metric("tidegate_tasks", &[("runtime", "doors")]),
    ),
    (
        "other tasks",
        Bound::NoMore,
        Source::Metric("tidegate_tasks", &[("runtime", "io")]),
    ),
    (
        "connections open",
        Bound::Exactly(0.0),
        Source::Metric("tidegate_connections_open", &[]),
    ),
    (
        "outgoing connections",
        Bound::Exactly(0.0),
        Source::Metric("tidegate_component_outgoing_connections", &[]),
    ),
    ("the same, seen by the origin", Bound::Exactly(0.0), Source::Origin),
    (
        "versions alive",
        Bound::Exactly(1.0),
        Source::Metric("tidegate_snapshot_versions_alive", &[]),
    ),
    ("file descriptors", Bound::NoMore, Source::Entries("fd")),
    // Those that answer the questions of this very test come and go.
    ("threads", Bound::Spare(4.0), Source::Entries("task")),
    (
        "resident memory but for stacks, KiB",
        Bound::Within(1.1),
        Source::Resident { of_stacks: false },
    ),
    // A stack keeps the pages that the deepest of its guests has touched, and in a minute not every one has had that.
    (
        "resident stacks, KiB",
        Bound::AtMost(STACKS_KIB),
        Source::Resident { of_stacks: true },
    ),
];

/// One number for each measure.
#[derive(Clone, Debug)]
pub(super) struct Census(Vec<f64>);

impl Census {
    fn take(gateway: &Gateway, origin: &Origin) -> Self {
        let proc = format!("/proc/{}", gateway.pid());
        let read = |source: &Source| match source {
            Source::Metric(name, labels) => gateway.metric(name, labels),
            Source::Entries(folder) => {
                let entries = fs::read_dir(format!("{proc}/{folder}")).expect("the process is there");
                entries.count() as f64
            }
            Source::Resident { of_stacks } => resident_kib(&proc, *of_stacks),
            Source::Origin => origin.open() as f64,
        };
        Self(MEASURES.iter().map(|(_, _, source)| read(source)).collect())
    }

    /// What is more than it may be; without a census from before only what must be an exact number is.
    fn leaks(&self, before: Option<&Self>) -> Vec<String> {
        let mut leaks = Vec::new();
        for (at, (name, bound, _)) in MEASURES.iter().enumerate() {
            let now = self.0[at];
            let before = before.map_or(now, |before| before.0[at]);
            let is_good = match bound {
                Bound::Exactly(number) => (now - number).abs() < 1e-9,
                Bound::NoMore => now <= before,
                Bound::Spare(more) => now <= before + more,
                Bound::AtMost(most) => now <= *most,
                Bound::Within(times) => now <= before * times,
            };
            if !is_good {
                leaks.push(format!("{name}: {now}, {before} before, {bound:?}"));
            }
        }
        leaks
    }

    /// Polls until nothing is more than it may be, and no number changes any more.
    #[track_caller]
    pub(super) fn settled(gateway: &Gateway, origin: &Origin, before: Option<&Self>, patience: Duration) -> Self {
        let began = Instant::now();
        let end = began + patience;
        let mut last = Self::take(gateway, origin);
        let mut same = 0;
        let mut slowest = (Duration::ZERO, Vec::new());
        loop {
            pause(Duration::from_millis(200));
            let now = Self::take(gateway, origin);
            let leaks = now.leaks(before);
            same = if leaks.is_empty() && now.is_like(&last) {
                same + 1
            } else {
                0
            };
            if same >= 3 {
                println!("the last to go, after {:?}: {:?}", slowest.0, slowest.1);
                return now;
            }
            if !leaks.is_empty() {
                slowest = (began.elapsed(), leaks.clone());
            }
            assert!(
                Instant::now() < end,
                "after {patience:?} still: {leaks:#?}\n{}",
                now.table(before)
            );
            last = now;
        }
    }

    /// Memory may move a little while nothing else does.
    fn is_like(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(&other.0).zip(MEASURES);
        pairs.into_iter().all(|((a, b), (_, bound, _))| match bound {
            Bound::Within(_) => (a - b).abs() <= b * 0.01,
            Bound::Spare(_) | Bound::AtMost(_) => true,
            Bound::Exactly(_) | Bound::NoMore => (a - b).abs() < 1e-9,
        })
    }

    /// The table of docs/operations.md.
    pub(super) fn table(&self, before: Option<&Self>) -> String {
        let mut table = "| held by the gateway | before | after | must be |\n|---|---|---|---|\n".to_owned();
        for (at, (name, bound, _)) in MEASURES.iter().enumerate() {
            let before = before.map_or("".to_owned(), |before| before.0[at].to_string());
            let bound = match bound {
                Bound::Exactly(number) => number.to_string(),
                Bound::NoMore => "no more".to_owned(),
                Bound::Spare(more) => format!("at most {more} more"),
                Bound::AtMost(most) => format!("at most {most}"),
                Bound::Within(times) => format!("within {:.0} %", (times - 1.0) * 100.0),
            };
            writeln!(table, "| {name} | {before} | {} | {bound} |", self.0[at]).expect("a String takes text");
        }
        table
    }
}

/// Resident KiB of the mappings that are fiber stacks, or of all others.
fn resident_kib(proc: &str, of_stacks: bool) -> f64 {
    let text = fs::read_to_string(format!("{proc}/smaps")).expect("the process is there");
    let stack = limits::ASYNC_STACK_BYTES as u64;
    let mut is_stack = false;
    let mut sum = 0.0;
    for line in text.lines() {
        if let Some(kib) = line.strip_prefix("Rss:") {
            let kib: f64 = kib.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
            sum += if is_stack == of_stacks { kib } else { 0.0 };
        } else if let Some(bytes) = mapping_bytes(line) {
            // Its guard page may be a part of it. A stack has no name, and the other fields are always there.
            let is_nameless = line.split_whitespace().count() == 5;
            is_stack = is_nameless && (stack - 8 * 1024..=stack).contains(&bytes);
        }
    }
    sum
}

/// The length of a mapping, from its first line.
fn mapping_bytes(line: &str) -> Option<u64> {
    let (from, to) = line.split_whitespace().next()?.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    Some(address(to)? - address(from)?)
}
