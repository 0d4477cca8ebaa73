//! Packets of each slot, as one worker has partitioned or counted them.

use legonf_core::SLOTS;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Packets of each slot of some shards: counts that one worker writes and others may read meanwhile.
#[derive(Debug)]
pub struct SlotCounters(Vec<Box<[AtomicU32]>>);

impl SlotCounters {
    /// Counters of so many shards, at 0.
    pub fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| (0..SLOTS).map(|_| AtomicU32::new(0)).collect()).collect())
    }

    /// Counts a packet. For the one worker that writes: a plain addition, not an atomic one.
    ///
    /// # Panics
    /// If there is no such shard or slot.
    #[inline]
    pub fn count(&self, shard: usize, slot: usize) {
        let count = &self.0[shard][slot];
        count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Adds the packets of a shard to `sums`, from the beginning on, in numbers that wrap.
    ///
    /// # Panics
    /// If there is no such shard.
    pub fn add_to(&self, shard: usize, sums: &mut [u32]) {
        for (sum, count) in sums.iter_mut().zip(&self.0[shard]) {
            *sum = sum.wrapping_add(count.load(Relaxed));
        }
    }

    /// Packets of a slot of a shard.
    ///
    /// # Panics
    /// If there is no such shard or slot.
    pub fn of(&self, shard: usize, slot: usize) -> u64 {
        self.0[shard][slot].load(Relaxed).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_counted_by_shard_and_slot() {
        let counters = SlotCounters::new(2);
        for (shard, slot) in [(0, 7), (1, 7), (1, 7), (1, SLOTS - 1)] {
            counters.count(shard, slot);
        }
        assert_eq!([counters.of(0, 7), counters.of(1, 7), counters.of(0, SLOTS - 1)], [1, 2, 0]);
        let mut sums = vec![u32::MAX; SLOTS];
        counters.add_to(1, &mut sums);
        assert_eq!([sums[7], sums[SLOTS - 1], sums[0]], [1, 0, u32::MAX]);
    }
}
