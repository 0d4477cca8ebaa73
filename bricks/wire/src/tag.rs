//! What may stand between the Ethernet header and the network layer: VLAN tags, MPLS labels, PPPoE, LLC, and the
//! tags of [`bridge`].

use crate::bytes::{at_most, be16};
use crate::ethertype as et;
use crate::network::Payload;
use crate::{bridge, nsh, ppp};
use legonf_core::{Link, Malformed};

/// The most tags, and the most labels in one stack, that are followed.
const MAX_TAGS: usize = 16;

/// Follows tags until something else comes; `link` gets the outermost VLAN and the last EtherType.
#[inline(always)]
pub(crate) fn read<'a>(ethertype: u16, bytes: &'a [u8], link: &mut Link) -> Result<Payload<'a>, Malformed> {
    let mut payload = Payload { ethertype, bytes };
    if !matches!(ethertype, et::IPV4 | et::IPV6 | et::ARP) {
        follow(&mut payload, link)?;
    }
    Ok(Payload { ethertype: payload.ethertype, bytes: payload.bytes })
}

fn follow(payload: &mut Payload<'_>, link: &mut Link) -> Result<(), Malformed> {
    for _ in 0..MAX_TAGS {
        link.ethertype = payload.ethertype;
        let Some(next) = next(*payload, link)? else { return Ok(()) };
        *payload = next;
    }
    Err(Malformed::TagTooShort)
}

/// What follows one tag; `None` if this is none.
fn next<'a>(tag: Payload<'a>, link: &mut Link) -> Result<Option<Payload<'a>>, Malformed> {
    match tag.ethertype {
        et::VLAN | et::QINQ | et::QINQ_OLD | et::QINQ_OLDER | et::QINQ_OLDEST => {
            vlan(tag.bytes, link).map(Some)
        }
        et::MPLS | et::MPLS_MULTICAST => mpls(tag.bytes),
        et::PPPOE_SESSION => pppoe(tag.bytes),
        et::NSH => nsh::read(tag.bytes),
        0..=et::MAX_LENGTH => llc(at_most(tag.bytes, tag.ethertype.into())),
        _ => bridge::read(tag, link),
    }
}

/// [`read`] for a payload without an Ethernet header of its own.
pub(crate) fn read_bare(payload: Payload<'_>) -> Result<Payload<'_>, Malformed> {
    read(payload.ethertype, payload.bytes, &mut Link::default())
}

/// What follows LLC, through every tag; `link` gets the last EtherType.
pub(crate) fn read_llc<'a>(bytes: &'a [u8], link: &mut Link) -> Result<Payload<'a>, Malformed> {
    match llc(bytes)? {
        Some(payload) => {
            link.ethertype = payload.ethertype;
            read(payload.ethertype, payload.bytes, link)
        }
        None => Ok(Payload::none(bytes)),
    }
}

fn vlan<'a>(bytes: &'a [u8], link: &mut Link) -> Result<Payload<'a>, Malformed> {
    let (h, bytes) = bytes.split_first_chunk::<4>().ok_or(Malformed::TagTooShort)?;
    link.vlan.get_or_insert(u16::from_be_bytes([h[0], h[1]]) & 0x0fff);
    Ok(Payload { ethertype: u16::from_be_bytes([h[2], h[3]]), bytes })
}

/// A label stack says nothing of its payload: IP is known by its version nibble, all else stays unparsed.
fn mpls(mut bytes: &[u8]) -> Result<Option<Payload<'_>>, Malformed> {
    for _ in 0..MAX_TAGS {
        let (label, rest) = bytes.split_first_chunk::<4>().ok_or(Malformed::TagTooShort)?;
        bytes = rest;
        if label[2] & 1 == 1 {
            return Ok(et::of_ip(bytes).map(|ethertype| Payload { ethertype, bytes }));
        }
    }
    Err(Malformed::TagTooShort)
}

/// PPPoE session: version and type (1), code (1), session (2), length (2), then PPP.
fn pppoe(bytes: &[u8]) -> Result<Option<Payload<'_>>, Malformed> {
    let (h, bytes) = bytes.split_first_chunk::<6>().ok_or(Malformed::TagTooShort)?;
    ppp::read(at_most(bytes, u16::from_be_bytes([h[4], h[5]]).into()))
}

/// LLC (IEEE 802.2) with IP, or with SNAP.
fn llc(bytes: &[u8]) -> Result<Option<Payload<'_>>, Malformed> {
    match bytes {
        [0xaa, 0xaa, 0x03, snap @ ..] => self::snap(snap),
        [0x06, _, 0x03, ip @ ..] => Ok(Some(Payload { ethertype: et::IPV4, bytes: ip })),
        _ => Ok(None),
    }
}

/// SNAP: organization (3) and type (2), which is an EtherType if the organization is Ethernet's.
pub(crate) fn snap(bytes: &[u8]) -> Result<Option<Payload<'_>>, Malformed> {
    let ethertype = be16(bytes, 3).ok_or(Malformed::TagTooShort)?;
    let is_type = matches!(bytes[..3], [0, 0, 0 | 0xf8]) && ethertype > et::MAX_LENGTH;
    Ok(is_type.then(|| Payload { ethertype, bytes: &bytes[5..] }))
}

#[cfg(test)]
mod tests {
    use crate::samples::{DST, SRC, ethernet, ip4, ip6, parse, tcp, udp};
    use legonf_core::{Headers, Malformed, Network};

    fn tagged(ethertype: u16, tags: &[u8], packet: &[u8]) -> Headers {
        parse(&ethernet(ethertype, &[tags, packet].concat()))
    }

    fn assert_ip4(headers: &Headers, vlan: Option<u16>) {
        let link = headers.link.unwrap();
        assert_eq!((link.src, link.dst, link.ethertype, link.vlan), (SRC, DST, 0x0800, vlan));
        assert_eq!((headers.outer.network, headers.outer.ports), (Network::Ipv4, Some((80, 4000))));
        assert_eq!(headers.malformed, None);
    }

    #[test]
    fn vlan_tags_are_transparent_and_the_outermost_is_kept() {
        let packet = ip4(6, &tcp(80, 4000));
        assert_ip4(&tagged(0x8100, &[0x60, 0x07, 0x08, 0x00], &packet), Some(7));
        let inner_tag = [0x01, 0x23, 0x81, 0x00, 0x00, 0x02, 0x08, 0x00];
        assert_ip4(&tagged(0x88a8, &inner_tag, &packet), Some(0x123));
        for old in [0x9100, 0x9200, 0x9300] {
            assert_ip4(&tagged(old, &inner_tag, &packet), Some(0x123));
        }
    }

    #[test]
    fn mpls_payload_is_known_by_its_nibble() {
        let packet = ip4(6, &tcp(80, 4000));
        assert_ip4(&tagged(0x8847, &[0, 1, 0, 64, 0, 2, 1, 64], &packet), None);
        assert_ip4(&tagged(0x8848, &[0, 1, 1, 64], &packet), None);
        let v6 = tagged(0x8847, &[0, 1, 1, 64], &ip6(17, &udp(1, 2)));
        assert_eq!((v6.link.unwrap().ethertype, v6.outer.network), (0x86dd, Network::Ipv6));
        let wire = tagged(0x8847, &[0, 1, 1, 64, 0, 0, 0, 0], &[]);
        assert_eq!((wire.link.unwrap().ethertype, wire.outer.network), (0x8847, Network::None));
        assert_eq!(wire.malformed, None);
    }

    #[test]
    fn pppoe_sessions_carry_ip() {
        let session = [0x11, 0, 0, 1, 0, 200];
        let packet = ip4(6, &tcp(80, 4000));
        assert_ip4(&tagged(0x8864, &session, &[&[0x00, 0x21][..], &packet].concat()), None);
        let v6 = tagged(0x8864, &session, &[&[0x00, 0x57][..], &ip6(17, &udp(1, 2))].concat());
        assert_eq!((v6.outer.network, v6.outer.ports), (Network::Ipv6, Some((1, 2))));
        let lcp = tagged(0x8864, &session, &[0xc0, 0x21, 1, 1]);
        assert_eq!((lcp.outer.network, lcp.malformed), (Network::None, None));
    }

    #[test]
    fn snap_carries_an_ethertype_and_other_llc_none() {
        let packet = ip4(6, &tcp(80, 4000));
        let length = 8 + packet.len() as u16;
        assert_ip4(&tagged(length, &[0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00], &packet), None);
        assert_ip4(&tagged(3 + packet.len() as u16, &[6, 6, 3], &packet), None);
        let spanning_tree = tagged(38, &[0x42, 0x42, 3, 0, 0], &[0; 33]);
        assert_eq!((spanning_tree.link.unwrap().ethertype, spanning_tree.outer.network), (38, Network::None));
        let cdp = tagged(12, &[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0x00, 2, 180, 0, 0], &[]);
        assert_eq!((cdp.outer.network, cdp.malformed), (Network::None, None));
    }

    #[test]
    fn cut_tags_keep_the_addresses() {
        for (ethertype, tags) in [
            (0x8100, &[0, 7, 8][..]),
            (0x8847, &[0, 1, 0, 64, 0]),
            (0x8864, &[0x11, 0, 0, 1, 0]),
            (0x8864, &[0x11, 0, 0, 1, 0, 2]),
            (0x0008, &[0xaa, 0xaa, 3, 0, 0, 0, 8]),
        ] {
            let headers = tagged(ethertype, tags, &[]);
            assert_eq!(headers.link.unwrap().src, SRC);
            assert_eq!(headers.malformed, Some(Malformed::TagTooShort), "{ethertype:#06x}");
        }
    }

    #[test]
    fn tags_without_end_are_malformed() {
        assert_eq!(tagged(0x8100, &[0, 1, 0x81, 0].repeat(40), &[]).malformed, Some(Malformed::TagTooShort));
        assert_eq!(tagged(0x8847, &[0, 1, 0, 64].repeat(40), &[]).malformed, Some(Malformed::TagTooShort));
    }
}
