//! The stream of a source: a record of MI or of H.

use super::keys::SourceKey;
use super::sums::{self, PerRate, Sums, slowest};
use crate::damp::expiry;
use crate::hash::{Hasher, same};
use crate::table::Record;

/// One directed stream of packet lengths.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    key: SourceKey,
    /// Time to which the sums are decayed.
    time: f64,
    sums: Sums,
}

impl Source {
    /// An empty stream, first seen at `time`.
    pub(crate) fn new(key: &SourceKey, time: f64) -> Self {
        Self { key: *key, time, sums: [0.0; 15] }
    }

    /// Advances to `time` and returns how far.
    #[inline]
    pub(crate) fn tick(&mut self, time: f64) -> f64 {
        advance(&mut self.time, time)
    }

    /// Adds a value after decay; returns the sums.
    #[inline(always)]
    pub(crate) fn insert(&mut self, value: f64, factors: &PerRate) -> &Sums {
        sums::insert(&mut self.sums, factors, value);
        &self.sums
    }
}

/// Moves a clock forward to `time`, never backward, and returns the gap, which may be negative.
#[inline]
pub(crate) fn advance(clock: &mut f64, time: f64) -> f64 {
    let gap = time - *clock;
    if gap > 0.0 {
        *clock = time;
    }
    gap
}

impl Record for Source {
    type Key = SourceKey;

    #[inline]
    fn key(&self) -> &SourceKey {
        &self.key
    }

    #[inline(always)]
    fn is(&self, key: &SourceKey) -> bool {
        same(&self.key, key)
    }

    fn hash(key: &SourceKey, hasher: &Hasher) -> u64 {
        hasher.three(*key)
    }

    fn expiry(&self) -> i64 {
        expiry(self.time, slowest(&self.sums))
    }
}
