//! Interleaved rounds and what is made of them: medians, and ratios within each round.
//!
//! A ratio is taken between two peers of the same round and the median is taken of those ratios. What slows the
//! machine for a minute slows both, so it leaves the ratio alone.

pub(crate) mod table;

use serde::Serialize;

/// What one peer did in one round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Sample {
    /// User and system time of the server process, divided by the requests it answered.
    pub(crate) cpu_us_per_request: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) latency_p50_us: f64,
    pub(crate) latency_p99_us: f64,
    pub(crate) latency_max_us: f64,
    /// Share of the time that the server's core worked for the server. Near 1 when it, not the loader, is the limit.
    pub(crate) server_busy: f64,
    /// The same of the loader's core.
    pub(crate) loader_busy: f64,
}

/// The spread of one figure over the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// None without a value, or with one that is not a number.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        if values.iter().any(|value| value.is_nan()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, upper)
        } else {
            upper
        };
        Some(Self {
            min: *sorted.first()?,
            median,
            max: *sorted.last()?,
        })
    }
}

/// One peer over all rounds, beside the baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Row {
    pub(crate) peer: String,
    pub(crate) cpu_us_per_request: Spread,
    pub(crate) requests_per_second: Spread,
    /// This peer's CPU per request over the baseline's, round by round.
    pub(crate) cpu_ratio: Spread,
    /// This peer's requests per second over the baseline's, round by round.
    pub(crate) rps_ratio: Spread,
    pub(crate) latency_p50_us: Spread,
    pub(crate) latency_p99_us: Spread,
    pub(crate) latency_max_us: Spread,
    pub(crate) server_busy: Spread,
    pub(crate) loader_busy: Spread,
    pub(crate) samples: Vec<Sample>,
}

/// Measures every peer once a round, in the order A B C A B C, so that drift meets all of them alike.
/// The result is one list of samples a peer.
pub(crate) fn interleave<E>(
    rounds: usize,
    peers: usize,
    mut measure: impl FnMut(usize, usize) -> Result<Sample, E>,
) -> Result<Vec<Vec<Sample>>, E> {
    let mut samples = vec![Vec::with_capacity(rounds); peers];
    for round in 0..rounds {
        for (peer, of_peer) in samples.iter_mut().enumerate() {
            of_peer.push(measure(round, peer)?);
        }
    }
    Ok(samples)
}

/// One row a peer. None if there is no round, no such baseline, or peers with different numbers of rounds.
pub(crate) fn rows(names: &[String], samples: &[Vec<Sample>], baseline: usize) -> Option<Vec<Row>> {
    let base = samples.get(baseline)?;
    if names.len() != samples.len() {
        return None;
    }
    names
        .iter()
        .zip(samples)
        .map(|(name, own)| row(name, own, base))
        .collect()
}

fn row(name: &str, own: &[Sample], base: &[Sample]) -> Option<Row> {
    let over = |get: fn(&Sample) -> f64| Spread::of(&own.iter().map(get).collect::<Vec<_>>());
    Some(Row {
        peer: name.to_owned(),
        cpu_us_per_request: over(|sample| sample.cpu_us_per_request)?,
        requests_per_second: over(|sample| sample.requests_per_second)?,
        cpu_ratio: Spread::of(&ratios(own, base, |sample| sample.cpu_us_per_request)?)?,
        rps_ratio: Spread::of(&ratios(own, base, |sample| sample.requests_per_second)?)?,
        latency_p50_us: over(|sample| sample.latency_p50_us)?,
        latency_p99_us: over(|sample| sample.latency_p99_us)?,
        latency_max_us: over(|sample| sample.latency_max_us)?,
        server_busy: over(|sample| sample.server_busy)?,
        loader_busy: over(|sample| sample.loader_busy)?,
        samples: own.to_vec(),
    })
}

/// Round by round, own over base. None if a round is missing on one side or the base is zero.
fn ratios(own: &[Sample], base: &[Sample], get: fn(&Sample) -> f64) -> Option<Vec<f64>> {
    if own.len() != base.len() {
        return None;
    }
    let ratio = |(own, base): (&Sample, &Sample)| Some(get(own) / get(base)).filter(|ratio| ratio.is_finite());
    own.iter().zip(base).map(ratio).collect()
}

#[cfg(test)]
mod tests {
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
}
