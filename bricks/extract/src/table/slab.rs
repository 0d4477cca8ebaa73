//! Records in chunks: they never move as the slab grows, and growth never copies.

use crate::pages;
use std::ops::{Index, IndexMut};

/// A growing array of records, numbered from 0.
#[derive(Debug)]
pub(crate) struct Slab<R> {
    chunks: Vec<Vec<R>>,
    len: usize,
    most: usize,
}

impl<R> Slab<R> {
    /// log2 of the records in a chunk of some ten huge pages.
    const CHUNK_BITS: u32 = (16 * pages::HUGE / size_of::<R>()).ilog2();
    const CHUNK: usize = 1 << Self::CHUNK_BITS;

    /// An empty slab for at most so many records.
    pub(crate) fn new(most: usize) -> Self {
        Self { chunks: Vec::with_capacity(most.div_ceil(Self::CHUNK)), len: 0, most }
    }

    /// Adds a record and returns its number.
    pub(crate) fn push(&mut self, record: R) -> u32 {
        if self.len.is_multiple_of(Self::CHUNK) {
            self.chunks.push(pages::with_capacity(Self::CHUNK.min(self.most - self.len)));
        }
        let number = self.len as u32;
        self.chunks[self.len >> Self::CHUNK_BITS].push(record);
        self.len += 1;
        number
    }

    /// Record `number`, if there is one.
    #[inline(always)]
    pub(crate) fn get(&self, number: u32) -> Option<&R> {
        self.chunks.get(number as usize >> Self::CHUNK_BITS)?.get(number as usize & (Self::CHUNK - 1))
    }

    /// Record `number`, if there is one.
    #[inline(always)]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut R> {
        self.chunks.get_mut(number as usize >> Self::CHUNK_BITS)?.get_mut(number as usize & (Self::CHUNK - 1))
    }

    /// Number of records.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes taken now: memory beyond the last huge page with a record is not touched yet.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = (self.len * size_of::<R>()).next_multiple_of(pages::HUGE);
        bytes.min(Self::bytes_for(self.most))
    }

    /// Bytes of a slab of `records` records.
    pub(crate) fn bytes_for(records: usize) -> usize {
        records * size_of::<R>() + records.div_ceil(Self::CHUNK) * size_of::<Vec<R>>()
    }
}

impl<R> Index<u32> for Slab<R> {
    type Output = R;

    #[inline(always)]
    fn index(&self, number: u32) -> &R {
        &self.chunks[number as usize >> Self::CHUNK_BITS][number as usize & (Self::CHUNK - 1)]
    }
}

impl<R> IndexMut<u32> for Slab<R> {
    #[inline(always)]
    fn index_mut(&mut self, number: u32) -> &mut R {
        &mut self.chunks[number as usize >> Self::CHUNK_BITS][number as usize & (Self::CHUNK - 1)]
    }
}
