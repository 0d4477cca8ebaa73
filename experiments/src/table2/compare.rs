//! Scores of a split against those of the single instance.

use super::{Options, Pairs};
use crate::{Scorer, Take};
use legonf_core::{Headers, Rows};
use legonf_models::kitnet::KitNet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// What is known of packets before a split has their rows.
pub(super) struct Expected {
    /// Their scores at the single instance.
    pub scores: Vec<f64>,
    /// Where pairs of hosts are counted: of each packet the pair, and whether a copy would have to be sent.
    pub pairs: Vec<(u64, bool)>,
}

/// Scores rows as they come, and compares.
pub(super) struct Compare {
    scorer: Scorer,
    comparison: Comparison,
}

/// The packets whose scores are to come, and the result so far.
struct Comparison {
    tally: Tally,
    threshold: Option<f64>,
    skip: u64,
    to_come: Receiver<Expected>,
    scores: VecDeque<f64>,
    waiting: VecDeque<(u64, bool)>,
    pairs: Option<Pairs>,
}

/// How a split's scores compare with the single instance's.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Scores so far.
    pub(super) scored: u64,
    /// Scores that are counted in the sums: finite, and not skipped.
    pub(super) counted: u64,
    pub(super) sum: f64,
    pub(super) sum_of_deviations: f64,
    pub(super) worst: f64,
    /// Scores with other bits.
    pub(super) differing: u64,
    /// The first of them: packet, score, and the single instance's.
    pub(super) first: Option<(u64, f64, f64)>,
    pub(super) alerts: u64,
    pub(super) lost: u64,
    pub(super) gained: u64,
}

impl Compare {
    pub fn new(
        network: Arc<KitNet>,
        to_come: Receiver<Expected>,
        counts_pairs: bool,
        options: &Options,
    ) -> Self {
        let Options { threshold, skip, .. } = *options;
        let pairs = counts_pairs.then(Pairs::default);
        let (tally, scores, waiting) = Default::default();
        let comparison = Comparison { tally, threshold, skip, to_come, scores, waiting, pairs };
        Self { scorer: Scorer::new(network), comparison }
    }

    /// What was found, with the scores that are left.
    pub fn finish(self) -> (Tally, Option<Pairs>) {
        let Self { mut scorer, mut comparison } = self;
        scorer.flush(|score| comparison.compare(score));
        (comparison.tally, comparison.pairs)
    }
}

impl Take for Compare {
    fn take(&mut self, _: &[Headers], rows: &Rows) {
        let Self { scorer, comparison } = self;
        rows.iter().for_each(|row| scorer.push(row, |score| comparison.compare(score)));
    }
}

impl Comparison {
    /// Compares the next packet's score.
    fn compare(&mut self, score: f64) {
        while self.scores.is_empty()
            && let Ok(Expected { scores, pairs }) = self.to_come.recv()
        {
            self.scores.extend(scores);
            self.waiting.extend(pairs);
        }
        let Some(expected) = self.scores.pop_front() else { return };
        let seq = self.tally.scored;
        let deviation = self.tally.add(score, expected, self.threshold, self.skip);
        if let Some(pairs) = &mut self.pairs
            && let Some((pair, copied)) = self.waiting.pop_front()
        {
            pairs.add(pair, copied, if seq < self.skip { 0.0 } else { deviation });
        }
    }
}

impl Tally {
    /// Counts the next packet's score, and returns how far it is from the single instance's.
    fn add(&mut self, score: f64, expected: f64, threshold: Option<f64>, skip: u64) -> f64 {
        let seq = self.scored;
        self.scored += 1;
        if score.to_bits() != expected.to_bits() {
            self.differing += 1;
            self.first.get_or_insert((seq, score, expected));
        }
        let above = |score: f64| threshold.is_some_and(|threshold| score > threshold);
        self.alerts += u64::from(above(score));
        self.lost += u64::from(above(expected) && !above(score));
        self.gained += u64::from(above(score) && !above(expected));
        let deviation = (score - expected).abs();
        if seq < skip || !score.is_finite() || !deviation.is_finite() {
            return 0.0;
        }
        self.counted += 1;
        self.sum += score;
        self.sum_of_deviations += deviation;
        self.worst = self.worst.max(deviation);
        deviation
    }
}
