//! Interned key texts: a dense number for each.

/// Place of a free cell of the index.
const FREE: u32 = u32::MAX;
/// Cells of the smallest index.
const SMALLEST: usize = 64;

/// An interned text.
#[derive(Clone, Copy, Debug)]
struct Name {
    hash: u32,
    len: u32,
    offset: usize,
}

/// Numbers texts from 0 on, in the order in which they come.
#[derive(Clone, Debug)]
pub(super) struct Names {
    names: Vec<Name>,
    texts: Vec<u8>,
    /// Open addressing with linear probing; at most half of the cells are taken.
    index: Vec<u32>,
    seed: u64,
}

impl Names {
    /// None yet; `seed` is that of the hash.
    pub(super) fn new(seed: u64) -> Self {
        Self { names: Vec::new(), texts: Vec::new(), index: vec![FREE; SMALLEST], seed }
    }

    /// How many there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.names.len()
    }

    /// The number of a text, which is the next one for a new text.
    pub(super) fn intern(&mut self, text: &[u8]) -> u32 {
        let hash = hash(text, self.seed);
        let mask = self.index.len() - 1;
        let mut cell = hash as usize & mask;
        while self.index[cell] != FREE {
            let id = self.index[cell];
            let name = &self.names[id as usize];
            if name.hash == hash && self.texts[name.offset..][..name.len as usize] == *text {
                return id;
            }
            cell = (cell + 1) & mask;
        }
        self.add(cell, hash, text)
    }

    fn add(&mut self, cell: usize, hash: u32, text: &[u8]) -> u32 {
        let id = self.names.len() as u32;
        self.names.push(Name { hash, len: text.len() as u32, offset: self.texts.len() });
        self.texts.extend_from_slice(text);
        self.index[cell] = id;
        if self.names.len() * 2 > self.index.len() {
            self.index.resize(self.index.len() * 2, FREE);
            self.rebuild();
        }
        id
    }

    /// Keeps the texts for whose numbers `keep` holds and renumbers them in order.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        let mut texts = Vec::with_capacity(self.texts.len());
        let mut kept = 0;
        for id in (0..self.names.len()).filter(|&id| keep[id]) {
            let name = self.names[id];
            self.names[kept] = Name { offset: texts.len(), ..name };
            texts.extend_from_slice(&self.texts[name.offset..][..name.len as usize]);
            kept += 1;
        }
        self.names.truncate(kept);
        self.texts = texts;
        self.rebuild();
    }

    fn rebuild(&mut self) {
        self.index.fill(FREE);
        let mask = self.index.len() - 1;
        for (id, name) in self.names.iter().enumerate() {
            let mut cell = name.hash as usize & mask;
            while self.index[cell] != FREE {
                cell = (cell + 1) & mask;
            }
            self.index[cell] = id as u32;
        }
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        self.names.capacity() * size_of::<Name>() + self.texts.capacity() + self.index.len() * 4
    }

    /// The most bytes that `count` texts can take, growth of the arrays included.
    pub(super) fn max_bytes(count: usize) -> usize {
        let grown = count.next_power_of_two();
        2 * grown * (size_of::<Name>() + 96) + 4 * grown * 4
    }
}

/// A hash of eight bytes at a time by folded multiplication.
fn hash(text: &[u8], seed: u64) -> u32 {
    let mix = |sum: u64, word: u64| {
        let product = u128::from(sum ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93_u128;
        (product as u64) ^ (product >> 64) as u64
    };
    let (words, rest) = text.as_chunks::<8>();
    let sum = words.iter().fold(mix(seed, text.len() as u64), |sum, w| mix(sum, u64::from_le_bytes(*w)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    (mix(sum, u64::from_le_bytes(last)) >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_stable() {
        let mut names = Names::new(1);
        for round in 0..2 {
            for i in 0..1000_u32 {
                assert_eq!(names.intern(format!("key {i}").as_bytes()), i, "{round}");
            }
        }
        assert_eq!(names.intern(b""), 1000);
        assert_eq!(names.len(), 1001);
    }

    #[test]
    fn retained_texts_are_renumbered_in_order() {
        let mut names = Names::new(1);
        for i in 0..100 {
            names.intern(format!("{i}").as_bytes());
        }
        let keep: Vec<bool> = (0..100).map(|i| i % 3 == 0).collect();
        names.retain(&keep);
        assert_eq!(names.len(), 34);
        assert_eq!(names.intern(b"99"), 33);
        assert_eq!(names.intern(b"1"), 34);
        assert!(names.bytes() < Names::max_bytes(100));
    }
}
