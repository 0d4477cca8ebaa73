//! IPv6.

use crate::bytes::at_most;
use crate::extension;
use crate::network::{self, Upper};
use legonf_core::{Layer, Malformed, Network};
use std::net::{IpAddr, Ipv6Addr};

const HEADER: usize = 40;

/// The most bytes by which Ethernet pads a packet that has no payload: 46 less the header.
const PADDING: usize = 6;

/// Reads the fixed header and the extension headers; `None` for a later fragment.
///
/// A payload length beyond the frame is normal. That of a jumbogram is 0, and so is that of a segment of more than
/// 65,535 bytes that is captured before it is cut (BIG TCP), which has no option to say so.
#[inline(always)]
pub(crate) fn read<'a>(bytes: &'a [u8], layer: &mut Layer) -> Result<Option<Upper<'a>>, Malformed> {
    let Some((h, rest)) = bytes.split_first_chunk::<HEADER>() else { return Err(cut(bytes, layer)) };
    if h[0] >> 4 != 6 {
        return Err(Malformed::BadIpv6);
    }
    layer.network = Network::Ipv6;
    layer.src = address(&h[8..24]);
    layer.dst = address(&h[24..40]);
    let payload_len = usize::from(u16::from_be_bytes([h[4], h[5]]));
    let is_jumbo = payload_len == 0 && rest.len() > PADDING && extension::is_jumbo(h[6], rest);
    let payload = if is_jumbo { rest } else { at_most(rest, payload_len) };
    network::upper(Upper { protocol: h[6], bytes: payload }, extension::is_extension(h[6]), layer)
}

#[inline(always)]
fn address(bytes: &[u8]) -> Option<IpAddr> {
    bytes.first_chunk::<16>().map(|b| IpAddr::V6(Ipv6Addr::from_octets(*b)))
}

/// A header of less than 40 captured bytes may still hold the source address.
#[cold]
fn cut(bytes: &[u8], layer: &mut Layer) -> Malformed {
    if let (Some(6), Some(24..)) = (bytes.first().map(|b| b >> 4), Some(bytes.len())) {
        layer.network = Network::Ipv6;
        layer.src = address(&bytes[8..24]);
    }
    Malformed::BadIpv6
}

#[cfg(test)]
mod tests {
    use crate::samples::{DST6, SRC6, ethernet, ip4, ip6, parse, tcp, udp};
    use legonf_core::{Malformed, Network};

    #[test]
    fn addresses_and_ports() {
        let headers = parse(&ethernet(0x86dd, &ip6(17, &udp(53, 4000))));
        assert_eq!((headers.outer.src, headers.outer.dst), (Some(SRC6), Some(DST6)));
        assert_eq!((headers.outer.ports, headers.malformed), (Some((53, 4000)), None));
    }

    #[test]
    fn another_version_leaves_no_network_identity() {
        let headers = parse(&ethernet(0x86dd, &ip4(17, &[0; 40])));
        assert_eq!((headers.outer.network, headers.malformed), (Network::None, Some(Malformed::BadIpv6)));
    }

    #[test]
    fn cut_headers_keep_what_was_captured() {
        let packet = ip6(17, &udp(53, 4000));
        for (len, network, src) in
            [(0, Network::None, None), (23, Network::None, None), (39, Network::Ipv6, Some(SRC6))]
        {
            let headers = parse(&ethernet(0x86dd, &packet[..len]));
            assert_eq!((headers.outer.network, headers.outer.src), (network, src));
            assert_eq!((headers.outer.dst, headers.malformed), (None, Some(Malformed::BadIpv6)));
        }
    }

    #[test]
    fn the_payload_length_bounds_the_transport_header() {
        let mut packet = ip6(17, &udp(53, 4000));
        packet[5] = 3;
        let headers = parse(&ethernet(0x86dd, &packet));
        assert_eq!((headers.outer.ports, headers.malformed), (None, Some(Malformed::TransportTooShort)));
    }

    #[test]
    fn a_jumbogram_states_its_length_in_an_option() {
        let options = [17, 0, 0xc2, 4, 0, 1, 0x11, 0x70];
        let mut packet = ip6(0, &[&options[..], &udp(53, 4000)].concat());
        packet[4..6].copy_from_slice(&[0, 0]);
        assert_eq!(parse(&ethernet(0x86dd, &packet)).outer.ports, Some((53, 4000)));
        packet[42] = 1;
        assert_eq!(parse(&ethernet(0x86dd, &packet)).outer.ports, None);
        for padded in [
            &[0, 0, 0xc2, 4, 0, 1, 0x11, 0x70, 1, 2, 0, 0][..],
            &[1, 2, 0, 0, 0xc2, 4, 0, 1, 0x11, 0x70, 0, 0],
        ] {
            let options = [&[17, 1][..], padded, &[0, 0]].concat();
            let mut packet = ip6(0, &[&options[..], &udp(53, 4000)].concat());
            packet[4..6].copy_from_slice(&[0, 0]);
            assert_eq!(parse(&ethernet(0x86dd, &packet)).outer.ports, Some((53, 4000)), "{padded:02x?}");
        }
    }

    #[test]
    fn a_big_segment_states_no_length() {
        let mut packet = ip6(6, &tcp(4321, 443));
        packet[4..6].copy_from_slice(&[0, 0]);
        let headers = parse(&ethernet(0x86dd, &packet));
        assert_eq!((headers.outer.ports, headers.malformed), (Some((4321, 443)), None));
        let padded = parse(&ethernet(0x86dd, &[&packet[..40], &[0; 6]].concat()));
        assert_eq!((padded.outer.ports, padded.malformed), (None, Some(Malformed::TransportTooShort)));
    }
}
