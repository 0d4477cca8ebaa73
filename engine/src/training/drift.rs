//! Whether scores stay where they were when training ended.

use serde::Serialize;
use std::collections::VecDeque;

/// Parts of a training.
pub const PARTS: u32 = 40;
/// How many of the last of them are compared with as many after it.
pub const COMPARED: usize = 10;
/// The fewest parts that say anything.
const FEWEST: usize = 5;
/// A level that is lower than this part of another, or higher than its inverse, is another level.
const SAME: f64 = 2.0 / 3.0;
/// Deviations of a rank sum that one of a hundred exceeds, up or down.
const RARE: f64 = 2.576;

/// Scores after training beside those of its last quarter.
///
/// A part is a fortieth of the training. Its level is the 90th percentile of its scores, so that no single packet counts. The scores
/// of the training are those before each packet was learnt from. They drift if the levels of the last ten parts of the
/// training and of up to ten parts after it differ by the rank-sum test of Mann and Whitney (1%, two-sided), and their medians by
/// more than half. (A network that goes on learning scores a little lower than one that has stopped.)
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// Packets after the training that were scored.
    pub packets: u64,
    /// Median level of the last parts of the training.
    pub before: f64,
    /// Median level of the parts after it.
    pub after: f64,
    /// Whether the scores drift.
    pub drifts: bool,
}

/// Collects the levels of parts.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    part: Option<u64>,
    scores: Vec<f64>,
    levels: VecDeque<f64>,
}

impl Levels {
    /// Adds a score of a part; parts come in order. Of more than ten parts the last ones are kept.
    pub fn push(&mut self, part: u64, score: f64) {
        if self.part.is_some_and(|last| last != part) {
            self.close();
        }
        self.part = Some(part);
        if score.is_finite() {
            self.scores.push(score);
        }
    }

    fn close(&mut self) {
        if self.scores.is_empty() {
            return;
        }
        let at = self.scores.len() * 9 / 10;
        let level = *self.scores.select_nth_unstable_by(at, f64::total_cmp).1;
        self.scores.clear();
        self.levels.push_back(level);
        if self.levels.len() > COMPARED {
            self.levels.pop_front();
        }
    }

    /// The levels of the last parts.
    fn finish(mut self) -> Vec<f64> {
        self.close();
        self.levels.into()
    }
}

impl Drift {
    /// Compares the parts of a training with those after it, of so many packets; nothing where there are too few of either.
    pub fn of(training: Levels, after: Levels, packets: u64) -> Option<Self> {
        let (training, after) = (training.finish(), after.finish());
        if training.len().min(after.len()) < FEWEST {
            return None;
        }
        let (low, high) = (median(&training), median(&after));
        let same = high >= SAME * low && SAME * high <= low;
        let drifts = !same && rank_deviation(&training, &after).abs() > RARE;
        Some(Self { packets, before: low, after: high, drifts })
    }
}

fn median(levels: &[f64]) -> f64 {
    let mut levels = levels.to_vec();
    levels.sort_unstable_by(f64::total_cmp);
    levels[levels.len() / 2]
}

/// By how many deviations the rank sum of the second sample is above what is to be expected of equal ones.
fn rank_deviation(first: &[f64], second: &[f64]) -> f64 {
    let wins = |high: &f64| {
        first.iter().map(|low| f64::from(high > low) + 0.5 * f64::from(high == low)).sum::<f64>()
    };
    let rank_sum = second.iter().map(wins).sum::<f64>();
    let (m, n) = (first.len() as f64, second.len() as f64);
    (rank_sum - m * n / 2.0) / (m * n * (m + n + 1.0) / 12.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(of: impl Fn(u64) -> f64, parts: u64) -> Levels {
        let mut levels = Levels::default();
        (0..parts * 20).for_each(|at| levels.push(at / 20, of(at / 20) + (at % 20) as f64 * 0.01));
        levels
    }

    #[test]
    fn scores_that_stay_do_not_drift() {
        let steady = |part| 1.0 + (part * 7 % 5) as f64 * 0.05;
        let drift = Drift::of(levels(steady, 40), levels(steady, 10), 200).unwrap();
        assert!(!drift.drifts && drift.packets == 200, "{drift:?}");
        // One packet, and one part, far above all others.
        let mut after = levels(steady, 9);
        (0..20).for_each(|_| after.push(9, 1e6));
        assert!(!Drift::of(levels(steady, 40), after, 200).unwrap().drifts);
    }

    #[test]
    fn scores_that_rise_or_fall_drift() {
        let level = |level: f64| levels(move |part| level + (part * 7 % 5) as f64 * 0.01, 10);
        for after in [2.0, 0.5] {
            let drift = Drift::of(level(1.0), level(after), 200).unwrap();
            assert!(drift.drifts && (drift.after / drift.before > 1.0) == (after > 1.0), "{drift:?}");
        }
        assert!(!Drift::of(level(1.0), level(1.3), 200).unwrap().drifts);
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(Drift::of(levels(|_| 1.0, 10), levels(|_| 9.0, 4), 80), None);
        assert_eq!(Drift::of(Levels::default(), Levels::default(), 0), None);
    }

    #[test]
    fn the_last_parts_are_kept() {
        let rising = levels(|part| part as f64, 40).finish();
        assert_eq!((rising.len(), rising[0]), (COMPARED, 30.18));
    }
}
