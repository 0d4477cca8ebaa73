//! Which record of a slot has the least weight.

use super::slab::Slab;
use super::{Pending, Record};
use crate::hash::SLOTS;
use legonf_core::prefetch::prefetch_line;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A record's place in the order of eviction: the earliest expiry goes first, among equals the oldest record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// The record's expiry when it was last looked at: it may have grown since, but never fallen.
    expiry: i64,
    /// Serial number of the record in its slot.
    born: u32,
    record: u32,
}

impl Rank {
    /// The present rank of a record.
    #[inline(always)]
    fn of<R: Record>(slab: &Slab<R>, record: u32) -> Self {
        Self { expiry: slab[record].expiry(), born: slab[record].place().born, record }
    }
}

/// What a record holds for its slot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// The record behind it in the queue; behind the last, that which was the first when it entered.
    pub(super) next: u32,
    /// Serial number in the slot.
    pub(super) born: u32,
}

/// The records of one slot: each is either in the queue or in the heap.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Slot {
    /// Number of records in the queue, of which `head` is the first and `tail` the last.
    queued: u32,
    head: u32,
    tail: u32,
    /// What the last of the queue takes for the one behind it.
    behind: u32,
    /// Serial number of the next record.
    born: u32,
    /// Expiry of the last in the queue when it entered.
    newest: i64,
    /// Records that had grown when their turn came, and those made while time ran backwards.
    heap: BinaryHeap<Reverse<Rank>>,
}

impl Slot {
    fn len(&self) -> usize {
        self.queued as usize + self.heap.len()
    }

    /// Room in the heap for one more: a record that goes over from the queue allocates nothing.
    #[inline(always)]
    fn make_room(&mut self, per_slot: usize) {
        if self.len() == self.heap.capacity() {
            self.enlarge(per_slot);
        }
    }

    #[cold]
    fn enlarge(&mut self, per_slot: usize) {
        let len = self.len();
        let places = len + len.max(4).min(per_slot.saturating_sub(len).max(1));
        self.heap.reserve_exact(places - self.heap.len());
    }

    /// Appends a record to the queue. Where it takes the memory of the one that was the first, the last points to it
    /// already, and need not be touched.
    #[inline(always)]
    fn enqueue<R: Record>(&mut self, slab: &mut Slab<R>, record: u32) {
        if self.queued == 0 {
            self.head = record;
        } else if self.behind != record {
            slab[self.tail].place_mut().next = record;
        }
        slab[record].place_mut().next = self.head;
        (self.tail, self.behind) = (record, self.head);
        self.queued += 1;
    }

    /// Removes the first of the queue.
    #[inline(always)]
    fn dequeue<R: Record>(&mut self, slab: &Slab<R>) {
        self.head = slab[self.head].place().next;
        self.queued -= 1;
    }

    /// The first in order where that can be seen from the first of the queue alone: a seed before all of the heap.
    #[inline(always)]
    fn first_seed<R: Record>(&self, slab: &Slab<R>) -> Option<u32> {
        if self.queued == 0 || slab[self.head].is_grown() {
            return None;
        }
        let heaped = self.heap.peek();
        let is_first = heaped.is_none_or(|Reverse(heaped)| Rank::of(slab, self.head) < *heaped);
        is_first.then_some(self.head)
    }

    /// Removes the first in order.
    #[inline(always)]
    fn pop<R: Record>(&mut self, slab: &Slab<R>, pending: &[u32]) -> Result<u32, Pending> {
        match self.first_seed(slab) {
            Some(seed) => {
                self.dequeue(slab);
                Ok(seed)
            }
            None => self.pop_any(slab, pending),
        }
    }

    /// [`pop`](Self::pop), whatever it takes: what has grown goes from the queue to the heap and sinks there.
    #[inline(never)]
    fn pop_any<R: Record>(&mut self, slab: &Slab<R>, pending: &[u32]) -> Result<u32, Pending> {
        loop {
            while self.queued > 0 && slab[self.head].is_grown() {
                self.heap.push(Reverse(Rank::of(slab, self.head)));
                self.dequeue(slab);
            }
            if let Some(seed) = self.first_seed(slab) {
                self.dequeue(slab);
                return Ok(seed);
            }
            let Reverse(first) = *self.heap.peek().expect("a full slot has a record");
            if pending.contains(&first.record) {
                return Err(Pending);
            }
            self.heap.pop();
            let fresh = Rank::of(slab, first.record);
            if fresh.expiry <= first.expiry {
                return Ok(first.record);
            }
            self.heap.push(Reverse(fresh));
        }
    }
}

/// The records of a slot by number, in transfer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Members {
    pub(super) born: u32,
    pub(super) newest: i64,
    /// Those of the queue, in order.
    pub(super) queue: Vec<u32>,
    /// Those of the heap, oldest first.
    pub(super) heap: Vec<u32>,
}

/// The order of eviction of every slot.
///
/// A hit costs nothing here. Only when a record must go is the first in order compared with its record's present
/// expiry, and sinks if that has grown. Records queue as they were made: as long as time goes forward that is the
/// order of eviction of those that are seeds, so a flood of streams of one packet each passes through the queues alone.
#[derive(Debug)]
pub(crate) struct Ranks {
    /// The slots, a page of neighbours at a time: a page without a record takes no memory, since each of many replicas has few.
    pages: Vec<Option<Box<Page>>>,
    per_slot: usize,
}

/// Slots of which the first record brings the memory.
type Page = [Slot; PAGE];
const PAGE: usize = 32;

impl Ranks {
    /// Empty slots for at most `per_slot` records each.
    pub(crate) fn new(per_slot: u32) -> Self {
        let pages = std::iter::repeat_with(|| None).take(SLOTS / PAGE).collect();
        Self { pages, per_slot: per_slot as usize }
    }

    /// A slot, if one of its page ever had a record.
    #[inline(always)]
    fn get(&self, slot: usize) -> Option<&Slot> {
        self.pages[slot / PAGE].as_deref().map(|page| &page[slot % PAGE])
    }

    /// A slot that may get a record.
    #[inline(always)]
    fn slot(&mut self, slot: usize) -> &mut Slot {
        &mut self.pages[slot / PAGE].get_or_insert_with(Self::page)[slot % PAGE]
    }

    #[cold]
    fn page() -> Box<Page> {
        Box::new(std::array::from_fn(|_| Slot::default()))
    }

    /// Whether the slot takes no further record.
    #[inline]
    pub(crate) fn is_full(&self, slot: usize) -> bool {
        self.get(slot).is_some_and(|slot| slot.len() >= self.per_slot)
    }

    /// Enters a seed into a slot that is not full.
    #[inline(always)]
    pub(crate) fn insert<R: Record>(&mut self, slot: usize, slab: &mut Slab<R>, record: u32) {
        let per_slot = self.per_slot;
        let slot = self.slot(slot);
        slot.make_room(per_slot);
        slab[record].place_mut().born = slot.born;
        slot.born = slot.born.wrapping_add(1);
        let expiry = slab[record].expiry();
        if slot.queued == 0 || slot.newest <= expiry {
            slot.newest = expiry;
            slot.enqueue(slab, record);
        } else {
            slot.heap.push(Reverse(Rank::of(slab, record)));
        }
    }

    /// Removes the record that expires first and returns its number. `pending` lists those whose expiry is not
    /// known yet.
    ///
    /// # Errors
    /// [`Pending`] if the record in question is one of those.
    ///
    /// # Panics
    /// If the slot is empty.
    #[inline(always)]
    pub(crate) fn pop<R: Record>(
        &mut self,
        slot: usize,
        slab: &Slab<R>,
        pending: &[u32],
    ) -> Result<u32, Pending> {
        self.slot(slot).pop(slab, pending)
    }

    /// The most records of a slot.
    pub(super) fn per_slot(&self) -> u32 {
        self.per_slot as u32
    }

    /// Whether a slot has no record.
    pub(super) fn is_empty(&self, slot: usize) -> bool {
        self.get(slot).is_none_or(|slot| slot.len() == 0)
    }

    /// The records of a slot.
    pub(super) fn members<R: Record>(&self, slot: usize, slab: &Slab<R>) -> Members {
        let Some(slot) = self.get(slot) else { return Members::default() };
        let mut members = Members { born: slot.born, newest: slot.newest, ..Members::default() };
        let mut next = slot.head;
        for _ in 0..slot.queued {
            members.queue.push(next);
            next = slab[next].place().next;
        }
        members.heap = slot.heap.iter().map(|Reverse(rank)| rank.record).collect();
        members.heap.sort_unstable_by_key(|record| slab[*record].place().born);
        members
    }

    /// Empties a slot.
    pub(super) fn clear(&mut self, slot: usize) {
        if let Some(page) = &mut self.pages[slot / PAGE] {
            page[slot % PAGE].queued = 0;
            page[slot % PAGE].heap.clear();
        }
    }

    /// Fills an empty slot.
    pub(super) fn put<R: Record>(&mut self, slot: usize, slab: &mut Slab<R>, members: Members) {
        if members == Members::default() && self.get(slot).is_none() {
            return;
        }
        let per_slot = self.per_slot;
        let slot = self.slot(slot);
        (slot.born, slot.newest) = (members.born, members.newest);
        for record in members.queue {
            slot.make_room(per_slot);
            slot.enqueue(slab, record);
        }
        for record in members.heap {
            slot.make_room(per_slot);
            slot.heap.push(Reverse(Rank::of(slab, record)));
        }
    }

    /// Asks for a slot.
    #[inline(always)]
    pub(crate) fn prefetch(&self, slot: usize) {
        self.get(slot).into_iter().for_each(prefetch_line);
    }

    /// Asks for what tells who goes first from a slot, if it is full.
    #[inline(always)]
    pub(crate) fn prefetch_first<R>(&self, slot: usize, slab: &Slab<R>) {
        let Some(slot) = self.get(slot) else { return };
        if slot.len() >= self.per_slot {
            slot.heap.peek().inspect(|rank| prefetch_line(*rank));
            slab.get(slot.head).inspect(|head| prefetch_line(*head));
        }
    }

    /// The record that most likely goes next from a slot, if it is full.
    #[inline(always)]
    pub(crate) fn first(&self, slot: usize) -> Option<u32> {
        let slot = self.get(slot)?;
        if slot.len() < self.per_slot {
            return None;
        }
        if slot.queued > 0 { Some(slot.head) } else { slot.heap.peek().map(|Reverse(rank)| rank.record) }
    }

    /// Bytes taken now.
    pub(crate) fn bytes(&self) -> usize {
        let pages = self.pages.iter().flatten();
        let of_page =
            |page: &Page| page.iter().map(|slot| slot.heap.capacity() * size_of::<Rank>()).sum::<usize>();
        pages.map(|page| size_of::<Page>() + of_page(page)).sum::<usize>() + size_of_val(&self.pages[..])
    }

    /// Bytes of slots of `per_slot` records each at most, with room for all of them in the heap.
    pub(crate) fn bytes_for(per_slot: u32) -> usize {
        let pages = SLOTS / PAGE * size_of::<Option<Box<Page>>>();
        SLOTS * (per_slot as usize * size_of::<Rank>() + size_of::<Slot>()) + pages
    }
}
