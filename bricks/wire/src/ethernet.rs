//! Ethernet II and IEEE 802.3 frames.

use crate::network::Payload;
use crate::tag;
use legonf_core::{Link, Mac, Malformed};

/// Reads a frame's header and the tags after it.
#[inline(always)]
pub(crate) fn read<'a>(bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    let (h, rest) = bytes.split_first_chunk::<14>().ok_or(Malformed::LinkTooShort)?;
    let ethertype = u16::from_be_bytes([h[12], h[13]]);
    let link = link.insert(Link {
        dst: Mac([h[0], h[1], h[2], h[3], h[4], h[5]]),
        src: Mac([h[6], h[7], h[8], h[9], h[10], h[11]]),
        ethertype,
        vlan: None,
    });
    tag::read(ethertype, rest, link)
}

#[cfg(test)]
mod tests {
    use crate::samples::{DST, SRC, ethernet, parse};
    use legonf_core::{Link, Malformed, Network};

    #[test]
    fn an_unknown_type_has_a_link_identity_only() {
        let headers = parse(&ethernet(0x88cc, &[2, 7, 4]));
        assert_eq!(headers.link, Some(Link { src: SRC, dst: DST, ethertype: 0x88cc, vlan: None }));
        assert_eq!((headers.outer.network, headers.malformed), (Network::None, None));
    }

    #[test]
    fn an_empty_frame_is_malformed() {
        let headers = parse(&[]);
        assert_eq!((headers.link, headers.malformed), (None, Some(Malformed::LinkTooShort)));
    }
}
