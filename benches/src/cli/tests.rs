use super::*;
use crate::rounds::Spread;
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
    assert_eq!(setup.wasmtime, None);
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
        verdict: Verdict::at_most("warm-start", spread.median, 300.0, None),
    };
    assert_eq!(
        describe(&outcome),
        "warm-start, 200 x hello\nfirst start 60000 ms; later ones listening after 250 ms (200..300), \
         first answer after 250 ms (200..300)\nreached: 250, to be at most 300\n"
    );
    assert_eq!(
        judged(&Verdict::at_most("fresh", 0.8, 0.75, Some(0.55))),
        "NOT reached: 0.800, to be at most 0.75, aim 0.55\n"
    );
    let json = serde_json::to_value(&outcome).unwrap();
    assert_eq!(
        (json["kind"].as_str(), json["verdict"]["reached"].as_bool()),
        (Some("warm-start"), Some(true))
    );
}
