//! The brick that marks packets with a differentiated services code point.

use crate::{NfError, network, rewrite};
use legonf_core::{Batch, Brick, BrickError, ColumnSpec, Descriptor, Packets, State};
use serde::Deserialize;
use std::borrow::Cow;

/// The largest code point.
const MAX_DSCP: u16 = 63;

/// Configuration of [`Dscp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The code point that packets get, from 0 to 63. No default.
    pub dscp: u16,
}

/// Sets the differentiated services code point (RFC 2474) of IPv4 and IPv6 packets, and leaves the congestion bits (RFC 3168) as
/// they are. The checksum of IPv4 follows by the difference (RFC 1624), so that a wrong one stays wrong.
///
/// It looks into raw IP and into Ethernet frames, behind VLAN tags. Other packets stay as they are, and are counted.
#[derive(Clone, Debug)]
pub struct Dscp {
    dscp: u8,
    unchanged: u64,
}

impl Dscp {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "dscp";

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "DSCP marking",
        reads: Cow::Borrowed(&[ColumnSpec::PACKETS, ColumnSpec::HEADERS]),
        writes: Cow::Borrowed(&[ColumnSpec::PACKETS, ColumnSpec::HEADERS]),
        state: State::Stateless,
    };

    /// The brick for `config`.
    ///
    /// # Errors
    /// If the code point is not in its range.
    pub fn new(config: Config) -> Result<Self, NfError> {
        NfError::check("dscp", config.dscp, MAX_DSCP)?;
        Ok(Self { dscp: config.dscp as u8, unchanged: 0 })
    }
}

fn mark(packets: &mut Packets, index: usize, dscp: u8) -> bool {
    let Some(at) = network(packets.record(index).link, packets.bytes(index)) else { return false };
    let bytes = &mut packets.bytes_mut(index)[at..];
    match bytes.first().map(|byte| byte >> 4) {
        Some(4) if bytes.len() >= 20 => mark4(bytes, dscp),
        Some(6) if bytes.len() >= 40 => mark6(bytes, dscp),
        _ => return false,
    }
    true
}

fn mark4(header: &mut [u8], dscp: u8) {
    let word = |header: &[u8], at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let before = word(header, 0);
    header[1] = dscp << 2 | header[1] & 3;
    let checksum = updated(word(header, 10), before, word(header, 0));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

fn mark6(header: &mut [u8], dscp: u8) {
    let class = dscp << 2 | (header[1] >> 4) & 3;
    header[0] = 0x60 | class >> 4;
    header[1] = class << 4 | header[1] & 0xf;
}

/// A checksum after one word has changed (RFC 1624, equation 3).
fn updated(checksum: u16, before: u16, after: u16) -> u16 {
    let sum = u32::from(!checksum) + u32::from(!before) + u32::from(after);
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

impl Brick for Dscp {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let dscp = self.dscp;
        self.unchanged += rewrite(batch, |packets, index| mark(packets, index, dscp));
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("not-marked", self.unchanged)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{batch, checksum, reparsed, udp4, udp6};
    use legonf_core::LinkType;
    use proptest::prelude::*;

    fn marked(link: LinkType, bytes: &[u8], dscp: u16) -> (Batch, u64) {
        let (mut some, mut brick) = (batch(&[(link, bytes, 99)]), Dscp::new(Config { dscp }).unwrap());
        brick.process(&mut some).unwrap();
        assert_eq!(some.headers, reparsed(&some));
        (some, brick.unchanged)
    }

    proptest! {
        #[test]
        fn the_checksum_is_that_of_the_header(class in any::<u8>(), id in any::<u16>(), dscp in 0..64_u16) {
            let mut frame = udp4();
            frame[15] = class;
            frame[18..20].copy_from_slice(&id.to_be_bytes());
            frame[24..26].fill(0);
            let sum = checksum(&frame[14..34]);
            frame[24..26].copy_from_slice(&sum.to_be_bytes());
            let (some, unchanged) = marked(LinkType::Ethernet, &frame, dscp);
            let found = some.packets.bytes(0);
            prop_assert_eq!((found[15], unchanged), ((dscp as u8) << 2 | class & 3, 0));
            prop_assert_eq!(checksum(&found[14..34]), 0);
            prop_assert_eq!((&found[..15], &found[26..]), (&frame[..15], &frame[26..]));
        }
    }

    #[test]
    fn six_has_its_class_across_two_bytes() {
        let mut packet = udp6();
        packet[..4].copy_from_slice(&[0x61, 0x2a, 0xbc, 0xde]);
        let (some, unchanged) = marked(LinkType::RawIp, &packet, 46);
        assert_eq!((&some.packets.bytes(0)[..4], unchanged), (&[0x6b, 0xaa, 0xbc, 0xde][..], 0));
        assert_eq!(some.packets.bytes(0)[4..], packet[4..]);
    }

    #[test]
    fn it_looks_behind_tags_and_leaves_the_rest() {
        let frame = udp4();
        let tagged = [&frame[..12], &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2], &frame[12..]].concat();
        assert_eq!(marked(LinkType::Ethernet, &tagged, 8).0.packets.bytes(0)[23], 8 << 2);
        let arp = [&frame[..12], &[0x08, 0x06], &frame[14..]].concat();
        for (link, bytes) in [
            (LinkType::Ethernet, &arp[..]),
            (LinkType::Ethernet, &frame[..33]),
            (LinkType::Ethernet, &frame[..13]),
            (LinkType::RawIp, &[]),
            (LinkType::Null, &frame),
        ] {
            let (some, unchanged) = marked(link, bytes, 8);
            assert_eq!((some.packets.bytes(0), unchanged), (bytes, 1));
        }
        let error = Dscp::new(Config { dscp: 64 }).unwrap_err().to_string();
        assert_eq!(error, "dscp = 64: expected a number from 0 to 63");
    }
}
