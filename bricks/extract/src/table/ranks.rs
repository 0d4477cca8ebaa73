//! Which record of a slot has the least weight.

use super::Pending;
use crate::hash::SLOTS;
use crate::prefetch::prefetch;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A record's place in the order of eviction: the earliest expiry goes first, among equals the oldest record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// The record's expiry when it was last looked at: it may have grown since, but never fallen.
    expiry: i64,
    /// Serial number of the record in its slot.
    born: u32,
    record: u32,
}

/// The records of one slot: each is either in the queue or in the heap.
#[derive(Debug, Default)]
struct Slot {
    /// Records as they were made, in the order of eviction: as long as time goes forward, that is how they come.
    queue: VecDeque<Rank>,
    /// Records that had grown when their turn came, and those made while time ran backwards.
    heap: BinaryHeap<Reverse<Rank>>,
    born: u32,
}

impl Slot {
    fn len(&self) -> usize {
        self.queue.len() + self.heap.len()
    }

    /// Room for one more, in queue and heap alike: a record that goes over from one to the other allocates nothing.
    fn make_room(&mut self, per_slot: usize) {
        let len = self.len();
        if len == self.queue.capacity().min(self.heap.capacity()) {
            let places = len + len.max(4).min(per_slot.saturating_sub(len).max(1));
            self.queue.reserve_exact(places - self.queue.len());
            self.heap.reserve_exact(places - self.heap.len());
        }
    }

    /// The first in order, and whether it is in the queue.
    fn first(&self) -> Option<(Rank, bool)> {
        match (self.queue.front(), self.heap.peek()) {
            (Some(queued), Some(Reverse(heaped))) if heaped < queued => Some((*heaped, false)),
            (Some(queued), _) => Some((*queued, true)),
            (None, heaped) => heaped.map(|Reverse(rank)| (*rank, false)),
        }
    }

    /// Removes the first in order.
    fn remove(&mut self, queued: bool) {
        if queued {
            self.queue.pop_front();
        } else {
            self.heap.pop();
        }
    }
}

/// The order of eviction of every slot.
///
/// A hit costs nothing here. Only when a record must go is the first in order compared with its record's present
/// expiry, and sinks if that has grown. A flood of streams of one packet each passes through the queues alone.
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
        self.slots[slot].len() >= self.per_slot
    }

    /// Enters a record of a slot that is not full.
    pub(crate) fn insert(&mut self, slot: usize, expiry: i64, record: u32) {
        let slot = &mut self.slots[slot];
        slot.make_room(self.per_slot);
        let rank = Rank { expiry, born: slot.born, record };
        slot.born = slot.born.wrapping_add(1);
        if slot.queue.back().is_none_or(|last| last.expiry <= expiry) {
            slot.queue.push_back(rank);
        } else {
            slot.heap.push(Reverse(rank));
        }
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
        let slot = &mut self.slots[slot];
        loop {
            let (first, queued) = slot.first().expect("a full slot has a record");
            let expiry = fresh(first.record).ok_or(Pending)?;
            slot.remove(queued);
            if expiry <= first.expiry {
                return Ok(first.record);
            }
            slot.heap.push(Reverse(Rank { expiry, ..first }));
        }
    }

    /// Asks for a slot.
    #[inline(always)]
    pub(crate) fn prefetch(&self, slot: usize) {
        prefetch(&self.slots[slot]);
    }

    /// Asks for the places of those that may go first from a slot, if it is full.
    #[inline(always)]
    pub(crate) fn prefetch_first(&self, slot: usize) {
        let slot = &self.slots[slot];
        if slot.len() >= self.per_slot {
            slot.queue.front().inspect(|rank| prefetch(*rank));
            slot.heap.peek().inspect(|rank| prefetch(*rank));
        }
    }

    /// The record that most likely goes next from a slot, if it is full.
    #[inline(always)]
    pub(crate) fn first(&self, slot: usize) -> Option<u32> {
        let slot = &self.slots[slot];
        if slot.len() < self.per_slot { None } else { slot.first().map(|(rank, _)| rank.record) }
    }

    /// Bytes taken now.
    pub(crate) fn bytes(&self) -> usize {
        let ranks: usize = self.slots.iter().map(|s| s.queue.capacity() + s.heap.capacity()).sum();
        ranks * size_of::<Rank>() + SLOTS * size_of::<Slot>()
    }

    /// Bytes of slots of `per_slot` records each at most, with room for all of them in queue and heap.
    pub(crate) fn bytes_for(per_slot: u32) -> usize {
        SLOTS * (2 * per_slot as usize * size_of::<Rank>() + size_of::<Slot>())
    }
}
