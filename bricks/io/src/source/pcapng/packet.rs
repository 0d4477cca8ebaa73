//! The three kinds of packet blocks.

use super::interface::Interface;
use super::{HEAD, TAIL};
use crate::error::SourceErrorKind;
use crate::linktype;
use crate::source::MAX_CAPTURED;
use crate::source::order::Order;
use crate::source::pcap::too_long;
use legonf_core::{LinkType, Timestamp};

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
            6 => Some(Self::Enhanced),
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
    LinkType(u32),
    Overrun(u32, usize),
}

impl BlockFault {
    /// This fault of packet `seq`, whose block begins at `offset`.
    #[cold]
    pub(super) fn at(self, seq: u64, offset: u64) -> SourceErrorKind {
        let reason = match self {
            Self::TooLong(captured) => return too_long(seq, offset, captured),
            Self::LinkType(number) => {
                return SourceErrorKind::LinkType { number, name: linktype::name(number) };
            }
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
    let link = interface.link.ok_or(BlockFault::LinkType(interface.number))?;
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
    Ok(Packet { timestamp, original, link, bytes })
}
