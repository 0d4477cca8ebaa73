//! How improbable a score is among benign ones.

use super::sample_quantile;

/// Points at which the tail of a score is known.
pub const KNOTS: usize = 64;
/// Those up to the 95th percentile.
const BODY: usize = KNOTS / 2;
/// The probability of a score above the body.
const BEYOND: f64 = 0.05;
/// The highest value.
const CAP: f64 = 20.0;
/// The fewest scores above the body by which the shape of the tail is estimated.
const FEWEST: usize = 10;
/// The heaviest tail: one of infinite variance is as heavy as this.
const HEAVIEST: f64 = 0.9;

/// −ln of the probability that a benign score is as high: of those held out up to their 95th percentile, of a generalised Pareto
/// distribution above it, at most 20. It is known at [`KNOTS`] scores, and linear between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Tail {
    scores: [f64; KNOTS],
    slopes: [f64; KNOTS],
}

/// The value at a knot, the same for all tails: even steps from 0 to that of the 95th percentile, and from there to 20.
pub(crate) fn value(knot: usize) -> f64 {
    let body = -BEYOND.ln();
    if knot < BODY {
        body * knot as f64 / (BODY - 1) as f64
    } else {
        body + (CAP - body) * (knot + 1 - BODY) as f64 / (KNOTS - BODY) as f64
    }
}

impl Tail {
    /// A tail through knots, whose scores do not fall.
    pub fn new(scores: [f64; KNOTS]) -> Self {
        let slope = |knot: usize| {
            let next = (knot + 1).min(KNOTS - 1);
            let slope = (value(next) - value(knot)) / (scores[next] - scores[knot]);
            if slope.is_finite() { slope } else { 0.0 }
        };
        Self { scores, slopes: std::array::from_fn(slope) }
    }

    /// The tail of benign scores.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn fit(mut scores: Vec<f64>) -> Self {
        scores.sort_unstable_by(f64::total_cmp);
        let first = sample_quantile(&scores, 1.0 - BEYOND);
        let excesses: Vec<f64> =
            scores.iter().map(|score| score - first).filter(|excess| *excess > 0.0).collect();
        let (scale, shape) = pareto(&excesses).unwrap_or_else(|| (least_scale(&scores), 0.0));
        let knot = |knot: usize| {
            let beyond = value(knot) + BEYOND.ln();
            match knot {
                body if body < BODY => sample_quantile(&scores, 1.0 - (-value(body)).exp()),
                _ if shape == 0.0 => first + scale * beyond,
                _ => first + scale / shape * ((shape * beyond).exp() - 1.0),
            }
        };
        let mut knots = std::array::from_fn(knot);
        (1..KNOTS).for_each(|at| knots[at] = knots[at].max(knots[at - 1]));
        Self::new(knots)
    }

    /// The scores of the knots.
    pub fn scores(&self) -> &[f64; KNOTS] {
        &self.scores
    }

    /// For each knot the rise of the value up to the next one, for each unit of the score.
    pub(crate) fn slopes(&self) -> &[f64; KNOTS] {
        &self.slopes
    }

    /// −ln of the probability of a score as high as this.
    #[inline(always)]
    pub(crate) fn of(&self, score: f64, values: &[f64; KNOTS]) -> f64 {
        let mut above = 0;
        for knot in &self.scores {
            above += usize::from(score >= *knot);
        }
        match above {
            0 => 0.0,
            above => {
                let knot = (above - 1) % KNOTS;
                values[knot] + (score - self.scores[knot]) * self.slopes[knot]
            }
        }
    }
}

/// The values of all knots.
pub(crate) fn values() -> [f64; KNOTS] {
    std::array::from_fn(value)
}

/// Scale and shape of a generalised Pareto distribution, by probability-weighted moments (Hosking and Wallis, 1987), of at least an
/// exponential tail; none of no excess. `excesses` rise.
fn pareto(excesses: &[f64]) -> Option<(f64, f64)> {
    let count = excesses.len() as f64;
    let mean = excesses.iter().sum::<f64>() / count;
    if !(mean > 0.0 && mean.is_finite()) {
        return None;
    }
    if excesses.len() < FEWEST {
        return Some((mean, 0.0));
    }
    let weight = |at: usize| (count - 1.0 - at as f64) / (count - 1.0);
    let second = excesses.iter().enumerate().map(|(at, excess)| weight(at) * excess).sum::<f64>() / count;
    let shape = (2.0 - mean / (mean - 2.0 * second)).clamp(0.0, HEAVIEST);
    Some((mean * (1.0 - shape), shape))
}

/// The scale of a tail of which no score is known: a thousandth of the scores' size.
fn least_scale(scores: &[f64]) -> f64 {
    let largest = scores.iter().fold(0.0_f64, |largest, score| largest.max(score.abs()));
    (largest / 1000.0).max(f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_an_exponential_is_a_line() {
        let count = 20_000;
        let scores: Vec<f64> =
            (0..count).map(|i| -(1.0 - (f64::from(i) + 0.5) / f64::from(count)).ln()).collect();
        let (tail, values) = (Tail::fit(scores), values());
        for score in [0.5, 1.0, 2.5, 4.0, 8.0, 12.0] {
            assert!(
                (tail.of(score, &values) - score).abs() < 0.05 * score,
                "{score}: {}",
                tail.of(score, &values)
            );
        }
        assert_eq!((tail.of(-1.0, &values), tail.of(1e9, &values)), (0.0, CAP));
    }

    #[test]
    fn equal_scores_and_few_of_them_have_a_tail() {
        let values = values();
        for scores in [vec![0.0; 50], vec![3.0], vec![1.0, 2.0, 3.0]] {
            let highest = scores.iter().copied().fold(0.0, f64::max);
            let tail = Tail::fit(scores);
            assert!(tail.scores().is_sorted() && tail.scores().iter().all(|score| score.is_finite()));
            assert!(tail.of(highest + 100.0, &values) == CAP && tail.of(highest, &values) < 4.0);
        }
    }
}
