//! The numbers of a flow, as IPFIX names them.

use super::kept::Kept;
use legonf_core::{ColumnSpec, Element};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A row of numbers for each flow, named by [`RECORD_FIELDS`].
pub const RECORD: ColumnSpec = ColumnSpec::rows("flow-record", Element::U64).in_flows();

/// What the cells of a row of [`RECORD`] hold: information elements of IPFIX (RFC 7012, RFC 5103), of which an address takes two
/// cells. The source is who sent the flow's first packet.
pub const RECORD_FIELDS: [&str; 21] = [
    "flowStartNanoseconds",
    "flowEndNanoseconds",
    "ipVersion",
    "sourceAddressHigh",
    "sourceAddress",
    "destinationAddressHigh",
    "destinationAddress",
    "sourceTransportPort",
    "destinationTransportPort",
    "protocolIdentifier",
    "vlanId",
    "packetTotalCount",
    "octetTotalCount",
    "reversePacketTotalCount",
    "reverseOctetTotalCount",
    "payloadOctetTotalCount",
    "reversePayloadOctetTotalCount",
    "tcpControlBits",
    "reverseTcpControlBits",
    "flowEndReason",
    "flowId",
];

/// Why the row of a flow left (IPFIX `flowEndReason`; 0 is none of its values).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Reason {
    /// The flow goes on: its first bytes or packets are there.
    Ready = 0,
    Idle = 1,
    Active = 2,
    Ended = 3,
    Forced = 4,
    Resources = 5,
}

/// One flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Capture times of its first and last packet, in nanoseconds since 1970.
    pub start: i64,
    /// That of the last one.
    pub end: i64,
    /// Who sent the first packet: address and port.
    pub source: (IpAddr, u16),
    /// To whom.
    pub destination: (IpAddr, u16),
    /// Number of the transport protocol.
    pub protocol: u8,
    /// The VLAN, where it tells flows apart.
    pub vlan: Option<u16>,
    /// Packets from the source, and to it.
    pub packets: [u64; 2],
    /// Bytes of their IP packets.
    pub octets: [u64; 2],
    /// Bytes of their payload.
    pub payload: [u64; 2],
    /// All flags of TCP that were set.
    pub flags: [u8; 2],
    /// Why its row left, as IPFIX numbers it; 0 if the flow goes on.
    pub reason: u8,
    /// Number of its first packet, which is that of the flow.
    pub id: u64,
}

/// Writes the row of a flow.
pub(super) fn write(kept: &Kept, reason: Reason, row: &mut [u64]) {
    let ends = [kept.swapped, !kept.swapped].map(|second| kept.identity.end(second));
    let [(source, port), (destination, other)] = ends;
    let vlan = kept.identity.vlan().map_or(0, |vlan| 1 << 16 | u64::from(vlan));
    row.copy_from_slice(&[
        kept.start.cast_unsigned(),
        kept.end.cast_unsigned(),
        if source.kind == 3 { 6 } else { 4 },
        source.high,
        source.low,
        destination.high,
        destination.low,
        port.into(),
        other.into(),
        kept.identity.protocol().into(),
        vlan,
        kept.packets[0],
        kept.octets[0],
        kept.packets[1],
        kept.octets[1],
        kept.payload[0],
        kept.payload[1],
        kept.flags[0].into(),
        kept.flags[1].into(),
        reason as u64,
        kept.first,
    ]);
}

impl Record {
    /// The flow of a row.
    ///
    /// # Panics
    /// If the row has another number of cells than [`RECORD_FIELDS`].
    pub fn of(row: &[u64]) -> Self {
        let version = row[2];
        let address = |high: u64, low: u64| match version {
            6 => IpAddr::V6(Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low))),
            _ => IpAddr::V4(Ipv4Addr::from_bits(low as u32)),
        };
        let vlan = (row[10] != 0).then_some(row[10] as u16);
        Self {
            start: row[0].cast_signed(),
            end: row[1].cast_signed(),
            source: (address(row[3], row[4]), row[7] as u16),
            destination: (address(row[5], row[6]), row[8] as u16),
            protocol: row[9] as u8,
            vlan,
            packets: [row[11], row[13]],
            octets: [row[12], row[14]],
            payload: [row[15], row[16]],
            flags: [row[17] as u8, row[18] as u8],
            reason: row[19] as u8,
            id: row[20],
        }
    }
}
