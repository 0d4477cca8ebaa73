//! Bounded tables of streams.
//!
//! A table finds a record by its key, and makes one where there is none. Records are divided into slots; a full
//! slot gives up its least-weight record first. Which record goes depends only on what the slot has seen, not on
//! other slots, so replicas that share the slots among them evict as a single instance does.

mod index;
mod ranks;
mod slab;

use crate::hash::{Hasher, SLOTS};
use crate::prefetch::prefetch;
use index::Index;
use ranks::Ranks;
use slab::Slab;

/// What a table keeps.
pub(crate) trait Record {
    /// Identity of a record.
    type Key: Copy + Eq;

    /// The key under which the record was made.
    fn key(&self) -> &Self::Key;

    /// Whether it was made under this key.
    fn is(&self, key: &Self::Key) -> bool;

    /// The hash of a key, as the caller of [`Table::locate`] computes it.
    fn hash(key: &Self::Key, hasher: &Hasher) -> u64;

    /// When its weight falls to one (see [`expiry`](crate::damp::expiry)); never falls over time.
    fn expiry(&self) -> i64;
}

/// A key to look up, with its hash and the slot that bounds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a, K> {
    pub(crate) key: &'a K,
    pub(crate) hash: u64,
    pub(crate) slot: usize,
}

/// The slot is full and the record to evict may still be written by packets under way: finish these first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending;

/// A table of records with a bound per slot.
#[derive(Debug)]
pub(crate) struct Table<R> {
    index: Index,
    slab: Slab<R>,
    ranks: Ranks,
    hasher: Hasher,
    evictions: u64,
}

impl<R: Record> Table<R> {
    /// An empty table that holds at most `per_slot` records in each slot.
    pub(crate) fn new(per_slot: u32, hasher: Hasher) -> Self {
        Self { index: Index::new(), slab: Slab::new(), ranks: Ranks::new(per_slot), hasher, evictions: 0 }
    }

    /// The number of the record of this key; makes it with `new` where there is none.
    ///
    /// `pending` lists the records that packets under way will still change.
    ///
    /// # Errors
    /// [`Pending`] if a record must go and the first in rank is among `pending`. Nothing has changed then, and
    /// the call succeeds once nothing is pending.
    #[inline]
    pub(crate) fn locate(
        &mut self,
        query: Query<'_, R::Key>,
        pending: &[u32],
        new: impl FnOnce() -> R,
    ) -> Result<u32, Pending> {
        let slab = &self.slab;
        match self.index.find(query.hash, |number| slab[number].is(query.key)) {
            Some(number) => Ok(number),
            None => self.insert(query, pending, new()),
        }
    }

    #[inline(never)]
    fn insert(&mut self, query: Query<'_, R::Key>, pending: &[u32], record: R) -> Result<u32, Pending> {
        let expiry = record.expiry();
        let number = if self.ranks.is_full(query.slot) {
            let number = self.evict(query.slot, pending)?;
            self.slab[number] = record;
            number
        } else {
            self.slab.push(record)
        };
        self.ranks.insert(query.slot, expiry, number);
        self.index.insert(query.hash, number);
        Ok(number)
    }

    fn evict(&mut self, slot: usize, pending: &[u32]) -> Result<u32, Pending> {
        let slab = &self.slab;
        let fresh = |number| (!pending.contains(&number)).then(|| slab[number].expiry());
        let number = self.ranks.pop(slot, fresh)?;
        self.index.remove(R::hash(self.slab[number].key(), &self.hasher), number);
        self.evictions += 1;
        Ok(number)
    }

    /// Asks for the index's part in a coming [`locate`](Self::locate).
    #[inline(always)]
    pub(crate) fn prefetch_index(&self, hash: u64) {
        if self.slab.len() >= PREFETCH_FROM {
            prefetch(self.index.first(hash));
        }
    }

    /// Asks for the record that a coming [`locate`](Self::locate) will most likely find.
    #[inline(always)]
    pub(crate) fn prefetch_record(&self, hash: u64) {
        if self.slab.len() >= PREFETCH_FROM
            && let Some(record) = self.slab.get(index::number(*self.index.first(hash)))
        {
            prefetch(record);
        }
    }

    /// Asks for what coming [`locate`](Self::locate)s in these slots will give up, once the table gives up anything:
    /// the slots, those that are first in them, their records, and these in the index.
    #[inline(always)]
    pub(crate) fn prefetch_victims(&self, slots: impl Iterator<Item = usize> + Clone) {
        if self.evictions == 0 {
            return;
        }
        slots.clone().for_each(|slot| self.ranks.prefetch(slot));
        slots.clone().for_each(|slot| self.ranks.prefetch_first(slot));
        let first = slots.filter_map(|slot| self.ranks.first(slot));
        let victims = first.filter_map(|number| self.slab.get(number));
        victims.clone().for_each(prefetch);
        victims.for_each(|victim| prefetch(self.index.first(R::hash(victim.key(), &self.hasher))));
    }

    /// Record `number`.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> &mut R {
        &mut self.slab[number]
    }

    /// Records that had to go.
    pub(crate) fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Bytes taken now.
    pub(crate) fn bytes(&self) -> usize {
        self.index.bytes() + self.slab.bytes() + self.ranks.bytes()
    }

    /// Bytes taken at most, with `per_slot` records in each slot. While the index grows, the old one is there
    /// too: that is counted.
    pub(crate) fn max_bytes(per_slot: u32) -> usize {
        let records = per_slot as usize * SLOTS;
        Slab::<R>::bytes_for(records) + Index::bytes_for(records) * 3 / 2 + Ranks::bytes_for(per_slot)
    }
}

/// Records below which a table is in the processor's caches anyway.
const PREFETCH_FROM: usize = 1024;
