//! Tags of switches and fabrics between the Ethernet header and the network layer, and frames inside frames.

use crate::bytes::{at_most, be16};
use crate::ethertype as et;
use crate::network::Payload;
use legonf_core::{Link, Mac, Malformed};

/// What follows a tag of this EtherType; `None` for other EtherTypes, and where the tag hides what follows.
pub(crate) fn read<'a>(tag: Payload<'a>, link: &mut Link) -> Result<Option<Payload<'a>>, Malformed> {
    let bytes = tag.bytes;
    match tag.ethertype {
        et::VN_TAG | et::HSR | et::R_TAG => behind(bytes, 4).map(Some),
        et::E_TAG => behind(bytes, 6).map(Some),
        et::METADATA => metadata(bytes).map(Some),
        et::MACSEC => macsec(bytes),
        et::PBB => within(bytes, 4, link).map(Some),
        et::FABRIC_PATH => within(bytes, 2, link).map(Some),
        et::TRILL => trill(bytes, link).map(Some),
        et::TRANSPARENT_ETHERNET => within(bytes, 0, link).map(Some),
        _ => Ok(None),
    }
}

/// The EtherType behind `len` bytes, and what follows it.
fn behind(bytes: &[u8], len: usize) -> Result<Payload<'_>, Malformed> {
    let ethertype = be16(bytes, len).ok_or(Malformed::TagTooShort)?;
    Ok(Payload { ethertype, bytes: &bytes[len + 2..] })
}

/// The frame behind `len` bytes of its carrier's header: the addresses become the inner frame's, which are those of
/// the hosts. The VLAN stays the outermost.
fn within<'a>(bytes: &'a [u8], len: usize, link: &mut Link) -> Result<Payload<'a>, Malformed> {
    let frame = bytes.get(len..).ok_or(Malformed::TagTooShort)?;
    let (h, bytes) = frame.split_first_chunk::<14>().ok_or(Malformed::TagTooShort)?;
    link.dst = Mac([h[0], h[1], h[2], h[3], h[4], h[5]]);
    link.src = Mac([h[6], h[7], h[8], h[9], h[10], h[11]]);
    Ok(Payload { ethertype: u16::from_be_bytes([h[12], h[13]]), bytes })
}

/// TRILL (RFC 6325 §3): version, multicast, option length in words and hop count (2), then two nicknames.
fn trill<'a>(bytes: &'a [u8], link: &mut Link) -> Result<Payload<'a>, Malformed> {
    let first = be16(bytes, 0).ok_or(Malformed::TagTooShort)?;
    within(bytes, 6 + usize::from(first >> 6 & 0x1f) * 4, link)
}

/// Cisco MetaData: version (1), length of the options in words (1), options.
fn metadata(bytes: &[u8]) -> Result<Payload<'_>, Malformed> {
    let [_, words, ..] = *bytes else { return Err(Malformed::TagTooShort) };
    behind(bytes, 2 + usize::from(words) * 4)
}

const MACSEC_VERSION: u8 = 0x80;
const MACSEC_SCI: u8 = 0x20;
const MACSEC_ENCRYPTED: u8 = 0x08;
const MACSEC_CHANGED: u8 = 0x04;

/// MACsec (IEEE 802.1AE §9): control bits (1), length where it is short (1), packet number (4), channel (8, if its bit
/// is set). What is encrypted or changed stays unparsed.
fn macsec(bytes: &[u8]) -> Result<Option<Payload<'_>>, Malformed> {
    let (h, data) = bytes.split_first_chunk::<6>().ok_or(Malformed::TagTooShort)?;
    if h[0] & (MACSEC_VERSION | MACSEC_ENCRYPTED | MACSEC_CHANGED) != 0 {
        return Ok(None);
    }
    let channel = if h[0] & MACSEC_SCI == 0 { 0 } else { 8 };
    let data = data.get(channel..).ok_or(Malformed::TagTooShort)?;
    let data = if h[1] == 0 { data } else { at_most(data, h[1].into()) };
    behind(data, 0).map(Some)
}

#[cfg(test)]
mod tests {
    use crate::samples::{DST, SRC, ethernet, ip4, parse, tcp};
    use legonf_core::{Headers, Mac, Malformed, Network};

    const BACKBONE: [u8; 12] = [6, 0, 0, 0, 0, 1, 6, 0, 0, 0, 0, 2];

    fn tagged(ethertype: u16, tag: &[u8]) -> Headers {
        parse(&ethernet(ethertype, &[tag, &ip4(6, &tcp(80, 4000))].concat()))
    }

    /// The frame of the hosts behind a tag of the backbone's frame.
    fn carried(ethertype: u16, tag: &[u8]) -> Vec<u8> {
        let frame = ethernet(0x0800, &ip4(6, &tcp(80, 4000)));
        [&BACKBONE[..], &ethertype.to_be_bytes(), tag, &frame].concat()
    }

    fn assert_found(headers: &Headers) {
        let link = headers.link.unwrap();
        assert_eq!((link.src, link.dst, link.ethertype), (SRC, DST, 0x0800));
        assert_eq!((headers.outer.ports, headers.malformed), (Some((80, 4000)), None));
    }

    #[test]
    fn tags_of_one_length_are_transparent() {
        assert_found(&tagged(0x893f, &[0, 0, 0x10, 1, 0, 0, 8, 0]));
        assert_found(&tagged(0x8926, &[0x80, 1, 0, 2, 8, 0]));
        assert_found(&tagged(0x892f, &[0, 60, 0, 9, 8, 0]));
        assert_found(&tagged(0xf1c1, &[0, 0, 0, 9, 8, 0]));
        let with_vlan = tagged(0x893f, &[0, 0, 0x10, 1, 0, 0, 0x81, 0, 0, 7, 8, 0]);
        assert_found(&with_vlan);
        assert_eq!(with_vlan.link.unwrap().vlan, Some(7));
    }

    #[test]
    fn metadata_states_its_length() {
        assert_found(&tagged(0x8909, &[1, 1, 0, 1, 0, 9, 8, 0]));
        assert_found(&tagged(0x8909, &[1, 2, 0, 1, 0, 9, 0, 0, 0, 0, 8, 0]));
    }

    #[test]
    fn macsec_in_the_clear_is_read() {
        assert_found(&tagged(0x88e5, &[0x00, 0, 0, 0, 0, 1, 8, 0]));
        assert_found(&tagged(0x88e5, &[0x20, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0, 1, 8, 0]));
        assert_found(&tagged(0x88e5, &[0x00, 42, 0, 0, 0, 1, 8, 0]));
        for hidden in [0x2c, 0x0c, 0x04, 0x80] {
            let headers = tagged(0x88e5, &[hidden, 0, 0, 0, 0, 1, 8, 0]);
            assert_eq!((headers.link.unwrap().ethertype, headers.outer.network), (0x88e5, Network::None));
            assert_eq!(headers.malformed, None, "{hidden:#x}");
        }
    }

    #[test]
    fn the_addresses_are_those_of_the_inner_frame() {
        assert_found(&parse(&carried(0x88e7, &[0, 1, 2, 3])));
        assert_found(&parse(&carried(0x8903, &[0, 0x60])));
        assert_found(&parse(&carried(0x22f3, &[0, 9, 0, 1, 0, 2])));
        assert_found(&parse(&carried(0x22f3, &[0, 0x49, 0, 1, 0, 2, 0, 0, 0, 0])));
        assert_found(&parse(&carried(0x6558, &[])));
        let bridged =
            parse(&[&BACKBONE[..], &[0x88, 0xa8, 0, 5], &carried(0x88e7, &[0, 1, 2, 3])[12..]].concat());
        assert_found(&bridged);
        assert_eq!(bridged.link.unwrap().vlan, Some(5));
    }

    #[test]
    fn a_frame_cut_at_any_byte_has_the_addresses_of_one_of_the_two() {
        for (ethertype, tag) in
            [(0x88e7, &[0, 1, 2, 3][..]), (0x8903, &[0, 0x60]), (0x22f3, &[0, 9, 0, 1, 0, 2]), (0x6558, &[])]
        {
            let frame = carried(ethertype, tag);
            let inner = 14 + tag.len() + 14;
            for len in 0..frame.len() {
                let headers = parse(&frame[..len]);
                let expected = match len {
                    ..14 => None,
                    _ if len < inner => Some(Mac([6, 0, 0, 0, 0, 2])),
                    _ => Some(SRC),
                };
                assert_eq!(headers.link.map(|link| link.src), expected, "{ethertype:#06x} {len}");
                assert!(headers.malformed.is_some());
            }
        }
    }

    #[test]
    fn cut_tags_keep_the_addresses_of_the_frame() {
        for (ethertype, tag) in [
            (0x893f, &[0, 0, 0x10, 1, 0, 0, 8][..]),
            (0x8926, &[0x80, 1, 0, 2, 8]),
            (0x8909, &[1]),
            (0x88e5, &[0, 0, 0, 0, 0]),
            (0x88e5, &[0x20, 0, 0, 0, 0, 1, 2, 0]),
            (0x88e7, &[0, 1, 2]),
            (0x88e7, &[0, 1, 2, 3, 9, 9]),
            (0x8903, &[0]),
            (0x22f3, &[0]),
        ] {
            let headers = parse(&[&BACKBONE[..], &u16::to_be_bytes(ethertype), tag].concat());
            assert_eq!(headers.link.unwrap().src, Mac([6, 0, 0, 0, 0, 2]), "{ethertype:#06x}");
            assert_eq!(headers.malformed, Some(Malformed::TagTooShort), "{ethertype:#06x}");
        }
    }
}
