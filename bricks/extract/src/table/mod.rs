//! Bounded tables of streams.
//!
//! A table finds a record by its key, and makes one where there is none. Records are divided into slots; a full
//! slot gives up its least-weight record first. Which record goes depends only on what the slot has seen, not on
//! other slots, so replicas that share the slots among them evict as a single instance does.

mod index;
mod ranks;
mod slab;
mod transfer;

use crate::hash::{Hasher, SLOTS};
use crate::state::{Reader, StateError};
use index::Index;
use legonf_core::prefetch::{prefetch, prefetch_line};
pub(crate) use ranks::Place;
use ranks::Ranks;
use slab::Slab;
use std::ops::Range;

/// What a table keeps: the state of one stream.
///
/// Everything that a stream's first packet leaves behind follows from a few words: the **seed**, which fills the
/// first cache line. The rest of the record is made when a second packet comes, so a stream of one packet costs one
/// line.
pub(crate) trait Record: Sized {
    /// Identity of a record.
    type Key: Copy + Eq;

    /// What there is to know of a packet.
    type Packet;

    /// What decides how a stream takes in a packet.
    type Rules: Copy;

    /// The seed of a stream, with nothing behind it.
    fn seed(key: &Self::Key, packet: &Self::Packet) -> Self;

    /// Becomes a seed; changes the first cache line alone.
    fn sow(&mut self, key: &Self::Key, packet: &Self::Packet);

    /// Makes a seed the record of a stream of one packet.
    fn grow(&mut self, rules: Self::Rules);

    /// Whether it is more than a seed.
    fn is_grown(&self) -> bool;

    /// The key under which the record was made.
    fn key(&self) -> &Self::Key;

    /// Whether it was made under this key.
    fn is(&self, key: &Self::Key) -> bool;

    /// The hash of a key, as the caller of [`Table::locate`] computes it.
    fn hash(key: &Self::Key, hasher: &Hasher) -> u64;

    /// When its weight falls to one (see [`expiry`](crate::damp::expiry)); never falls over time.
    fn expiry(&self) -> i64;

    /// Where it stands in its slot.
    fn place(&self) -> &Place;

    /// Where it stands in its slot.
    fn place_mut(&mut self) -> &mut Place;

    /// Appends everything but its place to `out`.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads what [`write`](Self::write) wrote.
    fn read(reader: &mut Reader<'_>) -> Result<Self, StateError>;
}

/// A key to look up, with its hash and the slot that bounds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a, K> {
    pub(crate) key: &'a K,
    pub(crate) hash: u64,
    pub(crate) slot: usize,
}

/// The number that [`Table::locate`] gives for a stream that it made; no record has it.
pub(crate) const NEW: u32 = u32::MAX;

/// The slot is full and the record to evict may still be written by packets under way: finish these first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending;

/// A table of records with a bound per slot.
#[derive(Debug)]
pub(crate) struct Table<R> {
    index: Index,
    slab: Slab<R>,
    ranks: Ranks,
    /// The first of the records without a stream; the others follow by their places. [`NEW`] where there is none.
    free: u32,
    hasher: Hasher,
    evictions: u64,
    removals: u64,
}

impl<R: Record> Table<R> {
    /// An empty table that holds at most `per_slot` records in each slot.
    pub(crate) fn new(per_slot: u32, hasher: Hasher) -> Self {
        Self {
            free: NEW,
            index: Index::new(),
            slab: Slab::new(per_slot as usize * SLOTS),
            ranks: Ranks::new(per_slot),
            hasher,
            evictions: 0,
            removals: 0,
        }
    }

    /// Whether the record of this key is there and grown. `number` is a guess at its number, and then that.
    #[inline(always)]
    pub(crate) fn hit(&self, number: &mut u32, hash: u64, key: &R::Key) -> bool {
        if let Some(record) = self.slab.get(*number)
            && record.is(key)
        {
            return record.is_grown();
        }
        match self.index.find(hash, |number| self.slab[number].is(key)) {
            Some(found) => {
                *number = found;
                self.slab[found].is_grown()
            }
            None => false,
        }
    }

    /// Makes the number of the packet behind those that are `pending` that of the record of this key, grown for its second
    /// packet and the later ones; [`NEW`] where there was none, and the packet's seed is there now.
    ///
    /// `numbers` of the pending ones are those of records that packets under way will still change.
    ///
    /// # Errors
    /// [`Pending`] if a record must go and the first in rank is among them. The call succeeds once nothing is pending.
    #[inline]
    pub(crate) fn locate(
        &mut self,
        query: Query<'_, R::Key>,
        numbers: &mut [u32],
        pending: Range<usize>,
        packet: &R::Packet,
        rules: R::Rules,
    ) -> Result<(), Pending> {
        let at = pending.end;
        if !self.hit(&mut numbers[at], query.hash, query.key) {
            numbers[at] = match self.find(query) {
                Some(number) => {
                    self.slab[number].grow(rules);
                    number
                }
                None => self.insert(query, &numbers[pending], packet)?,
            };
        }
        Ok(())
    }

    #[inline(never)]
    fn find(&self, query: Query<'_, R::Key>) -> Option<u32> {
        self.index.find(query.hash, |number| self.slab[number].is(query.key))
    }

    #[inline(never)]
    fn insert(
        &mut self,
        query: Query<'_, R::Key>,
        pending: &[u32],
        packet: &R::Packet,
    ) -> Result<u32, Pending> {
        let number = if self.ranks.is_full(query.slot) {
            let number = self.evict(query.slot, pending)?;
            self.slab[number].sow(query.key, packet);
            number
        } else {
            self.store(R::seed(query.key, packet))
        };
        self.ranks.insert(query.slot, &mut self.slab, number);
        self.enter(query.hash, number);
        Ok(NEW)
    }

    #[inline(always)]
    fn evict(&mut self, slot: usize, pending: &[u32]) -> Result<u32, Pending> {
        let number = self.ranks.pop(slot, &self.slab, pending)?;
        self.index.remove(R::hash(self.slab[number].key(), &self.hasher), number);
        self.evictions += 1;
        Ok(number)
    }

    /// Asks for what [`anticipate`](Self::anticipate) reads of the index.
    #[inline(always)]
    pub(crate) fn prefetch(&self, hash: u64, slot: usize) {
        if self.slab.len() >= PREFETCH_FROM {
            prefetch_line(self.index.first(hash));
        }
        if self.evictions > 0 {
            self.ranks.prefetch(slot);
        }
    }

    /// The record that a coming [`locate`](Self::locate) will most likely find, or [`NEW`]. Asks for it, or for what
    /// tells which record goes to make room. A small table is in the processor's caches, and is not searched twice.
    #[inline(always)]
    pub(crate) fn anticipate(&self, hash: u64, slot: usize) -> u32 {
        if self.slab.len() < PREFETCH_FROM {
            return NEW;
        }
        let guess = self.index.find(hash, |_| true).unwrap_or(NEW);
        if guess != NEW {
            self.slab.get(guess).inspect(|record| prefetch(*record));
        } else if self.evictions > 0 {
            self.ranks.prefetch_first(slot, &self.slab);
        }
        guess
    }

    /// Asks for a record, unless the table is in the processor's caches.
    #[inline(always)]
    pub(crate) fn prefetch_record(&self, number: u32) {
        if self.slab.len() >= PREFETCH_FROM {
            self.slab.get(number).inspect(|record| prefetch(*record));
        }
    }

    /// Asks for the index's part in the eviction that a coming [`locate`](Self::locate) will need, if `guess` is
    /// [`NEW`].
    #[inline(always)]
    pub(crate) fn prefetch_victim(&self, guess: u32, slot: usize) {
        if guess == NEW
            && self.evictions > 0
            && let Some(victim) = self.ranks.first(slot).and_then(|number| self.slab.get(number))
        {
            prefetch_line(self.index.first(R::hash(victim.key(), &self.hasher)));
        }
    }

    /// Record `number`; none for [`NEW`].
    #[inline(always)]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut R> {
        self.slab.get_mut(number)
    }

    /// Records that had to go.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Records that had to go or were taken out.
    pub(crate) fn gone(&self) -> u64 {
        self.evictions + self.removals
    }

    /// Bytes taken now.
    pub(crate) fn bytes(&self) -> usize {
        self.index.bytes() + self.slab.bytes() + self.ranks.bytes()
    }

    /// Bytes taken at most, with `per_slot` records in each slot.
    pub(crate) fn max_bytes(per_slot: u32) -> usize {
        let records = per_slot as usize * SLOTS;
        Slab::<R>::bytes_for(records) + Index::bytes_for(records) + Ranks::bytes_for(per_slot)
    }
}

/// Records below which a table is in the processor's caches anyway.
const PREFETCH_FROM: usize = 1024;
