//! The network service header (RFC 8300), and the protocol numbers that it shares with VXLAN-GPE.

use crate::ethertype as et;
use crate::network::Payload;
use legonf_core::Malformed;

/// Base header (4) and service path (4).
const FIXED: usize = 8;

/// What follows the header; `None` where it is none that is parsed. Version, flags, time to live and length in words
/// (2), kind of metadata (1), next protocol (1), service path (4), metadata.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Payload<'_>>, Malformed> {
    let h = bytes.first_chunk::<FIXED>().ok_or(Malformed::TagTooShort)?;
    let len = usize::from(h[1] & 0x3f) * 4;
    if h[0] >> 6 != 0 || len < FIXED {
        return Err(Malformed::TagTooShort);
    }
    let bytes = bytes.get(len..).ok_or(Malformed::TagTooShort)?;
    Ok(ethertype(h[3]).map(|ethertype| Payload { ethertype, bytes }))
}

/// The EtherType of a next protocol.
pub(crate) fn ethertype(protocol: u8) -> Option<u16> {
    match protocol {
        1 => Some(et::IPV4),
        2 => Some(et::IPV6),
        3 => Some(et::TRANSPARENT_ETHERNET),
        4 => Some(et::NSH),
        5 => Some(et::MPLS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{DST, SRC, ethernet, ip4, ip6, parse, tcp, udp};
    use legonf_core::{Headers, Malformed, Network};

    fn header(words: u8, protocol: u8) -> Vec<u8> {
        let mut header = vec![0x0f, 0xc0 | words, 1, protocol, 0, 0, 1, 0xff];
        header.resize(usize::from(words) * 4, 0);
        header
    }

    fn behind(header: &[u8], packet: &[u8]) -> Headers {
        parse(&ethernet(0x894f, &[header, packet].concat()))
    }

    #[test]
    fn each_protocol_is_read() {
        let (v4, v6) = (ip4(6, &tcp(80, 4000)), ip6(17, &udp(53, 4000)));
        assert_eq!(behind(&header(6, 1), &v4).outer.ports, Some((80, 4000)));
        assert_eq!(behind(&header(2, 2), &v6).outer.ports, Some((53, 4000)));
        assert_eq!(behind(&header(6, 5), &[&[0, 1, 1, 64][..], &v4].concat()).outer.ports, Some((80, 4000)));
        assert_eq!(behind(&header(6, 4), &[header(2, 1), v4].concat()).outer.ports, Some((80, 4000)));
        let other = behind(&header(6, 9), &v6);
        assert_eq!((other.link.unwrap().ethertype, other.outer.network), (0x894f, Network::None));
        assert_eq!(other.malformed, None);
    }

    #[test]
    fn a_frame_inside_has_the_addresses() {
        let frame = [&[8; 12][..], &[8, 0], &ip4(6, &tcp(80, 4000))].concat();
        let link = behind(&header(6, 3), &frame).link.unwrap();
        assert_ne!((link.src, link.dst), (SRC, DST));
        assert_eq!((link.src.0, link.ethertype), ([8; 6], 0x0800));
    }

    #[test]
    fn cut_and_contradicting_headers() {
        for bytes in
            [vec![0x0f; 7], header(6, 1)[..20].to_vec(), vec![0x0f, 0xc1, 1, 1, 0, 0, 1, 1], vec![0x4f; 24]]
        {
            let headers = behind(&bytes, &[]);
            assert_eq!((headers.link.unwrap().src, headers.malformed), (SRC, Some(Malformed::TagTooShort)));
        }
    }
}
