//! IPv4.

use crate::network::{self, Upper};
use crate::transport::AUTHENTICATION;
use legonf_core::{Fragment, Layer, Malformed, Network};
use std::net::{IpAddr, Ipv4Addr};

const HEADER: usize = 20;

/// Reads the header with its options; `None` for a later fragment.
///
/// A header that contradicts itself gives no network identity. One that is cut off gives the source address if
/// that was captured; tshark looks for a source route before it shows the destination. A total length of 0 (segmentation offload) or beyond the frame is normal.
#[inline(always)]
pub(crate) fn read<'a>(bytes: &'a [u8], layer: &mut Layer) -> Result<Option<Upper<'a>>, Malformed> {
    let Some(h) = bytes.first_chunk::<HEADER>() else { return Err(cut(bytes, layer)) };
    let header_len = usize::from(h[0] & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([h[2], h[3]]));
    if !is_consistent(h[0], header_len, total_len) {
        return Err(Malformed::BadIpv4);
    }
    layer.network = Network::Ipv4;
    layer.src = Some(address([h[12], h[13], h[14], h[15]]));
    let end = if total_len == 0 { bytes.len() } else { total_len.min(bytes.len()) };
    let payload = bytes.get(header_len..end).ok_or(Malformed::BadIpv4)?;
    layer.dst = Some(address([h[16], h[17], h[18], h[19]]));
    layer.fragment = fragment(u16::from_be_bytes([h[6], h[7]]));
    network::upper(Upper { protocol: h[9], bytes: payload }, h[9] == AUTHENTICATION, layer)
}

#[inline(always)]
fn is_consistent(first: u8, header_len: usize, total_len: usize) -> bool {
    first >> 4 == 4 && header_len >= HEADER && (total_len >= header_len || total_len == 0)
}

#[inline(always)]
fn address(bytes: [u8; 4]) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_octets(bytes))
}

#[inline(always)]
fn fragment(flags_and_offset: u16) -> Fragment {
    match (flags_and_offset & 0x1fff, flags_and_offset & 0x2000) {
        (0, 0) => Fragment::Whole,
        (0, _) => Fragment::First,
        _ => Fragment::Later,
    }
}

/// A header of less than 20 captured bytes may still hold the source address.
#[cold]
fn cut(bytes: &[u8], layer: &mut Layer) -> Malformed {
    if let Some(h) = bytes.first_chunk::<16>() {
        let header_len = usize::from(h[0] & 0x0f) * 4;
        let total_len = usize::from(u16::from_be_bytes([h[2], h[3]]));
        if is_consistent(h[0], header_len, total_len) {
            layer.network = Network::Ipv4;
            layer.src = Some(address([h[12], h[13], h[14], h[15]]));
        }
    }
    Malformed::BadIpv4
}

#[cfg(test)]
mod tests {
    use crate::samples::{DST4, SRC, SRC4, ethernet, ip4, ip6, parse, tcp, udp};
    use legonf_core::{Fragment, Headers, Malformed, Network, Transport};

    fn with(edit: impl Fn(&mut Vec<u8>)) -> Headers {
        let mut packet = ip4(17, &udp(53, 4000));
        edit(&mut packet);
        parse(&ethernet(0x0800, &packet))
    }

    fn assert_no_network(headers: &Headers) {
        assert_eq!(headers.link.unwrap().src, SRC);
        assert_eq!((headers.outer.network, headers.outer.src), (Network::None, None));
        assert_eq!((headers.outer.ports, headers.malformed), (None, Some(Malformed::BadIpv4)));
    }

    #[test]
    fn addresses_and_ports() {
        let headers = with(|_| ());
        assert_eq!((headers.outer.src, headers.outer.dst), (Some(SRC4), Some(DST4)));
        assert_eq!((headers.outer.transport, headers.outer.ports), (Transport::Udp, Some((53, 4000))));
        assert_eq!((headers.outer.fragment, headers.malformed), (Fragment::Whole, None));
    }

    #[test]
    fn options_are_skipped() {
        let mut packet = ip4(6, &[&[1, 1, 1, 0][..], &tcp(80, 4000)].concat());
        packet[0] = 0x46;
        assert_eq!(parse(&ethernet(0x0800, &packet)).outer.ports, Some((80, 4000)));
        let headers = parse(&ethernet(0x0800, &packet[..22]));
        assert_eq!((headers.outer.src, headers.outer.dst), (Some(SRC4), None));
        assert_eq!((headers.outer.transport, headers.malformed), (Transport::None, Some(Malformed::BadIpv4)));
    }

    #[test]
    fn contradictions_leave_no_network_identity() {
        assert_no_network(&with(|p| p[0] = 0x44));
        assert_no_network(&with(|p| p[0] = 0x55));
        assert_no_network(&with(|p| p[2..4].copy_from_slice(&[0, 19])));
        assert_no_network(&with(|p| p.truncate(15)));
        assert_no_network(&with(Vec::clear));
    }

    #[test]
    fn any_total_length_beyond_the_frame_is_normal() {
        for total in [[0, 0], [0xff, 0xff]] {
            let headers = with(|p| p[2..4].copy_from_slice(&total));
            assert_eq!((headers.outer.ports, headers.malformed), (Some((53, 4000)), None));
        }
    }

    #[test]
    fn the_total_length_bounds_the_transport_header() {
        let headers = with(|p| p[2..4].copy_from_slice(&[0, 23]));
        assert_eq!((headers.outer.dst, headers.outer.ports), (Some(DST4), None));
        assert_eq!(headers.malformed, Some(Malformed::TransportTooShort));
    }

    #[test]
    fn a_cut_header_may_keep_its_source() {
        let headers = with(|p| p.truncate(19));
        assert_eq!((headers.outer.src, headers.outer.dst), (Some(SRC4), None));
        assert_eq!((headers.outer.network, headers.malformed), (Network::Ipv4, Some(Malformed::BadIpv4)));
    }

    #[test]
    fn only_the_first_fragment_has_ports() {
        let first = with(|p| p[6] = 0x20);
        assert_eq!((first.outer.fragment, first.outer.ports), (Fragment::First, Some((53, 4000))));
        let later = with(|p| p[7] = 0x01);
        assert_eq!((later.outer.fragment, later.outer.ports), (Fragment::Later, None));
        assert_eq!((later.outer.dst, later.outer.transport), (Some(DST4), Transport::None));
        assert_eq!(later.malformed, None);
    }

    #[test]
    fn version_6_is_read_as_such() {
        let headers = parse(&ethernet(0x0800, &ip6(17, &udp(1, 2))));
        assert_eq!((headers.outer.network, headers.outer.ports), (Network::Ipv6, Some((1, 2))));
    }

    #[test]
    fn an_authentication_header_is_skipped() {
        let mut body = vec![6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
        body.extend(tcp(80, 4000));
        let headers = parse(&ethernet(0x0800, &ip4(51, &body)));
        assert_eq!((headers.outer.transport, headers.outer.ports), (Transport::Tcp, Some((80, 4000))));
    }
}
