//! The function that drops packets whose network header is damaged.

use crate::chain::in_place::{Changes, descriptor};
use crate::chain::{ChainFunction, Holds, InPlace, Packet, Record, ip_of};
use crate::ip::checksum;
use legonf_core::{Descriptor, DropReason, HeaderAction, Malformed};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr};

/// Configuration of [`CheckIpHeader`]: there is nothing to configure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// Drops packets whose network header is damaged, for [`DropReason::BadHeader`] (µNF's CheckIPHeader): version, lengths or checksum are wrong, or the source
/// is a group, the broadcast address or, for TCP, the unspecified one. Packets that are not IP pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckIpHeader {
    bad: u64,
}

impl CheckIpHeader {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = "check-ip-header";

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = descriptor(Self::KIND, "IP header check", Changes::Ways);

    /// The brick.
    pub fn brick(_: Config) -> InPlace<Self> {
        InPlace::new(Self::default(), Self::DESCRIPTOR)
    }
}

/// Whether the network header of a packet is sound, whatever its addresses. No function changes that.
#[inline]
pub(crate) fn is_sound(packet: &Packet<'_>) -> bool {
    let is_damaged = matches!(
        packet.headers.malformed,
        Some(Malformed::BadIpv4 | Malformed::BadIpv6 | Malformed::BadExtension)
    );
    let is_checked = || packet.ip().is_none_or(|ip| ip.is_six || checksum(ip.network(packet.bytes)) == 0);
    !is_damaged && is_checked()
}

/// Whether a packet may come from its source.
fn has_source(packet: &Packet<'_>) -> bool {
    match packet.flow().and_then(|flow| ip_of(flow.src.0)) {
        Some(ip) if ip.is_unspecified() => packet.whole() != Some(crate::ip::TCP),
        Some(ip) => !ip.is_multicast() && ip != IpAddr::V4(Ipv4Addr::BROADCAST),
        None => true,
    }
}

impl ChainFunction for CheckIpHeader {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    fn process(&mut self, packet: &Packet<'_>) -> Record {
        if is_sound(packet) && has_source(packet) {
            return Record { holds: Holds::Sound, ..Record::FORWARD };
        }
        self.bad += 1;
        Record::once(HeaderAction::drop(DropReason::BadHeader))
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("bad-header", self.bad)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{arp, run, udp4, udp6, with_checksum};
    use legonf_core::{Disposition, LinkType};

    #[test]
    fn what_is_damaged_is_dropped() {
        let changed = |at: usize, byte: u8| {
            let mut frame = udp4();
            frame[at] = byte;
            frame
        };
        let (source, version) = (with_checksum(changed(26, 224)), with_checksum(changed(14, 0x55)));
        let broadcast = with_checksum([&udp4()[..26], &[255; 4], &udp4()[30..]].concat());
        let packets = [
            (LinkType::Ethernet, udp4(), true),
            (LinkType::RawIp, udp6(), true),
            (LinkType::Ethernet, arp(), true),
            (LinkType::Ethernet, changed(24, 9), false),
            (LinkType::Ethernet, source, false),
            (LinkType::Ethernet, broadcast, false),
            (LinkType::Ethernet, version, false),
            (LinkType::Ethernet, udp4()[..30].to_vec(), false),
        ];
        let given: Vec<_> = packets.iter().map(|(link, bytes, _)| (*link, bytes.clone())).collect();
        let mut brick = CheckIpHeader::brick(Config {});
        let (_, dispositions) = run(&mut brick, &given);
        let passed: Vec<_> = dispositions.iter().map(|found| *found == Disposition::default()).collect();
        assert_eq!(passed, packets.map(|(_, _, passes)| passes));
        assert_eq!(legonf_core::Brick::counters(&brick), [("bad-header", 5)]);
    }
}
