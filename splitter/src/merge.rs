//! Puts the answers of replicas back into arrival order.

use std::fmt;
use std::time::Duration;

/// The most parts that an answer can have.
const PARTS: usize = 16;

/// A packet whose answer is being put together.
#[derive(Clone, Debug)]
struct Entry<T> {
    /// Parts that have not come, a bit each.
    missing: u16,
    /// The replica that each part comes from.
    replicas: [u16; PARTS],
    answer: T,
}

/// Joins the parts of answers by arrival number, and gives the answers out in arrival order.
///
/// Packets are [expected](Self::expect) in arrival order when they are dispatched; their parts are
/// [delivered](Self::deliver) in any order, from any number of replicas. The window bounds the memory: when it is full
/// nothing more can be expected before the oldest packet is complete. Parts that come again, as when a replica is
/// replayed after a failure, are dropped and counted.
#[derive(Debug)]
pub struct Merge<T> {
    window: Vec<Entry<T>>,
    /// Arrival number of the oldest packet that was not given out.
    next: u64,
    /// One past the last that is expected.
    end: u64,
    repeated: u64,
    /// The packet that is waited for, and since when.
    waiting: Option<(u64, Duration)>,
}

/// The window is full: the oldest packet is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the merge waits for packet {seq}, and {window} packets are waiting behind it: no more before it is complete"
)]
pub struct Full {
    /// The packet.
    pub seq: u64,
    /// Packets that the window holds.
    pub window: usize,
}

/// What the merge has waited for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// Arrival number of the packet.
    pub seq: u64,
    /// For how long.
    pub waited: Duration,
    /// Packets that wait behind it.
    pub behind: u64,
    /// Its missing parts, and the replica from which each should come.
    pub missing: Vec<(usize, u16)>,
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list: Vec<_> =
            self.missing.iter().map(|(part, r)| format!("part {part} from replica {r}")).collect();
        let (seconds, missing) = (self.waited.as_secs_f64(), list.join(", "));
        write!(
            f,
            "packet {} is waited for since {seconds:.1} s: {missing}; {} packets wait behind it",
            self.seq, self.behind
        )
    }
}

impl<T: Clone> Merge<T> {
    /// A merge that holds at most `window` packets, with memory for their answers made from `empty`.
    ///
    /// # Panics
    /// If the window is no power of two.
    pub fn new(window: usize, empty: T) -> Self {
        assert!(window.is_power_of_two(), "a power of two packets");
        let entry = Entry { missing: 0, replicas: [0; PARTS], answer: empty };
        Self { window: vec![entry; window], next: 0, end: 0, repeated: 0, waiting: None }
    }

    /// Announces the next packet in arrival order, with the parts of its answer and the replica of each. Returns its
    /// arrival number and the memory for its answer, which holds what it held last.
    ///
    /// # Errors
    /// [`Full`] if the window is.
    ///
    /// # Panics
    /// If a part's number is 16 or more.
    pub fn expect(&mut self, parts: impl Iterator<Item = (usize, u16)>) -> Result<(u64, &mut T), Full> {
        let window = self.window.len();
        if self.end - self.next == window as u64 {
            return Err(Full { seq: self.next, window });
        }
        let seq = self.end;
        self.end += 1;
        let at = self.at(seq);
        let entry = &mut self.window[at];
        entry.missing = 0;
        for (part, replica) in parts {
            entry.missing |= 1 << part;
            entry.replicas[part] = replica;
        }
        Ok((seq, &mut entry.answer))
    }

    /// Takes parts of a packet's answer, a bit each. Returns those of them that were missing, and the memory to write
    /// them to; `None` if none was.
    pub fn deliver(&mut self, seq: u64, parts: u16) -> Option<(u16, &mut T)> {
        let at = self.at(seq);
        let entry = &mut self.window[at];
        let missing = if (self.next..self.end).contains(&seq) { entry.missing & parts } else { 0 };
        if missing != parts {
            self.repeated += 1;
        }
        if missing == 0 {
            return None;
        }
        entry.missing &= !missing;
        Some((missing, &mut entry.answer))
    }

    /// The next packet in arrival order with its answer, if that is complete.
    pub fn next_complete(&mut self) -> Option<(u64, &mut T)> {
        let (seq, at) = (self.next, self.at(self.next));
        let entry = &mut self.window[at];
        if seq == self.end || entry.missing != 0 {
            return None;
        }
        self.next += 1;
        Some((seq, &mut entry.answer))
    }

    /// What is waited for since `patience` or longer. `now` is any clock that does not run back; calls that are far
    /// apart see a wait later, never too early.
    pub fn stall(&mut self, now: Duration, patience: Duration) -> Option<Stall> {
        if self.next == self.end {
            self.waiting = None;
            return None;
        }
        let since = match self.waiting {
            Some((seq, since)) if seq == self.next => since,
            _ => self.waiting.insert((self.next, now)).1,
        };
        let waited = now.saturating_sub(since);
        let entry = &self.window[self.at(self.next)];
        if waited < patience || entry.missing == 0 {
            return None;
        }
        let missing = (0..PARTS).filter(|part| entry.missing & 1 << part != 0);
        let missing = missing.map(|part| (part, entry.replicas[part])).collect();
        Some(Stall { seq: self.next, waited, behind: self.end - self.next - 1, missing })
    }

    /// The place of a packet in the window.
    fn at(&self, seq: u64) -> usize {
        seq as usize & (self.window.len() - 1)
    }

    /// Packets that were expected and not given out.
    pub fn pending(&self) -> u64 {
        self.end - self.next
    }

    /// Deliveries with a part that had come before, or that was not expected.
    pub fn repeated(&self) -> u64 {
        self.repeated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_parts(merge: &mut Merge<u32>, replicas: [u16; 2]) -> u64 {
        let (seq, answer) = merge.expect(replicas.into_iter().enumerate()).unwrap();
        *answer = 0;
        seq
    }

    #[test]
    fn answers_come_in_arrival_order_when_they_are_complete() {
        let mut merge = Merge::new(4, 0);
        for seq in 0..3 {
            assert_eq!(two_parts(&mut merge, [seq as u16, 9]), seq);
        }
        for (seq, parts) in [(2, 0b11), (1, 0b01), (0, 0b10)] {
            let (new, answer) = merge.deliver(seq, parts).unwrap();
            assert_eq!(new, parts);
            *answer += u32::from(parts);
        }
        assert!(merge.next_complete().is_none());
        merge.deliver(0, 0b01);
        assert_eq!(merge.next_complete().unwrap().0, 0);
        assert!(merge.next_complete().is_none());
        merge.deliver(1, 0b10);
        assert_eq!([merge.next_complete().unwrap().0, merge.next_complete().unwrap().0], [1, 2]);
        assert!(merge.next_complete().is_none());
        assert_eq!((merge.pending(), merge.repeated()), (0, 0));
    }

    #[test]
    fn the_window_bounds_the_memory() {
        let mut merge = Merge::new(2, 0);
        (0..2).for_each(|seq| assert_eq!(two_parts(&mut merge, [0, 1]), seq));
        let full = merge.expect([(0, 0)].into_iter()).unwrap_err();
        assert_eq!(full, Full { seq: 0, window: 2 });
        assert!(full.to_string().contains("waits for packet 0, and 2 packets"));
        merge.deliver(0, 0b11);
        assert!(merge.next_complete().is_some() && merge.expect([(0, 0)].into_iter()).is_ok());
    }

    #[test]
    fn what_comes_again_or_unannounced_is_dropped_and_counted() {
        let mut merge = Merge::new(4, 0);
        two_parts(&mut merge, [0, 1]);
        assert!(merge.deliver(0, 0b01).is_some());
        assert!(merge.deliver(0, 0b01).is_none());
        assert_eq!(merge.deliver(0, 0b11).unwrap().0, 0b10);
        merge.next_complete();
        assert!(merge.deliver(0, 0b11).is_none() && merge.deliver(7, 1).is_none());
        assert_eq!(merge.repeated(), 4);
    }

    #[test]
    fn a_long_wait_names_the_packet_the_part_and_the_replica() {
        let (mut merge, second) = (Merge::new(8, 0), Duration::from_secs(1));
        assert_eq!(merge.stall(Duration::ZERO, second), None);
        (0..3).for_each(|seq| assert_eq!(two_parts(&mut merge, [4, 5]), seq));
        merge.deliver(0, 0b01);
        assert_eq!(merge.stall(second * 5, second), None);
        let stall = merge.stall(second * 7, second).unwrap();
        assert_eq!(
            (stall.seq, stall.waited, stall.behind, &stall.missing[..]),
            (0, second * 2, 2, &[(1, 5)][..])
        );
        let expected = "packet 0 is waited for since 2.0 s: part 1 from replica 5; 2 packets wait behind it";
        assert_eq!(stall.to_string(), expected);
        // Another packet is waited for from when it is looked at.
        merge.deliver(0, 0b10);
        merge.next_complete();
        assert_eq!(merge.stall(second * 8, second), None);
    }
}
