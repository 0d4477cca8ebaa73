//! How long something took, packet by packet.

use std::time::Duration;

/// Buckets of a histogram: up to half a minute, and beyond it all in the last.
pub const BUCKETS: usize = 256;

/// Packets by how long something took, in steps of an eighth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    /// The longest time; where only counts are known, to an eighth.
    longest: Duration,
}

impl Histogram {
    /// A histogram of what was counted in each [`bucket`](Self::bucket).
    pub fn of_counts(counts: Vec<u64>) -> Self {
        let last = counts.iter().rposition(|count| *count > 0);
        Self { longest: last.map_or(Duration::ZERO, upper), counts }
    }

    /// The bucket of a time, below [`BUCKETS`]: eight for each power of two of nanoseconds.
    pub fn bucket(time: Duration) -> usize {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(8);
        let power = nanos.ilog2();
        ((power as usize - 3) * 8 + (nanos >> (power - 3)) as usize - 8).min(BUCKETS - 1)
    }

    /// Adds packets for which it took so long.
    pub fn add(&mut self, time: Duration, packets: u64) {
        let bucket = Self::bucket(time);
        self.counts.resize(self.counts.len().max(bucket + 1), 0);
        self.counts[bucket] += packets;
        self.longest = self.longest.max(time);
    }

    /// What was added since the histogram was as `before`.
    pub fn since(&self, before: &Self) -> Self {
        let earlier = before.counts.iter().copied().chain(std::iter::repeat(0));
        let counts = self.counts.iter().zip(earlier).map(|(now, earlier)| now.saturating_sub(earlier));
        Self::of_counts(counts.collect())
    }

    /// All packets.
    pub fn packets(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Packets for which it took at most so long, to an eighth.
    pub fn up_to(&self, time: Duration) -> u64 {
        self.counts.iter().take(Self::bucket(time)).sum()
    }

    /// The longest time.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// How long it took at most for a part of the packets, to an eighth.
    pub fn quantile(&self, part: f64) -> Duration {
        let wanted = self.packets() as f64 * part;
        let mut sum = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            sum += count;
            if sum as f64 >= wanted && sum > 0 {
                return upper(bucket).min(self.longest);
            }
        }
        Duration::ZERO
    }
}

/// The end of a bucket.
fn upper(bucket: usize) -> Duration {
    Duration::from_nanos((9 + bucket as u64 % 8) << (bucket / 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_an_eighth() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(0.99), histogram.packets()), (Duration::ZERO, 0));
        for micros in 1..=1000 {
            histogram.add(Duration::from_micros(micros), 3);
        }
        for (part, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.quantile(part).as_secs_f64() * 1e6;
            assert!((micros..=micros * 1.126).contains(&found), "{part}: {found}");
        }
        assert_eq!((histogram.packets(), histogram.longest()), (3000, Duration::from_millis(1)));
        let (before, half) = (histogram.clone(), histogram.up_to(Duration::from_micros(500)));
        assert!((1300..=1500).contains(&half), "{half}");
        histogram.add(Duration::ZERO, 1);
        histogram.add(Duration::MAX, 2);
        let since = histogram.since(&before);
        assert_eq!((since.packets(), since.up_to(Duration::from_secs(1))), (3, 1));
        assert!(since.longest() > Duration::from_secs(30));
    }
}
