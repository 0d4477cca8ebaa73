//! Frames between two processes of one host, over memory that both have.
//!
//! Each direction has some slots, which are filled and read in turn: so many frames the other side may be behind. Whoever waits looks a few times,
//! gives the core up between looks, and then sleeps until the other side writes a byte to a socket. The socket also says when the other
//! process is gone.

use crate::channel::{Channel, ChannelError, MAX_FRAME};
use crate::memory::{Memory, SIZE, SLOT, SLOTS, Word};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// Looks before a side that waits goes to sleep: without, then with giving the core up in between.
const SPINS: usize = 32;
const YIELDS: usize = 32;

/// One side of a channel over shared memory.
pub struct SharedMemory {
    memory: Memory,
    socket: UnixStream,
    /// The direction that this side fills; it reads the other one.
    own: usize,
    /// Slots that it has filled, and read.
    filled: u32,
    read: u32,
    /// Slots that the frame shown last is in, which are the other side's again with the next call.
    shown: u32,
    /// A frame of several slots.
    joined: Vec<u8>,
    patience: Option<Duration>,
}

/// What the process at the other side needs: a socket, and a file of the memory.
pub struct OtherSide {
    /// The socket.
    pub socket: OwnedFd,
    /// The memory.
    pub memory: OwnedFd,
}

impl SharedMemory {
    /// Makes a channel. The other side is for another process, which [opens](Self::open) it.
    ///
    /// # Errors
    /// If the system has no memory or no sockets left.
    pub fn pair() -> Result<(Self, OtherSide), ChannelError> {
        let memory = memfd_create("legonf", MemfdFlags::CLOEXEC).map_err(std::io::Error::from)?;
        ftruncate(&memory, SIZE as u64).map_err(std::io::Error::from)?;
        let memory = File::from(memory);
        let (ours, theirs) = UnixStream::pair()?;
        let other = OtherSide { socket: theirs.into(), memory: memory.try_clone()?.into() };
        Ok((Self::new(&memory, ours, 0)?, other))
    }

    /// Opens the other side, in another process.
    ///
    /// # Errors
    /// If these are not a socket and a memory of [`pair`](Self::pair).
    pub fn open(other: OtherSide) -> Result<Self, ChannelError> {
        Self::new(&File::from(other.memory), other.socket.into(), 1)
    }

    fn new(memory: &File, socket: UnixStream, own: usize) -> Result<Self, ChannelError> {
        let (filled, read, shown, joined) = Default::default();
        Ok(Self { memory: Memory::map(memory)?, socket, own, filled, read, shown, joined, patience: None })
    }

    /// Waits until a condition holds that the other side brings about.
    fn wait(&mut self, is_met: impl Fn(&Self) -> bool) -> Result<(), ChannelError> {
        for look in 0..SPINS + YIELDS {
            if is_met(self) {
                return Ok(());
            }
            if look < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        loop {
            let asleep = self.memory.word(1 - self.own, Word::Asleep);
            // Before the last look: the other side changes something first, and then looks whether this one sleeps.
            asleep.store(1, SeqCst);
            if is_met(self) {
                asleep.store(0, SeqCst);
                return Ok(());
            }
            match (&self.socket).read(&mut [0; 64]) {
                // What it has said before it ended counts.
                Ok(0) if is_met(self) => return Ok(()),
                Ok(0) => return Err(ChannelError::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ChannelError::of(error, self.patience)),
            }
        }
    }

    /// Wakes the other side if it sleeps.
    fn wake(&self) -> Result<(), ChannelError> {
        if self.memory.word(self.own, Word::Asleep).swap(0, SeqCst) == 0 {
            return Ok(());
        }
        (&self.socket).write_all(&[1]).map_err(|error| ChannelError::of(error, self.patience))
    }

    /// Gives the slots of the frame that was shown last back.
    fn give_back(&mut self) -> Result<(), ChannelError> {
        if self.shown == 0 {
            return Ok(());
        }
        self.read = self.read.wrapping_add(std::mem::take(&mut self.shown));
        self.memory.word(1 - self.own, Word::Read).store(self.read, SeqCst);
        self.wake()
    }

    /// Fills one slot.
    fn fill(&mut self, bytes: &[u8], goes_on: bool) -> Result<(), ChannelError> {
        self.wait(|side| {
            let read = side.memory.word(side.own, Word::Read).load(SeqCst);
            side.filled.wrapping_sub(read) < SLOTS
        })?;
        let (own, slot) = (self.own, self.filled);
        self.memory.write(own, slot, bytes);
        self.memory.word(own, Word::Bytes(slot)).store(bytes.len() as u32, SeqCst);
        self.memory.word(own, Word::GoesOn(slot)).store(u32::from(goes_on), SeqCst);
        self.filled = slot.wrapping_add(1);
        self.memory.word(own, Word::Filled).store(self.filled, SeqCst);
        self.wake()
    }

    /// Waits for the slot at this place: how many bytes are in it, and whether the frame goes on.
    fn await_slot(&mut self, slot: u32) -> Result<(usize, bool), ChannelError> {
        let other = 1 - self.own;
        self.wait(|side| side.memory.word(other, Word::Filled).load(SeqCst) != slot)?;
        let bytes = self.memory.word(other, Word::Bytes(slot)).load(SeqCst) as usize;
        let goes_on = self.memory.word(other, Word::GoesOn(slot)).load(SeqCst) != 0;
        if bytes > SLOT { Err(ChannelError::Damaged) } else { Ok((bytes, goes_on)) }
    }
}

impl Channel for SharedMemory {
    fn send(&mut self, frame: &[u8]) -> Result<(), ChannelError> {
        if frame.len() > MAX_FRAME {
            return Err(ChannelError::TooLarge(frame.len()));
        }
        self.give_back()?;
        if frame.is_empty() {
            return self.fill(frame, false);
        }
        let mut pieces = frame.chunks(SLOT).peekable();
        while let Some(piece) = pieces.next() {
            self.fill(piece, pieces.peek().is_some())?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<&[u8], ChannelError> {
        self.give_back()?;
        let (bytes, mut goes_on) = self.await_slot(self.read)?;
        self.shown = 1;
        if !goes_on {
            return Ok(self.memory.read(1 - self.own, self.read, bytes));
        }
        self.joined.clear();
        self.joined.extend_from_slice(self.memory.read(1 - self.own, self.read, bytes));
        while goes_on {
            self.give_back()?;
            let (bytes, more) = self.await_slot(self.read)?;
            (self.shown, goes_on) = (1, more);
            if self.joined.len() + bytes > MAX_FRAME {
                return Err(ChannelError::TooLarge(self.joined.len() + bytes));
            }
            self.joined.extend_from_slice(self.memory.read(1 - self.own, self.read, bytes));
        }
        Ok(&self.joined)
    }

    fn set_patience(&mut self, patience: Option<Duration>) -> Result<(), ChannelError> {
        if self.patience != patience {
            self.socket.set_read_timeout(patience)?;
            self.socket.set_write_timeout(patience)?;
            self.patience = patience;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::thread;

    fn both() -> (SharedMemory, SharedMemory) {
        let (one, other) = SharedMemory::pair().unwrap();
        (one, SharedMemory::open(other).unwrap())
    }

    /// Bytes of a length that are not those of another.
    fn frame(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at.wrapping_mul(31) ^ len) as u8).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn frames_come_whole_and_in_order(lens in prop::collection::vec(
            prop_oneof![0..10_usize, Just(SLOT - 1), Just(SLOT), Just(SLOT + 1), Just(6 * SLOT + 5)], 1..12)
        ) {
            let (mut one, mut other) = both();
            let expected = lens.clone();
            thread::scope(|scope| {
                scope.spawn(move || lens.iter().for_each(|len| one.send(&frame(*len)).unwrap()));
                for len in &expected {
                    assert!(other.receive().unwrap() == frame(*len));
                }
                assert!(matches!(other.receive(), Err(ChannelError::Closed)));
            });
        }
    }

    #[test]
    fn calls_are_answered_whoever_sleeps() {
        let (mut one, mut other) = both();
        thread::scope(|scope| {
            scope.spawn(move || {
                while let Ok(frame) = other.receive().map(<[u8]>::to_vec) {
                    if frame.len() % 7 == 3 {
                        thread::sleep(Duration::from_millis(3));
                    }
                    other.send(&frame).unwrap();
                }
            });
            for len in 0..300 {
                one.send(&frame(len)).unwrap();
                if len % 11 == 5 {
                    thread::sleep(Duration::from_millis(3));
                }
                assert_eq!(one.receive().unwrap(), frame(len));
            }
            drop(one);
        });
    }

    #[test]
    fn who_does_not_answer_is_late_and_who_is_gone_is_gone() {
        let (mut one, other) = both();
        one.set_patience(Some(Duration::from_millis(20))).unwrap();
        assert!(matches!(one.receive(), Err(ChannelError::Late(_))));
        (0..SLOTS).for_each(|_| one.send(b"x").unwrap());
        assert!(matches!(one.send(b"one more than there is room for"), Err(ChannelError::Late(_))));
        drop(other);
        assert!(matches!(one.receive(), Err(ChannelError::Closed)));
    }

    #[test]
    fn memory_that_is_too_small_is_refused() {
        let (_, other) = SharedMemory::pair().unwrap();
        let memory = File::from(other.memory.try_clone().unwrap());
        memory.set_len(4096).unwrap();
        assert!(matches!(SharedMemory::open(other), Err(ChannelError::System(_))));
    }
}
