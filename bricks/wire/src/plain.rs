//! The headers that most packets have: TCP or UDP in IPv4 without options, in Ethernet without tags.

use crate::datagram::is_tunnel;
use crate::ethertype;
use crate::transport::{TCP, TCP_HEADER, UDP, UDP_HEADER};
use legonf_core::{Headers, Layer, Link, LinkType, Mac, Network, PacketRecord, Transport};
use std::net::{IpAddr, Ipv4Addr};

const ETHERNET: usize = 14;
const IP: usize = 20;
/// The shortest packet of this kind.
const LEAST: usize = ETHERNET + IP + UDP_HEADER;

/// Reads such a packet into default headers, all but what the record says. `false` for every other packet, and then
/// nothing is written.
#[inline(always)]
pub(crate) fn read(record: &PacketRecord, bytes: &[u8], headers: &mut Headers) -> bool {
    let Some(h) = bytes.first_chunk::<LEAST>() else { return false };
    let be16 = |at: usize| u16::from_be_bytes([h[at], h[at + 1]]);
    let address = |at: usize| Some(IpAddr::V4(Ipv4Addr::new(h[at], h[at + 1], h[at + 2], h[at + 3])));
    let (protocol, ports) = (h[23], (be16(34), be16(36)));
    let is_plain = (record.link == LinkType::Ethernet)
        & (be16(12) == ethertype::IPV4)
        & (h[14] == 0x45)
        & (be16(20) & 0x3fff == 0)
        & ((protocol == TCP) | ((protocol == UDP) & !is_tunnel(ports.1)));
    let header = if protocol == TCP { TCP_HEADER } else { UDP_HEADER };
    if !is_plain || ip_len(be16(16), bytes.len()) < IP + header {
        return false;
    }
    let mac = |at: usize| Mac([h[at], h[at + 1], h[at + 2], h[at + 3], h[at + 4], h[at + 5]]);
    headers.link = Some(Link { dst: mac(0), src: mac(6), ethertype: ethertype::IPV4, vlan: None });
    headers.outer = Layer {
        network: Network::Ipv4,
        src: address(26),
        dst: address(30),
        transport: if protocol == TCP { Transport::Tcp } else { Transport::Udp },
        ports: Some(ports),
        ..Layer::default()
    };
    true
}

/// Bytes of the IP packet that were captured, by its total length (0: the frame's) and the frame's.
#[inline(always)]
fn ip_len(total: u16, frame: usize) -> usize {
    let captured = frame - ETHERNET;
    if total == 0 { captured } else { captured.min(total.into()) }
}

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod captures;

#[cfg(test)]
mod tests {
    use super::captures;
    use crate::packet;
    use crate::samples::{ethernet, ip4, record, tcp, udp, valid};
    use legonf_core::{Headers, LinkType};
    use proptest::prelude::*;
    use proptest::sample::Index;

    /// Checks the shorter way against the general one; whether it was gone.
    fn check(link: LinkType, bytes: &[u8]) -> bool {
        let record = record(link, bytes);
        let (mut general, mut short) = (Headers::default(), Headers::default());
        packet::fill_any(&record, bytes, &mut general);
        let is_plain = super::read(&record, bytes, &mut short);
        if is_plain {
            packet::fill_record(&record, &mut short);
            assert_eq!(short, general, "{bytes:02x?}");
        } else {
            assert_eq!(short, Headers::default());
        }
        is_plain
    }

    #[test]
    fn plain_packets_are_recognized() {
        for packet in [ip4(6, &tcp(80, 4000)), ip4(17, &udp(53, 4000))] {
            let frame = ethernet(0x0800, &packet);
            assert!(check(LinkType::Ethernet, &frame));
            assert!(!check(LinkType::RawIp, &frame));
            assert!(!check(LinkType::Ethernet, &frame[..frame.len() - 1]));
        }
        for tunnel in [4789, 4790, 6081, 2152] {
            assert!(!check(LinkType::Ethernet, &ethernet(0x0800, &ip4(17, &udp(53, tunnel)))));
        }
        for (link, bytes) in valid() {
            check(link, &bytes);
        }
    }

    #[test]
    fn every_capture_has_the_same_headers() {
        for folder in
            ["robustness", "scans", "kitsune-mirai", "iot23-hakai"].into_iter().filter_map(captures::shared)
        {
            let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
            let packets = files.filter(|file| file.is_file()).map(|file| captures::read(&file));
            let (mut all, mut plain) = (0, 0);
            for packets in packets {
                all += packets.len();
                plain += packets.iter().filter(|(record, bytes)| check(record.link, bytes)).count();
            }
            println!("{}: {plain} of {all} packets are plain", folder.display());
            assert!(plain > 0 && plain < all);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 20_000, ..ProptestConfig::default() })]

        #[test]
        fn the_shorter_way_leads_to_the_same_headers(
            is_tcp in any::<bool>(),
            edits in prop::collection::vec((0..44_usize, any::<u8>()), 0..4),
            padding in 0..8_usize,
            len in any::<Index>(),
            is_cut in prop::bool::weighted(0.3),
        ) {
            let packet = if is_tcp { ip4(6, &tcp(80, 4000)) } else { ip4(17, &udp(53, 4000)) };
            let mut frame = [ethernet(0x0800, &packet), vec![0; padding]].concat();
            for (at, value) in edits {
                let last = frame.len() - 1;
                frame[at.min(last)] = value;
            }
            if is_cut {
                frame.truncate(len.index(frame.len() + 1));
            }
            check(LinkType::Ethernet, &frame);
        }
    }
}
