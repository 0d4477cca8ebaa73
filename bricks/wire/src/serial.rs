//! Links between two ends, which have no addresses: PPP, Cisco HDLC, Frame Relay.

use crate::ethertype;
use crate::network::Payload;
use crate::{ppp, tag};
use legonf_core::Malformed;

/// PPP; also Cisco HDLC, whose address tells it apart.
pub(crate) fn ppp(bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
    match bytes {
        [0x0f | 0x8f, _, ..] => cisco_hdlc(bytes),
        _ => match ppp::read(bytes).map_err(|_| Malformed::LinkTooShort)? {
            Some(payload) => tag::read_bare(payload),
            None => Ok(Payload::none(bytes)),
        },
    }
}

/// The direction in a byte of its own.
pub(crate) fn ppp_with_direction(bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
    bytes.get(1..).ok_or(Malformed::LinkTooShort).and_then(ppp)
}

/// The direction in place of the address, so that the control byte comes next.
pub(crate) fn pppd(bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
    let bytes = bytes.get(1..).ok_or(Malformed::LinkTooShort)?;
    ppp(bytes.strip_prefix(&[0x03]).unwrap_or(bytes))
}

/// In Cisco HDLC the type of RARP is that of SLARP, which is another protocol.
const SLARP: u16 = ethertype::RARP;

/// Cisco HDLC: address (1), control (1), EtherType.
pub(crate) fn cisco_hdlc(bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
    let (h, bytes) = bytes.split_first_chunk::<4>().ok_or(Malformed::LinkTooShort)?;
    by_ethertype(u16::from_be_bytes([h[2], h[3]]), bytes)
}

fn by_ethertype(ethertype: u16, bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
    match ethertype {
        SLARP | 0..=ethertype::MAX_LENGTH => Ok(Payload::none(bytes)),
        _ => tag::read_bare(Payload { ethertype, bytes }),
    }
}

/// Frame Relay (RFC 2427): an address of two to four bytes, the last of which is odd, then control and a protocol, or
/// Cisco's EtherType.
pub(crate) fn frame_relay(bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
    let last = bytes.iter().take(4).position(|b| b & 1 == 1).ok_or(Malformed::LinkTooShort)?;
    match &bytes[last + 1..] {
        [0x03, 0x00, rest @ ..] | [0x03, rest @ ..] => by_protocol(rest),
        [high, low, rest @ ..] => by_ethertype(u16::from_be_bytes([*high, *low]), rest),
        _ => Err(Malformed::LinkTooShort),
    }
}

/// Network layer protocol identifiers (ISO 9577).
fn by_protocol(bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
    let (protocol, bytes) = bytes.split_first().ok_or(Malformed::LinkTooShort)?;
    match protocol {
        0xcc => Ok(Payload { ethertype: ethertype::IPV4, bytes }),
        0x8e => Ok(Payload { ethertype: ethertype::IPV6, bytes }),
        0x80 => match tag::snap(bytes)? {
            Some(payload) => tag::read_bare(payload),
            None => Ok(Payload::none(bytes)),
        },
        _ => Ok(Payload::none(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{ip4, ip6, parse_as, tcp, udp};
    use legonf_core::{LinkType, Network};

    /// Checks that a TCP packet behind this header is found, and its absence behind `other`.
    fn check(link: LinkType, header: &[u8], other: &[u8]) {
        let packet = ip4(6, &tcp(80, 4000));
        let found = parse_as(link, &[header, &packet].concat());
        assert_eq!((found.link, found.outer.ports), (None, Some((80, 4000))), "{link:?} {header:02x?}");
        assert_eq!(found.malformed, None);
        let none = parse_as(link, &[other, &packet].concat());
        assert_eq!((none.outer.network, none.malformed), (Network::None, None), "{link:?} {other:02x?}");
    }

    #[test]
    fn ppp_in_its_framings() {
        let lcp = [0xff, 0x03, 0xc0, 0x21];
        for header in
            [&[0xff, 0x03, 0x00, 0x21][..], &[0x00, 0x21], &[0x21], &[0xff, 0x03, 0x21], &[0x0f, 0, 8, 0]]
        {
            check(LinkType::Ppp, header, &lcp);
            check(LinkType::PppWithDirection, &[&[0][..], header].concat(), &[&[1][..], &lcp].concat());
        }
        check(LinkType::Ppp, &[0xff, 0x03, 0x02, 0x81, 0, 1, 1, 64], &lcp);
        check(LinkType::Pppd, &[1, 0x03, 0x00, 0x21], &[0, 0x03, 0xc0, 0x21]);
        let v6 = parse_as(LinkType::Ppp, &[&[0xff, 0x03, 0x00, 0x57][..], &ip6(17, &udp(1, 2))].concat());
        assert_eq!((v6.outer.network, v6.outer.ports), (Network::Ipv6, Some((1, 2))));
    }

    #[test]
    fn pppoe_sessions() {
        check(LinkType::PppoeSession, &[0x11, 0, 0, 1, 0, 42, 0, 0x21], &[0x11, 0, 0, 1, 0, 42, 0xc0, 0x21]);
    }

    #[test]
    fn cisco_hdlc() {
        check(LinkType::CiscoHdlc, &[0x0f, 0, 8, 0], &[0x8f, 0, 0x80, 0x35]);
        check(LinkType::CiscoHdlc, &[0x0f, 0, 0x88, 0x47, 0, 1, 1, 64], &[0x8f, 0, 0x20, 0]);
    }

    #[test]
    fn frame_relay() {
        check(LinkType::FrameRelay, &[0x18, 0x41, 0x03, 0xcc], &[0x18, 0x41, 0x03, 0xcf]);
        check(LinkType::FrameRelay, &[0x18, 0x40, 0x41, 0x03, 0x00, 0xcc], &[0x18, 0x41, 0x03, 0x08]);
        check(LinkType::FrameRelay, &[0x18, 0x41, 8, 0], &[0x18, 0x41, 0x20, 0]);
        check(
            LinkType::FrameRelay,
            &[0x18, 0x41, 0x03, 0x00, 0x80, 0, 0, 0, 8, 0],
            &[0x18, 0x41, 0x03, 0x80, 0, 0, 12, 8, 0],
        );
        let v6 =
            parse_as(LinkType::FrameRelay, &[&[0x18, 0x41, 0x03, 0x8e][..], &ip6(17, &udp(1, 2))].concat());
        assert_eq!(v6.outer.ports, Some((1, 2)));
    }
}
