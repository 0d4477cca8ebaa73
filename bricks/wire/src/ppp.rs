//! PPP, as a link of its own and as PPPoE and GRE carry it.

use crate::ethertype;
use crate::network::Payload;
use legonf_core::Malformed;

/// Reads the protocol field, after address and control (`ff 03`) if they are there; `None` if it is neither IP
/// nor MPLS.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Payload<'_>>, Malformed> {
    let bytes = bytes.strip_prefix(&[0xff, 0x03]).unwrap_or(bytes);
    let (protocol, bytes) = protocol(bytes).ok_or(Malformed::TagTooShort)?;
    let ethertype = match protocol {
        0x0021 => ethertype::IPV4,
        0x0057 => ethertype::IPV6,
        0x0281 => ethertype::MPLS,
        0x0283 => ethertype::MPLS_MULTICAST,
        _ => return Ok(None),
    };
    Ok(Some(Payload { ethertype, bytes }))
}

/// The protocol is one byte if that is odd, else two (RFC 1661 §6.5).
fn protocol(bytes: &[u8]) -> Option<(u16, &[u8])> {
    match bytes {
        [low, rest @ ..] if low & 1 == 1 => Some(((*low).into(), rest)),
        [high, low, rest @ ..] => Some((u16::from_be_bytes([*high, *low]), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_is_found_in_each_form() {
        for bytes in [&[0x00, 0x21, 9][..], &[0x21, 9], &[0xff, 0x03, 0x00, 0x21, 9], &[0xff, 0x03, 0x21, 9]]
        {
            let payload = read(bytes).unwrap().unwrap();
            assert_eq!((payload.ethertype, payload.bytes), (0x0800, &[9][..]));
        }
        assert!(read(&[0xc0, 0x21]).unwrap().is_none());
        assert!(read(&[0x00]).is_err() && read(&[0xff, 0x03]).is_err());
    }
}
