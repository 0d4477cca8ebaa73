//! What a run has done so far, as everybody may read it.

use crate::Losses;
use legonf_core::{Histogram, Progress};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Counters of a run. Each has one writer, but for those of bricks that were made anew.
pub(crate) struct Totals {
    /// Packets that the source gave.
    pub offered: AtomicU64,
    /// Packets that the sink took.
    pub done: AtomicU64,
    /// Packets that were lost before the source.
    pub dropped: AtomicU64,
    /// Bricks that panicked and were made anew.
    pub restarts: AtomicU64,
    /// Bricks that were lost and made anew, and how long this took.
    lost: AtomicU64,
    recoveries: Mutex<Histogram>,
    read_bytes: AtomicU64,
    /// The greatest number where it is not known.
    total_bytes: AtomicU64,
}

impl Default for Totals {
    fn default() -> Self {
        let (offered, done, dropped, restarts, lost, recoveries) = Default::default();
        let (read_bytes, total_bytes) = (AtomicU64::default(), AtomicU64::new(u64::MAX));
        Self { offered, done, dropped, restarts, lost, recoveries, read_bytes, total_bytes }
    }
}

impl Totals {
    /// Counts a brick that was lost.
    pub fn lost(&self) {
        self.lost.fetch_add(1, Relaxed);
    }

    /// Notes how long it took to make one anew.
    pub fn recovered(&self, took: Duration) {
        self.recoveries().add(took, 1);
    }

    fn recoveries(&self) -> MutexGuard<'_, Histogram> {
        self.recoveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bricks that were lost.
    pub fn losses(&self) -> Losses {
        let recoveries = self.recoveries();
        let (median, p99) = (recoveries.quantile(0.5), recoveries.quantile(0.99));
        Losses { count: self.lost.load(Relaxed), median, p99, longest: recoveries.longest() }
    }

    /// Says how far the input has been read.
    pub fn publish(&self, progress: Progress) {
        self.read_bytes.store(progress.read_bytes, Relaxed);
        self.total_bytes.store(progress.total_bytes.unwrap_or(u64::MAX), Relaxed);
    }

    /// How far the input has been read.
    pub fn progress(&self) -> Progress {
        let total = self.total_bytes.load(Relaxed);
        let total_bytes = (total != u64::MAX).then_some(total);
        Progress { read_bytes: self.read_bytes.load(Relaxed), total_bytes }
    }
}
