//! IEEE 802.11 frames, and the headers of drivers in front of them.
//!
//! The addresses are those of the two hosts, not of the access point between them. Of an aggregate (A-MSDU) the first
//! subframe is read. Frames that are encrypted or carry no data have a link identity alone. The check sequence that some
//! captures keep lies behind everything that is read.

use crate::bytes::at_most;
use crate::network::Payload;
use crate::tag;
use legonf_core::{Link, Mac, Malformed};

/// Frame control (2), duration (2), three addresses, sequence control (2).
const HEADER: usize = 24;
const QOS_CONTROL: usize = 2;
const HT_CONTROL: usize = 4;

const TYPE: u8 = 0x0c;
const MANAGEMENT: u8 = 0x00;
const CONTROL: u8 = 0x04;
const DATA: u8 = 0x08;
const HAS_NO_DATA: u8 = 0x40;
const HAS_QOS: u8 = 0x80;

const TO_NETWORK: u8 = 0x01;
const FROM_NETWORK: u8 = 0x02;
const PROTECTED: u8 = 0x40;
const HAS_HT_CONTROL: u8 = 0x80;

/// In the first byte of the QoS control: the frame is an aggregate.
const AGGREGATE: u8 = 0x80;
/// In the sequence control: the number of the fragment.
const FRAGMENT: u8 = 0x0f;

/// Reads a frame.
pub(crate) fn read<'a>(bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    frame(bytes, false, link)
}

/// Reads a frame, whose header may be padded to a multiple of four bytes.
fn frame<'a>(bytes: &'a [u8], is_padded: bool, link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    let (h, _) = bytes.split_first_chunk::<2>().ok_or(Malformed::LinkTooShort)?;
    match h[0] & (TYPE | 0x03) {
        DATA => data(bytes, is_padded, link),
        MANAGEMENT => {
            bytes.get(..HEADER).ok_or(Malformed::LinkTooShort)?;
            identify(mac(bytes, 4)?, mac(bytes, 10)?, link);
            Ok(Payload::none(bytes))
        }
        CONTROL => control(bytes, link),
        _ => Ok(Payload::none(bytes)),
    }
}

/// CTS and acknowledgements name their receiver alone; a wrapper's second address may be missing, too.
fn control<'a>(bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    let has_sender = !matches!(bytes[0] >> 4, 7 | 12 | 13);
    let src = if has_sender { mac(bytes, 10)? } else { Mac::default() };
    identify(mac(bytes, 4)?, src, link);
    Ok(Payload::none(bytes))
}

fn data<'a>(bytes: &'a [u8], is_padded: bool, link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    let h = bytes.first_chunk::<HEADER>().ok_or(Malformed::LinkTooShort)?;
    let (dst, src, mut at) = match h[1] & (TO_NETWORK | FROM_NETWORK) {
        0 => (mac(bytes, 4)?, mac(bytes, 10)?, HEADER),
        TO_NETWORK => (mac(bytes, 16)?, mac(bytes, 10)?, HEADER),
        FROM_NETWORK => (mac(bytes, 4)?, mac(bytes, 16)?, HEADER),
        _ => (mac(bytes, 16)?, mac(bytes, HEADER)?, HEADER + 6),
    };
    let mut is_aggregate = false;
    if h[0] & HAS_QOS != 0 {
        is_aggregate = bytes.get(at).ok_or(Malformed::LinkTooShort)? & AGGREGATE != 0;
        at += QOS_CONTROL + if h[1] & HAS_HT_CONTROL == 0 { 0 } else { HT_CONTROL };
    }
    if h[0] & HAS_NO_DATA != 0 || h[1] & PROTECTED != 0 || h[22] & FRAGMENT != 0 {
        identify(dst, src, link);
        return Ok(Payload::none(bytes));
    }
    let at = if is_padded { at.next_multiple_of(4) } else { at };
    let body = bytes.get(at..).ok_or(Malformed::LinkTooShort)?;
    if is_aggregate { subframe(body, link) } else { tag::read_llc(body, identify(dst, src, link)) }
}

/// The first subframe of an aggregate: destination, source, length (2).
fn subframe<'a>(bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    let (h, body) = bytes.split_first_chunk::<14>().ok_or(Malformed::LinkTooShort)?;
    let body = at_most(body, u16::from_be_bytes([h[12], h[13]]).into());
    tag::read_llc(body, identify(mac(bytes, 0)?, mac(bytes, 6)?, link))
}

fn identify(dst: Mac, src: Mac, link: &mut Option<Link>) -> &mut Link {
    link.insert(Link { src, dst, ..Link::default() })
}

fn mac(bytes: &[u8], at: usize) -> Result<Mac, Malformed> {
    let octets = bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(Malformed::LinkTooShort)?;
    Ok(Mac(*octets))
}

const IS_PADDED: u8 = 0x20;

/// Radiotap: version (1), padding (1), length (2), which fields are present (4, more where the last bit is set), the
/// fields; all in little-endian order.
pub(crate) fn radiotap<'a>(bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    let h = bytes.first_chunk::<8>().ok_or(Malformed::LinkTooShort)?;
    let len = usize::from(u16::from_le_bytes([h[2], h[3]])).max(h.len());
    let (header, frame) = bytes.split_at_checked(len).ok_or(Malformed::LinkTooShort)?;
    let is_padded = radiotap_flags(header).is_some_and(|flags| flags & IS_PADDED != 0);
    self::frame(frame, is_padded, link)
}

/// The flags, which come first among the fields, or after the time (8, aligned).
fn radiotap_flags(header: &[u8]) -> Option<u8> {
    let (words, _) = header.get(4..)?.as_chunks::<4>();
    let last = words.iter().position(|word| word[3] & 0x80 == 0)?;
    let fields = 4 + (last + 1) * 4;
    match words[0][0] & 0x03 {
        0x02 => header.get(fields).copied(),
        0x03 => header.get(fields.next_multiple_of(8) + 8).copied(),
        _ => None,
    }
}

/// Prism: a message code (4) and the length (4) in the byte order of the capturing host, then fields. Some drivers write an
/// AVS header under the same number.
pub(crate) fn prism<'a>(bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    let h = bytes.first_chunk::<8>().ok_or(Malformed::LinkTooShort)?;
    if h[..2] == [0x80, 0x21] {
        return avs(bytes, link);
    }
    let len = [h[4], h[5], h[6], h[7]];
    behind(bytes, u32::from_le_bytes(len).min(u32::from_be_bytes(len)), link)
}

/// AVS: version (4) and length (4) in network order, then fields.
pub(crate) fn avs<'a>(bytes: &'a [u8], link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    let h = bytes.first_chunk::<8>().ok_or(Malformed::LinkTooShort)?;
    behind(bytes, u32::from_be_bytes([h[4], h[5], h[6], h[7]]), link)
}

fn behind<'a>(bytes: &'a [u8], len: u32, link: &mut Option<Link>) -> Result<Payload<'a>, Malformed> {
    read(bytes.get(len as usize..).ok_or(Malformed::LinkTooShort)?, link)
}

#[cfg(test)]
mod tests {
    use crate::samples::{ip4, parse_as, tcp};
    use legonf_core::{Headers, LinkType, Mac, Malformed, Network};

    const SNAP: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    const ADDRESSES: [[u8; 6]; 4] =
        [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 3], [2, 0, 0, 0, 0, 4]];

    /// A header with the first three addresses.
    fn header(control: [u8; 2]) -> Vec<u8> {
        [&control[..], &[0, 0], &ADDRESSES[..3].concat(), &[0x10, 0]].concat()
    }

    fn packet() -> Vec<u8> {
        [&SNAP[..], &ip4(6, &tcp(80, 4000))].concat()
    }

    fn frame(control: [u8; 2], rest: &[u8]) -> Vec<u8> {
        [&header(control)[..], rest, &packet()].concat()
    }

    /// Checks the numbers of destination and source among the addresses, and whether the packet is found.
    fn check(headers: &Headers, dst: usize, src: usize, is_read: bool) {
        let link = headers.link.unwrap();
        assert_eq!((link.dst, link.src), (Mac(ADDRESSES[dst - 1]), Mac(ADDRESSES[src - 1])));
        assert_eq!(headers.outer.ports, is_read.then_some((80, 4000)));
        assert_eq!((link.ethertype, headers.malformed), (if is_read { 0x0800 } else { 0 }, None));
    }

    fn parse(frame: &[u8]) -> Headers {
        parse_as(LinkType::Wlan, frame)
    }

    #[test]
    fn addresses_go_by_the_direction() {
        check(&parse(&frame([0x08, 0], &[])), 1, 2, true);
        check(&parse(&frame([0x08, 1], &[])), 3, 2, true);
        check(&parse(&frame([0x08, 2], &[])), 1, 3, true);
        check(&parse(&frame([0x08, 3], &ADDRESSES[3])), 3, 4, true);
    }

    #[test]
    fn quality_of_service_and_high_throughput_lengthen_the_header() {
        check(&parse(&frame([0x88, 1], &[0, 0])), 3, 2, true);
        check(&parse(&frame([0x88, 0x81], &[0, 0, 9, 9, 9, 9])), 3, 2, true);
        check(&parse(&frame([0x88, 3], &[&ADDRESSES[3][..], &[0, 0]].concat())), 3, 4, true);
    }

    #[test]
    fn of_an_aggregate_the_first_subframe_is_read() {
        let len = (packet().len() as u16).to_be_bytes();
        let subframe = [&[0x80, 0][..], &ADDRESSES[3], &ADDRESSES[1], &len].concat();
        check(&parse(&frame([0x88, 1], &subframe)), 4, 2, true);
        let cut = parse(&[header([0x88, 1]), subframe[..10].to_vec()].concat());
        assert_eq!((cut.link, cut.malformed), (None, Some(Malformed::LinkTooShort)));
    }

    #[test]
    fn frames_without_readable_data_have_a_link_identity() {
        check(&parse(&frame([0x08, 0x41], &[])), 3, 2, false);
        check(&parse(&frame([0x48, 1], &[])), 3, 2, false);
        check(&parse(&frame([0xc8, 1], &[0, 0])), 3, 2, false);
        check(&parse(&frame([0x80, 0], &[])), 1, 2, false);
        check(&parse(&frame([0xb4, 0], &[])), 1, 2, false);
        let mut fragment = frame([0x08, 1], &[]);
        fragment[22] |= 1;
        check(&parse(&fragment), 3, 2, false);
        let acknowledgement = parse(&[&[0xd4, 0, 0, 0][..], &ADDRESSES[0]].concat());
        let link = acknowledgement.link.unwrap();
        assert_eq!((link.dst, link.src), (Mac(ADDRESSES[0]), Mac::default()));
        let extension = parse(&frame([0x0c, 0], &[]));
        assert_eq!((extension.link, extension.outer.network), (None, Network::None));
    }

    #[test]
    fn radiotap_says_where_the_frame_begins() {
        let bare = [&[0, 0, 8, 0, 0, 0, 0, 0][..], &frame([0x08, 1], &[])].concat();
        check(&parse_as(LinkType::Radiotap, &bare), 3, 2, true);
        let timed =
            [&[0, 0, 17, 0, 3, 0, 0, 0][..], &[9; 8], &[0x10], &frame([0x88, 1], &[0, 0]), &[7; 4]].concat();
        check(&parse_as(LinkType::Radiotap, &timed), 3, 2, true);
    }

    #[test]
    fn radiotap_says_whether_the_header_is_padded() {
        let padded = frame([0x88, 1], &[0, 0, 0, 0]);
        let flags = [&[0, 0, 9, 0, 2, 0, 0, 0, 0x20][..], &padded].concat();
        check(&parse_as(LinkType::Radiotap, &flags), 3, 2, true);
        let two_words =
            [&[0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0][..], &[9; 8], &[0x20], &padded].concat();
        check(&parse_as(LinkType::Radiotap, &two_words), 3, 2, true);
    }

    #[test]
    fn prism_and_avs() {
        let data = frame([0x08, 1], &[]);
        for len in [[144, 0, 0, 0], [0, 0, 0, 144]] {
            let prism = [&[0x44, 0, 0, 0][..], &len, &[0; 136], &data].concat();
            check(&parse_as(LinkType::Prism, &prism), 3, 2, true);
        }
        let avs = [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64][..], &[0; 56], &data].concat();
        check(&parse_as(LinkType::Avs, &avs), 3, 2, true);
        check(&parse_as(LinkType::Prism, &avs), 3, 2, true);
    }
}
