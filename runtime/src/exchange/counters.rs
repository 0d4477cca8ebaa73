//! Packets of each slot, as one replica has partitioned them.

use legonf_core::SLOTS;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Counts that one replica writes and the supervisor reads.
pub(crate) struct SlotCounters(Vec<Box<[AtomicU32]>>);

impl SlotCounters {
    pub fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| (0..SLOTS).map(|_| AtomicU32::new(0)).collect()).collect())
    }

    /// Counts a packet. For the replica itself: a plain addition, not an atomic one.
    #[inline]
    pub fn count(&self, shard: usize, slot: usize) {
        let count = &self.0[shard][slot];
        count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Adds the packets of a shard to `sums`, from the beginning on, in numbers that wrap.
    pub fn add_to(&self, shard: usize, sums: &mut [u32]) {
        for (sum, count) in sums.iter_mut().zip(&self.0[shard]) {
            *sum = sum.wrapping_add(count.load(Relaxed));
        }
    }
}
