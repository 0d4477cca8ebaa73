//! ARP and RARP.

use crate::ethertype;
use legonf_core::{Layer, Malformed, Network};
use std::net::{IpAddr, Ipv4Addr};

/// Fixed part: hardware type, protocol type, hardware and protocol address length, operation.
const FIXED: usize = 8;
const ETHERNET_LEN: usize = 6;
const IPV4_LEN: usize = 4;

/// Reads the sender's and the target's protocol address, where they are IPv4.
///
/// It is ARP as soon as the operation was captured; the addresses are there once the last of them was.
pub(crate) fn read(bytes: &[u8], layer: &mut Layer) -> Result<(), Malformed> {
    let (h, rest) = bytes.split_first_chunk::<FIXED>().ok_or(Malformed::BadArp)?;
    layer.network = Network::Arp;
    let (hardware_len, protocol_len) = (usize::from(h[4]), usize::from(h[5]));
    let is_ipv4 = u16::from_be_bytes([h[2], h[3]]) == ethertype::IPV4 && protocol_len == IPV4_LEN;
    if is_ipv4 {
        layer.dst = address(rest, 2 * hardware_len + IPV4_LEN);
        layer.src = layer.dst.and_then(|_| address(rest, hardware_len));
    }
    if is_ipv4 && hardware_len == ETHERNET_LEN && layer.dst.is_some() {
        Ok(())
    } else {
        Err(Malformed::BadArp)
    }
}

fn address(bytes: &[u8], at: usize) -> Option<IpAddr> {
    let octets = bytes.get(at..)?.first_chunk()?;
    Some(IpAddr::V4(Ipv4Addr::from_octets(*octets)))
}

#[cfg(test)]
mod tests {
    use crate::samples::{DST4, SRC, SRC4, arp, ethernet, parse};
    use legonf_core::{Headers, Malformed, Network};

    fn with(edit: impl Fn(&mut Vec<u8>)) -> Headers {
        let mut packet = arp();
        edit(&mut packet);
        parse(&ethernet(0x0806, &packet))
    }

    #[test]
    fn sender_and_target() {
        for ethertype in [0x0806, 0x8035] {
            let headers = parse(&ethernet(ethertype, &arp()));
            assert_eq!(headers.outer.network, Network::Arp);
            assert_eq!((headers.outer.src, headers.outer.dst), (Some(SRC4), Some(DST4)));
            assert_eq!(headers.malformed, None);
        }
    }

    #[test]
    fn a_cut_packet_is_still_arp() {
        for len in [8, 18, 27] {
            let headers = with(|p| p.truncate(len));
            assert_eq!((headers.outer.network, headers.outer.src), (Network::Arp, None), "{len}");
            assert_eq!((headers.outer.dst, headers.malformed), (None, Some(Malformed::BadArp)), "{len}");
        }
        let headers = with(|p| p.truncate(7));
        assert_eq!((headers.link.unwrap().src, headers.outer.network), (SRC, Network::None));
    }

    #[test]
    fn other_address_families_have_no_addresses() {
        let other_protocol = with(|p| p[2] = 0x86);
        assert_eq!((other_protocol.outer.src, other_protocol.outer.dst), (None, None));
        let other_length = with(|p| p[5] = 16);
        assert_eq!((other_length.outer.network, other_length.outer.src), (Network::Arp, None));
    }
}
