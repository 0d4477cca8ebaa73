//! Scores over time in bounded memory.

use legonf_core::Verdict;
use std::collections::BTreeMap;

/// The largest number of bins kept.
const BINS: usize = 4096;

/// What is kept of a set of scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub count: u64,
    /// Those above zero: a logarithmic scale has a place for these only.
    positive: u64,
    /// The least score above zero; infinite if there is none.
    pub min: f64,
    /// The largest score above zero; zero if there is none.
    pub max: f64,
    log_sum: f64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { count: 0, positive: 0, min: f64::INFINITY, max: 0.0, log_sum: 0.0 }
    }
}

impl Spread {
    fn add(&mut self, score: f64) {
        self.count += 1;
        if score > 0.0 {
            self.positive += 1;
            self.min = self.min.min(score);
            self.max = self.max.max(score);
            self.log_sum += score.ln();
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.positive += other.positive;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.log_sum += other.log_sum;
    }

    /// The lowest score, with zero for everything that is not above it.
    pub fn low(&self) -> f64 {
        if self.positive < self.count { 0.0 } else { self.min }
    }

    /// The geometric mean of the scores above zero: the mean of their heights on a logarithmic scale.
    pub fn mean(&self) -> f64 {
        if self.positive == 0 { 0.0 } else { (self.log_sum / self.positive as f64).exp() }
    }
}

/// The packets of one span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bin {
    pub benign: Spread,
    pub anomalous: Spread,
    /// Scores that were not judged, since statistics warmed up.
    pub warming_up: Spread,
    /// Packets whose score is not a finite number.
    pub rejected: u64,
    /// Packets that the labels call malicious.
    pub malicious: u64,
}

impl Bin {
    fn add(&mut self, score: f64, verdict: Verdict, malicious: bool) {
        match verdict {
            Verdict::BENIGN if score.is_finite() => self.benign.add(score),
            Verdict::ANOMALOUS if score.is_finite() => self.anomalous.add(score),
            Verdict::WARMING_UP if score.is_finite() => self.warming_up.add(score),
            _ => self.rejected += 1,
        }
        self.malicious += u64::from(malicious);
    }

    pub fn merge(&mut self, other: &Self) {
        self.benign.merge(&other.benign);
        self.anomalous.merge(&other.anomalous);
        self.warming_up.merge(&other.warming_up);
        self.rejected += other.rejected;
        self.malicious += other.malicious;
    }
}

/// At most [`BINS`] bins, each 2^`shift` nanoseconds wide and at a multiple of its width. When there are too many,
/// the width doubles. The result depends on the packets alone.
#[derive(Clone, Debug)]
pub(super) struct Bins {
    shift: u32,
    bins: BTreeMap<i64, Bin>,
}

impl Default for Bins {
    fn default() -> Self {
        Self { shift: 10, bins: BTreeMap::new() }
    }
}

impl Bins {
    pub fn add(&mut self, nanos: i64, score: f64, verdict: Verdict, malicious: bool) {
        self.bins.entry(nanos >> self.shift).or_default().add(score, verdict, malicious);
        while self.bins.len() > BINS {
            self.double();
        }
    }

    /// The bins in order, each with the time of its middle in nanoseconds.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Bin)> {
        self.bins.iter().map(|(index, bin)| ((index << self.shift) + (1 << (self.shift - 1)), bin))
    }

    /// Everything in one bin.
    pub fn total(&self) -> Bin {
        self.bins.values().fold(Bin::default(), |mut total, bin| {
            total.merge(bin);
            total
        })
    }

    fn double(&mut self) {
        self.shift += 1;
        for (index, bin) in std::mem::take(&mut self.bins) {
            self.bins.entry(index >> 1).or_default().merge(&bin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(packets: i64) -> Bins {
        let mut bins = Bins::default();
        for i in 0..packets {
            let verdict = if i % 1000 == 0 { Verdict::ANOMALOUS } else { Verdict::BENIGN };
            bins.add(i * 1_000_000, 1.0 + i as f64, verdict, i >= packets / 2);
        }
        bins
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_lost() {
        for packets in [10, 4_096, 100_000] {
            let bins = filled(packets);
            assert!(bins.bins.len() <= BINS);
            let total = bins.total();
            assert_eq!(total.benign.count + total.anomalous.count, packets as u64);
            assert_eq!(total.malicious, packets as u64 / 2);
            assert_eq!((total.anomalous.min, total.benign.max), (1.0, packets as f64));
        }
    }

    #[test]
    fn bins_stay_fine() {
        let bins = filled(100_000);
        assert!(bins.bins.len() > BINS / 4, "{}", bins.bins.len());
    }

    #[test]
    fn odd_scores_and_times() {
        let mut bins = Bins::default();
        for (nanos, score) in [(i64::MAX, 0.0), (i64::MIN, -1.0), (0, f64::NAN), (5, 1e300)] {
            bins.add(nanos, score, Verdict::BENIGN, false);
        }
        let total = bins.total();
        assert_eq!((total.benign.count, total.rejected), (3, 1));
        assert_eq!((total.benign.low(), total.benign.min, total.benign.max), (0.0, 1e300, 1e300));
        assert!((total.benign.mean() / 1e300 - 1.0).abs() < 1e-9);
        assert_eq!(bins.iter().count(), 3);
    }
}
