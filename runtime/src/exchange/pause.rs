//! How long packets waited for slots on the move.

use std::time::Duration;

/// Packets that waited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    pub time: Duration,
    pub packets: u64,
}

/// Packets by how long they waited, in steps of an eighth.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    longest: Duration,
}

impl Histogram {
    pub fn add(&mut self, pause: Pause) {
        let bucket = bucket(pause.time);
        self.counts.resize(self.counts.len().max(bucket + 1), 0);
        self.counts[bucket] += pause.packets;
        self.longest = self.longest.max(pause.time);
    }

    /// Packets that waited.
    pub fn packets(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// What a part of the packets waited at most, to an eighth.
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

/// Eight buckets for each power of two of nanoseconds.
fn bucket(time: Duration) -> usize {
    let nanos = (time.as_nanos() as u64).max(8);
    let power = nanos.ilog2();
    (power as usize - 3) * 8 + (nanos >> (power - 3)) as usize - 8
}

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
            histogram.add(Pause { time: Duration::from_micros(micros), packets: 3 });
        }
        for (part, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.quantile(part).as_secs_f64() * 1e6;
            assert!((micros..=micros * 1.126).contains(&found), "{part}: {found}");
        }
        assert_eq!((histogram.packets(), histogram.longest()), (3000, Duration::from_millis(1)));
        histogram.add(Pause { time: Duration::ZERO, packets: 1 });
    }
}
