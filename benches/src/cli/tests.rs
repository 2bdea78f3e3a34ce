use super::show::judged;
use super::*;
use crate::rounds::{Beside, Figure, Row, Spread};
use crate::scenarios::{Bound, IdleRow, Paced, Verdict};
use clap::CommandFactory;

fn parse(line: &str) -> Result<CompareArgs, clap::Error> {
    match Cli::try_parse_from(line.split_ascii_whitespace())?.command {
        Command::Compare(args) => Ok(args),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn scenarios_and_options_mix() {
    let args = parse("tidegate-bench compare --rounds 3 fresh-default --seconds 0.5 hello-p3").unwrap();
    assert_eq!(args.scenarios, [Scenario::FreshDefault, Scenario::HelloP3]);
    assert_eq!((args.rounds, args.seconds), (3, Duration::from_millis(500)));
    assert_eq!(parse("tidegate-bench compare").unwrap().rounds, 10);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for line in [
        "tidegate-bench compare --rounds 0",
        "tidegate-bench compare --seconds 0",
        "tidegate-bench compare --seconds NaN",
        "tidegate-bench compare --connections 0",
        "tidegate-bench compare --idle-connections 0",
        "tidegate-bench compare no-such-scenario",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
    let both = parse("tidegate-bench compare --server-cpu 0 --loader-cpu 0 memory").unwrap();
    assert!(setup(both, &[Scenario::Memory]).is_err());
}

#[test]
fn scenarios_without_wasmtime_do_not_ask_for_it() {
    let cpus = affinity::allowed().unwrap();
    let [server, loader, ..] = cpus[..] else {
        return assert!(setup(parse("tidegate-bench compare").unwrap(), &[]).is_err());
    };
    let line = format!("tidegate-bench compare --server-cpu {server} --loader-cpu {loader} --target-dir /no/target");
    let setup = setup(parse(&line).unwrap(), &[Scenario::Memory, Scenario::WarmStart]).unwrap();
    assert_eq!((setup.wasmtime, setup.nginx), (None, None));
    assert_eq!(setup.tidegate, Path::new("/no/target/dist/tidegate"));
    assert_eq!(setup.guests, Path::new("/no/target/guests"));
}

#[test]
fn outcomes_are_described_with_their_verdict() {
    let spread = Spread {
        min: 200.0,
        median: 250.4,
        max: 299.6,
    };
    let outcome = Outcome::WarmStart {
        scenario: "warm-start".to_owned(),
        guest: "hello".to_owned(),
        components: 200,
        cold_ms: 60_000.0,
        listening_ms: spread,
        answered_ms: spread,
        verdict: Verdict::new("warm-start ms", spread.median, Bound::AtMost(300.0), None),
    };
    assert_eq!(
        describe(&outcome),
        "warm-start, 200 x hello\nfirst start 60000 ms; later ones listening after 250 ms (200..300), \
         first answer after 250 ms (200..300)\nreached: 250, to be at most 300 (warm-start ms)\n"
    );
    assert_eq!(
        judged(&Verdict::new("fresh", 0.8, Bound::AtMost(0.75), Some(0.55))),
        "NOT reached: 0.800, to be at most 0.75, aim 0.55 (fresh)\n"
    );
    assert_eq!(
        judged(&Verdict::new("calls", 5.25, Bound::AtLeast(5.0), None)),
        "reached: 5.250, to be at least 5 (calls)\n"
    );
    let json = serde_json::to_value(&outcome).unwrap();
    assert_eq!(json["verdict"]["reach"]["at-most"], 300.0);
    assert_eq!(
        (json["kind"].as_str(), json["verdict"]["reached"].as_bool()),
        (Some("warm-start"), Some(true))
    );
}

fn spread(median: f64) -> Spread {
    Spread {
        min: median,
        median,
        max: median,
    }
}

fn row(peer: &str, cpu_ratio: f64) -> Row {
    Row {
        peer: peer.to_owned(),
        cpu_us_per_request: spread(30.0),
        requests_per_second: spread(1000.0),
        cpu_ratio: spread(cpu_ratio),
        rps_ratio: spread(1.0),
        latency_p50_us: spread(1.0),
        latency_p99_us: spread(1.0),
        latency_max_us: spread(1.0),
        server_busy: spread(1.0),
        loader_busy: spread(0.5),
        samples: Vec::new(),
    }
}

#[test]
fn every_goal_of_a_comparison_is_told_and_counted() {
    let outcome = Outcome::Comparison {
        scenario: "reuse".to_owned(),
        guest: "hello".to_owned(),
        baseline: "reused".to_owned(),
        rows: vec![row("tidegate", 0.8), row("reused", 1.0)],
        others: vec![Beside {
            peer: "fresh".to_owned(),
            figure: Figure::CpuPerRequest,
            ratios: vec![spread(0.25), spread(0.35)],
        }],
        verdicts: vec![
            Verdict::new("over reused", 0.8, Bound::AtMost(0.92), Some(0.83)),
            Verdict::new("over fresh", 0.35, Bound::AtMost(0.33), None),
        ],
        paced: None,
    };
    let text = describe(&outcome);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].ends_with("CPU over fresh (min..max)"), "{text}");
    assert!(
        lines[2].ends_with("0.250 (0.250..0.250)") && lines[3].ends_with("0.350 (0.350..0.350)"),
        "{text}"
    );
    assert_eq!(lines[4], "reached: 0.800, to be at most 0.92, aim 0.83 (over reused)");
    assert_eq!(lines[5], "NOT reached: 0.350, to be at most 0.33 (over fresh)");
    assert_eq!(outcome.verdicts().iter().filter(|verdict| !verdict.reached).count(), 1);
}

#[test]
fn a_fixed_rate_shows_where_it_came_from() {
    let outcome = Outcome::Comparison {
        scenario: "proxy-p99".to_owned(),
        guest: "proxied 1 KiB".to_owned(),
        baseline: "nginx".to_owned(),
        rows: vec![row("tidegate", 1.1), row("nginx", 1.0)],
        others: vec![Beside {
            peer: "nginx".to_owned(),
            figure: Figure::LatencyP99,
            ratios: vec![spread(1.25), spread(1.0)],
        }],
        verdicts: vec![Verdict::new("p99", 1.25, Bound::AtMost(1.5), None)],
        paced: Some(Paced {
            share: 0.6,
            closed_rps: vec![spread(20_000.0), spread(25_000.0)],
            closed_server_busy: vec![spread(0.99), spread(0.98)],
            late_p99_us: vec![spread(1.25), spread(3.0)],
        }),
    };
    let text = describe(&outcome);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].ends_with("p99 over nginx (min..max)"), "{text}");
    assert!(lines[2].ends_with("1.250 (1.250..1.250)"), "{text}");
    assert!(lines[4].starts_with("at 60% of the lesser of these"), "{text}");
    let cells = |line: &str| line.split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
    assert_eq!(cells(lines[6]), ["tidegate", "20000", "20000..20000", "0.99", "1.2"]);
    assert_eq!(cells(lines[7]), ["nginx", "25000", "25000..25000", "0.98", "3.0"]);
    assert!(lines[8].starts_with("reached: 1.250"), "{text}");
    let json = serde_json::to_value(&outcome).unwrap();
    assert_eq!(json["others"][0]["figure"], "latency-p99");
    assert_eq!(json["paced"]["closed_rps"][1]["median"], 25_000.0);
}

#[test]
fn idle_connections_are_shown_peer_by_peer() {
    let spread = |median: f64| Spread {
        min: median - 0.5,
        median,
        max: median + 0.5,
    };
    let outcome = Outcome::IdleConnections {
        scenario: "idle-connections".to_owned(),
        guest: "hello".to_owned(),
        connections: 5000,
        rows: vec![IdleRow {
            peer: "tidegate".to_owned(),
            kib_per_connection: spread(9.25),
            rss_before_mib: spread(40.0),
            rss_after_mib: spread(85.0),
        }],
        verdict: Verdict::new("KiB each", 9.25, Bound::AtMost(16.0), None),
    };
    assert_eq!(
        describe(&outcome),
        "idle-connections, hello, 5000 connections that were answered once\n\
         peer      KiB each    min..max  MiB before  MiB after\n\
         tidegate      9.25  8.75..9.75        40.0       85.0\n\
         reached: 9.2, to be at most 16 (KiB each)\n"
    );
}
