//! The path of one packet through the layers.

use crate::{link, network, transport, tunnel};
use legonf_core::{Headers, Malformed, PacketRecord};

/// Parses the headers of one captured packet. Never panics, whatever the bytes.
///
/// `bytes` are the captured bytes that belong to `record`. A malformed packet keeps each identity that was read
/// before the fault; [`Headers::malformed`] says what the fault was.
#[inline]
pub fn parse(record: &PacketRecord, bytes: &[u8]) -> Headers {
    let mut headers = Headers {
        seq: record.seq,
        timestamp: record.timestamp,
        wire_len: record.wire_len,
        ..Headers::default()
    };
    headers.malformed = layers(record, bytes, &mut headers).err();
    headers
}

#[inline]
fn layers(record: &PacketRecord, bytes: &[u8], headers: &mut Headers) -> Result<(), Malformed> {
    let payload = link::read(record.link, bytes, &mut headers.link)?;
    let Some(upper) = network::read(payload, &mut headers.outer)? else { return Ok(()) };
    transport::read(upper, &mut headers.outer)?;
    tunnel::read(upper, &headers.outer, &mut headers.inner)
}
