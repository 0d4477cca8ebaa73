//! The network layer, chosen by EtherType.

use crate::{arp, ethertype, ip4, ip6};
use legonf_core::{Layer, Malformed};

/// What follows the link layer.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'a> {
    pub ethertype: u16,
    pub bytes: &'a [u8],
}

/// What follows the network layer: bytes that end where the headers so far say that the packet ends.
#[derive(Clone, Copy)]
pub(crate) struct Upper<'a> {
    pub protocol: u8,
    pub bytes: &'a [u8],
}

/// Reads the network layer into `layer`; `None` if nothing follows that could be read.
#[inline]
pub(crate) fn read<'a>(payload: Payload<'a>, layer: &mut Layer) -> Result<Option<Upper<'a>>, Malformed> {
    match payload.ethertype {
        ethertype::IPV4 => ip(payload.bytes, layer),
        ethertype::IPV6 => ip6::read(payload.bytes, layer),
        ethertype::ARP | ethertype::RARP => arp::read(payload.bytes, layer).map(|()| None),
        _ => Ok(None),
    }
}

/// The version decides, whatever the EtherType of IPv4 promises; tshark does so too.
#[inline]
fn ip<'a>(bytes: &'a [u8], layer: &mut Layer) -> Result<Option<Upper<'a>>, Malformed> {
    match bytes.first().map(|b| b >> 4) {
        Some(6) => ip6::read(bytes, layer),
        _ => ip4::read(bytes, layer),
    }
}
