//! From a key's hash to the number of its record: a hash table of cache lines.
//!
//! A line holds twelve records with a byte of their hash each, and how many records went past it because it was full.
//! So a search, found or not, reads one line but for few, and a removal leaves nothing behind.

use crate::lanes::equal_bytes;
use crate::pages;
use bytemuck::Zeroable;

/// Lines of an empty index.
const START: usize = 64;
/// Records in a line.
const PLACES: usize = 12;
/// Records for each line from which on the index grows.
const FULL: usize = 9;
/// One record that went past a line, in the second word of its tags.
const PASSED: u64 = 1 << 32;

/// A cache line of the index.
#[derive(Clone, Copy, Debug, Default, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line {
    /// A byte for each place, 0 where it is free; the upper half of the second word counts the records that went past.
    tags: [u64; 2],
    numbers: [u32; PLACES],
}

/// The byte of a hash by which a line tells records apart; 0 is that of a free place.
#[inline(always)]
fn tag(hash: u64) -> u8 {
    ((hash >> 44) as u8).max(1)
}

impl Line {
    /// The places with this tag, a bit for each.
    #[inline(always)]
    fn places(&self, tag: u8) -> u32 {
        equal_bytes(&self.tags, tag) & ((1 << PLACES) - 1)
    }

    /// The place with this tag that `is` accepts.
    #[inline(always)]
    fn find(&self, tag: u8, is: impl Fn(u32) -> bool) -> Option<usize> {
        let mut places = self.places(tag);
        while places != 0 {
            let place = places.trailing_zeros() as usize;
            if is(self.numbers[place]) {
                return Some(place);
            }
            places &= places - 1;
        }
        None
    }

    #[inline(always)]
    fn passed(&self) -> u64 {
        self.tags[1] / PASSED
    }

    #[inline(always)]
    fn set_tag(&mut self, place: usize, tag: u8) {
        let (word, shift) = (place / 8, place % 8 * 8);
        self.tags[word] = self.tags[word] & !(0xff << shift) | (u64::from(tag) << shift);
    }
}

/// An index of record numbers.
///
/// When it is full it gets twice as many lines, and the records of those before move to them line by line, with every record that enters:
/// no packet waits for all of them.
#[derive(Debug)]
pub(crate) struct Index {
    now: Lines,
    /// The lines before, while some of them have records; all below `moved` have none.
    before: Option<Box<Lines>>,
    moved: usize,
    len: usize,
}

/// The lines of an index.
#[derive(Debug)]
struct Lines {
    lines: Vec<Line>,
    mask: usize,
}

impl Lines {
    fn new(lines: usize) -> Self {
        Self { lines: pages::zeroed(lines), mask: lines - 1 }
    }

    /// The line where the search for this hash starts.
    #[inline(always)]
    fn first(&self, hash: u64) -> &Line {
        &self.lines[hash as usize & self.mask]
    }

    /// The record under this hash that `is` accepts, from its line `begin` on.
    #[inline]
    fn find_from(&self, begin: usize, hash: u64, is: impl Fn(u32) -> bool + Copy) -> Option<u32> {
        for step in begin..self.lines.len() {
            let line = &self.lines[(hash as usize).wrapping_add(step) & self.mask];
            if let Some(place) = line.find(tag(hash), is) {
                return Some(line.numbers[place]);
            }
            if line.passed() == 0 {
                break;
            }
        }
        None
    }

    /// Enters a record that is not there; there is room.
    #[inline]
    fn insert(&mut self, hash: u64, number: u32) {
        let mut at = hash as usize & self.mask;
        loop {
            let line = &mut self.lines[at];
            let free = line.places(0);
            if free != 0 {
                let place = free.trailing_zeros() as usize;
                line.numbers[place] = number;
                line.set_tag(place, tag(hash));
                return;
            }
            line.tags[1] += PASSED;
            at = (at + 1) & self.mask;
        }
    }

    /// Removes a record that is there.
    #[inline]
    fn remove(&mut self, hash: u64, record: u32) {
        let mut at = hash as usize & self.mask;
        for _ in 0..self.lines.len() {
            let line = &mut self.lines[at];
            if let Some(place) = line.find(tag(hash), |number| number == record) {
                line.set_tag(place, 0);
                return;
            }
            line.tags[1] -= PASSED;
            at = (at + 1) & self.mask;
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.lines[..])
    }
}

impl Index {
    /// An empty index.
    pub(crate) fn new() -> Self {
        Self { now: Lines::new(START), before: None, moved: 0, len: 0 }
    }

    /// The record under this hash that `is` accepts.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, is: impl Fn(u32) -> bool + Copy) -> Option<u32> {
        let line = self.first(hash);
        match line.find(tag(hash), is) {
            Some(place) => Some(line.numbers[place]),
            None if line.passed() == 0 && self.before.is_none() => None,
            None => self.find_further(hash, is),
        }
    }

    #[cold]
    fn find_further(&self, hash: u64, is: impl Fn(u32) -> bool + Copy) -> Option<u32> {
        let further = || if self.first(hash).passed() == 0 { None } else { self.now.find_from(1, hash, is) };
        further().or_else(|| self.before.as_ref()?.find_from(0, hash, is))
    }

    /// The line where the search for this hash starts.
    #[inline(always)]
    pub(crate) fn first(&self, hash: u64) -> &Line {
        self.now.first(hash)
    }

    /// Whether the index must [`grow`](Self::grow) before another record enters.
    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.len >= self.now.lines.len() * FULL
    }

    /// Makes room for more records. Those that are there [move](Self::move_some) from now on.
    #[cold]
    pub(crate) fn grow(&mut self, hash_of: impl Fn(u32) -> u64) {
        // As many records have entered as the lines before have places, so all have moved.
        while self.is_growing() {
            self.move_some(&hash_of);
        }
        let lines = Lines::new(self.now.lines.len() * 2);
        self.before = Some(Box::new(std::mem::replace(&mut self.now, lines)));
        self.moved = 0;
    }

    /// Whether records are still to move.
    #[inline(always)]
    pub(crate) fn is_growing(&self) -> bool {
        self.before.is_some()
    }

    /// Moves the records of a line that was there before the index grew last. `hash_of` gives the hash under which one was entered.
    #[cold]
    pub(crate) fn move_some(&mut self, hash_of: impl Fn(u32) -> u64) {
        let Some(before) = &mut self.before else { return };
        let line = before.lines[self.moved];
        let taken = (0..PLACES).filter(|place| line.places(0) & 1 << place == 0);
        for number in taken.map(|place| line.numbers[place]) {
            let hash = hash_of(number);
            before.remove(hash, number);
            self.now.insert(hash, number);
        }
        self.moved += 1;
        if self.moved == before.lines.len() {
            self.before = None;
        }
    }

    /// Enters a record that is not there into an index that is not full.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        self.now.insert(hash, number);
        self.len += 1;
    }

    /// Removes the record that was entered under this hash.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, record: u32) {
        let is_before =
            |before: &&mut Box<Lines>| before.find_from(0, hash, |number| number == record).is_some();
        match self.before.as_mut().filter(is_before) {
            Some(before) => before.remove(hash, record),
            None => self.now.remove(hash, record),
        }
        self.len -= 1;
    }

    /// Bytes taken now.
    pub(crate) fn bytes(&self) -> usize {
        self.now.bytes() + self.before.as_ref().map_or(0, |before| before.bytes())
    }

    /// Bytes of an index of up to `records` records, at most: those of the lines before, too, while it grows.
    pub(crate) fn bytes_for(records: usize) -> usize {
        let lines = records.div_ceil(FULL).next_power_of_two().max(START);
        (lines + if lines > START { lines / 2 } else { 0 }) * size_of::<Line>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Few distinct hashes, at the end of the index, so that lines overflow and wrap around.
        #[test]
        fn behaves_as_a_map(steps in prop::collection::vec((0..3u8, 0..120u64), 1..900)) {
            let hash = |key: u64| ((key % 3) << 44) | ((key % 5) + START as u64 - 2);
            let (mut index, mut model) = (Index::new(), HashMap::new());
            for (step, key) in steps {
                if step > 0 && !model.contains_key(&key) {
                    index.insert(hash(key), key as u32);
                    model.insert(key, ());
                } else if step == 0 && model.remove(&key).is_some() {
                    index.remove(hash(key), key as u32);
                }
                for key in 0..120 {
                    let found = index.find(hash(key), |number| u64::from(number) == key);
                    prop_assert_eq!(found.is_some(), model.contains_key(&key));
                }
            }
            for (key, ()) in model {
                index.remove(hash(key), key as u32);
            }
            prop_assert!(index.len == 0 && index.now.lines.iter().all(|line| line.tags == [0; 2]));
        }
    }

    fn hash(number: u32) -> u64 {
        u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7
    }

    fn enter(index: &mut Index, number: u32) {
        if index.is_full() {
            index.grow(hash);
        }
        index.insert(hash(number), number);
        if index.is_growing() {
            index.move_some(hash);
        }
    }

    fn has(index: &Index, number: u32) -> bool {
        index.find(hash(number), |found| found == number) == Some(number)
    }

    #[test]
    fn grows_without_losing_any() {
        let mut index = Index::new();
        let mut has_grown = 0;
        for n in 0..5000 {
            let was = index.is_growing();
            enter(&mut index, n);
            has_grown += usize::from(!was && index.is_growing());
            assert!(has(&index, n) && has(&index, n / 2) && !has(&index, n + 1));
            assert!(index.bytes() <= Index::bytes_for(n as usize + 1));
        }
        assert!((0..5000).all(|n| has(&index, n)) && has_grown > 3);
    }

    proptest! {
        /// Records come and go at every moment of a growth.
        #[test]
        fn what_goes_while_it_grows_is_gone(goes in prop::collection::vec((0..3000_u32, 0..3000_u32), 0..400)) {
            let mut index = Index::new();
            let mut there = std::collections::BTreeSet::new();
            let mut goes = goes;
            goes.sort_unstable();
            let mut goes = goes.into_iter().peekable();
            for n in 0..3000 {
                enter(&mut index, n);
                there.insert(n);
                while let Some((_, gone)) = goes.next_if(|(at, _)| *at <= n) {
                    if there.remove(&gone) {
                        index.remove(hash(gone), gone);
                    }
                }
            }
            prop_assert!((0..3000).all(|n| has(&index, n) == there.contains(&n)));
            prop_assert_eq!(index.len, there.len());
            for n in there {
                index.remove(hash(n), n);
            }
            let lines = index.now.lines.iter().chain(index.before.iter().flat_map(|before| &before.lines));
            prop_assert!(lines.into_iter().all(|line| line.tags == [0; 2]));
        }
    }
}
