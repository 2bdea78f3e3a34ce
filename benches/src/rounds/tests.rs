use super::*;
use std::convert::Infallible;

fn sample(cpu: f64, rps: f64) -> Sample {
    Sample {
        cpu_us_per_request: cpu,
        requests_per_second: rps,
        latency_p50_us: 1.0,
        latency_p99_us: 2.0,
        latency_max_us: 3.0,
        server_busy: 1.0,
        loader_busy: 0.5,
    }
}

#[test]
fn a_spread_is_min_median_max() {
    let spread = |values: &[f64]| Spread::of(values).map(|spread| (spread.min, spread.median, spread.max));
    assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((1.0, 2.0, 3.0)));
    assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Some((1.0, 3.0, 9.0)));
    assert_eq!(spread(&[7.0]), Some((7.0, 7.0, 7.0)));
    assert_eq!(spread(&[10.0, 9.0]), Some((9.0, 9.5, 10.0)));
    assert_eq!(spread(&[]), None);
    assert_eq!(spread(&[1.0, f64::NAN]), None);
}

#[test]
fn peers_take_turns() {
    let mut order = Vec::new();
    let samples = interleave(3, 2, |round, peer| {
        order.push((round, peer));
        Ok::<_, Infallible>(sample(round as f64, peer as f64))
    });
    assert_eq!(order, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
    let samples = samples.unwrap();
    assert_eq!(samples.len(), 2);
    assert_eq!(samples[1], [sample(0.0, 1.0), sample(1.0, 1.0), sample(2.0, 1.0)]);
}

#[test]
fn the_first_failure_ends_the_rounds() {
    let mut measured = 0;
    let failed = interleave(3, 2, |round, _| {
        measured += 1;
        if round == 1 { Err("down") } else { Ok(sample(1.0, 1.0)) }
    });
    assert_eq!(failed, Err("down"));
    assert_eq!(measured, 3);
}

#[test]
fn ratios_are_taken_within_a_round() {
    // The machine is ten times slower in the second round: the ratio of medians would say 100/110, the rounds say 0.5.
    let own = [sample(50.0, 20.0), sample(500.0, 2.0), sample(60.0, 20.0)];
    let base = [sample(100.0, 10.0), sample(1000.0, 1.0), sample(100.0, 10.0)];
    let names = ["tidegate".to_owned(), "base".to_owned()];
    let rows = rows(&names, &[own.to_vec(), base.to_vec()], 1).unwrap();
    assert_eq!(rows[0].peer, "tidegate");
    assert_eq!(
        rows[0].cpu_ratio,
        Spread {
            min: 0.5,
            median: 0.5,
            max: 0.6
        }
    );
    assert_eq!(
        rows[0].rps_ratio,
        Spread {
            min: 2.0,
            median: 2.0,
            max: 2.0
        }
    );
    assert_eq!(
        rows[0].cpu_us_per_request,
        Spread {
            min: 50.0,
            median: 60.0,
            max: 500.0
        }
    );
    assert_eq!(
        rows[1].cpu_ratio,
        Spread {
            min: 1.0,
            median: 1.0,
            max: 1.0
        }
    );
}

#[test]
fn rows_need_whole_rounds_and_a_baseline() {
    let names = ["a".to_owned(), "b".to_owned()];
    let one = vec![sample(1.0, 1.0)];
    let two = vec![sample(1.0, 1.0), sample(2.0, 2.0)];
    assert!(
        rows(&names, &[one.clone(), one.clone()], 2).is_none(),
        "no such baseline"
    );
    assert!(rows(&names, &[one.clone(), two], 0).is_none(), "a round is missing");
    assert!(
        rows(&names, std::slice::from_ref(&one), 0).is_none(),
        "a name without samples"
    );
    assert!(rows(&names, &[vec![], vec![]], 0).is_none(), "no round");
    assert!(
        rows(&names, &[one, vec![sample(0.0, 0.0)]], 1).is_none(),
        "a baseline of zero"
    );
}

#[test]
fn any_two_rows_can_be_compared_round_by_round() {
    let names = ["a", "b", "c"].map(ToOwned::to_owned);
    // The second round is ten times slower for everyone.
    let rounds = |cpu: f64, rps: f64| vec![sample(cpu, rps), sample(cpu * 10.0, rps / 10.0)];
    let rows = rows(
        &names,
        &[rounds(30.0, 300.0), rounds(40.0, 200.0), rounds(120.0, 50.0)],
        1,
    )
    .unwrap();
    let exactly = |ratio: f64| Spread {
        min: ratio,
        median: ratio,
        max: ratio,
    };
    assert_eq!(rows[0].cpu_ratio, exactly(0.75));
    assert_eq!(ratio(&rows[0], &rows[2], Figure::CpuPerRequest), Some(exactly(0.25)));
    assert_eq!(ratio(&rows[0], &rows[2], Figure::RequestsPerSecond), Some(exactly(6.0)));
    let expected = Beside {
        peer: "c".to_owned(),
        figure: Figure::CpuPerRequest,
        ratios: vec![exactly(0.25), exactly(40.0 / 120.0), exactly(1.0)],
    };
    assert_eq!(beside(&rows, 2, Figure::CpuPerRequest), Some(expected));
    let faster = beside(&rows, 2, Figure::RequestsPerSecond).unwrap();
    assert_eq!(faster.ratios, [exactly(6.0), exactly(4.0), exactly(1.0)]);
    assert_eq!(beside(&rows, 3, Figure::CpuPerRequest), None, "no such row");
}
