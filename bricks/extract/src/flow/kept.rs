//! What is kept of a flow, and the memory for it.

use super::identity::Identity;
use serde::{Deserialize, Serialize};

/// A packet of a flow's sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    /// Bytes of the IP packet, below 0 where it goes to the source.
    pub length: i32,
    /// Nanoseconds of stream time since the flow's packet before, at most four seconds.
    pub gap: u32,
}

/// A flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub identity: Identity,
    /// Number of its first packet.
    pub first: u64,
    /// Capture times of the first and the last packet.
    pub start: i64,
    pub end: i64,
    /// The watermark at the first packet.
    pub opened: i64,
    /// Stream time of the last packet.
    pub latest: i64,
    /// Of each direction, the source's first.
    pub packets: [u64; 2],
    pub octets: [u64; 2],
    pub payload: [u64; 2],
    pub flags: [u8; 2],
    /// Whether the source is the second end of the identity.
    pub swapped: bool,
    /// Whether its row has left.
    pub told: bool,
    /// Whether it has ended, and is kept so that what comes behind begins no other.
    pub over: bool,
    /// Bytes and packets that are there for its row.
    pub bytes: u16,
    pub samples: u8,
    /// The first packet of the sequence.
    pub first_sample: Sample,
    /// Blocks of memory for bytes and for the other packets of the sequence.
    #[serde(skip)]
    pub bytes_at: Block,
    #[serde(skip)]
    pub samples_at: Block,
}

impl Kept {
    /// Bytes that its block holds.
    pub fn bytes_of_block(&self) -> usize {
        self.bytes.into()
    }

    /// Packets of the sequence up to the last that its block holds: the first place is that of the first packet, which is not there.
    pub fn samples_of_block(&self) -> u8 {
        if self.samples > 1 { self.samples } else { 0 }
    }
}

/// A block of [`Blocks`], if there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Block(u32);

impl Block {
    pub const NONE: Self = Self(0);
}

/// Blocks of one size, which are given out and come back.
#[derive(Debug)]
pub(super) struct Blocks<T> {
    size: usize,
    cells: Vec<T>,
    free: Vec<Block>,
}

impl<T: Copy + Default> Blocks<T> {
    pub fn of(size: usize) -> Self {
        Self { size, cells: Vec::new(), free: Vec::new() }
    }

    pub fn size(&self) -> usize {
        self.size
    }

    /// Bytes that the blocks in use take.
    pub fn used(&self) -> usize {
        (self.cells.len() - self.free.len() * self.size) * size_of::<T>()
    }

    pub fn give(&mut self) -> Block {
        self.free.pop().unwrap_or_else(|| {
            self.cells.resize(self.cells.len() + self.size, T::default());
            Block((self.cells.len() / self.size) as u32)
        })
    }

    pub fn take_back(&mut self, block: Block) {
        if block != Block::NONE {
            self.free.push(block);
        }
    }

    /// The cells of a block; none of no block.
    pub fn of_block(&self, block: Block) -> &[T] {
        match block {
            Block::NONE => &[],
            Block(number) => &self.cells[(number as usize - 1) * self.size..][..self.size],
        }
    }

    pub fn of_block_mut(&mut self, block: Block) -> &mut [T] {
        match block {
            Block::NONE => &mut [],
            Block(number) => &mut self.cells[(number as usize - 1) * self.size..][..self.size],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_used_again() {
        let mut blocks = Blocks::<u8>::of(3);
        let (a, b) = (blocks.give(), blocks.give());
        blocks.of_block_mut(a).copy_from_slice(b"abc");
        assert_eq!((blocks.of_block(a), blocks.of_block(b), blocks.used()), (&b"abc"[..], &[0, 0, 0][..], 6));
        blocks.take_back(a);
        blocks.take_back(Block::NONE);
        assert_eq!((blocks.used(), blocks.give(), blocks.of_block(Block::NONE).len()), (3, a, 0));
    }
}
