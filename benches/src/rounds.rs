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

/// Every row over a peer other than the baseline, round by round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Beside {
    /// The peer that is 1.0 here.
    pub(crate) peer: String,
    pub(crate) figure: Figure,
    /// In the order of the rows.
    pub(crate) ratios: Vec<Spread>,
}

/// What of a peer is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Figure {
    CpuPerRequest,
    RequestsPerSecond,
    LatencyP99,
}

/// Measures every peer once a round, in the order A B C A B C, so that drift meets all of them alike.
/// The result is one list of samples a peer.
pub(crate) fn interleave<S, E>(
    rounds: usize,
    peers: usize,
    mut measure: impl FnMut(usize, usize) -> Result<S, E>,
) -> Result<Vec<Vec<S>>, E> {
    let mut samples: Vec<Vec<S>> = std::iter::repeat_with(Vec::new).take(peers).collect();
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

/// All rows over the one at `other`. None if there is no such row.
pub(crate) fn beside(rows: &[Row], other: usize, figure: Figure) -> Option<Beside> {
    let base = rows.get(other)?;
    let ratios = rows.iter().map(|own| ratio(own, base, figure));
    Some(Beside {
        peer: base.peer.clone(),
        figure,
        ratios: ratios.collect::<Option<_>>()?,
    })
}

/// One row over another, round by round.
pub(crate) fn ratio(own: &Row, base: &Row, figure: Figure) -> Option<Spread> {
    let get: fn(&Sample) -> f64 = match figure {
        Figure::CpuPerRequest => |sample| sample.cpu_us_per_request,
        Figure::RequestsPerSecond => |sample| sample.requests_per_second,
        Figure::LatencyP99 => |sample| sample.latency_p99_us,
    };
    Spread::of(&ratios(&own.samples, &base.samples, get)?)
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
mod tests;
