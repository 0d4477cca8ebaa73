//! IPv6 extension headers (RFC 8200 §4), and the authentication header of either IP.

use crate::network::Upper;
use crate::transport::AUTHENTICATION;
use legonf_core::{Fragment, Layer, Malformed};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;

/// The most extension headers that are followed.
const MAX_EXTENSIONS: usize = 16;

/// Follows extension headers to the transport header, or to the fragment header of a later fragment.
pub(crate) fn skip(upper: &mut Upper<'_>, layer: &mut Layer) -> Result<(), Malformed> {
    for _ in 0..MAX_EXTENSIONS {
        *upper = match upper.protocol {
            MOBILITY if upper.bytes.first() == Some(&NO_NEXT_HEADER) => return Ok(()),
            HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY => after(upper.bytes, |len| (len + 1) * 8)?,
            AUTHENTICATION => after(upper.bytes, |len| (len + 2) * 4)?,
            FRAGMENT => fragment(upper.bytes, layer)?,
            _ => return Ok(()),
        };
        if layer.fragment == Fragment::Later {
            return Ok(());
        }
    }
    Err(Malformed::BadExtension)
}

/// Whether this is a header that [`skip`] follows.
#[inline(always)]
pub(crate) fn is_extension(protocol: u8) -> bool {
    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY)
}

/// Whether a packet's first extension header opens with the jumbo payload option (RFC 2675).
pub(crate) fn is_jumbo(protocol: u8, bytes: &[u8]) -> bool {
    protocol == HOP_BY_HOP && matches!(bytes, [_, _, 0xc2, 4, ..])
}

/// What follows a header whose second byte gives its length in some unit.
fn after(bytes: &[u8], len: impl Fn(usize) -> usize) -> Result<Upper<'_>, Malformed> {
    let [protocol, units, ..] = *bytes else { return Err(Malformed::BadExtension) };
    let bytes = bytes.get(len(units.into())..).ok_or(Malformed::BadExtension)?;
    Ok(Upper { protocol, bytes })
}

fn fragment<'a>(bytes: &'a [u8], layer: &mut Layer) -> Result<Upper<'a>, Malformed> {
    let (h, bytes) = bytes.split_first_chunk::<8>().ok_or(Malformed::BadExtension)?;
    let field = u16::from_be_bytes([h[2], h[3]]);
    layer.fragment = match (field >> 3, field & 1) {
        (0, 0) => Fragment::Whole,
        (0, _) => Fragment::First,
        _ => Fragment::Later,
    };
    Ok(Upper { protocol: h[0], bytes })
}

#[cfg(test)]
mod tests {
    use crate::samples::{DST6, ethernet, ip6, parse, tcp};
    use legonf_core::{Fragment, Headers, Malformed, Transport};

    fn chain(first: u8, extensions: &[u8]) -> Headers {
        parse(&ethernet(0x86dd, &ip6(first, &[extensions, &tcp(80, 4000)].concat())))
    }

    #[test]
    fn each_extension_is_skipped() {
        let long = [6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for first in [0, 43, 60, 135] {
            assert_eq!(chain(first, &[6, 0, 1, 4, 0, 0, 0, 0]).outer.ports, Some((80, 4000)), "{first}");
            assert_eq!(chain(first, &long).outer.ports, Some((80, 4000)), "{first}");
        }
        let authentication = [6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
        assert_eq!(chain(51, &authentication).outer.ports, Some((80, 4000)));
        let two = [60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0];
        assert_eq!(chain(0, &two).outer.ports, Some((80, 4000)));
    }

    #[test]
    fn fragments() {
        let first = chain(44, &[6, 0, 0, 1, 0, 0, 0, 9]);
        assert_eq!((first.outer.fragment, first.outer.ports), (Fragment::First, Some((80, 4000))));
        let atomic = chain(44, &[6, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!((atomic.outer.fragment, atomic.outer.ports), (Fragment::Whole, Some((80, 4000))));
        let later = chain(44, &[6, 0, 0, 8, 0, 0, 0, 9]);
        assert_eq!((later.outer.fragment, later.outer.ports), (Fragment::Later, None));
        assert_eq!((later.outer.transport, later.malformed), (Transport::None, None));
    }

    #[test]
    fn a_mobility_message_is_its_own_protocol() {
        let headers = chain(135, &[59, 0, 5, 0, 0, 0, 0, 0]);
        assert_eq!(headers.outer.transport, Transport::Other(135));
    }

    #[test]
    fn cut_and_endless_chains_keep_the_addresses() {
        for (first, bytes) in [(0, vec![6]), (0, vec![6, 9]), (44, vec![6, 0, 0]), (51, vec![6, 200])] {
            let headers = parse(&ethernet(0x86dd, &ip6(first, &bytes)));
            assert_eq!((headers.outer.dst, headers.outer.ports), (Some(DST6), None));
            assert_eq!(headers.malformed, Some(Malformed::BadExtension), "{first}");
        }
        let endless = chain(0, &[0, 0, 1, 4, 0, 0, 0, 0].repeat(100));
        assert_eq!(endless.malformed, Some(Malformed::BadExtension));
    }
}
