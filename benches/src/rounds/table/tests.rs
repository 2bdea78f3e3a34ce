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
    let text = comparison(std::slice::from_ref(&row), &[]);
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

    let other = Beside {
        peer: "serve, fresh".to_owned(),
        figure: Figure::CpuPerRequest,
        ratios: vec![spread(0.25)],
    };
    let faster = Beside {
        figure: Figure::RequestsPerSecond,
        ratios: vec![spread(4.0)],
        ..other.clone()
    };
    let text = comparison(&[row], &[other, faster]);
    let columns = |line: &str| -> Vec<String> {
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        cells.map(ToOwned::to_owned).collect()
    };
    let lines: Vec<_> = text.lines().map(columns).collect();
    let ends = lines.iter().map(|line| &line[line.len() - 2..]);
    let expected = [
        ["CPU over serve, fresh (min..max)", "rps over serve, fresh (min..max)"],
        ["0.250 (0.125..0.500)", "4.000 (2.000..8.000)"],
    ];
    assert_eq!(ends.collect::<Vec<_>>(), expected);
    assert_eq!(lines[1].len(), lines[0].len());
}
