//! Raw packets of a batch: one arena of bytes and a record for each packet.

mod rewrite;

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Link-layer framing of a captured packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum LinkType {
    /// Ethernet II or IEEE 802.3 (LINKTYPE 1).
    #[default]
    Ethernet,
    /// Raw IPv4 or IPv6, told apart by the version nibble (LINKTYPE 101, 12, 14, 228, 229).
    RawIp,
    /// BSD loopback: a 4-byte address family in either byte order (LINKTYPE 0 and 108).
    Null,
    /// Linux cooked capture v1 (LINKTYPE 113).
    LinuxSll,
    /// Linux cooked capture v2 (LINKTYPE 276).
    LinuxSll2,
    /// PPP, with or without the address and control of HDLC-like framing (LINKTYPE 9 and 50).
    Ppp,
    /// PPP behind a byte that tells the direction (LINKTYPE 204).
    PppWithDirection,
    /// PPP of Linux's pppd, the direction in place of the address (LINKTYPE 166).
    Pppd,
    /// A PPPoE session (LINKTYPE 51).
    PppoeSession,
    /// Cisco HDLC (LINKTYPE 104).
    CiscoHdlc,
    /// Frame Relay (LINKTYPE 107).
    FrameRelay,
    /// LLC and SNAP alone, as in ATM's RFC 1483 (LINKTYPE 100).
    Llc,
    /// FDDI (LINKTYPE 10).
    Fddi,
    /// IEEE 802.11 (LINKTYPE 105).
    Wlan,
    /// IEEE 802.11 behind a radiotap header (LINKTYPE 127).
    Radiotap,
    /// IEEE 802.11 behind a Prism or an AVS header (LINKTYPE 119).
    Prism,
    /// IEEE 802.11 behind an AVS header (LINKTYPE 163).
    Avs,
    /// Per-packet information before a packet of a link type that it names (LINKTYPE 192).
    Ppi,
    /// Linux's netfilter log (LINKTYPE 239).
    NfLog,
    /// OpenBSD's packet filter log (LINKTYPE 117).
    PfLog,
    /// OpenBSD's view into IPsec (LINKTYPE 109).
    Enc,
    /// Apple's IP over IEEE 1394 (LINKTYPE 138).
    Ieee1394,
    /// One that is not parsed, by its number in capture files. Only files whose interfaces differ have such packets.
    Unread(u16),
}

/// One captured packet of [`Packets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketRecord {
    /// Arrival number: 0 for the first packet of a run; never reused, never skipped.
    pub seq: u64,
    /// Capture time.
    pub timestamp: Timestamp,
    /// Length on the wire in bytes, as the capture states it.
    pub wire_len: u32,
    /// Nanoseconds from the time stamp to the packet's stream time; see [`Headers::shift`](crate::Headers::shift).
    pub shift: i64,
    /// Framing of the bytes.
    pub link: LinkType,
    offset: u32,
    len: u32,
}

impl PacketRecord {
    /// Captured length in bytes.
    pub fn captured_len(&self) -> u32 {
        self.len
    }

    /// As [`Headers::stream_time`](crate::Headers::stream_time).
    pub fn stream_time(&self) -> Timestamp {
        Timestamp::from_nanos(self.timestamp.as_nanos().wrapping_add(self.shift))
    }
}

/// The raw packets of one batch, in arrival order.
///
/// The arena is reused from batch to batch, so that in steady state no packet allocates. A brick that declares to fill
/// [`ColumnSpec::PACKETS`](crate::ColumnSpec::PACKETS) may change bytes in place, and push some in front:
///
/// ```
/// use legonf_core::{LinkType, Packets, Timestamp};
///
/// let mut packets = Packets::default();
/// packets.push(0, Timestamp::default(), 60, LinkType::RawIp, &[0x45, 0, 0, 20]);
/// packets.bytes_mut(0)[1] = 0x20;
/// packets.push_front(0, 2).copy_from_slice(&[0x88, 0x64]);
/// assert_eq!(packets.bytes(0), [0x88, 0x64, 0x45, 0x20, 0, 20]);
/// assert_eq!(packets.record(0).wire_len, 62);
/// packets.pull_front(0, 2);
/// assert_eq!(packets.record(0).wire_len, 60);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Packets {
    arena: Vec<u8>,
    records: Vec<PacketRecord>,
    /// Bytes before each packet that are free for it; of none where no packet was changed, and of the first ones alone where
    /// others came behind that.
    headroom: Vec<u32>,
}

impl Packets {
    /// Forgets every packet and keeps the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.records.clear();
        self.headroom.clear();
    }

    /// Appends a packet, copying its captured bytes.
    ///
    /// # Panics
    /// If the arena of one batch would exceed 4 GiB.
    #[inline]
    pub fn push(&mut self, seq: u64, timestamp: Timestamp, wire_len: u32, link: LinkType, bytes: &[u8]) {
        let offset = u32::try_from(self.arena.len()).expect("a batch holds less than 4 GiB");
        let len = u32::try_from(bytes.len()).expect("a packet is shorter than 4 GiB");
        self.arena.extend_from_slice(bytes);
        self.records.push(PacketRecord { seq, timestamp, wire_len, shift: 0, link, offset, len });
    }

    /// Appends a packet of another batch, copying its captured bytes.
    ///
    /// # Panics
    /// As [`push`](Self::push).
    pub fn push_copy(&mut self, record: &PacketRecord, bytes: &[u8]) {
        self.push(record.seq, record.timestamp, record.wire_len, record.link, bytes);
        self.shift_last(record.shift);
    }

    /// Sets the shift of the last packet.
    pub(crate) fn shift_last(&mut self, shift: i64) {
        if let Some(last) = self.records.last_mut() {
            last.shift = shift;
        }
    }

    /// Sets the shift of each packet, in order, to what `shift` gives for its number and time stamp.
    pub(crate) fn shift_each(&mut self, mut shift: impl FnMut(u64, Timestamp) -> i64) {
        self.records.iter_mut().for_each(|record| record.shift = shift(record.seq, record.timestamp));
    }

    /// Takes out the packets for which `keep` is false, as a source does before any brick sees them; bytes of those stay in the
    /// arena until it is cleared.
    pub fn retain(&mut self, mut keep: impl FnMut(&PacketRecord, &[u8]) -> bool) {
        debug_assert!(self.headroom.is_empty(), "no brick has changed a packet");
        let arena = &self.arena;
        self.records.retain(|r| keep(r, &arena[r.offset as usize..][..r.len as usize]));
    }

    /// Numbers the packets anew, from `first` on.
    pub(crate) fn renumber(&mut self, first: u64) {
        self.records.iter_mut().zip(first..).for_each(|(record, seq)| record.seq = seq);
    }

    /// Number of packets.
    #[inline]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no packet.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The record of packet `index`.
    ///
    /// # Panics
    /// If `index` is out of range.
    #[inline]
    pub fn record(&self, index: usize) -> &PacketRecord {
        &self.records[index]
    }

    /// The captured bytes of packet `index`.
    ///
    /// # Panics
    /// If `index` is out of range.
    #[inline]
    pub fn bytes(&self, index: usize) -> &[u8] {
        &self.arena[self.range(index)]
    }

    /// Where the bytes of a packet are in the arena.
    #[inline]
    fn range(&self, index: usize) -> Range<usize> {
        let PacketRecord { offset, len, .. } = self.records[index];
        offset as usize..offset as usize + len as usize
    }

    /// Records with their captured bytes, in arrival order.
    pub fn iter(&self) -> impl Iterator<Item = (&PacketRecord, &[u8])> {
        self.records.iter().map(|r| (r, &self.arena[r.offset as usize..][..r.len as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_belong_to_their_packet() {
        let mut packets = Packets::default();
        packets.push(0, Timestamp::default(), 60, LinkType::Ethernet, &[1, 2]);
        packets.push(1, Timestamp::default(), 0, LinkType::RawIp, &[]);
        packets.push(2, Timestamp::default(), 3, LinkType::Null, &[3, 4, 5]);
        let seen: Vec<_> = packets.iter().map(|(r, b)| (r.seq, b.to_vec())).collect();
        assert_eq!(seen, [(0, vec![1, 2]), (1, vec![]), (2, vec![3, 4, 5])]);
        assert_eq!(packets.bytes(2), [3, 4, 5]);
        packets.retain(|record, bytes| record.seq == 0 || bytes.len() == 3);
        packets.renumber(7);
        let seen: Vec<_> = packets.iter().map(|(r, b)| (r.seq, b.to_vec())).collect();
        assert_eq!(seen, [(7, vec![1, 2]), (8, vec![3, 4, 5])]);
        packets.clear();
        assert!(packets.is_empty());
    }
}
