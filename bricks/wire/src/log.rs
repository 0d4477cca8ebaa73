//! What packet filters log: headers of their own before the network layer.

use crate::bytes::{at_most, be16};
use crate::network::Payload;
use crate::{ethertype, link, tag};
use legonf_core::{Link, Mac, Malformed};

/// Attributes of Linux's netfilter log (nfnetlink_log.h).
const PACKET_HEADER: u16 = 1;
const SENDER: u16 = 8;
const PAYLOAD: u16 = 9;
const HARDWARE_TYPE: u16 = 15;
const HARDWARE_HEADER: u16 = 16;

/// The hardware type of Ethernet.
const ETHERNET: u16 = 1;

/// The most attributes that are looked at.
const MAX_ATTRIBUTES: usize = 64;

/// What the attributes before the payload say.
#[derive(Default)]
struct Found<'a> {
    ethertype: Option<u16>,
    is_ethernet: bool,
    sender: Option<Mac>,
    header: Option<&'a [u8]>,
}

/// Netfilter log: family (1), version (1), group (2), then attributes of length (2), type (2) and value, padded to four
/// bytes, in the byte order of the host. The packet is an attribute, and the last.
pub(crate) fn netfilter<'a>(bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    let (_, mut rest) = bytes.split_first_chunk::<4>().ok_or(Malformed::LinkTooShort)?;
    // The first attribute is a short one: in the wrong order its length is a large number.
    let is_little = rest.first_chunk().is_none_or(|l| u16::from_le_bytes(*l) <= u16::from_be_bytes(*l));
    let number = |at: [u8; 2]| if is_little { u16::from_le_bytes(at) } else { u16::from_be_bytes(at) };
    let mut found = Found::default();
    for _ in 0..MAX_ATTRIBUTES {
        let (h, value) = rest.split_first_chunk::<4>().ok_or(Malformed::LinkTooShort)?;
        let len = usize::from(number([h[0], h[1]]));
        let value_len = len.checked_sub(4).ok_or(Malformed::LinkTooShort)?;
        let kind = number([h[2], h[3]]);
        if kind == PAYLOAD {
            return found.payload(at_most(value, value_len), link);
        }
        found.take(kind, value.get(..value_len).ok_or(Malformed::LinkTooShort)?);
        rest = rest.get(len.next_multiple_of(4)..).ok_or(Malformed::LinkTooShort)?;
    }
    Err(Malformed::LinkTooShort)
}

impl<'a> Found<'a> {
    /// Takes an attribute. Numbers in values are in network order.
    fn take(&mut self, kind: u16, value: &'a [u8]) {
        match kind {
            PACKET_HEADER => self.ethertype = be16(value, 0).filter(|ethertype| *ethertype != 0),
            SENDER => self.sender = mac(value, 4).filter(|_| be16(value, 0) == Some(6)),
            HARDWARE_TYPE => self.is_ethernet = be16(value, 0) == Some(ETHERNET),
            HARDWARE_HEADER => self.header = Some(value),
            _ => {}
        }
    }

    /// The packet, with the addresses of its Ethernet header where that was logged, or else of its sender.
    fn payload(self, bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
        let ethertype = self.ethertype.or_else(|| ethertype::of_ip(bytes)).unwrap_or(0);
        let header = self.header.filter(|_| self.is_ethernet);
        let ends = header.and_then(|header| mac(header, 0).zip(mac(header, 6)));
        let ends = ends.or(self.sender.map(|src| (Mac::default(), src)));
        let Some((dst, src)) = ends else { return tag::read_bare(Payload { ethertype, bytes }) };
        tag::read(ethertype, bytes, link.insert(Link { src, dst, ethertype, vlan: None }))
    }
}

fn mac(bytes: &[u8], at: usize) -> Option<Mac> {
    bytes.get(at..)?.first_chunk().map(|octets| Mac(*octets))
}

/// OpenBSD's packet filter log: the length of its header, less its padding, in the first byte.
pub(crate) fn packet_filter(bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
    let len = usize::from(*bytes.first().ok_or(Malformed::LinkTooShort)?).next_multiple_of(4);
    bytes.get(len..).ok_or(Malformed::LinkTooShort).and_then(link::raw_ip)
}

/// OpenBSD's view into IPsec: address family, security parameter index and flags (4 each).
pub(crate) fn ipsec(bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
    bytes.get(12..).ok_or(Malformed::LinkTooShort).and_then(link::raw_ip)
}

#[cfg(test)]
mod tests {
    use crate::samples::{DST, SRC, arp, ip4, ip6, parse_as, tcp, udp};
    use legonf_core::{LinkType, Mac, Malformed, Network};

    /// An attribute in either byte order.
    fn attribute(kind: u16, value: &[u8], is_little: bool) -> Vec<u8> {
        let number = |n: u16| if is_little { n.to_le_bytes() } else { n.to_be_bytes() };
        let mut bytes = [&number(4 + value.len() as u16)[..], &number(kind), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn log(attributes: &[(u16, &[u8])], is_little: bool) -> Vec<u8> {
        let attributes = attributes.iter().flat_map(|(kind, value)| attribute(*kind, value, is_little));
        [2, 0, 0, 5].into_iter().chain(attributes).collect()
    }

    #[test]
    fn the_packet_is_an_attribute() {
        let packet = ip4(6, &tcp(80, 4000));
        for is_little in [true, false] {
            let head: (u16, &[u8]) = (1, &[8, 0, 1, 0]);
            let bytes = log(&[head, (10, b"name\0"), (4, &[0, 0, 0, 2]), (9, &packet)], is_little);
            let headers = parse_as(LinkType::NfLog, &bytes);
            assert_eq!((headers.link, headers.outer.ports), (None, Some((80, 4000))));
            assert_eq!(headers.malformed, None);
        }
        let bare = parse_as(LinkType::NfLog, &log(&[(9, &ip6(17, &udp(1, 2)))], true));
        assert_eq!((bare.outer.network, bare.outer.ports), (Network::Ipv6, Some((1, 2))));
    }

    #[test]
    fn addresses_are_those_that_were_logged() {
        let (packet, mut frame) = (ip4(6, &tcp(80, 4000)), [DST.0, SRC.0].concat());
        frame.extend([8, 0]);
        let sender = [&[0, 6, 0, 0][..], &[7; 6], &[0, 0]].concat();
        let one = parse_as(LinkType::NfLog, &log(&[(1, &[8, 0, 1, 0]), (8, &sender), (9, &packet)], true));
        let link = one.link.unwrap();
        assert_eq!((link.src, link.dst, link.ethertype), (Mac([7; 6]), Mac::default(), 0x0800));
        let all =
            [(1, &[8, 0, 1, 0][..]), (8, &sender), (15, &[0, 1]), (17, &[0, 14]), (16, &frame), (9, &packet)];
        let link = parse_as(LinkType::NfLog, &log(&all, true)).link.unwrap();
        assert_eq!((link.src, link.dst), (SRC, DST));
    }

    #[test]
    fn arp_is_known_by_its_type() {
        let headers = parse_as(LinkType::NfLog, &log(&[(1, &[8, 6, 0, 0]), (9, &arp())], true));
        assert_eq!((headers.outer.network, headers.malformed), (Network::Arp, None));
    }

    #[test]
    fn damaged_attributes_are_malformed() {
        for attributes in [&[3, 0, 1, 0][..], &[9, 0, 1, 0, 1], &[8, 0, 1, 0, 8, 0, 1, 0], &[0, 0, 9, 0]] {
            let headers = parse_as(LinkType::NfLog, &[&[2, 0, 0, 5][..], attributes].concat());
            assert_eq!((headers.link, headers.malformed), (None, Some(Malformed::LinkTooShort)));
        }
    }

    #[test]
    fn filters_of_bsd() {
        let packet = ip4(6, &tcp(80, 4000));
        let filter = [&[61, 2][..], &[0; 62], &packet].concat();
        assert_eq!(parse_as(LinkType::PfLog, &filter).outer.ports, Some((80, 4000)));
        let ipsec = [&[2, 0, 0, 0][..], &[9; 8], &packet].concat();
        assert_eq!(parse_as(LinkType::Enc, &ipsec).outer.ports, Some((80, 4000)));
    }
}
