//! Plain text tables: the first column to the left, figures to the right.

use super::{Row, Spread};

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

/// The rows of one comparison. Medians stand alone, the spread of the two figures that count beside them.
pub(crate) fn comparison(rows: &[Row]) -> String {
    let mut lines = vec![HEADS.map(ToOwned::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| {
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
    }));
    aligned(&lines)
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
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_letters_take() {
        let lines = [
            vec!["peer".to_owned(), "µs".to_owned()],
            vec!["a".to_owned(), "12.5".to_owned()],
        ];
        assert_eq!(aligned(&lines), "peer    µs\na     12.5\n");
    }

    #[test]
    fn a_short_line_leaves_its_cells_out() {
        let lines = [vec!["a".to_owned()], vec!["b".to_owned(), "1".to_owned()]];
        assert_eq!(aligned(&lines), "a\nb  1\n");
    }

    #[test]
    fn a_comparison_shows_medians_and_the_spread_of_cpu() {
        let spread = |median: f64| Spread {
            min: median / 2.0,
            median,
            max: median * 2.0,
        };
        let row = Row {
            peer: "tidegate".to_owned(),
            cpu_us_per_request: spread(50.0),
            requests_per_second: spread(20_000.0),
            cpu_ratio: spread(0.5),
            rps_ratio: spread(2.0),
            latency_p50_us: spread(1600.0),
            latency_p99_us: spread(3000.0),
            latency_max_us: spread(9000.0),
            server_busy: spread(1.0),
            loader_busy: spread(0.25),
            samples: vec![],
        };
        let text = comparison(&[row]);
        let cells: Vec<&str> = text.lines().nth(1).unwrap().split_ascii_whitespace().collect();
        let expected = [
            "tidegate",
            "50.0",
            "25.0..100.0",
            "0.500",
            "0.250..1.000",
            "20000",
            "2.000",
            "1600",
            "3000",
            "1.00/0.25",
        ];
        assert_eq!(cells, expected);
    }
}
