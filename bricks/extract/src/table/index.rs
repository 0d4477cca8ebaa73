//! From a key's hash to the number of its record: open addressing with linear probing.

/// Buckets of an empty index.
const START: usize = 1024;

/// An index of record numbers. A bucket is 0 where free; else the low half of the hash above the record's
/// number plus one.
#[derive(Debug)]
pub(crate) struct Index {
    buckets: Vec<u64>,
    mask: usize,
    len: usize,
}

/// The record number of an occupied bucket; of a free one, a number that no record has.
#[inline(always)]
pub(crate) fn number(bucket: u64) -> u32 {
    (bucket as u32).wrapping_sub(1)
}

/// Whether the bucket was filled under this hash, as far as 32 bits say.
fn matches(bucket: u64, hash: u64) -> bool {
    bucket >> 32 == hash & 0xffff_ffff
}

impl Index {
    /// An empty index.
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; START], mask: START - 1, len: 0 }
    }

    /// The record under this hash that `is` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = hash as usize & self.mask;
        loop {
            let bucket = self.buckets[at];
            if bucket == 0 {
                return None;
            }
            if matches(bucket, hash) && is(number(bucket)) {
                return Some(number(bucket));
            }
            at = (at + 1) & self.mask;
        }
    }

    /// The bucket where the search for this hash starts.
    #[inline(always)]
    pub(crate) fn first(&self, hash: u64) -> &u64 {
        &self.buckets[hash as usize & self.mask]
    }

    /// Enters a record that is not there.
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        if (self.len + 1) * 4 > self.buckets.len() * 3 {
            self.grow();
        }
        self.put((hash & 0xffff_ffff) << 32 | u64::from(number + 1));
        self.len += 1;
    }

    fn put(&mut self, bucket: u64) {
        let mut at = (bucket >> 32) as usize & self.mask;
        while self.buckets[at] != 0 {
            at = (at + 1) & self.mask;
        }
        self.buckets[at] = bucket;
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.buckets);
        self.mask = old.len() * 2 - 1;
        self.buckets = vec![0; old.len() * 2];
        old.into_iter().filter(|&bucket| bucket != 0).for_each(|bucket| self.put(bucket));
    }

    /// Removes the record that was entered under this hash. Later buckets of the run move up, so that no
    /// tombstone stays.
    pub(crate) fn remove(&mut self, hash: u64, record: u32) {
        let mut hole = hash as usize & self.mask;
        while self.buckets[hole] != 0 && number(self.buckets[hole]) != record {
            hole = (hole + 1) & self.mask;
        }
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask;
            let bucket = self.buckets[at];
            if bucket == 0 {
                break;
            }
            let home = (bucket >> 32) as usize & self.mask;
            if (at.wrapping_sub(home) & self.mask) >= (at.wrapping_sub(hole) & self.mask) {
                self.buckets[hole] = bucket;
                hole = at;
            }
        }
        self.buckets[hole] = 0;
        self.len -= 1;
    }

    /// Bytes taken now.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.buckets[..])
    }

    /// Bytes of an index of `records` records.
    pub(crate) fn bytes_for(records: usize) -> usize {
        (records * 4).div_ceil(3).next_power_of_two().max(START) * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Few distinct hashes, so that runs collide, wrap and close up.
        #[test]
        fn behaves_as_a_map(steps in prop::collection::vec((any::<bool>(), 0..64u64), 1..600)) {
            let hash = |key: u64| (key % 7).wrapping_mul(0x1000_0000_01ff) + 1020;
            let (mut index, mut model) = (Index::new(), HashMap::new());
            for (insert, key) in steps {
                if insert && !model.contains_key(&key) {
                    index.insert(hash(key), key as u32);
                    model.insert(key, ());
                } else if !insert && model.remove(&key).is_some() {
                    index.remove(hash(key), key as u32);
                }
                for key in 0..64 {
                    let found = index.find(hash(key), |number| u64::from(number) == key);
                    prop_assert_eq!(found.is_some(), model.contains_key(&key));
                }
            }
        }
    }

    #[test]
    fn grows_without_losing_any() {
        let mut index = Index::new();
        let hash = |n: u32| u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7;
        (0..5000).for_each(|n| index.insert(hash(n), n));
        assert!((0..5000).all(|n| index.find(hash(n), |found| found == n) == Some(n)));
        assert_eq!(index.bytes(), Index::bytes_for(5000));
    }
}
