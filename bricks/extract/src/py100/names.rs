//! Interned key texts: a dense number for each.

use legonf_core::Hasher;

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
    /// Who does not know them cannot choose texts that share a cell.
    keys: [u64; 2],
}

impl Names {
    /// None yet; `seed` is that of the hash.
    pub(super) fn new(seed: u64) -> Self {
        let hasher = Hasher::new(seed);
        let keys = [0, 1].map(|key| hasher.three([key, 0, 0]) | 1);
        Self { names: Vec::new(), texts: Vec::new(), index: vec![FREE; SMALLEST], keys }
    }

    /// How many there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.names.len()
    }

    /// The number of a text, which is the next one for a new text.
    pub(super) fn intern(&mut self, text: &[u8]) -> u32 {
        let hash = hash(text, self.keys);
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

/// A hash of eight bytes at a time by folded multiplication with a key.
fn hash(text: &[u8], [first, factor]: [u64; 2]) -> u32 {
    let mix = |sum: u64, word: u64| {
        let product = u128::from(sum ^ word) * u128::from(factor);
        product as u64 ^ (product >> 64) as u64
    };
    let (words, rest) = text.as_chunks::<8>();
    let begin = mix(first, text.len() as u64);
    let sum = words.iter().fold(begin, |sum, word| mix(sum, u64::from_le_bytes(*word)));
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

    #[test]
    fn texts_chosen_for_one_cell_scatter_under_another_seed() {
        let (known, secret) = (Names::new(1), Names::new(2));
        let address = |n: u32| format!("192.168.{}.{}->{}", n >> 8 & 255, n & 255, n >> 16);
        let cell = |names: &Names, n: u32| hash(address(n).as_bytes(), names.keys) % 4096;
        let chosen: Vec<u32> = (0..1 << 20).filter(|n| cell(&known, *n) == 7).collect();
        let cells: std::collections::HashSet<u32> = chosen.iter().map(|n| cell(&secret, *n)).collect();
        // Some 256 texts over 4,096 cells: 248 different ones are expected.
        assert!(
            chosen.len() > 180 && cells.len() * 10 > chosen.len() * 9,
            "{} {}",
            chosen.len(),
            cells.len()
        );
    }
}
