//! Memory that two processes have in common: the only module with unsafe code.
#![allow(unsafe_code)]

use memmap2::MmapRaw;
use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU32;

/// Slots of each direction, and the bytes of one. A frame takes one slot, or several one after the other. Few frames are as large: of a slot only
/// what is used takes memory.
pub(crate) const SLOTS: u32 = 4;
pub(crate) const SLOT: usize = 4 << 20;
/// Bytes before the slots, for words.
const WORDS: usize = 8192;
/// Bytes from one word to the next: each has cache lines of its own.
const APART: usize = 128;
/// Bytes of all.
pub(crate) const SIZE: usize = WORDS + 2 * SLOTS as usize * SLOT;

/// A number that both processes see.
#[derive(Clone, Copy)]
pub(crate) enum Word {
    /// Slots that a direction has been filled so far.
    Filled,
    /// Slots of a direction that were read.
    Read,
    /// Whether the reader of a direction sleeps.
    Asleep,
    /// Bytes in a slot of a direction.
    Bytes(u32),
    /// Whether the frame in a slot goes on in the next one.
    GoesOn(u32),
}

/// The memory, as one process sees it.
pub(crate) struct Memory(MmapRaw);

impl Memory {
    /// Maps a file of [`SIZE`] bytes.
    ///
    /// # Errors
    /// If it is shorter, or the system refuses.
    pub fn map(file: &File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        if len < SIZE as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the shared memory is too small"));
        }
        Ok(Self(memmap2::MmapOptions::new().len(SIZE).map_raw(file)?))
    }

    /// A word of a direction.
    pub fn word(&self, direction: usize, word: Word) -> &AtomicU32 {
        let index = match word {
            Word::Filled => 0,
            Word::Read => 1,
            Word::Asleep => 2,
            Word::Bytes(slot) => 4 + (slot % SLOTS) as usize,
            Word::GoesOn(slot) => 4 + (SLOTS + slot % SLOTS) as usize,
        };
        let offset = (direction % 2) * WORDS / 2 + index * APART;
        // SAFETY: the offset is below WORDS, and the mapping is SIZE bytes long and begins at a page, so the word lies in it and is
        // aligned. It lives as long as `self`, and no one accesses its bytes but as an atomic.
        unsafe { AtomicU32::from_ptr(self.0.as_mut_ptr().add(offset).cast()) }
    }

    /// Copies bytes into a slot, which belongs to the writer: the reader has read all that it held.
    pub fn write(&mut self, direction: usize, slot: u32, bytes: &[u8]) {
        assert!(bytes.len() <= SLOT, "a slot has room for it");
        // SAFETY: the slot lies in the mapping, and has room, as checked. Who may touch it passes from side to side by the words: until
        // `Filled` is raised it is the writer's.
        unsafe {
            self.0
                .as_mut_ptr()
                .add(place(direction, slot))
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
        }
    }

    /// The first bytes of a slot, which belongs to the reader.
    pub fn read(&self, direction: usize, slot: u32, len: usize) -> &[u8] {
        // SAFETY: the slot lies in the mapping, and no more than its size is read. The writer, which is a process of this program that was started
        // with this memory, does not touch it until `Read` is raised, and that takes `&mut` of what this borrows from.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(place(direction, slot)), len.min(SLOT)) }
    }
}

fn place(direction: usize, slot: u32) -> usize {
    WORDS + ((direction % 2) * SLOTS as usize + (slot % SLOTS) as usize) * SLOT
}
