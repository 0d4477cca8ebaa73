//! IPv6 extension headers (RFC 8200 §4), and the authentication header of either IP.

use crate::bytes::at_most;
use crate::network::Upper;
use crate::transport::AUTHENTICATION;
use legonf_core::{Fragment, Layer, Malformed};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

/// The jumbo payload option.
const JUMBO: u8 = 0xc2;

/// The most extension headers that are followed.
const MAX_EXTENSIONS: usize = 16;

/// Follows extension headers to the transport header, or to the fragment header of a later fragment.
pub(crate) fn skip(upper: &mut Upper<'_>, layer: &mut Layer) -> Result<(), Malformed> {
    for _ in 0..MAX_EXTENSIONS {
        *upper = match upper.protocol {
            MOBILITY | HIP | SHIM6 if upper.bytes.first() == Some(&NO_NEXT_HEADER) => return Ok(()),
            HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY | HIP | SHIM6 => {
                after(upper.bytes, |len| (len + 1) * 8)?
            }
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
    matches!(
        protocol,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | MOBILITY | HIP | SHIM6
    )
}

/// Whether a packet whose payload length is 0 is longer than the field can say: its hop-by-hop header has the jumbo
/// payload option (RFC 2675), or there is no such header (BIG TCP).
pub(crate) fn is_jumbo(protocol: u8, bytes: &[u8]) -> bool {
    match (protocol, bytes) {
        (HOP_BY_HOP, [_, units, ..]) => has_jumbo_option(at_most(bytes, (usize::from(*units) + 1) * 8)),
        (HOP_BY_HOP, _) => false,
        _ => true,
    }
}

/// Looks among the options of a whole hop-by-hop header. One of type 0 is a byte of padding.
fn has_jumbo_option(header: &[u8]) -> bool {
    let mut options = header.get(2..).unwrap_or_default();
    loop {
        options = match options {
            [JUMBO, 4, ..] => return true,
            [0, rest @ ..] => rest,
            [_, len, rest @ ..] => rest.get(usize::from(*len)..).unwrap_or_default(),
            _ => return false,
        };
    }
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
        for first in [0, 43, 60, 135, 139, 140] {
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
        for protocol in [135, 139, 140] {
            let headers = chain(protocol, &[59, 0, 5, 0, 0, 0, 0, 0]);
            assert_eq!(headers.outer.transport, Transport::Other(protocol));
        }
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
