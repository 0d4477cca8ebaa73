//! Link types.

use crate::ethertype;
use crate::network::Payload;
use crate::{ethernet, tag};
use legonf_core::{Link, LinkType, Mac, Malformed};

/// Reads the link layer; what follows it is the payload.
#[inline(always)]
pub(crate) fn read<'a>(
    kind: LinkType,
    bytes: &'a [u8],
    link: &mut Option<Link>,
) -> Result<Payload<'a>, Malformed> {
    match kind {
        LinkType::Ethernet => ethernet::read(bytes, link),
        LinkType::RawIp => raw_ip(bytes),
        LinkType::Null => null(bytes),
        LinkType::LinuxSll => cooked(bytes, link),
        LinkType::LinuxSll2 => cooked2(bytes, link),
    }
}

fn raw_ip(bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
    if bytes.is_empty() {
        return Err(Malformed::LinkTooShort);
    }
    Ok(Payload { ethertype: ethertype::of_ip(bytes).unwrap_or(0), bytes })
}

/// BSD loopback: the address family in the byte order of the capturing host, or in network order.
fn null(bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
    let (family, bytes) = bytes.split_first_chunk::<4>().ok_or(Malformed::LinkTooShort)?;
    let little = u32::from_le_bytes(*family);
    let family = if little > 0xffff { little.swap_bytes() } else { little };
    Ok(Payload { ethertype: of_family(family), bytes })
}

/// IPv6 has another number on each of Linux, Windows, NetBSD and OpenBSD, FreeBSD, and macOS.
fn of_family(family: u32) -> u16 {
    match family {
        2 => ethertype::IPV4,
        10 | 23 | 24 | 28 | 30 => ethertype::IPV6,
        _ => 0,
    }
}

/// Linux cooked capture: packet type, ARP hardware type, address length, address (8), protocol.
fn cooked<'a>(bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    let (h, rest) = bytes.split_first_chunk::<16>().ok_or(Malformed::LinkTooShort)?;
    let src = Mac([h[6], h[7], h[8], h[9], h[10], h[11]]);
    let hardware = u16::from_be_bytes([h[2], h[3]]);
    cooked_payload(hardware, u16::from_be_bytes([h[14], h[15]]), src, rest, link)
}

/// Linux cooked capture v2: protocol, reserved (2), interface (4), ARP hardware type, packet type (1), address
/// length (1), address (8).
fn cooked2<'a>(bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    let (h, rest) = bytes.split_first_chunk::<20>().ok_or(Malformed::LinkTooShort)?;
    let src = Mac([h[12], h[13], h[14], h[15], h[16], h[17]]);
    let hardware = u16::from_be_bytes([h[8], h[9]]);
    cooked_payload(hardware, u16::from_be_bytes([h[0], h[1]]), src, rest, link)
}

fn cooked_payload<'a>(
    hardware: u16,
    protocol: u16,
    src: Mac,
    bytes: &'a [u8],
    link: &mut Option<Link>,
) -> Result<Payload<'a>, Malformed> {
    let link = link.insert(Link { src, ethertype: protocol, ..Link::default() });
    if is_ethertype(hardware, protocol) {
        tag::read(protocol, bytes, link)
    } else {
        Ok(Payload { ethertype: 0, bytes })
    }
}

/// Whether the protocol field of a cooked header is an EtherType: small values are Linux's own numbers, and
/// netlink, 802.11 and radiotap have others.
fn is_ethertype(hardware: u16, protocol: u16) -> bool {
    protocol > ethertype::MAX_LENGTH && !matches!(hardware, 801..=803 | 824)
}

#[cfg(test)]
mod tests {
    use crate::samples::{ip4, ip6, parse_as, udp};
    use legonf_core::{LinkType, Mac, Malformed, Network};

    fn family(header: [u8; 4], packet: &[u8]) -> Network {
        parse_as(LinkType::Null, &[&header[..], packet].concat()).outer.network
    }

    #[test]
    fn null_reads_the_family_in_either_byte_order() {
        let (v4, v6) = (ip4(17, &udp(1, 2)), ip6(17, &udp(1, 2)));
        assert_eq!(family([2, 0, 0, 0], &v4), Network::Ipv4);
        assert_eq!(family([0, 0, 0, 2], &v4), Network::Ipv4);
        for number in [10, 23, 24, 28, 30] {
            assert_eq!(family([number, 0, 0, 0], &v6), Network::Ipv6);
            assert_eq!(family([0, 0, 0, number], &v6), Network::Ipv6);
        }
        assert_eq!(family([9, 0, 0, 0], &v4), Network::None);
    }

    #[test]
    fn raw_ip_goes_by_the_version() {
        let v4 = parse_as(LinkType::RawIp, &ip4(17, &udp(53, 4000)));
        assert_eq!((v4.link, v4.outer.network, v4.outer.ports), (None, Network::Ipv4, Some((53, 4000))));
        let v6 = parse_as(LinkType::RawIp, &ip6(17, &udp(53, 4000)));
        assert_eq!((v6.link, v6.outer.network, v6.outer.ports), (None, Network::Ipv6, Some((53, 4000))));
        assert_eq!(parse_as(LinkType::RawIp, &[0x10, 0]).outer.network, Network::None);
    }

    #[test]
    fn cooked_captures_have_a_source_address() {
        let packet = ip4(17, &udp(53, 4000));
        let v1 = [&[0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 7, 0, 0, 0x08, 0x00][..], &packet].concat();
        let v2 = [&[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 2, 0, 0, 0, 0, 7, 0, 0][..], &packet].concat();
        for (kind, bytes) in [(LinkType::LinuxSll, v1), (LinkType::LinuxSll2, v2)] {
            let headers = parse_as(kind, &bytes);
            let link = headers.link.unwrap();
            assert_eq!((link.src, link.dst), (Mac([2, 0, 0, 0, 0, 7]), Mac::default()));
            assert_eq!((link.ethertype, headers.outer.ports), (0x0800, Some((53, 4000))));
        }
    }

    #[test]
    fn cooked_packets_without_an_ethertype_are_not_parsed() {
        for (hardware, protocol) in [([3, 56], [8, 0]), ([0, 1], [0, 4])] {
            let header = [[0, 4], hardware, [0; 2], [0; 2], [0; 2], [0; 2], [0; 2], protocol].concat();
            let headers = parse_as(LinkType::LinuxSll, &[header, vec![0xaa, 0xaa, 3, 0, 0, 0]].concat());
            assert_eq!((headers.outer.network, headers.malformed), (Network::None, None));
        }
    }

    #[test]
    fn cut_link_headers_have_no_identity() {
        for (kind, len) in [
            (LinkType::Ethernet, 13),
            (LinkType::RawIp, 0),
            (LinkType::Null, 3),
            (LinkType::LinuxSll, 15),
            (LinkType::LinuxSll2, 19),
        ] {
            let headers = parse_as(kind, &[0x45; 20][..len]);
            assert_eq!((headers.link, headers.malformed), (None, Some(Malformed::LinkTooShort)), "{kind:?}");
        }
    }
}
