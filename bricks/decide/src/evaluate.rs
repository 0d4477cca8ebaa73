//! What scores look like, and what verdicts are worth where the truth is known.
//!
//! Both accumulators take one packet at a time, and their results depend on nothing but what was pushed.

mod promise;
mod ranking;
mod spans;
mod summary;

pub use promise::{BenignShare, FalsePositives, Promise};
pub use spans::{Figures, SpanReport, Windows};
pub use summary::{ScoreSummary, Summary};

use legonf_core::Verdict;
use ranking::Ranking;
use serde::Serialize;

/// Packets by truth and verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// Malicious packets found anomalous.
    pub true_positives: u64,
    /// Benign packets found anomalous.
    pub false_positives: u64,
    /// Benign packets found benign.
    pub true_negatives: u64,
    /// Malicious packets found benign.
    pub false_negatives: u64,
}

impl Confusion {
    fn count(&mut self, malicious: bool, anomalous: bool) {
        *match (malicious, anomalous) {
            (true, true) => &mut self.true_positives,
            (false, true) => &mut self.false_positives,
            (false, false) => &mut self.true_negatives,
            (true, false) => &mut self.false_negatives,
        } += 1;
    }

    /// Part of the malicious packets that were found (recall, TPR); `None` without malicious packets.
    pub fn true_positive_rate(&self) -> Option<f64> {
        part(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// Part of the benign packets that raised an alarm (FPR); `None` without benign packets.
    pub fn false_positive_rate(&self) -> Option<f64> {
        part(self.false_positives, self.false_positives + self.true_negatives)
    }

    /// Part of the alarms that were right; `None` without alarms.
    pub fn precision(&self) -> Option<f64> {
        part(self.true_positives, self.true_positives + self.false_positives)
    }

    /// Harmonic mean of precision and recall; `None` without malicious packets and alarms.
    pub fn f1(&self) -> Option<f64> {
        let doubled = 2 * self.true_positives;
        part(doubled, doubled + self.false_positives + self.false_negatives)
    }
}

fn part(count: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| count as f64 / whole as f64)
}

/// How well scores and verdicts agree with the truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Area under the ROC curve: the probability that a malicious packet scores above a benign one, equal scores
    /// counting half. Exact. `None` unless both kinds of packets are there.
    pub auc: Option<f64>,
    /// Equal error rate: where the false-positive and the false-negative rate meet, interpolated between
    /// neighbouring thresholds. `None` unless both kinds of packets are there.
    pub eer: Option<f64>,
    /// True-positive rate (recall) of the verdicts.
    pub tpr: Option<f64>,
    /// False-positive rate of the verdicts.
    pub fpr: Option<f64>,
    /// Precision of the verdicts.
    pub precision: Option<f64>,
    /// F1 of the verdicts.
    pub f1: Option<f64>,
    /// Packets by truth and verdict.
    pub confusion: Confusion,
    /// Packets without a decision, which are in none of the numbers above.
    pub rejected: u64,
    /// Packets that came while statistics warmed up, so that no verdict was given; they are in none of the numbers above either, AUC
    /// among them.
    #[serde(skip_serializing_if = "is_zero")]
    pub warming_up: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Scores, verdicts and the truth of a run. Takes 8 bytes a packet.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    ranking: Ranking,
    confusion: Confusion,
    rejected: u64,
    warming_up: u64,
}

impl Evaluation {
    /// Adds one packet: its score, the verdict on it, and whether it is malicious in truth.
    pub fn push(&mut self, score: f64, verdict: Verdict, malicious: bool) {
        if verdict == Verdict::REJECTED || !score.is_finite() {
            self.rejected += 1;
            return;
        }
        if verdict == Verdict::WARMING_UP {
            self.warming_up += 1;
            return;
        }
        self.ranking.push(score, malicious);
        self.confusion.count(malicious, verdict == Verdict::ANOMALOUS);
    }

    /// The result over all packets added.
    pub fn finish(self) -> Report {
        let (auc, eer) = self.ranking.finish();
        let Self { confusion, rejected, warming_up, .. } = self;
        Report {
            auc,
            eer,
            tpr: confusion.true_positive_rate(),
            fpr: confusion.false_positive_rate(),
            precision: confusion.precision(),
            f1: confusion.f1(),
            confusion,
            rejected,
            warming_up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    fn report(packets: &[(f64, Verdict, bool)]) -> Report {
        let mut evaluation = Evaluation::default();
        packets.iter().for_each(|(score, verdict, malicious)| evaluation.push(*score, *verdict, *malicious));
        evaluation.finish()
    }

    #[test]
    fn a_small_run_by_hand() {
        let got = report(&[
            (0.1, Verdict::BENIGN, false),
            (0.2, Verdict::BENIGN, true),
            (0.2, Verdict::BENIGN, false),
            (0.6, Verdict::ANOMALOUS, false),
            (0.7, Verdict::ANOMALOUS, true),
            (0.9, Verdict::ANOMALOUS, true),
            (f64::NAN, Verdict::REJECTED, true),
            (99.0, Verdict::WARMING_UP, false),
            (0.0, Verdict::WARMING_UP, true),
        ]);
        let confusion =
            Confusion { true_positives: 2, false_positives: 1, true_negatives: 2, false_negatives: 1 };
        assert_eq!((got.confusion, got.rejected, got.warming_up), (confusion, 1, 2));
        assert_eq!((got.tpr, got.fpr), (Some(2.0 / 3.0), Some(1.0 / 3.0)));
        assert_eq!((got.precision, got.f1), (Some(2.0 / 3.0), Some(2.0 / 3.0)));
        // Pairs won: 0.2 wins 1 and ties 1, 0.7 and 0.9 win 3 each: 7.5 of 9.
        assert_eq!(got.auc, Some(7.5 / 9.0));
        assert_eq!(got.eer, Some(1.0 / 3.0));
    }

    #[test]
    fn without_one_of_the_kinds_there_is_no_ranking() {
        let got = report(&[(0.5, Verdict::BENIGN, false), (0.6, Verdict::ANOMALOUS, false)]);
        assert_eq!((got.auc, got.eer, got.tpr, got.fpr), (None, None, None, Some(0.5)));
        assert_eq!((got.precision, got.f1), (Some(0.0), Some(0.0)));
        let nothing = report(&[]);
        assert_eq!((nothing.auc, nothing.fpr, nothing.f1, nothing.rejected), (None, None, None, 0));
    }
}
