//! Tunnels over UDP: VXLAN with and without its generic protocol extension, GENEVE, GTP-U. The destination port tells
//! which it is.

use crate::bytes::{at_most, be16};
use crate::ethertype;
use crate::network::Payload;
use crate::tunnel::{by_ethertype, carry, inner_ethernet};
use crate::{nsh, transport};
use legonf_core::{Encapsulation, Inner, Malformed};

const GTP_U: u16 = 2152;
const VXLAN: u16 = 4789;
const VXLAN_GPE: u16 = 4790;
const GENEVE: u16 = 6081;

/// Bytes that the headers of all have in common.
const HEADER: usize = 8;

/// Whether datagrams to this port are read as a tunnel.
#[inline(always)]
pub(crate) fn is_tunnel(port: u16) -> bool {
    // One comparison for most ports.
    port.wrapping_sub(GTP_U) <= GENEVE - GTP_U && matches!(port, GTP_U | VXLAN | VXLAN_GPE | GENEVE)
}

/// Reads the tunnel of `port` from its UDP header on.
pub(crate) fn read(port: u16, udp: &[u8], inner: &mut Option<Inner>) -> Result<(), Malformed> {
    let (h, rest) = payload(udp)?.split_first_chunk::<HEADER>().ok_or(Malformed::BadTunnel)?;
    match port {
        VXLAN => vxlan(h, rest, inner),
        VXLAN_GPE => vxlan_gpe(h, rest, inner),
        GENEVE => geneve(h, rest, inner),
        GTP_U => gtp_u(h, rest, inner),
        _ => Ok(()),
    }
}

/// The bytes within the datagram's length, which is 0 where the field is too small for it (RFC 2675 §4).
fn payload(udp: &[u8]) -> Result<&[u8], Malformed> {
    let len = match be16(udp, 4).ok_or(Malformed::BadTunnel)? {
        0 => udp.len(),
        len => len.into(),
    };
    at_most(udp, len).get(transport::UDP_HEADER..).ok_or(Malformed::BadTunnel)
}

/// The network identifier of VXLAN and GENEVE.
fn network(h: &[u8; HEADER]) -> u32 {
    u32::from_be_bytes([0, h[4], h[5], h[6]])
}

const HAS_NETWORK: u8 = 0x08;
const HAS_PROTOCOL: u8 = 0x04;

/// VXLAN (RFC 7348 §5): flags, of which bit 3 says that the network identifier is valid, then that identifier.
fn vxlan(h: &[u8; HEADER], frame: &[u8], inner: &mut Option<Inner>) -> Result<(), Malformed> {
    if h[0] & HAS_NETWORK == 0 {
        return Err(Malformed::BadTunnel);
    }
    carry(Encapsulation::Vxlan(network(h)), inner_ethernet(frame), inner)
}

/// VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe §3): the fourth byte names what is carried, if its flag is set.
fn vxlan_gpe(h: &[u8; HEADER], bytes: &[u8], inner: &mut Option<Inner>) -> Result<(), Malformed> {
    if h[0] & HAS_NETWORK == 0 {
        return Err(Malformed::BadTunnel);
    }
    let payload = match (h[0] & HAS_PROTOCOL, nsh::ethertype(h[3])) {
        (0, _) => inner_ethernet(bytes),
        (_, Some(ethertype)) => by_ethertype(ethertype, bytes),
        (_, None) => Ok(None),
    };
    carry(Encapsulation::VxlanGpe(network(h)), payload, inner)
}

/// GENEVE (RFC 8926 §3.4): version and length of the options in words (1), flags (1), EtherType, network identifier.
fn geneve(h: &[u8; HEADER], rest: &[u8], inner: &mut Option<Inner>) -> Result<(), Malformed> {
    let options = usize::from(h[0] & 0x3f) * 4;
    if h[0] >> 6 != 0 {
        return Err(Malformed::BadTunnel);
    }
    let payload = rest.get(options..).ok_or(Malformed::BadTunnel);
    let payload = payload.and_then(|bytes| by_ethertype(u16::from_be_bytes([h[2], h[3]]), bytes));
    carry(Encapsulation::Geneve(network(h)), payload, inner)
}

/// Version 1, and not GTP'.
const GTP_VERSION: u8 = 0x3;
/// The message that carries a packet.
const GTP_PACKET: u8 = 255;
/// Any of sequence number, N-PDU number and extension header: then all their fields are there.
const GTP_OPTIONAL: u8 = 0x07;
const GTP_EXTENDED: u8 = 0x04;
const MAX_EXTENSIONS: usize = 16;

/// GTP-U (3GPP TS 29.281 §5): version and flags (1), message (1), length (2), tunnel endpoint.
fn gtp_u(h: &[u8; HEADER], rest: &[u8], inner: &mut Option<Inner>) -> Result<(), Malformed> {
    if h[0] >> 4 != GTP_VERSION {
        return Err(Malformed::BadTunnel);
    }
    if h[1] != GTP_PACKET {
        return Ok(());
    }
    let bytes = at_most(rest, u16::from_be_bytes([h[2], h[3]]).into());
    let endpoint = u32::from_be_bytes([h[4], h[5], h[6], h[7]]);
    carry(Encapsulation::GtpU(endpoint), gtp_packet(h[0], bytes), inner)
}

/// The packet behind the optional fields: sequence number (2), N-PDU number (1), kind of the first extension (1).
fn gtp_packet(flags: u8, bytes: &[u8]) -> Result<Option<Payload<'_>>, Malformed> {
    let bytes = match bytes.split_first_chunk::<4>() {
        _ if flags & GTP_OPTIONAL == 0 => bytes,
        Some((fields, rest)) if flags & GTP_EXTENDED != 0 => gtp_extensions(fields[3], rest)?,
        Some((_, rest)) => rest,
        None => return Err(Malformed::BadTunnel),
    };
    Ok(ethertype::of_ip(bytes).map(|ethertype| Payload { ethertype, bytes }))
}

/// Passes over extension headers: length in words (1), content, kind of the next (1).
fn gtp_extensions(mut kind: u8, mut bytes: &[u8]) -> Result<&[u8], Malformed> {
    for _ in 0..MAX_EXTENSIONS {
        if kind == 0 {
            return Ok(bytes);
        }
        let words = usize::from(*bytes.first().ok_or(Malformed::BadTunnel)?);
        let (extension, rest) = bytes.split_at_checked(words * 4).ok_or(Malformed::BadTunnel)?;
        kind = *extension.last().ok_or(Malformed::BadTunnel)?;
        bytes = rest;
    }
    Err(Malformed::BadTunnel)
}

#[cfg(test)]
mod tests {
    use crate::samples::{SRC, SRC4, ethernet, ip4, ip6, parse, tcp, udp, udp_with};
    use legonf_core::{Encapsulation, Headers, Malformed, Network};

    fn carried(port: u16, header: &[u8], packet: &[u8]) -> Headers {
        let datagram = udp_with(40010, port, &[header, packet].concat());
        let headers = parse(&ethernet(0x0800, &ip4(17, &datagram)));
        assert_eq!((headers.outer.src, headers.outer.ports), (Some(SRC4), Some((40010, port))));
        headers
    }

    fn assert_found(headers: &Headers, by: Encapsulation) {
        let inner = headers.inner.unwrap();
        assert_eq!((inner.by, inner.layer.network), (by, Network::Ipv4));
        assert_eq!((inner.layer.ports, headers.malformed), (Some((80, 4000)), None));
        assert_eq!(headers.link.unwrap().src, SRC);
    }

    fn assert_none(headers: &Headers, by: Encapsulation) {
        let inner = headers.inner.unwrap();
        assert_eq!((inner.by, inner.layer.network, headers.malformed), (by, Network::None, None));
    }

    #[test]
    fn geneve_with_and_without_options() {
        let packet = ip4(6, &tcp(80, 4000));
        let frame = ethernet(0x0800, &packet);
        let by = Encapsulation::Geneve(0x123456);
        assert_found(&carried(6081, &[0, 0, 0x65, 0x58, 0x12, 0x34, 0x56, 0], &frame), by);
        let options = [2, 0, 0x65, 0x58, 0x12, 0x34, 0x56, 0, 1, 2, 3, 1, 9, 9, 9, 9];
        assert_found(&carried(6081, &options, &frame), by);
        assert_found(&carried(6081, &[0, 0, 8, 0, 0x12, 0x34, 0x56, 0], &packet), by);
        assert_none(&carried(6081, &[0, 0, 0x99, 0x99, 0x12, 0x34, 0x56, 0], &packet), by);
    }

    #[test]
    fn vxlan_gpe_names_what_it_carries() {
        let packet = ip4(6, &tcp(80, 4000));
        let frame = ethernet(0x0800, &packet);
        let (header, by) =
            (|flags, protocol| [flags, 0, 0, protocol, 0, 0, 7, 0], Encapsulation::VxlanGpe(7));
        assert_found(&carried(4790, &header(0x0c, 1), &packet), by);
        assert_found(&carried(4790, &header(0x0c, 3), &frame), by);
        assert_found(&carried(4790, &header(0x08, 0), &frame), by);
        let nsh = [0x0f, 0xc2, 1, 3, 0, 0, 1, 0xff];
        assert_found(&carried(4790, &[&header(0x0c, 4)[..], &nsh].concat(), &frame), by);
        let v6 = carried(4790, &header(0x0c, 2), &ip6(17, &udp(1, 2)));
        assert_eq!(v6.inner.unwrap().layer.ports, Some((1, 2)));
        assert_none(&carried(4790, &header(0x0c, 77), &packet), by);
    }

    #[test]
    fn gtp_u_with_and_without_extensions() {
        let packet = ip4(6, &tcp(80, 4000));
        let message = |flags: u8, kind: u8, optional: &[u8]| {
            let len = ((optional.len() + packet.len()) as u16).to_be_bytes();
            [&[flags, kind, len[0], len[1], 0, 0, 0x12, 0x34][..], optional].concat()
        };
        let by = Encapsulation::GtpU(0x1234);
        assert_found(&carried(2152, &message(0x30, 255, &[]), &packet), by);
        assert_found(&carried(2152, &message(0x32, 255, &[0, 9, 0, 0x85]), &packet), by);
        assert_found(&carried(2152, &message(0x34, 255, &[0, 0, 0, 0x85, 1, 0x10, 9, 0]), &packet), by);
        let two = [0, 0, 0, 0x85, 1, 0x10, 9, 0xc0, 2, 0, 0, 0, 0, 0, 0, 0];
        assert_found(&carried(2152, &message(0x34, 255, &two), &packet), by);
        assert_none(&carried(2152, &message(0x30, 255, &[0x10]), &packet), by);
        let echo = carried(2152, &message(0x32, 1, &[0, 9, 0, 0]), &[]);
        assert_eq!((echo.inner, echo.malformed), (None, None));
    }

    #[test]
    fn a_length_of_0_is_that_of_the_packet() {
        let frame = ethernet(0x0800, &ip4(6, &tcp(80, 4000)));
        let mut datagram = udp_with(40010, 4789, &[&[0x08, 0, 0, 0, 0, 0, 7, 0][..], &frame].concat());
        datagram[4..6].copy_from_slice(&[0, 0]);
        assert_found(&parse(&ethernet(0x0800, &ip4(17, &datagram))), Encapsulation::Vxlan(7));
    }

    #[test]
    fn what_is_no_such_tunnel_is_malformed() {
        for (port, bytes) in [
            (2152, &[0x30, 255, 0, 9][..]),
            (2152, &[0x50, 255, 0, 0, 0, 0, 0, 0]),
            (2152, &[0x34, 255, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0x85, 0, 0, 0, 0]),
            (2152, &[0x34, 255, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0x85, 9, 0, 0, 0]),
            (2152, &[0x32, 255, 0, 2, 0, 0, 0, 1, 0, 0]),
            (4790, &[0x04, 0, 0, 1, 0, 0, 7, 0]),
            (6081, &[0x40, 0, 8, 0, 0, 0, 7, 0]),
            (6081, &[0x02, 0, 8, 0, 0, 0, 7, 0, 1, 1]),
            (6081, &[]),
        ] {
            assert_eq!(
                carried(port, bytes, &[]).malformed,
                Some(Malformed::BadTunnel),
                "{port} {bytes:02x?}"
            );
        }
    }
}
