//! What a run prints for people: the heading, a table or a sentence an outcome, what was reached.

use super::{Machine, Results};
use crate::rounds::{Row, table};
use crate::scenarios::{Bound, IdleRow, Outcome, Paced, Verdict};

pub(super) fn heading(results: &Results) -> String {
    let Machine {
        processor,
        cores,
        kernel,
    } = &results.machine;
    let peers: String = [&results.wasmtime, &results.nginx]
        .into_iter()
        .flatten()
        .map(|version| format!("; {version}"))
        .collect();
    format!(
        "{processor}, {cores} cores, Linux {kernel}{peers}; {} rounds of {} s, {} connections\n\
         medians; a ratio is taken within each round against the row that is 1.000\n",
        results.rounds, results.seconds, results.connections
    )
}

pub(super) fn describe(outcome: &Outcome) -> String {
    const MIB: f64 = 1_048_576.0;
    let mut text = match outcome {
        Outcome::Comparison {
            scenario,
            guest,
            rows,
            others,
            paced,
            ..
        } => {
            let rates = paced.as_ref().map_or(String::new(), |rates| how_paced(rates, rows));
            format!("{scenario}, {guest}\n{}{rates}", table::comparison(rows, others))
        }
        Outcome::Memory {
            scenario,
            guest,
            bytes,
            seconds,
            rss_before_bytes,
            rss_peak_bytes,
            ..
        } => {
            let (mib, before, peak) = (
                *bytes as f64 / MIB,
                *rss_before_bytes as f64 / MIB,
                *rss_peak_bytes as f64 / MIB,
            );
            format!(
                "{scenario}, {guest}\n{mib:.0} MiB there and back in {seconds:.1} s; resident {before:.1} MiB before, \
                 {peak:.1} MiB at most: grown by {:.1} MiB\n",
                peak - before
            )
        }
        Outcome::WarmStart {
            scenario,
            guest,
            components,
            cold_ms,
            listening_ms,
            answered_ms,
            ..
        } => format!(
            "{scenario}, {components} x {guest}\nfirst start {cold_ms:.0} ms; later ones listening after {:.0} ms ({}), \
             first answer after {:.0} ms ({})\n",
            listening_ms.median,
            table::range(listening_ms, 0),
            answered_ms.median,
            table::range(answered_ms, 0)
        ),
        Outcome::IdleConnections {
            scenario,
            guest,
            connections,
            rows,
            ..
        } => format!(
            "{scenario}, {guest}, {connections} connections that were answered once\n{}",
            idle(rows)
        ),
    };
    for verdict in outcome.verdicts() {
        text.push_str(&judged(verdict));
    }
    text
}

fn how_paced(rates: &Paced, rows: &[Row]) -> String {
    let head = ["at most", "rps", "min..max", "busy s", "loader late by p99 µs"];
    let mut lines = vec![head.map(ToOwned::to_owned).to_vec()];
    let figures = rates.closed_rps.iter().zip(&rates.closed_server_busy);
    for (row, ((rps, busy), late)) in rows.iter().zip(figures.zip(&rates.late_p99_us)) {
        lines.push(vec![
            row.peer.clone(),
            format!("{:.0}", rps.median),
            table::range(rps, 0),
            format!("{:.2}", busy.median),
            format!("{:.1}", late.median),
        ]);
    }
    format!(
        "at {:.0}% of the lesser of these, which each round found out before:\n{}",
        rates.share * 100.0,
        table::aligned(&lines)
    )
}

fn idle(rows: &[IdleRow]) -> String {
    let head = ["peer", "KiB each", "min..max", "MiB before", "MiB after"];
    let mut lines = vec![head.map(ToOwned::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
        vec![
            row.peer.clone(),
            format!("{:.2}", row.kib_per_connection.median),
            table::range(&row.kib_per_connection, 2),
            format!("{:.1}", row.rss_before_mib.median),
            format!("{:.1}", row.rss_after_mib.median),
        ]
    }));
    table::aligned(&lines)
}

pub(super) fn judged(verdict: &Verdict) -> String {
    let reached = if verdict.reached { "reached" } else { "NOT reached" };
    let aim = verdict.aim.map_or(String::new(), |aim| format!(", aim {aim}"));
    let (side, reach) = match verdict.reach {
        Bound::AtMost(most) => ("most", most),
        Bound::AtLeast(least) => ("least", least),
    };
    // A ratio needs its decimals, MiB one of them, milliseconds none.
    let decimals = match reach {
        reach if reach < 10.0 => 3,
        reach if reach < 100.0 => 1,
        _ => 0,
    };
    format!(
        "{reached}: {:.decimals$}, to be at {side} {reach}{aim} ({})\n",
        verdict.measured, verdict.what
    )
}
