//! What a comparison is to reach, and what came of it.

use super::{Bound, Verdict};
use crate::rounds::{Beside, Figure, Row, beside, ratio};

/// A ratio between two peers that is to be reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Goal {
    /// Whose figure, by its place among the peers, over whose.
    pub(super) peer: usize,
    pub(super) over: usize,
    pub(super) figure: Figure,
    pub(super) bound: Bound,
    pub(super) aim: Option<f64>,
}

impl Goal {
    /// The first peer's figure over that of the one at `over`.
    pub(super) fn at_most(figure: Figure, reach: f64, over: usize, aim: Option<f64>) -> Self {
        Self {
            peer: 0,
            over,
            figure,
            bound: Bound::AtMost(reach),
            aim,
        }
    }
}

/// The columns beside the baseline's, and what came of each goal. None if one of them names a peer without a row.
pub(super) fn judge(
    name: &str,
    others: &[(usize, Figure)],
    goals: &[Goal],
    rows: &[Row],
) -> Option<(Vec<Beside>, Vec<Verdict>)> {
    let others = others.iter().map(|&(other, figure)| beside(rows, other, figure));
    let verdicts = goals.iter().map(|goal| {
        let (own, base) = (rows.get(goal.peer)?, rows.get(goal.over)?);
        let measured = ratio(own, base, goal.figure)?.median;
        let figure = match goal.figure {
            Figure::CpuPerRequest => "CPU per request",
            Figure::RequestsPerSecond => "requests per second",
            Figure::LatencyP99 => "p99 latency",
        };
        let what = format!("{name}: {figure} over {}", base.peer);
        Some(Verdict::new(&what, measured, goal.bound, goal.aim))
    });
    Some((others.collect::<Option<_>>()?, verdicts.collect::<Option<_>>()?))
}
