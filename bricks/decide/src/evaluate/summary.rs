//! The distribution of scores in flat memory.

use serde::Serialize;

/// Bits of the mantissa that tell buckets apart: each octave is divided into 2048 of equal width.
const MANTISSA_BITS: u32 = 11;
const BUCKETS: usize = 1 << MANTISSA_BITS;
const OCTAVES: usize = 1 << 12;

/// Moments and percentiles of a run's scores.
///
/// Percentiles are by nearest rank and within 2⁻¹² (0.025%) of the exact value (0 stands for subnormal
/// numbers); the rest is not approximated.
/// Every number is 0 where no score was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Finite scores counted.
    pub count: u64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation of the sample (n - 1).
    pub sd: f64,
    /// Lowest score.
    pub min: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    #[serde(rename = "p99.9")]
    pub p999: f64,
    /// Highest score.
    pub max: f64,
}

/// Accumulates a [`Summary`] with 16 KiB for each power of two that occurs among the scores.
#[derive(Clone, Debug)]
pub struct ScoreSummary {
    count: u64,
    mean: f64,
    squares: f64,
    min: f64,
    max: f64,
    octaves: Vec<Option<Box<[u64]>>>,
}

impl Default for ScoreSummary {
    fn default() -> Self {
        Self {
            count: 0,
            mean: 0.0,
            squares: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            octaves: vec![None; OCTAVES],
        }
    }
}

impl ScoreSummary {
    /// Adds one score; one that is not a finite number is ignored.
    pub fn push(&mut self, score: f64) {
        if !score.is_finite() {
            return;
        }
        self.count += 1;
        let deviation = score - self.mean;
        self.mean += deviation / self.count as f64;
        self.squares += deviation * (score - self.mean);
        self.min = self.min.min(score);
        self.max = self.max.max(score);
        let bucket = bucket(score);
        let octave = &mut self.octaves[bucket / BUCKETS];
        octave.get_or_insert_with(|| vec![0; BUCKETS].into())[bucket % BUCKETS] += 1;
    }

    /// The summary of all scores added so far.
    pub fn summary(&self) -> Summary {
        if self.count == 0 {
            return Summary::default();
        }
        let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|part| self.percentile(part));
        Summary {
            count: self.count,
            mean: self.mean,
            sd: (self.squares / (self.count.max(2) - 1) as f64).sqrt(),
            min: self.min,
            p50,
            p90,
            p99,
            p999,
            max: self.max,
        }
    }

    /// The score below or at which `part` of all scores lie.
    fn percentile(&self, part: f64) -> f64 {
        let rank = ((self.count as f64 * part).ceil() as u64).max(1);
        let mut below = 0;
        let at_rank = self.filled().find(|(_, count)| {
            below += count;
            below >= rank
        });
        at_rank.map_or(self.max, |(bucket, _)| middle(bucket)).clamp(self.min, self.max)
    }

    /// Buckets that are not empty and their counts, in rising order of score.
    fn filled(&self) -> impl Iterator<Item = (usize, u64)> {
        let octaves = self.octaves.iter().enumerate().filter_map(|(i, o)| Some((i, o.as_deref()?)));
        octaves
            .flat_map(|(i, counts)| counts.iter().enumerate().map(move |(j, n)| (i * BUCKETS + j, *n)))
            .filter(|(_, count)| *count > 0)
    }
}

const SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - MANTISSA_BITS;
const SIGN: u64 = 1 << 63;

/// The bucket of a score. Buckets rise with the score: the bits of an `f64` rise with its magnitude.
fn bucket(score: f64) -> usize {
    let bits = score.to_bits();
    let ordered = if bits & SIGN == 0 { bits | SIGN } else { !bits };
    (ordered >> SHIFT) as usize
}

/// A score in the middle of a bucket; 0 for what is smaller than every normal number.
fn middle(bucket: usize) -> f64 {
    let ordered = ((bucket as u64) << SHIFT) | (1 << (SHIFT - 1));
    let score = f64::from_bits(if ordered & SIGN == 0 { !ordered } else { ordered & !SIGN });
    if score.is_subnormal() { 0.0 } else { score }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(scores: impl IntoIterator<Item = f64>) -> Summary {
        let mut accumulator = ScoreSummary::default();
        scores.into_iter().for_each(|score| accumulator.push(score));
        accumulator.summary()
    }

    #[test]
    fn whole_numbers() {
        let got = summary((1..=10_000).map(f64::from));
        assert_eq!((got.count, got.mean, got.min, got.max), (10_000, 5000.5, 1.0, 10_000.0));
        assert!((got.sd - 2886.8956799071675).abs() < 1e-9, "{}", got.sd);
        for (percentile, exact) in
            [(got.p50, 5_000.0_f64), (got.p90, 9_000.0), (got.p99, 9_900.0), (got.p999, 9_990.0)]
        {
            assert!((percentile / exact - 1.0).abs() <= 1.0 / 4096.0, "{percentile} is not {exact}");
        }
    }

    #[test]
    fn one_score_is_every_percentile() {
        let got = summary([0.3]);
        assert_eq!([got.mean, got.min, got.p50, got.p999, got.max], [0.3; 5]);
        assert_eq!(got.sd, 0.0);
    }

    #[test]
    fn what_is_no_number_is_ignored() {
        assert_eq!(summary([f64::NAN, f64::INFINITY]), Summary::default());
        assert_eq!(summary([f64::NAN, 2.0]).count, 1);
    }

    #[test]
    fn every_finite_number_has_a_bucket_in_order() {
        let rising = [f64::MIN, -1.0, -f64::MIN_POSITIVE, -0.0, 0.0, f64::MIN_POSITIVE, 1.0, 2.0, f64::MAX];
        for pair in rising.windows(2) {
            assert!(bucket(pair[0]) < bucket(pair[1]), "{pair:?}");
        }
        assert!(bucket(f64::MAX) < OCTAVES * BUCKETS);
        for score in [-3.7, -1e-300, 1e-12, 0.1, 5.0, 1e18] {
            assert!((middle(bucket(score)) / score - 1.0).abs() <= 1.0 / 4096.0, "{score}");
        }
    }

    #[test]
    fn zero_stays_zero() {
        assert_eq!(summary([0.0, 0.0, 0.0, 7.0]).p50, 0.0);
    }
}
