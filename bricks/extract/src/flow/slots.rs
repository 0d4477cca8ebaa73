//! Flows by slot, each slot in the order in which its flows were seen last.

use super::identity::Identity;
use legonf_core::prefetch::{prefetch, prefetch_line};
use legonf_core::{SLOTS, slot};

/// The items of a slot, the one that was seen last at the end.
#[derive(Clone, Debug, Default)]
struct List {
    /// Part of the hash of each, behind those that went.
    tags: Vec<u32>,
    known: Vec<Known>,
    gone: usize,
}

/// An item that was found, and when it was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub number: u32,
    pub seen: i64,
}

/// Items by slot.
#[derive(Debug)]
pub(super) struct SlotLists<T> {
    lists: Vec<List>,
    most: usize,
    items: Vec<T>,
    free: Vec<u32>,
}

/// What is kept in a slot.
pub(super) trait Item: Copy + Default {
    /// What tells it from others.
    fn identity(&self) -> &Identity;
}

/// Tags that are compared at once.
const AT_ONCE: usize = 16;

impl List {
    /// The places of the items with this tag, the last first.
    fn tagged(&self, tag: u32) -> impl Iterator<Item = usize> {
        let tags = self.tags();
        let has = move |tags: &&[u32]| tags.iter().fold(false, |found, other| found | (*other == tag));
        let mut end = tags.len();
        let starts = tags.rchunks(AT_ONCE).map(move |chunk| {
            end -= chunk.len();
            (end, chunk)
        });
        starts.filter(move |(_, chunk)| has(chunk)).flat_map(move |(start, chunk)| {
            (0..chunk.len()).rev().filter(move |at| chunk[*at] == tag).map(move |at| start + at)
        })
    }

    fn tags(&self) -> &[u32] {
        &self.tags[self.gone..]
    }

    fn known(&self) -> &[Known] {
        &self.known[self.gone..]
    }

    /// Adds one at the end. Where there is no room, the memory of those that went is used again, if they are half of all.
    fn push(&mut self, tag: u32, known: Known) {
        if self.tags.len() == self.tags.capacity() && self.gone * 2 >= self.tags.len() {
            self.tags.drain(..self.gone);
            self.known.drain(..self.gone);
            self.gone = 0;
        }
        self.tags.push(tag);
        self.known.push(known);
    }

    fn remove(&mut self, at: usize) -> (u32, Known) {
        let at = self.gone + at;
        (self.tags.remove(at), self.known.remove(at))
    }

    fn remove_first(&mut self) -> Option<Known> {
        let first = *self.known().first()?;
        self.gone += 1;
        Some(first)
    }
}

impl<T: Item> SlotLists<T> {
    /// Slots that hold so many items each.
    pub fn of(most: usize) -> Self {
        Self { lists: vec![List::default(); SLOTS], most, items: Vec::new(), free: Vec::new() }
    }

    /// The item of this identity, which is the one that was seen last from now on.
    #[inline]
    pub fn find(&mut self, hash: u64, identity: &Identity, now: i64) -> Option<Known> {
        let list = &mut self.lists[slot(hash)];
        let is_it = |at: &usize| self.items[list.known()[*at].number as usize].identity() == identity;
        let at = list.tagged(hash as u32).find(is_it)?;
        let found = list.known()[at];
        if at + 1 == list.known().len() {
            list.known[list.gone + at].seen = now;
        } else {
            let (tag, known) = list.remove(at);
            list.push(tag, Known { seen: now, ..known });
        }
        Some(found)
    }

    /// Asks for where the list of a slot is.
    #[inline]
    pub fn prefetch_list(&self, slot: usize) {
        prefetch(&self.lists[slot]);
    }

    /// Asks for what [`find`](Self::find) looks at in the list of a slot.
    #[inline]
    pub fn prefetch_tags(&self, slot: usize) {
        let list = &self.lists[slot];
        prefetch(list.tags());
        list.known().first().into_iter().chain(list.known().last()).for_each(prefetch_line);
    }

    /// Asks for the item that [`remove_oldest`](Self::remove_oldest) lets go, where the slot is full.
    #[inline]
    pub fn prefetch_oldest(&self, slot: usize) {
        let full = Some(self.lists[slot].known()).filter(|known| known.len() >= self.most);
        full.and_then(|known| known.first()).into_iter().for_each(|known| prefetch(self.item(known.number)));
    }

    /// Adds an item to the slot of its hash, as the one that was seen last.
    pub fn add(&mut self, hash: u64, item: T, now: i64) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.items.push(T::default());
            (self.items.len() - 1) as u32
        });
        self.items[number as usize] = item;
        self.lists[slot(hash)].push(hash as u32, Known { number, seen: now });
        number
    }

    /// Whether the slot of this hash has no room for another.
    pub fn is_full(&self, hash: u64) -> bool {
        self.lists[slot(hash)].known().len() >= self.most
    }

    /// The item of a slot that was not seen for the longest time.
    #[inline]
    pub fn oldest(&self, slot: usize) -> Option<Known> {
        self.lists[slot].known().first().copied()
    }

    /// Lets it go.
    pub fn remove_oldest(&mut self, slot: usize) -> Option<T> {
        let Known { number, .. } = self.lists[slot].remove_first()?;
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
        let list = &self.lists[slot];
        list.tags()
            .iter()
            .zip(list.known())
            .map(|(tag, known)| (*tag, known.seen, &self.items[known.number as usize]))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.items.len() - self.free.len()
    }

    /// Bytes that the items take.
    pub fn used(&self) -> usize {
        self.len() * (size_of::<T>() + size_of::<Known>() + size_of::<u32>())
    }
}
