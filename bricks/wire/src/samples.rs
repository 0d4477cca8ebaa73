//! Literal packets for the tests of this crate.

use legonf_core::{Headers, LinkType, Mac, PacketRecord, Packets, Timestamp};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) const DST: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub(crate) const SRC: Mac = Mac([2, 0, 0, 0, 0, 2]);
pub(crate) const SRC4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 4, 10));
pub(crate) const DST4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
pub(crate) const SRC6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
pub(crate) const DST6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2));

/// The record of one packet with these bytes.
pub(crate) fn record(link: LinkType, bytes: &[u8]) -> PacketRecord {
    let mut packets = Packets::default();
    packets.push(7, Timestamp::new(1, 2), bytes.len() as u32, link, bytes);
    *packets.record(0)
}

pub(crate) fn parse_as(link: LinkType, bytes: &[u8]) -> Headers {
    crate::parse(&record(link, bytes), bytes)
}

pub(crate) fn parse(frame: &[u8]) -> Headers {
    parse_as(LinkType::Ethernet, frame)
}

pub(crate) fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&DST.0[..], &SRC.0, &ethertype.to_be_bytes(), payload].concat()
}

pub(crate) fn ip4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len() as u16).to_be_bytes();
    let fixed = [0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, protocol, 0, 0];
    [&fixed[..], &[192, 168, 4, 10, 10, 0, 0, 5], payload].concat()
}

pub(crate) fn ip6(next: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16).to_be_bytes();
    let (IpAddr::V6(src), IpAddr::V6(dst)) = (SRC6, DST6) else { unreachable!("both are IPv6") };
    let fixed = [0x60, 0, 0, 0, len[0], len[1], next, 64];
    [&fixed[..], &src.octets(), &dst.octets(), payload].concat()
}

pub(crate) fn tcp(src: u16, dst: u16) -> Vec<u8> {
    let rest = [0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 9, 0, 0, 0, 0];
    [&src.to_be_bytes()[..], &dst.to_be_bytes(), &rest].concat()
}

pub(crate) fn udp(src: u16, dst: u16) -> Vec<u8> {
    [&src.to_be_bytes()[..], &dst.to_be_bytes(), &[0, 8, 0, 0]].concat()
}

/// An ARP request of `SRC4` for `DST4`.
pub(crate) fn arp() -> Vec<u8> {
    let fixed = [0, 1, 8, 0, 6, 4, 0, 1];
    [&fixed[..], &SRC.0, &[192, 168, 4, 10], &[0; 6], &[10, 0, 0, 5]].concat()
}
