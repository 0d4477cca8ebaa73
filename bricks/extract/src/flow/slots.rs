//! Flows by slot, each slot in the order in which its flows were seen last.

use super::identity::Identity;
use legonf_core::{SLOTS, slot};

/// An item of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// Part of its hash.
    tag: u32,
    number: u32,
    /// When it was seen last.
    seen: i64,
}

/// An item that was found, and when it was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub number: u32,
    pub seen: i64,
}

/// Which flows a slot has, the one that was seen last at the end.
#[derive(Debug)]
pub(super) struct SlotLists<T> {
    lists: Vec<Vec<Entry>>,
    most: usize,
    items: Vec<T>,
    free: Vec<u32>,
}

/// What is kept in a slot.
pub(super) trait Item: Copy + Default {
    /// What tells it from others.
    fn identity(&self) -> &Identity;
}

impl<T: Item> SlotLists<T> {
    /// Slots that hold so many items each.
    pub fn of(most: usize) -> Self {
        Self { lists: vec![Vec::new(); SLOTS], most, items: Vec::new(), free: Vec::new() }
    }

    /// The item of this identity, which is the one that was seen last from now on.
    #[inline]
    pub fn find(&mut self, hash: u64, identity: &Identity, now: i64) -> Option<Known> {
        let list = &mut self.lists[slot(hash)];
        let is_it = |entry: &Entry| {
            entry.tag == hash as u32 && self.items[entry.number as usize].identity() == identity
        };
        let at = list.iter().rposition(is_it)?;
        let entry = list[at];
        let last = list.len() - 1;
        list.copy_within(at + 1.., at);
        list[last] = Entry { seen: now, ..entry };
        Some(Known { number: entry.number, seen: entry.seen })
    }

    /// Adds an item to the slot of its hash, as the one that was seen last.
    pub fn add(&mut self, hash: u64, item: T, now: i64) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.items.push(T::default());
            (self.items.len() - 1) as u32
        });
        self.items[number as usize] = item;
        self.lists[slot(hash)].push(Entry { tag: hash as u32, number, seen: now });
        number
    }

    /// Whether the slot of this hash has no room for another.
    pub fn is_full(&self, hash: u64) -> bool {
        self.lists[slot(hash)].len() >= self.most
    }

    /// The item of a slot that was not seen for the longest time.
    #[inline]
    pub fn oldest(&self, slot: usize) -> Option<Known> {
        self.lists[slot].first().map(|entry| Known { number: entry.number, seen: entry.seen })
    }

    /// Lets it go.
    pub fn remove_oldest(&mut self, slot: usize) -> Option<T> {
        let list = &mut self.lists[slot];
        if list.is_empty() {
            return None;
        }
        let number = list.remove(0).number;
        self.free.push(number);
        Some(self.items[number as usize])
    }

    pub fn item(&self, number: u32) -> &T {
        &self.items[number as usize]
    }

    pub fn item_mut(&mut self, number: u32) -> &mut T {
        &mut self.items[number as usize]
    }

    /// Tags and items of a slot with the times when they were seen last, from the one that was not seen for the longest time.
    pub fn of_slot(&self, slot: usize) -> impl Iterator<Item = (u32, i64, &T)> {
        self.lists[slot].iter().map(|entry| (entry.tag, entry.seen, &self.items[entry.number as usize]))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }

    /// Bytes that the items take.
    pub fn used(&self) -> usize {
        self.len() * (size_of::<T>() + size_of::<Entry>())
    }
}
