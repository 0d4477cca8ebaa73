//! From a key's hash to the number of its record: a hash table of cache lines.
//!
//! A line holds twelve records with a byte of their hash each, and how many records went past it because it was full.
//! So a search, found or not, reads one line but for few, and a removal leaves nothing behind.

use crate::lanes::equal_bytes;
use crate::pages;

/// Lines of an empty index.
const START: usize = 64;
/// Records in a line.
const PLACES: usize = 12;
/// Records for each line from which on the index grows.
const FULL: usize = 9;
/// One record that went past a line, in the second word of its tags.
const PASSED: u64 = 1 << 32;

/// A cache line of the index.
#[derive(Clone, Copy, Debug, Default)]
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
#[derive(Debug)]
pub(crate) struct Index {
    lines: Vec<Line>,
    mask: usize,
    len: usize,
}

impl Index {
    /// An empty index.
    pub(crate) fn new() -> Self {
        Self { lines: vec![Line::default(); START], mask: START - 1, len: 0 }
    }

    /// The record under this hash that `is` accepts.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, is: impl Fn(u32) -> bool + Copy) -> Option<u32> {
        let line = self.first(hash);
        match line.find(tag(hash), is) {
            Some(place) => Some(line.numbers[place]),
            None if line.passed() == 0 => None,
            None => self.find_further(hash, is),
        }
    }

    #[cold]
    fn find_further(&self, hash: u64, is: impl Fn(u32) -> bool + Copy) -> Option<u32> {
        for step in 1..self.lines.len() {
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

    /// The line where the search for this hash starts.
    #[inline(always)]
    pub(crate) fn first(&self, hash: u64) -> &Line {
        &self.lines[hash as usize & self.mask]
    }

    /// Whether the index must [`grow`](Self::grow) before another record enters.
    #[inline(always)]
    pub(crate) fn is_full(&self) -> bool {
        self.len >= self.lines.len() * FULL
    }

    /// Makes room for more records: those entered so far have these hashes, from number 0 on.
    #[cold]
    pub(crate) fn grow(&mut self, hashes: impl Iterator<Item = u64>) {
        let lines = self.lines.len() * 2;
        self.lines = Vec::new();
        self.lines = pages::with_capacity(lines);
        self.lines.resize(lines, Line::default());
        (self.mask, self.len) = (lines - 1, 0);
        hashes.zip(0..).for_each(|(hash, number)| self.insert(hash, number));
    }

    /// Enters a record that is not there into an index that is not full.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        let mut at = hash as usize & self.mask;
        loop {
            let line = &mut self.lines[at];
            let free = line.places(0);
            if free != 0 {
                let place = free.trailing_zeros() as usize;
                line.numbers[place] = number;
                line.set_tag(place, tag(hash));
                break;
            }
            line.tags[1] += PASSED;
            at = (at + 1) & self.mask;
        }
        self.len += 1;
    }

    /// Removes the record that was entered under this hash.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, record: u32) {
        let mut at = hash as usize & self.mask;
        for _ in 0..self.lines.len() {
            let line = &mut self.lines[at];
            if let Some(place) = line.find(tag(hash), |number| number == record) {
                line.set_tag(place, 0);
                self.len -= 1;
                break;
            }
            line.tags[1] -= PASSED;
            at = (at + 1) & self.mask;
        }
    }

    /// Bytes taken now.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.lines[..])
    }

    /// Bytes of an index of `records` records.
    pub(crate) fn bytes_for(records: usize) -> usize {
        records.div_ceil(FULL).next_power_of_two().max(START) * size_of::<Line>()
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
            prop_assert!(index.len == 0 && index.lines.iter().all(|line| line.tags == [0; 2]));
        }
    }

    #[test]
    fn grows_without_losing_any() {
        let mut index = Index::new();
        let hash = |n: u32| u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7;
        for n in 0..5000 {
            if index.is_full() {
                index.grow((0..n).map(hash));
            }
            index.insert(hash(n), n);
        }
        assert!((0..5000).all(|n| index.find(hash(n), |found| found == n) == Some(n)));
        assert_eq!(index.bytes(), Index::bytes_for(5000));
    }
}
