//! What a threshold stands for, against the benign packets of a labelled run.

use crate::numeric::binomial_upper_tail;
use legonf_core::Verdict;
use serde::Serialize;

/// Benign packets with a verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BenignShare {
    /// How many.
    pub packets: u64,
    /// How many of them are above the threshold.
    pub above: u64,
}

impl BenignShare {
    fn count(&mut self, verdict: Verdict) {
        self.packets += 1;
        self.above += u64::from(verdict == Verdict::ANOMALOUS);
    }

    /// Part of the packets that are above the threshold; 0 of none.
    pub fn rate(&self) -> f64 {
        if self.packets > 0 { self.above as f64 / self.packets as f64 } else { 0.0 }
    }

    /// Whether so many above the threshold, or more, have a probability below `alpha` where a share of `bound` is to be expected.
    pub fn contradicts(&self, bound: f64, alpha: f64) -> bool {
        binomial_upper_tail(self.above, self.packets, bound) < alpha
    }
}

/// A bound on the false-positive rate beside what the labels show.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Promise {
    /// The bound.
    pub false_positive_bound: f64,
    /// Benign packets before the first malicious one.
    pub before_attack: BenignShare,
    /// Benign packets from there on: some of them belong to hosts whose statistics the attack changes.
    pub since_attack: BenignShare,
    /// Whether those before the attack contradict the bound.
    pub contradicted_before: bool,
    /// Whether those from there on do.
    pub contradicted_since: bool,
}

/// Counts benign packets for a [`Promise`], in the order of the packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct FalsePositives {
    before: BenignShare,
    since: BenignShare,
    attacked: bool,
}

impl FalsePositives {
    /// Adds one packet: the verdict on it, and whether it is malicious in truth.
    pub fn push(&mut self, verdict: Verdict, malicious: bool) {
        self.attacked |= malicious;
        if malicious || [Verdict::REJECTED, Verdict::WARMING_UP].contains(&verdict) {
            return;
        }
        if self.attacked { &mut self.since } else { &mut self.before }.count(verdict);
    }

    /// Sets them beside a bound, by the binomial distribution with this confidence.
    pub fn beside(&self, bound: f64, confidence: f64) -> Promise {
        let alpha = 1.0 - confidence;
        Promise {
            false_positive_bound: bound,
            before_attack: self.before,
            since_attack: self.since,
            contradicted_before: self.before.contradicts(bound, alpha),
            contradicted_since: self.since.contradicts(bound, alpha),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn packets_are_benign_before_and_since_the_attack() {
        let mut counted = FalsePositives::default();
        for _ in 0..999 {
            counted.push(Verdict::BENIGN, false);
        }
        counted.push(Verdict::ANOMALOUS, false);
        counted.push(Verdict::REJECTED, false);
        counted.push(Verdict::WARMING_UP, false);
        counted.push(Verdict::ANOMALOUS, true);
        for verdict in [Verdict::ANOMALOUS, Verdict::ANOMALOUS, Verdict::BENIGN, Verdict::REJECTED] {
            counted.push(verdict, false);
        }
        let promise = counted.beside(0.001, 0.95);
        assert_eq!(promise.before_attack, BenignShare { packets: 1_000, above: 1 });
        assert_eq!(promise.since_attack, BenignShare { packets: 3, above: 2 });
        assert!(!promise.contradicted_before && promise.contradicted_since);
        // One of 1,000 has a probability of 1 - 0.99995^1000 = 4.9% where one of 20,000 is promised.
        assert!(counted.beside(0.000_05, 0.95).contradicted_before);
        assert!(!FalsePositives::default().beside(0.0, 0.95).contradicted_before);
    }
}
