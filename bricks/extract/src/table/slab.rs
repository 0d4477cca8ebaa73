//! Records in chunks: they never move as the slab grows, and growth never copies. Unsafe code, see ARCHITECTURE.md.
#![allow(unsafe_code)]

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
            let records = Self::CHUNK.min(self.most - self.len);
            let is_first = self.len == 0;
            self.chunks.push(match is_first {
                true => pages::with_capacity_for_few(records),
                false => pages::with_capacity(records),
            });
        }
        let number = self.len as u32;
        self.chunks[self.len >> Self::CHUNK_BITS].push(record);
        self.len += 1;
        number
    }

    /// Record `number`, if there is one.
    #[inline(always)]
    pub(crate) fn get(&self, number: u32) -> Option<&R> {
        let number = number as usize;
        if number >= self.len {
            return None;
        }
        // SAFETY: `push` fills chunk after chunk, so record `number` of less than `len` is there.
        Some(unsafe {
            self.chunks.get_unchecked(number >> Self::CHUNK_BITS).get_unchecked(number & (Self::CHUNK - 1))
        })
    }

    /// Record `number`, if there is one.
    #[inline(always)]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut R> {
        let number = number as usize;
        if number >= self.len {
            return None;
        }
        // SAFETY: as in `get`.
        Some(unsafe {
            let chunk = self.chunks.get_unchecked_mut(number >> Self::CHUNK_BITS);
            chunk.get_unchecked_mut(number & (Self::CHUNK - 1))
        })
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
        self.get(number).expect("a number that push gave")
    }
}

impl<R> IndexMut<u32> for Slab<R> {
    #[inline(always)]
    fn index_mut(&mut self, number: u32) -> &mut R {
        self.get_mut(number).expect("a number that push gave")
    }
}
