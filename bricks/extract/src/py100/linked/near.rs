//! Which of a table's first streams are linked with which.
//!
//! Among few streams of which most are linked, nearly every logged event concerns a given stream. There a row of bits
//! for each stream says which ones do, and its peers need not be told of each other's packets.

use super::log::Log;

/// The most streams that may have a row.
pub(in crate::py100) const NEAR: u32 = 1024;
/// How many looks in vain a stream may have behind it before it is told by lists.
pub(in crate::py100) const PATIENCE: u32 = 512;
/// Events that are looked at together.
pub(super) const SPAN: usize = 512;

/// Words of a row: some more than it has bits for, so that what stands for any other stream is in range.
const WORDS: usize = 2 * NEAR as usize / 64;

/// A row of bits for each of the first streams.
#[derive(Clone, Debug)]
pub(super) struct Near {
    rows: Vec<[u64; WORDS]>,
    most: u32,
}

impl Near {
    /// Rows for the first `most` streams, but not for more than [`NEAR`].
    pub(super) fn new(most: u32) -> Self {
        Self { rows: Vec::new(), most: most.min(NEAR) }
    }

    /// Whether a stream has a row.
    pub(super) fn covers(&self, id: u32) -> bool {
        id < self.most
    }

    /// Forgets every link.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    /// Notes that two different streams are linked, if both have rows.
    pub(super) fn join(&mut self, ends: [u32; 2]) {
        let [a, b] = ends;
        if self.covers(a.max(b)) {
            self.rows.resize(self.rows.len().max(a.max(b) as usize + 1), [0; WORDS]);
            self.rows[a as usize][b as usize / 64] |= 1 << (b % 64);
            self.rows[b as usize][a as usize / 64] |= 1 << (a % 64);
        }
    }

    /// Collects the events behind `after` up to `last`, at most [`SPAN`], that streams linked with `id` have sent, and
    /// returns how many.
    #[inline(always)]
    pub(super) fn gather(&self, id: u32, log: &Log, after: u32, last: u32, into: &mut [u32; SPAN]) -> usize {
        let Some(row) = self.rows.get(id as usize) else { return 0 };
        let mut many = 0;
        for (event, &sender) in (after + 1..).zip(log.senders(after, last)) {
            into[many % SPAN] = event;
            many += (row[usize::from(sender) / 64 % WORDS] >> (sender % 64)) as usize & 1;
        }
        many
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<[u64; WORDS]>()
    }

    /// The most bytes that it can take.
    pub(super) fn max_bytes() -> usize {
        2 * NEAR as usize * size_of::<[u64; WORDS]>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::log::{Event, NONE};
    use super::*;

    #[test]
    fn events_of_linked_streams_are_gathered() {
        let (mut near, mut log) = (Near::new(NEAR), Log::new());
        for ends in [[3, 70], [3, 1023], [5, 3], [3, 1024], [6, 7]] {
            near.join(ends);
        }
        for sender in [70, 3, 1023, 6, 1024, 5, 70, 2047, 4096 + 70] {
            log.push(Event { time: 0.0, sender, before: NONE }, Default::default());
        }
        let mut events = [0; SPAN];
        let many = near.gather(3, &log, 0, 9, &mut events);
        assert_eq!(events[..many], [1, 3, 6, 7]);
        let many = near.gather(3, &log, 1, 6, &mut events);
        assert_eq!(events[..many], [3, 6]);
        assert_eq!(near.gather(1023, &log, 0, 9, &mut events), 1);
        assert_eq!(
            (near.gather(900, &log, 0, 9, &mut events), near.gather(2000, &log, 0, 9, &mut events)),
            (0, 0)
        );
        assert!(near.bytes() <= Near::max_bytes());
    }
}
