//! The network layer, chosen by EtherType.

use crate::{arp, ethertype, extension, ip4, ip6};
use legonf_core::{Fragment, Layer, Malformed};

/// What follows the link layer.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'a> {
    pub ethertype: u16,
    pub bytes: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Bytes that are none of what is parsed.
    pub(crate) fn none(bytes: &'a [u8]) -> Self {
        Self { ethertype: 0, bytes }
    }
}

/// What follows the network layer: bytes that end where the headers so far say that the packet ends.
#[derive(Clone, Copy)]
pub(crate) struct Upper<'a> {
    pub protocol: u8,
    pub bytes: &'a [u8],
}

/// Reads the network layer into `layer`; `None` if nothing follows that could be read.
///
/// The version decides which IP it is, whatever the EtherType of IPv4 promises; tshark does so too.
#[inline(always)]
pub(crate) fn read<'a>(payload: Payload<'a>, layer: &mut Layer) -> Result<Option<Upper<'a>>, Malformed> {
    let is_version_6 = payload.bytes.first().is_some_and(|b| b >> 4 == 6);
    match payload.ethertype {
        ethertype::IPV4 if !is_version_6 => ip4::read(payload.bytes, layer),
        ethertype::IPV4 | ethertype::IPV6 => ip6::read(payload.bytes, layer),
        ethertype::ARP | ethertype::RARP => arp::read(payload.bytes, layer).map(|()| None),
        _ => Ok(None),
    }
}

/// What follows an IP header, behind extension headers if there are some; `None` for a later fragment.
#[inline(always)]
pub(crate) fn upper<'a>(
    mut upper: Upper<'a>,
    is_extended: bool,
    layer: &mut Layer,
) -> Result<Option<Upper<'a>>, Malformed> {
    if is_extended && layer.fragment != Fragment::Later {
        extension::skip(&mut upper, layer)?;
    }
    let found = Upper { protocol: upper.protocol, bytes: upper.bytes };
    Ok((layer.fragment != Fragment::Later).then_some(found))
}
