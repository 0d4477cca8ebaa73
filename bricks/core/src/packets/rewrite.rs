//! Packets whose bytes change.
//!
//! A packet that nothing is pushed before has no room before it, and costs nothing for that. One that needs room is moved to the
//! end of the arena once, with [`HEADROOM`] to spare.

use super::{LinkType, PacketRecord, Packets};
use crate::Timestamp;

/// Bytes that a packet which had to be moved has before it, beside those that were asked for.
const HEADROOM: usize = 64;

impl Packets {
    /// The captured bytes of packet `index`, to be changed in place.
    ///
    /// # Panics
    /// If `index` is out of range.
    #[inline]
    pub fn bytes_mut(&mut self, index: usize) -> &mut [u8] {
        let record = &self.records[index];
        &mut self.arena[record.offset as usize..][..record.len as usize]
    }

    /// Puts `count` bytes before packet `index`, zeros to be written by the caller. Its length on the wire grows by as many.
    ///
    /// # Panics
    /// If `index` is out of range, or the arena of one batch would exceed 4 GiB.
    pub fn push_front(&mut self, index: usize, count: usize) -> &mut [u8] {
        if self.room_before(index) < count {
            self.relocate(index, count + HEADROOM);
        }
        let grown = length(count);
        self.headroom[index] -= grown;
        let record = &mut self.records[index];
        record.offset -= grown;
        record.len += grown;
        record.wire_len = record.wire_len.saturating_add(grown);
        let front = &mut self.arena[record.offset as usize..][..count];
        front.fill(0);
        front
    }

    /// Takes the first `count` captured bytes off packet `index`. Its length on the wire shrinks by as many.
    ///
    /// # Panics
    /// If `index` is out of range, or the packet has fewer captured bytes.
    pub fn pull_front(&mut self, index: usize, count: usize) {
        let record = &mut self.records[index];
        assert!(count <= record.len as usize, "{count} bytes of a packet of {}", record.len);
        let shrunk = length(count);
        record.offset += shrunk;
        record.len -= shrunk;
        record.wire_len = record.wire_len.saturating_sub(shrunk);
        self.know_headroom();
        self.headroom[index] += shrunk;
    }

    /// Makes packet `index` have `len` captured bytes: takes the last ones off, or appends zeros. Its length on the wire changes by
    /// as many.
    ///
    /// # Panics
    /// As [`push_front`](Self::push_front).
    pub fn resize(&mut self, index: usize, len: usize) {
        let (old, new) = (self.records[index].len, length(len));
        if new > old {
            self.grow(index, (new - old) as usize);
        }
        let record = &mut self.records[index];
        record.len = new;
        record.wire_len = record.wire_len.saturating_add(new.saturating_sub(old));
        record.wire_len = record.wire_len.saturating_sub(old.saturating_sub(new));
    }

    /// Makes room for zeros behind a packet.
    fn grow(&mut self, index: usize, count: usize) {
        let record = self.records[index];
        if record.offset as usize + record.len as usize != self.arena.len() {
            self.relocate(index, HEADROOM);
        }
        let end = self.arena.len() + count;
        length(end);
        self.arena.resize(end, 0);
    }

    /// Moves a packet to the end of the arena, with so many bytes before it.
    fn relocate(&mut self, index: usize, before: usize) {
        self.know_headroom();
        let (from, start) = (self.range(index), self.arena.len() + before);
        length(start + from.len());
        self.arena.resize(start, 0);
        self.arena.extend_from_within(from);
        self.records[index].offset = length(start);
        self.headroom[index] = length(before);
    }

    /// Puts another packet in the place of packet `index`.
    pub(crate) fn replace(&mut self, index: usize, packet: &PacketRecord, bytes: &[u8]) {
        let len = length(bytes.len());
        let mut offset = self.records[index].offset;
        if len <= self.records[index].len {
            self.arena[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        } else {
            offset = length(self.arena.len());
            length(self.arena.len() + bytes.len());
            self.arena.extend_from_slice(bytes);
            self.headroom.get_mut(index).into_iter().for_each(|room| *room = 0);
        }
        self.records[index] = PacketRecord { offset, len, ..*packet };
    }

    /// Makes there be `len` packets at least; new ones have no bytes.
    pub(crate) fn extend_to(&mut self, len: usize) {
        while self.records.len() < len {
            self.push(0, Timestamp::default(), 0, LinkType::default(), &[]);
        }
    }

    /// Bytes before a packet that are free for it.
    fn room_before(&self, index: usize) -> usize {
        self.headroom.get(index).map_or(0, |room| *room as usize)
    }

    /// Makes there be a headroom for every packet.
    fn know_headroom(&mut self) {
        self.headroom.resize(self.records.len(), 0);
    }
}

/// A length or a place in the arena.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a batch holds less than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Packets {
        let mut packets = Packets::default();
        for (seq, bytes) in [&[1, 2][..], &[3, 4, 5], &[6]].into_iter().enumerate() {
            let wire_len = 100 + bytes.len() as u32;
            packets.push(seq as u64, Timestamp::default(), wire_len, LinkType::Ethernet, bytes);
        }
        packets
    }

    fn all(packets: &Packets) -> Vec<(u64, u32, Vec<u8>)> {
        packets.iter().map(|(record, bytes)| (record.seq, record.wire_len, bytes.to_vec())).collect()
    }

    #[test]
    fn bytes_are_pushed_before_and_pulled_off_one_packet() {
        let mut packets = three();
        packets.push_front(1, 2).copy_from_slice(&[8, 9]);
        packets.pull_front(0, 1);
        assert_eq!(all(&packets), [(0, 101, vec![2]), (1, 105, vec![8, 9, 3, 4, 5]), (2, 101, vec![6])]);
        // What was pulled off is room, without a move; and zeros are what is found there.
        let place = packets.bytes(0).as_ptr();
        assert_eq!(packets.push_front(0, 1), [0]);
        assert_eq!((packets.bytes(0), packets.bytes(0)[1..].as_ptr()), (&[0, 2][..], place));
        packets.pull_front(1, 5);
        assert_eq!(packets.record(1).captured_len(), 0);
        packets.push_front(1, 500)[499] = 7;
        assert_eq!((packets.record(1).wire_len, packets.bytes(1)[499]), (600, 7));
        packets.bytes_mut(2)[0] = 5;
        packets.push(3, Timestamp::default(), 1, LinkType::Null, &[1]);
        packets.pull_front(3, 1);
        assert_eq!((packets.bytes(2), packets.bytes(3)), (&[5][..], &[][..]));
    }

    #[test]
    fn the_end_is_cut_and_grows_with_zeros() {
        let mut packets = three();
        packets.resize(1, 1);
        packets.resize(0, 4);
        packets.resize(2, 2);
        assert_eq!(all(&packets), [(0, 104, vec![1, 2, 0, 0]), (1, 101, vec![3]), (2, 102, vec![6, 0])]);
        packets.resize(2, 0);
        packets.resize(2, 3);
        assert_eq!((packets.bytes(2), packets.record(2).wire_len), (&[0, 0, 0][..], 103));
        let mut lying = Packets::default();
        lying.push(0, Timestamp::default(), 1, LinkType::Ethernet, &[1, 2, 3]);
        lying.pull_front(0, 2);
        assert_eq!(lying.record(0).wire_len, 0);
    }

    #[test]
    fn what_was_cut_off_does_not_come_back() {
        let mut packets = three();
        packets.resize(2, 0);
        packets.resize(2, 1);
        assert_eq!(packets.bytes(2), [0]);
    }

    #[test]
    #[should_panic(expected = "3 bytes of a packet of 2")]
    fn no_more_is_pulled_off_than_there_is() {
        three().pull_front(0, 3);
    }

    #[test]
    fn in_steady_state_nothing_is_allocated() {
        let mut packets = Packets::default();
        let mut memory = None;
        for _ in 0..3 {
            packets.clear();
            for seq in 0..256 {
                packets.push(seq, Timestamp::default(), 60, LinkType::Ethernet, &[7; 60]);
            }
            for index in 0..256 {
                packets.push_front(index, 4).fill(9);
                packets.pull_front(index, 2);
                packets.resize(index, 66);
            }
            let arena = (packets.arena.as_ptr(), packets.arena.capacity());
            let now = (arena, packets.headroom.as_ptr(), packets.headroom.capacity());
            assert_eq!(*memory.get_or_insert(now), now);
        }
    }
}
