//! A histogram with fixed buckets of relaxed atomics, and its Prometheus text.
//!
//! The exporter's own histogram keeps every sample until somebody drains it: it allocates on the request
//! path and grows in a gateway that nobody scrapes. This one never grows, and needs no upkeep.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// An upper bound: nanoseconds, and how Prometheus writes it in seconds.
pub(crate) type Bound = (u64, &'static str);

/// From a reused instance's ten microseconds to a stream of five minutes.
pub(crate) const DURATION_BOUNDS: &[Bound] = &[
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5"),
    (10_000_000_000, "10"),
    (30_000_000_000, "30"),
    (60_000_000_000, "60"),
    (300_000_000_000, "300"),
];

/// From a microsecond to ten seconds: queueing, instantiation and CPU inside one call.
pub(crate) const STEP_BOUNDS: &[Bound] = &[
    (1_000, "0.000001"),
    (5_000, "0.000005"),
    (10_000, "0.00001"),
    (25_000, "0.000025"),
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (10_000_000, "0.01"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (10_000_000_000, "10"),
];

/// Durations counted by bucket. Recording is two relaxed additions.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [Bound],
    /// One more than `bounds`: the last counts what is beyond them all.
    counts: Box<[AtomicU64]>,
    /// Wraps after 584 years of recorded time.
    sum_ns: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(bounds: &'static [Bound]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum_ns: AtomicU64::new(0),
        }
    }

    /// Adds one duration. A duration equal to a bound belongs to it (`le` is inclusive).
    pub(crate) fn record(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = self.bounds.partition_point(|(bound, _)| *bound < ns);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Durations recorded so far.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The `_bucket`, `_sum` and `_count` lines. `_count` is the sum of the buckets as they were read, so the
    /// `+Inf` bucket and the count can never disagree.
    fn render(&self, out: &mut String, name: &str, labels: &str) {
        let mut seen = 0u64;
        let bounds = self.bounds.iter().map(|(_, text)| *text).chain(["+Inf"]);
        for (count, bound) in self.counts.iter().zip(bounds) {
            seen += count.load(Ordering::Relaxed);
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {seen}");
        }
        let sum = Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)).as_secs_f64();
        let _ = writeln!(out, "{name}_sum{{{labels}}} {sum}");
        let _ = writeln!(out, "{name}_count{{{labels}}} {seen}");
    }
}

/// All series of one histogram metric: one per value of its one label.
#[derive(Debug)]
pub(crate) struct Family {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    bounds: &'static [Bound],
    series: RwLock<BTreeMap<Box<str>, Arc<Histogram>>>,
}

impl Family {
    pub(crate) fn new(name: &'static str, help: &'static str, label: &'static str, bounds: &'static [Bound]) -> Self {
        Self {
            name,
            help,
            label,
            bounds,
            series: RwLock::default(),
        }
    }

    /// The series of this label value, made on its first use.
    pub(crate) fn with(&self, value: &str) -> Arc<Histogram> {
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = series.get(value) {
            return Arc::clone(found);
        }
        let made = Arc::new(Histogram::new(self.bounds));
        series.insert(value.into(), Arc::clone(&made));
        made
    }

    /// Appends the whole family, in label order; nothing while it has no series.
    pub(crate) fn render(&self, out: &mut String) {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if series.is_empty() {
            return;
        }
        let _ = writeln!(out, "# HELP {} {}", self.name, self.help);
        let _ = writeln!(out, "# TYPE {} histogram", self.name);
        for (value, histogram) in series.iter() {
            let labels = format!("{}=\"{}\"", self.label, escaped(value));
            histogram.render(out, self.name, &labels);
        }
        out.push('\n');
    }
}

/// A label value as the text format wants it: backslash, quote and line feed escaped.
pub(super) fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_ascend_and_say_what_they_are() {
        for bounds in [DURATION_BOUNDS, STEP_BOUNDS] {
            assert!(bounds.windows(2).all(|pair| pair[0].0 < pair[1].0));
            for (ns, text) in bounds {
                let seconds: f64 = text.parse().expect("a number");
                assert_eq!((seconds * 1e9).round() as u64, *ns, "{text}");
            }
        }
    }

    #[test]
    fn a_bound_is_inclusive_and_buckets_are_cumulative() {
        let family = Family::new(
            "t_seconds",
            "Help.",
            "route",
            &[(1_000, "0.000001"), (2_000, "0.000002")],
        );
        let histogram = family.with("a");
        for ns in [0, 1_000, 1_001, 2_000, 2_001] {
            histogram.record(Duration::from_nanos(ns));
        }
        let mut out = String::new();
        family.render(&mut out);
        assert_eq!(
            out,
            "# HELP t_seconds Help.\n# TYPE t_seconds histogram\n\
             t_seconds_bucket{route=\"a\",le=\"0.000001\"} 2\n\
             t_seconds_bucket{route=\"a\",le=\"0.000002\"} 4\n\
             t_seconds_bucket{route=\"a\",le=\"+Inf\"} 5\n\
             t_seconds_sum{route=\"a\"} 0.000006002\n\
             t_seconds_count{route=\"a\"} 5\n\n"
        );
    }

    #[test]
    fn the_longest_duration_is_counted_beyond_every_bound() {
        let histogram = Histogram::new(DURATION_BOUNDS);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.count(), 1);
        assert_eq!(
            histogram.counts.last().map(|last| last.load(Ordering::Relaxed)),
            Some(1)
        );
    }

    #[test]
    fn one_label_value_is_one_series_and_is_escaped() {
        let family = Family::new("t_seconds", "Help.", "route", STEP_BOUNDS);
        family.with("a\"b\\c\nd").record(Duration::ZERO);
        family.with("a\"b\\c\nd").record(Duration::ZERO);
        let mut out = String::new();
        family.render(&mut out);
        assert!(out.contains("t_seconds_count{route=\"a\\\"b\\\\c\\nd\"} 2\n"), "{out}");
    }

    #[test]
    fn threads_lose_nothing() {
        let histogram = Histogram::new(STEP_BOUNDS);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|n| histogram.record(Duration::from_nanos(n))));
            }
        });
        assert_eq!(histogram.count(), 40_000);
        assert_eq!(
            histogram.sum_ns.load(Ordering::Relaxed),
            4 * (0..10_000u64).sum::<u64>()
        );
    }
}
