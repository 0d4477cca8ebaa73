//! Link types.

use crate::ethertype;
use crate::network::Payload;
use crate::{ethernet, log, serial, tag, wlan};
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
        _ => rarer(kind, bytes, link),
    }
}

/// [`read`] of what few captures have. Out of line, so that the path of the others stays small.
#[inline(never)]
fn rarer<'a>(kind: LinkType, bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    match kind {
        LinkType::Ppp => serial::ppp(bytes),
        LinkType::PppWithDirection => serial::ppp_with_direction(bytes),
        LinkType::Pppd => serial::pppd(bytes),
        LinkType::PppoeSession => tag::read_bare(Payload { ethertype: ethertype::PPPOE_SESSION, bytes }),
        LinkType::CiscoHdlc => serial::cisco_hdlc(bytes),
        LinkType::FrameRelay => serial::frame_relay(bytes),
        LinkType::Llc => tag::read_llc(bytes, &mut Link::default()),
        LinkType::Fddi => fddi(bytes, link),
        LinkType::Ieee1394 => ieee1394(bytes),
        LinkType::Wlan => wlan::read(bytes, link),
        LinkType::Radiotap => wlan::radiotap(bytes, link),
        LinkType::Prism => wlan::prism(bytes, link),
        LinkType::Avs => wlan::avs(bytes, link),
        LinkType::Ppi => ppi(bytes, link),
        LinkType::NfLog => log::netfilter(bytes, link),
        LinkType::PfLog => log::packet_filter(bytes),
        LinkType::Enc => log::ipsec(bytes),
        _ => Err(Malformed::LinkType),
    }
}

/// FDDI: frame control (1), destination, source; LLC where the frame control says so.
fn fddi<'a>(bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    let (h, rest) = bytes.split_first_chunk::<13>().ok_or(Malformed::LinkTooShort)?;
    let link = link.insert(Link {
        dst: Mac([h[1], h[2], h[3], h[4], h[5], h[6]]),
        src: Mac([h[7], h[8], h[9], h[10], h[11], h[12]]),
        ..Link::default()
    });
    if h[0] & 0xf0 == 0x50 { tag::read_llc(rest, link) } else { Ok(Payload::none(rest)) }
}

/// IP over IEEE 1394: two addresses of 8 bytes, which are no MACs, and the EtherType.
fn ieee1394(bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
    let (h, bytes) = bytes.split_first_chunk::<18>().ok_or(Malformed::LinkTooShort)?;
    tag::read_bare(Payload { ethertype: u16::from_be_bytes([h[16], h[17]]), bytes })
}

/// Per-packet information: version and flags (2), length (2), and the number of the packet's link type (4), all in
/// little-endian order.
fn ppi<'a>(bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    let h = bytes.first_chunk::<8>().ok_or(Malformed::LinkTooShort)?;
    let len = usize::from(u16::from_le_bytes([h[2], h[3]])).max(h.len());
    let bytes = bytes.get(len..).ok_or(Malformed::LinkTooShort)?;
    match u32::from_le_bytes([h[4], h[5], h[6], h[7]]) {
        1 => ethernet::read(bytes, link),
        105 => wlan::read(bytes, link),
        127 => wlan::radiotap(bytes, link),
        12 | 14 | 101 | 228 | 229 => raw_ip(bytes),
        _ => Err(Malformed::LinkType),
    }
}

pub(crate) fn raw_ip(bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
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
    match hardware {
        770 => return serial::frame_relay(bytes),
        803 => return wlan::radiotap(bytes, link),
        _ => {}
    }
    let link = link.insert(Link { src, ethertype: protocol, ..Link::default() });
    if is_ethertype(hardware, protocol) {
        tag::read(protocol, bytes, link)
    } else {
        Ok(Payload { ethertype: 0, bytes })
    }
}

/// Whether the protocol field of a cooked header is an EtherType: small values are Linux's own numbers, and
/// netlink and 802.11 have others.
fn is_ethertype(hardware: u16, protocol: u16) -> bool {
    protocol > ethertype::MAX_LENGTH && !matches!(hardware, 801 | 802 | 824)
}

#[cfg(test)]
mod tests {
    use crate::samples::{ethernet, ip4, ip6, parse_as, udp};
    use legonf_core::{LinkType, Mac, Malformed, Network};

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];

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
    fn cooked_captures_may_hold_whole_frames() {
        let data =
            [&[0x08, 0x02, 0, 0][..], &[1; 6], &[2; 6], &[3; 6], &[0, 0], &SNAP, &ip4(17, &udp(53, 4000))]
                .concat();
        let cooked = |low: u8| [&[0, 4, 3, low, 0, 6][..], &[9; 8], &[0, 25]].concat();
        let radiotap = [cooked(0x23), vec![0, 0, 8, 0, 0, 0, 0, 0], data].concat();
        let headers = parse_as(LinkType::LinuxSll, &radiotap);
        let link = headers.link.unwrap();
        assert_eq!((link.src, link.dst, link.ethertype), (Mac([3; 6]), Mac([1; 6]), 0x0800));
        assert_eq!(headers.outer.ports, Some((53, 4000)));
        let relay = [cooked(2), vec![0x18, 0x41, 3, 0xcc], ip4(17, &udp(53, 4000))].concat();
        assert_eq!(parse_as(LinkType::LinuxSll, &relay).outer.ports, Some((53, 4000)));
    }

    #[test]
    fn fddi_and_ieee_1394() {
        let packet = ip4(17, &udp(53, 4000));
        let fddi = [&[0x50][..], &[1; 6], &[2; 6], &SNAP, &packet].concat();
        let headers = parse_as(LinkType::Fddi, &fddi);
        assert_eq!(headers.link.unwrap().src, Mac([2; 6]));
        assert_eq!((headers.outer.ports, headers.malformed), (Some((53, 4000)), None));
        let management = parse_as(LinkType::Fddi, &[&[0x41][..], &fddi[1..]].concat());
        assert_eq!((management.outer.network, management.malformed), (Network::None, None));
        let bus = parse_as(LinkType::Ieee1394, &[&[7; 16][..], &[8, 0], &packet].concat());
        assert_eq!((bus.link, bus.outer.ports), (None, Some((53, 4000))));
        let llc = parse_as(LinkType::Llc, &[&SNAP[..], &packet].concat());
        assert_eq!((llc.link, llc.outer.ports), (None, Some((53, 4000))));
    }

    #[test]
    fn per_packet_information_names_the_link_type() {
        let header = |number: u8| vec![0, 0, 12, 0, number, 0, 0, 0, 2, 0, 0, 0];
        let packet = ip4(17, &udp(53, 4000));
        let ethernet = [header(1), ethernet(0x0800, &packet)].concat();
        assert_eq!(parse_as(LinkType::Ppi, &ethernet).outer.ports, Some((53, 4000)));
        assert_eq!(
            parse_as(LinkType::Ppi, &[header(101), packet.clone()].concat()).outer.ports,
            Some((53, 4000))
        );
        let other = parse_as(LinkType::Ppi, &[header(227), packet].concat());
        assert!(other.is_unread() && other.link.is_none());
    }

    #[test]
    fn what_is_not_parsed_is_unread() {
        let headers = parse_as(LinkType::Unread(227), &ethernet(0x0800, &ip4(17, &udp(53, 4000))));
        assert!(headers.is_unread());
        assert_eq!((headers.link, headers.outer.network), (None, Network::None));
    }

    #[test]
    fn cut_link_headers_have_no_identity() {
        for (kind, len) in [
            (LinkType::Ppp, 1),
            (LinkType::PppWithDirection, 0),
            (LinkType::Pppd, 1),
            (LinkType::CiscoHdlc, 3),
            (LinkType::FrameRelay, 1),
            (LinkType::Fddi, 12),
            (LinkType::Ieee1394, 17),
            (LinkType::Wlan, 1),
            (LinkType::Radiotap, 7),
            (LinkType::Prism, 7),
            (LinkType::Avs, 7),
            (LinkType::Ppi, 7),
            (LinkType::NfLog, 3),
            (LinkType::PfLog, 0),
            (LinkType::Enc, 11),
            (LinkType::Ethernet, 13),
            (LinkType::RawIp, 0),
            (LinkType::Null, 3),
            (LinkType::LinuxSll, 15),
            (LinkType::LinuxSll2, 19),
        ] {
            let headers = parse_as(kind, &[0x44; 20][..len]);
            assert_eq!((headers.link, headers.malformed), (None, Some(Malformed::LinkTooShort)), "{kind:?}");
        }
    }
}
