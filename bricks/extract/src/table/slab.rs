//! Records in chunks: they never move as the slab grows, and growth never copies.

use std::ops::{Index, IndexMut};

/// log2 of the records in a chunk.
const CHUNK_BITS: u32 = 9;
const CHUNK: usize = 1 << CHUNK_BITS;

/// A growing array of records, numbered from 0.
#[derive(Debug)]
pub(crate) struct Slab<R> {
    chunks: Vec<Vec<R>>,
    len: usize,
}

impl<R> Slab<R> {
    /// An empty slab.
    pub(crate) fn new() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }

    /// Adds a record and returns its number.
    pub(crate) fn push(&mut self, record: R) -> u32 {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let number = self.len as u32;
        self.chunks[self.len >> CHUNK_BITS].push(record);
        self.len += 1;
        number
    }

    /// Record `number`, if there is one.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&R> {
        self.chunks.get(number as usize >> CHUNK_BITS)?.get(number as usize & (CHUNK - 1))
    }

    /// Number of records.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes taken now.
    pub(crate) fn bytes(&self) -> usize {
        Self::bytes_for(self.len)
    }

    /// Bytes of a slab of `records` records.
    pub(crate) fn bytes_for(records: usize) -> usize {
        records.next_multiple_of(CHUNK) * size_of::<R>()
    }
}

impl<R> Index<u32> for Slab<R> {
    type Output = R;

    #[inline]
    fn index(&self, number: u32) -> &R {
        &self.chunks[number as usize >> CHUNK_BITS][number as usize & (CHUNK - 1)]
    }
}

impl<R> IndexMut<u32> for Slab<R> {
    #[inline]
    fn index_mut(&mut self, number: u32) -> &mut R {
        &mut self.chunks[number as usize >> CHUNK_BITS][number as usize & (CHUNK - 1)]
    }
}
