//! When batches are closed, as those who run a graph say while it runs.

use legonf_core::{BATCH, LARGEST_BATCH, Pace};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

/// What the source is told of batches.
pub(crate) struct Pacing {
    /// Packets that make a batch full; 0 where nothing was said of it.
    full: AtomicUsize,
    /// Nanoseconds that a packet may wait for that; the greatest number where it is left to the source.
    patience: AtomicU64,
    /// How many full batches are read as one, for replicas that divide it; 0 where that was never said.
    coalesced: AtomicUsize,
}

/// Nothing: all is left to the source.
impl Default for Pacing {
    fn default() -> Self {
        let (full, coalesced) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { full, patience: AtomicU64::new(u64::MAX), coalesced }
    }
}

impl Pacing {
    /// Says when batches are closed.
    pub fn set(&self, pace: Pace) {
        let nanos =
            pace.patience.map_or(u64::MAX, |patience| patience.as_nanos().min(u64::MAX as u128) as u64);
        self.patience.store(nanos, Relaxed);
        self.full.store(pace.full.clamp(1, BATCH), Relaxed);
    }

    /// Says how many full batches are read as one.
    pub fn coalesce(&self, batches: usize) {
        if batches > 1 || self.coalesced.load(Relaxed) > 0 {
            self.coalesced.store(batches, Relaxed);
        }
    }

    /// What the source is told, if anything.
    pub fn get(&self) -> Option<Pace> {
        let [full, coalesced] = [&self.full, &self.coalesced].map(|count| count.load(Relaxed));
        let nanos = self.patience.load(Relaxed);
        let patience = (nanos != u64::MAX).then(|| Duration::from_nanos(nanos));
        let packets = if full == 0 { BATCH } else { full } * coalesced.max(1);
        (full > 0 || coalesced > 0).then_some(Pace { full: packets.min(LARGEST_BATCH), patience })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_as_large_as_was_said_and_replicas_are_many() {
        let pacing = Pacing::default();
        assert_eq!(pacing.get(), None);
        pacing.coalesce(1);
        assert_eq!(pacing.get(), None);
        pacing.coalesce(4);
        assert_eq!(pacing.get(), Some(Pace { full: 4 * BATCH, patience: None }));
        let patience = Some(Duration::from_millis(2));
        pacing.set(Pace { full: 64, patience });
        assert_eq!(pacing.get(), Some(Pace { full: 256, patience }));
        pacing.coalesce(1);
        assert_eq!(pacing.get(), Some(Pace { full: 64, patience }));
        pacing.coalesce(1000);
        assert_eq!(pacing.get(), Some(Pace { full: LARGEST_BATCH, patience }));
    }
}
