//! GRE, and the mirrored frames that ERSPAN puts into it.

use crate::bytes::{be16, be32};
use crate::ethertype;
use crate::network::Payload;
use crate::tunnel::{by_ethertype, carry, inner_ethernet};
use crate::{ppp, tag};
use legonf_core::{Encapsulation, Inner, Malformed};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const ACKNOWLEDGEMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

/// Reads GRE (RFC 2784, RFC 2890) and its version 1 (RFC 2637), which carries PPP.
pub(crate) fn read(bytes: &[u8], inner: &mut Option<Inner>) -> Result<(), Malformed> {
    let (flags, protocol) = be16(bytes, 0).zip(be16(bytes, 2)).ok_or(Malformed::BadTunnel)?;
    let set = |flag: u16| usize::from(flags & flag != 0) * 4;
    let checksum = usize::from(flags & (CHECKSUM | ROUTING) != 0) * 4;
    let key = if flags & KEY == 0 { None } else { be32(bytes, 4 + checksum) };
    let acknowledgement = if flags & VERSION == 1 { set(ACKNOWLEDGEMENT) } else { 0 };
    let header = 4 + checksum + set(KEY) + set(SEQUENCE) + acknowledgement;
    let payload = bytes.get(header..).ok_or(Malformed::BadTunnel)?;
    match protocol {
        _ if flags & ROUTING != 0 => carry(Encapsulation::Gre(key), Ok(None), inner),
        ethertype::ERSPAN if flags & SEQUENCE == 0 => {
            carry(Encapsulation::Erspan(None), inner_ethernet(payload), inner)
        }
        ethertype::ERSPAN => erspan(payload, inner),
        ethertype::ERSPAN3 => erspan3(payload, inner),
        _ => carry(Encapsulation::Gre(key), self::payload(protocol, payload), inner),
    }
}

/// Source-routed GRE (RFC 1701) is out of use and stays unparsed.
fn payload(protocol: u16, bytes: &[u8]) -> Result<Option<Payload<'_>>, Malformed> {
    match protocol {
        ethertype::PPP if bytes.is_empty() => Ok(None),
        ethertype::PPP => ppp::read(bytes)?.map(tag::read_bare).transpose(),
        _ => by_ethertype(protocol, bytes),
    }
}

/// The session of an ERSPAN header: ten bits after version and VLAN (2), class and flags.
fn session(header: &[u8]) -> Option<u16> {
    be16(header, 2).map(|field| field & 0x03ff)
}

/// ERSPAN type II (draft-foschiano-erspan): a header of 8 bytes. Type I has none, and no sequence number.
fn erspan(bytes: &[u8], inner: &mut Option<Inner>) -> Result<(), Malformed> {
    let (h, frame) = bytes.split_first_chunk::<8>().ok_or(Malformed::BadTunnel)?;
    carry(Encapsulation::Erspan(session(h)), inner_ethernet(frame), inner)
}

/// ERSPAN type III: a header of 12 bytes, in whose last two are the kind of frame (bits 10 to 14) and whether a
/// platform's header of 8 bytes follows (bit 0).
fn erspan3(bytes: &[u8], inner: &mut Option<Inner>) -> Result<(), Malformed> {
    let (h, rest) = bytes.split_first_chunk::<12>().ok_or(Malformed::BadTunnel)?;
    let field = u16::from_be_bytes([h[10], h[11]]);
    let frame = rest.get(usize::from(field & 1) * 8..).ok_or(Malformed::BadTunnel)?;
    let payload = match field >> 10 & 0x1f {
        0 => inner_ethernet(frame),
        2 => Ok(ethertype::of_ip(frame).map(|ethertype| Payload { ethertype, bytes: frame })),
        _ => Ok(None),
    };
    carry(Encapsulation::Erspan(session(h)), payload, inner)
}

#[cfg(test)]
mod tests {
    use crate::samples::{DST4, SRC4, ethernet, ip4, parse, tcp};
    use legonf_core::{Encapsulation, Headers, Malformed, Network};

    fn carried(gre: &[u8], payload: &[u8]) -> Headers {
        parse(&ethernet(0x0800, &ip4(47, &[gre, payload].concat())))
    }

    fn assert_found(headers: &Headers, session: Option<u16>) {
        let inner = headers.inner.unwrap();
        assert_eq!((inner.by, inner.layer.src), (Encapsulation::Erspan(session), Some(SRC4)));
        assert_eq!((inner.layer.dst, inner.layer.ports), (Some(DST4), Some((80, 4000))));
        assert_eq!((headers.outer.ports, headers.malformed), (None, None));
    }

    #[test]
    fn erspan_in_its_types() {
        let packet = ip4(6, &tcp(80, 4000));
        let frame = ethernet(0x0800, &packet);
        assert_found(&carried(&[0, 0, 0x88, 0xbe], &frame), None);
        let second = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0x05, 0x08, 0x64, 0, 0, 0, 7];
        assert_found(&carried(&second, &frame), Some(0x64));
        let tagged = ethernet(0x8100, &[&[0, 5, 8, 0][..], &packet].concat());
        assert_found(&carried(&second, &tagged), Some(0x64));
        let third = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0x05, 0x0b, 0xff, 0, 0, 0, 7, 0, 0];
        assert_found(&carried(&[&third[..], &[0, 0]].concat(), &frame), Some(0x3ff));
        assert_found(&carried(&[&third[..], &[0, 1], &[0; 8]].concat(), &frame), Some(0x3ff));
        assert_found(&carried(&[&third[..], &[0x08, 0]].concat(), &packet), Some(0x3ff));
        let unknown = carried(&[&third[..], &[0x0c, 0]].concat(), &packet);
        assert_eq!((unknown.inner.unwrap().layer.network, unknown.malformed), (Network::None, None));
    }

    #[test]
    fn cut_mirrors_keep_the_outer_identity() {
        for gre in [
            &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0x05, 0][..],
            &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0x05, 0, 9, 0, 0, 0, 7, 0, 0, 0],
            &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0x05, 0, 9, 0, 0, 0, 7, 0, 0, 0, 1, 0],
        ] {
            let headers = carried(gre, &[]);
            assert_eq!((headers.outer.src, headers.malformed), (Some(SRC4), Some(Malformed::BadTunnel)));
        }
    }

    #[test]
    fn other_payloads_go_by_their_type() {
        let nsh = [&[0x0f, 0xc2, 1, 1, 0, 0, 1, 0xff][..], &ip4(6, &tcp(80, 4000))].concat();
        let inner = carried(&[0, 0, 0x89, 0x4f], &nsh).inner.unwrap();
        assert_eq!((inner.by, inner.layer.ports), (Encapsulation::Gre(None), Some((80, 4000))));
        let ppp = [&[0x02, 0x81, 0, 1, 1, 64][..], &ip4(6, &tcp(80, 4000))].concat();
        let inner = carried(&[0, 0, 0x88, 0x0b], &ppp).inner.unwrap();
        assert_eq!(inner.layer.ports, Some((80, 4000)));
    }
}
