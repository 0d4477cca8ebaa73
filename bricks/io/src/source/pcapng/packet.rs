//! The three kinds of packet blocks.

use super::interface::Interface;
use super::{HEAD, MAX_BLOCK, TAIL};
use crate::error::SourceErrorKind;
use crate::source::MAX_CAPTURED;
use crate::source::order::Order;
use crate::source::pcap::too_long;
use legonf_core::{LinkType, Timestamp};

/// The number of an enhanced packet block.
const ENHANCED: u32 = 6;

/// A kind of packet block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// With interface, time and both lengths.
    Enhanced,
    /// Of interface 0, without a time.
    Simple,
    /// What the enhanced one replaced.
    Obsolete,
}

impl Kind {
    /// The kind of block type `number`, if it is a packet's.
    #[inline]
    pub(super) fn of(number: u32) -> Option<Self> {
        match number {
            ENHANCED => Some(Self::Enhanced),
            3 => Some(Self::Simple),
            2 => Some(Self::Obsolete),
            _ => None,
        }
    }

    /// The shortest such block in bytes.
    #[inline]
    pub(super) fn min_block(self) -> u32 {
        (HEAD + TAIL + self.fixed()) as u32
    }

    /// Bytes of the body before the captured ones.
    #[inline]
    fn fixed(self) -> usize {
        if self == Self::Simple { 4 } else { 20 }
    }
}

/// A packet as its block has it.
pub(super) struct Packet<'a> {
    pub(super) timestamp: Timestamp,
    pub(super) original: u32,
    pub(super) link: LinkType,
    pub(super) bytes: &'a [u8],
}

/// Why a packet block cannot be used.
#[derive(Debug)]
pub(super) enum BlockFault {
    TooLong(u32),
    Interface(u32, usize),
    Overrun(u32, usize),
}

impl BlockFault {
    /// This fault of packet `seq`, whose block begins at `offset`.
    #[cold]
    pub(super) fn at(self, seq: u64, offset: u64) -> SourceErrorKind {
        let reason = match self {
            Self::TooLong(captured) => return too_long(seq, offset, captured),
            Self::Interface(id, known) => {
                format!("it is of interface {id}, but its section has described {known} so far")
            }
            Self::Overrun(captured, room) => {
                format!("captured length {captured} does not fit into its block, which has {room} bytes")
            }
        };
        SourceErrorKind::Corrupt { part: format!("packet {seq}"), offset, reason }
    }
}

/// The packet of the enhanced block at the start of `bytes` and the length of the block, or `None` where the block is of
/// another kind or not whole, or anything about it is unusual or wrong: then [`parse`] is to say what.
#[inline(always)]
pub(super) fn usual<'a>(
    order: Order,
    interfaces: &[Interface],
    bytes: &'a [u8],
) -> Option<(usize, Packet<'a>)> {
    let head = bytes.first_chunk::<{ HEAD + 20 }>()?;
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (len, captured) = (word(4), word(20) as usize);
    let block = bytes.get(..len as usize)?;
    let (body, tail) = block.split_last_chunk::<TAIL>()?;
    let interface = interfaces.get(word(8) as usize)?;
    let timestamp = interface.clock.usual_timestamp(u64::from(word(12)) << 32 | u64::from(word(16)))?;
    let is_sound = (order == Order::Little)
        & (word(0) == ENHANCED)
        & (u32::from_le_bytes(*tail) == len)
        & len.is_multiple_of(4)
        & (len <= MAX_BLOCK)
        & (captured <= MAX_CAPTURED as usize);
    let bytes = body.get(HEAD + 20..)?.get(..captured)?;
    is_sound.then_some((len as usize, Packet { timestamp, original: word(24), link: interface.link, bytes }))
}

/// Reads a whole block, at least [`Kind::min_block`] bytes long. A packet without a time gets `last`, the time of
/// the packet before it.
#[inline]
pub(super) fn parse<'a>(
    kind: Kind,
    order: Order,
    interfaces: &[Interface],
    block: &'a [u8],
    last: Timestamp,
) -> Result<Packet<'a>, BlockFault> {
    let body = &block[HEAD..block.len() - TAIL];
    let (fixed, room) = body.split_at(kind.fixed());
    let id = match kind {
        Kind::Enhanced => order.u32(fixed),
        Kind::Obsolete => u32::from(order.u16(fixed)),
        Kind::Simple => 0,
    };
    let interface = interfaces.get(id as usize).ok_or(BlockFault::Interface(id, interfaces.len()))?;
    let (timestamp, captured, original) = match kind {
        Kind::Simple => {
            let original = order.u32(fixed);
            (last, original.min(interface.snap_len).min(room.len() as u32), original)
        }
        _ => {
            let ticks = u64::from(order.u32(&fixed[4..])) << 32 | u64::from(order.u32(&fixed[8..]));
            (interface.clock.timestamp(ticks), order.u32(&fixed[12..]), order.u32(&fixed[16..]))
        }
    };
    if captured > MAX_CAPTURED {
        return Err(BlockFault::TooLong(captured));
    }
    let bytes = room.get(..captured as usize).ok_or(BlockFault::Overrun(captured, room.len()))?;
    Ok(Packet { timestamp, original, link: interface.link, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An interface description of Ethernet with a clock of this resolution.
    fn interface(resolution: u8) -> Interface {
        let options = [9, 0, 1, 0, resolution, 0, 0, 0];
        Interface::parse(Order::Little, &[&[1, 0, 0, 0, 0, 0, 0, 0][..], &options].concat()).unwrap()
    }

    fn block(words: [u32; 7], captured: usize, tail: u32) -> Vec<u8> {
        let mut block: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        block.extend((0..captured).map(|i| i as u8));
        block.extend(tail.to_le_bytes());
        block
    }

    #[test]
    fn the_usual_block_is_taken_at_once() {
        let bytes = block([6, 36, 0, 0x5_0000, 7, 3, 1500], 4, 36);
        let (len, packet) = usual(Order::Little, &[interface(6)], &bytes).unwrap();
        assert_eq!((len, packet.bytes, packet.original), (36, &[0, 1, 2][..], 1500));
        assert_eq!(packet.timestamp.as_nanos(), ((0x5_0000 << 32) + 7) * 1000);
        assert!(usual(Order::Big, &[interface(6)], &bytes).is_none());
        assert!(usual(Order::Little, &[], &bytes).is_none());
        assert!(usual(Order::Little, &[interface(6)], &bytes[..35]).is_none());
    }

    proptest! {
        #[test]
        fn the_usual_way_leads_to_the_same_packet(
            kind in prop_oneof![9 => Just(6_u32), 1 => 0..8_u32],
            id in 0..3_u32,
            time in (0..0x8_0000_u32, any::<u32>()),
            captured in 0..70_usize,
            resolution in prop_oneof![Just(6_u8), Just(9), any::<u8>()],
            off in (prop_oneof![8 => Just(0_i64), 1 => -9..9_i64], prop_oneof![8 => Just(0_i64), 1 => -9..9_i64]),
        ) {
            let len = 32 + captured.next_multiple_of(4) as u32;
            let stated = len.saturating_add_signed(off.0 as i32);
            let held = (captured as u32).saturating_add_signed(off.1 as i32);
            let words = [kind, stated, id, time.0, time.1, held, 1500];
            let bytes = block(words, captured.next_multiple_of(4), len);
            let interfaces = [interface(6), interface(resolution)];
            if let Some((found, packet)) = usual(Order::Little, &interfaces, &bytes) {
                prop_assert_eq!((found, kind, stated), (len as usize, 6, len));
                let last = Timestamp::default();
                let general = parse(Kind::Enhanced, Order::Little, &interfaces, &bytes, last).unwrap();
                prop_assert_eq!(packet.bytes, general.bytes);
                prop_assert_eq!(
                    (packet.timestamp, packet.original, packet.link),
                    (general.timestamp, general.original, general.link)
                );
            } else {
                let is_usual = kind == 6 && off == (0, 0) && id == 0;
                prop_assert!(!is_usual);
            }
        }
    }
}
