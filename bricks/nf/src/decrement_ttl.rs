//! The function that lets the time to live fall.

use crate::chain::in_place::{Changes, descriptor};
use crate::chain::{ChainFunction, InPlace, Packet, Record};
use legonf_core::{Descriptor, DropReason, HeaderAction};
use serde::Deserialize;

/// Configuration of [`DecrementTtl`]: there is nothing to configure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// Lets the time to live of IPv4, or the hop limit of IPv6, fall by one, as a router does (µNF's IPTtlDecrementer). Packets that have no hop left are
/// dropped, for [`DropReason::TtlExpired`]. Packets that are not IP stay as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct DecrementTtl {
    expired: u64,
}

impl DecrementTtl {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "decrement-ttl";

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = descriptor(Self::KIND, "TTL decrementing", Changes::Both);

    /// The brick.
    pub fn brick(_: Config) -> InPlace<Self> {
        InPlace::new(Self::default(), Self::DESCRIPTOR)
    }
}

impl ChainFunction for DecrementTtl {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn process(&mut self, packet: &Packet<'_>) -> Record {
        let Some(ip) = packet.ip() else { return Record::FORWARD };
        if packet.hops(&ip) <= 1 {
            self.expired += 1;
            return Record::once(HeaderAction::drop(DropReason::TtlExpired));
        }
        Record::of(HeaderAction { hops: 1, ..HeaderAction::default() })
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("ttl-expired", self.expired)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ip::checksum;
    use crate::samples::{arp, reparsed, run, udp4, udp6};
    use legonf_core::{Disposition, LinkType};

    #[test]
    fn hops_fall_by_one_and_the_last_one_is_not_taken() {
        let (mut four, mut six, mut last) = (udp4(), udp6(), udp4());
        (four[22], six[7], last[22]) = (7, 2, 1);
        let sum = checksum(&[&four[14..24], &[0, 0], &four[26..34]].concat());
        four[24..26].copy_from_slice(&sum.to_be_bytes());
        let packets = [
            (LinkType::Ethernet, four),
            (LinkType::RawIp, six),
            (LinkType::Ethernet, last),
            (LinkType::Ethernet, arp()),
        ];
        let mut brick = DecrementTtl::brick(Config {});
        let (some, dispositions) = run(&mut brick, &packets);
        assert_eq!((some.packets.bytes(0)[22], some.packets.bytes(1)[7]), (6, 1));
        assert_eq!(checksum(&some.packets.bytes(0)[14..34]), 0);
        assert_eq!(some.packets.bytes(3), arp());
        assert_eq!(some.headers, reparsed(&some));
        let (go, stop) = (Disposition::default(), Disposition::Drop(DropReason::TtlExpired));
        assert_eq!(dispositions, [go, go, stop, go]);
        assert_eq!(legonf_core::Brick::counters(&brick), [("ttl-expired", 1), ("not-modified", 0)]);
    }
}
