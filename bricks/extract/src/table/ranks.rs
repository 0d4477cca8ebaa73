//! Which record of a slot has the least weight.

use super::Pending;
use crate::hash::SLOTS;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// A record's place in the order of eviction: the earliest expiry goes first, among equals the oldest record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// The record's expiry when it was last looked at: it may have grown since, but never fallen.
    expiry: i64,
    /// Serial number of the record in its slot.
    born: u32,
    record: u32,
}

/// The records of one slot.
#[derive(Debug, Default)]
struct Slot {
    heap: BinaryHeap<Reverse<Rank>>,
    born: u32,
}

/// The order of eviction of every slot.
///
/// A hit costs nothing here. Only when a record must go is the first of the heap compared with its record's
/// present expiry, and sinks if that has grown.
#[derive(Debug)]
pub(crate) struct Ranks {
    slots: Vec<Slot>,
    per_slot: usize,
}

impl Ranks {
    /// Empty slots for at most `per_slot` records each.
    pub(crate) fn new(per_slot: u32) -> Self {
        let slots = std::iter::repeat_with(Slot::default).take(SLOTS).collect();
        Self { slots, per_slot: per_slot as usize }
    }

    /// Whether the slot takes no further record.
    pub(crate) fn is_full(&self, slot: usize) -> bool {
        self.slots[slot].heap.len() >= self.per_slot
    }

    /// Enters a record of a slot that is not full.
    pub(crate) fn insert(&mut self, slot: usize, expiry: i64, record: u32) {
        let Slot { heap, born } = &mut self.slots[slot];
        if heap.len() == heap.capacity() {
            let left = self.per_slot.saturating_sub(heap.len()).max(1);
            heap.reserve_exact(heap.len().max(4).min(left));
        }
        heap.push(Reverse(Rank { expiry, born: *born, record }));
        *born = born.wrapping_add(1);
    }

    /// Removes the record that expires first and returns its number. `fresh` tells a record's present expiry,
    /// or `None` where that is not known yet.
    ///
    /// # Errors
    /// [`Pending`] if the record in question has no present expiry.
    ///
    /// # Panics
    /// If the slot is empty.
    pub(crate) fn pop(&mut self, slot: usize, fresh: impl Fn(u32) -> Option<i64>) -> Result<u32, Pending> {
        loop {
            let mut first = self.slots[slot].heap.peek_mut().expect("a full slot has a record");
            let expiry = fresh(first.0.record).ok_or(Pending)?;
            if expiry <= first.0.expiry {
                return Ok(PeekMut::pop(first).0.record);
            }
            first.0.expiry = expiry;
        }
    }

    /// Bytes taken now.
    pub(crate) fn bytes(&self) -> usize {
        let ranks: usize = self.slots.iter().map(|s| s.heap.capacity()).sum();
        ranks * size_of::<Rank>() + SLOTS * size_of::<Slot>()
    }

    /// Bytes of full slots of `per_slot` records each.
    pub(crate) fn bytes_for(per_slot: u32) -> usize {
        SLOTS * (per_slot as usize * size_of::<Rank>() + size_of::<Slot>())
    }
}
