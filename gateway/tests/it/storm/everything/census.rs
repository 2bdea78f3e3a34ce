//! What a gateway holds: counted before a storm and after it.

use super::origin::Origin;
use super::pause;
use crate::support::Gateway;
use crate::support::gateway::sum;
use std::collections::BTreeMap;
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
    /// At most this many times what it was before.
    Within(f64),
}

enum Source {
    Metric(&'static str, &'static [(&'static str, &'static str)]),
    Threads,
    /// Descriptors of compiled components, or of everything else.
    Descriptors {
        of_components: bool,
    },
    /// Resident KiB of the process.
    Resident,
    /// Connections at the origin.
    Origin,
}

/// The places of each pool (`limits::INSTANCES_COUNT`).
const POOL: f64 = limits::INSTANCES_COUNT as f64;

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
    (
        "file descriptors but for these",
        Bound::NoMore,
        Source::Descriptors { of_components: false },
    ),
    // A place in the pool keeps the image of who had it last, a replaced component too, until another one has it.
    (
        "compiled components, as descriptors",
        Bound::Spare(8.0),
        Source::Descriptors { of_components: true },
    ),
    // Those that answer the questions of this very test come and go.
    ("threads", Bound::Spare(4.0), Source::Threads),
    ("resident memory, KiB", Bound::Within(1.1), Source::Resident),
];

/// One number for each measure.
#[derive(Clone, Debug)]
pub(super) struct Census(Vec<f64>);

impl Census {
    fn take(gateway: &Gateway, origin: &Origin) -> Self {
        let proc = format!("/proc/{}", gateway.pid());
        let seen = |source: &Source| match source {
            Source::Metric(..) => None,
            Source::Threads => Some(
                fs::read_dir(format!("{proc}/task"))
                    .expect("the process is there")
                    .count() as f64,
            ),
            Source::Descriptors { of_components } => {
                let kinds = descriptors(gateway).into_iter();
                let counts = kinds.filter(|(kind, _)| kind.ends_with(".cwasm") == *of_components);
                Some(counts.map(|(_, count)| count).sum::<usize>() as f64)
            }
            Source::Resident => Some(resident_kib(&proc)),
            Source::Origin => Some(origin.open() as f64),
        };
        // Before the gateway is asked: the connection that asks is a descriptor and a task of its own.
        let seen: Vec<_> = MEASURES.iter().map(|(_, _, source)| seen(source)).collect();
        let page = gateway.admin("GET", "/metrics", &[]).text();
        let read = |((_, _, source), seen): (&(_, _, Source), Option<f64>)| match source {
            Source::Metric(name, labels) => sum(&page, name, labels),
            _ => seen.unwrap_or(f64::NAN),
        };
        Self(MEASURES.iter().zip(seen).map(read).collect())
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
                "after {patience:?} still: {leaks:#?}\n{}\n{:?}",
                now.table(before),
                descriptors(gateway)
            );
            last = now;
        }
    }

    /// Memory may move a little while nothing else does.
    fn is_like(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(&other.0).zip(MEASURES);
        pairs.into_iter().all(|((a, b), (_, bound, _))| match bound {
            Bound::Within(_) => (a - b).abs() <= b * 0.01,
            Bound::Spare(_) => true,
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
                Bound::Within(times) => format!("within {:.0} %", (times - 1.0) * 100.0),
            };
            writeln!(table, "| {name} | {before} | {} | {bound} |", self.0[at]).expect("a String takes text");
        }
        table
    }
}

/// What the descriptors are of, and how many of each.
fn descriptors(gateway: &Gateway) -> BTreeMap<String, usize> {
    let entries = fs::read_dir(format!("/proc/{}/fd", gateway.pid())).expect("the process is there");
    let mut kinds = BTreeMap::new();
    for entry in entries.flatten() {
        // One that is closed meanwhile is of nothing.
        let target = fs::read_link(entry.path()).unwrap_or_default();
        let kind = target.display().to_string();
        let kind = kind.split(['[', ']']).next().unwrap_or_default().to_owned();
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

fn resident_kib(proc: &str) -> f64 {
    let status = fs::read_to_string(format!("{proc}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.trim().parse().ok()).expect("a number of KiB")
}
