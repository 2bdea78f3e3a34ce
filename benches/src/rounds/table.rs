//! Plain text tables: the first column to the left, figures to the right.

use super::{Beside, Figure, Row, Spread};

const HEADS: [&str; 10] = [
    "peer",
    "CPU µs/req",
    "min..max",
    "CPU ratio",
    "min..max",
    "rps",
    "rps ratio",
    "p50 µs",
    "p99 µs",
    "busy s/l",
];

/// The rows of one comparison. Medians stand alone, the spread of the two figures that count beside them. Each peer of
/// `others` adds a column of its own at the end: one figure over that peer's.
pub(crate) fn comparison(rows: &[Row], others: &[Beside]) -> String {
    let mut head = HEADS.map(ToOwned::to_owned).to_vec();
    head.extend(others.iter().map(|other| {
        let figure = match other.figure {
            Figure::CpuPerRequest => "CPU",
            Figure::RequestsPerSecond => "rps",
            Figure::LatencyP99 => "p99",
        };
        format!("{figure} over {} (min..max)", other.peer)
    }));
    let mut lines = vec![head];
    lines.extend(rows.iter().enumerate().map(|(index, row)| {
        let mut line = cells(row);
        let ratios = others.iter().filter_map(|other| other.ratios.get(index));
        line.extend(ratios.map(|ratio| format!("{:.3} ({})", ratio.median, range(ratio, 3))));
        line
    }));
    aligned(&lines)
}

fn cells(row: &Row) -> Vec<String> {
    vec![
        row.peer.clone(),
        format!("{:.1}", row.cpu_us_per_request.median),
        range(&row.cpu_us_per_request, 1),
        format!("{:.3}", row.cpu_ratio.median),
        range(&row.cpu_ratio, 3),
        format!("{:.0}", row.requests_per_second.median),
        format!("{:.3}", row.rps_ratio.median),
        format!("{:.0}", row.latency_p50_us.median),
        format!("{:.0}", row.latency_p99_us.median),
        format!("{:.2}/{:.2}", row.server_busy.median, row.loader_busy.median),
    ]
}

pub(crate) fn range(spread: &Spread, decimals: usize) -> String {
    format!("{:.decimals$}..{:.decimals$}", spread.min, spread.max)
}

/// Columns as wide as their widest cell, two spaces between them.
pub(crate) fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
