//! What a packet carries, by reference into its bytes.

use crate::{link, network, transport};
use legonf_core::{Layer, PacketRecord};
use std::ops::Range;

/// Flags of a TCP header (RFC 9293).
pub mod tcp {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// The first segment of a direction.
    pub const SYN: u8 = 0x02;
    /// The connection is reset.
    pub const RST: u8 = 0x04;
}

/// Where a packet's IP packet, transport header and payload are in its captured bytes.
///
/// All end where the lengths in the headers say that the IP packet ends, so that padding of the frame is not in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The IP packet, from its header on.
    pub ip: Range<usize>,
    /// The transport header, with its options. Of a protocol other than TCP and UDP it is empty.
    pub header: Range<usize>,
    /// What the transport layer carries; of other protocols all behind the IP headers.
    pub payload: Range<usize>,
    /// Number of the transport protocol.
    pub protocol: u8,
    /// Flags of the TCP header; 0 of any other packet.
    pub tcp_flags: u8,
}

impl Segment {
    /// The segment of a captured packet; none where it is not IP, a later fragment, or cut off before the transport header.
    /// Never panics, whatever the bytes.
    ///
    /// `bytes` are the captured bytes that belong to `record`.
    #[inline]
    pub fn of(record: &PacketRecord, bytes: &[u8]) -> Option<Self> {
        let packet = link::read(record.link, bytes, &mut None).ok()?;
        let upper = network::read(packet, &mut Layer::default()).ok()??;
        let place = |part: &[u8]| part.as_ptr().addr() - bytes.as_ptr().addr();
        let start = place(upper.bytes);
        let end = start + upper.bytes.len();
        let (length, tcp_flags) = header(upper.protocol, upper.bytes)?;
        Some(Self {
            ip: place(packet.bytes)..end,
            header: start..start + length,
            payload: start + length..end,
            protocol: upper.protocol,
            tcp_flags,
        })
    }

    /// The length that the IP header states, with the header; 0 where it states none, or there is no IP packet.
    #[inline]
    pub fn ip_len(&self, bytes: &[u8]) -> u32 {
        let ip = bytes.get(self.ip.clone()).unwrap_or_default();
        match ip {
            [first, _, high, low, ..] if first >> 4 == 4 => u16::from_be_bytes([*high, *low]).into(),
            [first, _, _, _, high, low, ..] if first >> 4 == 6 => match u16::from_be_bytes([*high, *low]) {
                0 => 0,
                length => IP6_HEADER + u32::from(length),
            },
            _ => 0,
        }
    }
}

/// Bytes of the fixed header of IPv6.
const IP6_HEADER: u32 = 40;

/// Length of the transport header and flags of TCP. One that contradicts itself has the least length.
#[inline]
fn header(protocol: u8, bytes: &[u8]) -> Option<(usize, u8)> {
    match protocol {
        transport::TCP => {
            let header = bytes.first_chunk::<{ transport::TCP_HEADER }>()?;
            let length = usize::from(header[12] >> 4) * 4;
            Some((length.clamp(transport::TCP_HEADER, bytes.len()), header[13]))
        }
        transport::UDP => {
            bytes.first_chunk::<{ transport::UDP_HEADER }>().map(|_| (transport::UDP_HEADER, 0))
        }
        _ => Some((0, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{ethernet, ip4, ip6, record, tcp, udp_with, valid};
    use legonf_core::LinkType;
    use proptest::prelude::*;

    fn of(link: LinkType, bytes: &[u8]) -> Option<Segment> {
        Segment::of(&record(link, bytes), bytes)
    }

    #[test]
    fn payload_ends_with_the_ip_packet() {
        let frame = [ethernet(0x0800, &ip4(17, &udp_with(53, 4000, b"hello"))), vec![0; 9]].concat();
        let segment = of(LinkType::Ethernet, &frame).unwrap();
        assert_eq!(&frame[segment.payload.clone()], b"hello");
        assert_eq!((segment.ip.start, segment.header, segment.protocol), (14, 34..42, 17));
    }

    #[test]
    fn options_of_tcp_belong_to_its_header() {
        let mut segment = tcp(80, 4000);
        (segment[12], segment[13]) = (0x60, tcp::SYN);
        segment.extend(*b"\x02\x04\x05\xb4data");
        let packet = ip6(6, &segment);
        let found = of(LinkType::RawIp, &packet).unwrap();
        assert_eq!((&packet[found.payload], found.tcp_flags), (&b"data"[..], tcp::SYN));
        // An offset beyond the packet, and one that is too small.
        for (offset, payload) in [(0xf0, 0), (0x10, 8)] {
            segment[12] = offset;
            let packet = ip6(6, &segment);
            assert_eq!(of(LinkType::RawIp, &packet).unwrap().payload.len(), payload, "{offset:x}");
        }
    }

    #[test]
    fn what_has_no_transport_header_has_no_segment() {
        let mut later = ip4(17, &udp_with(53, 4000, b"hello"));
        later[7] = 1;
        assert_eq!(of(LinkType::RawIp, &later), None);
        assert_eq!(of(LinkType::Ethernet, &ethernet(0x0806, &[0; 28])), None);
        assert_eq!(of(LinkType::RawIp, &ip4(6, &[0; 19])), None);
        assert_eq!(of(LinkType::RawIp, &ip4(47, &[0; 19])).unwrap().payload.len(), 19);
    }

    proptest! {
        #[test]
        fn parts_lie_within_the_bytes(
            packet in any::<prop::sample::Index>(),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            len in any::<prop::sample::Index>(),
        ) {
            let packets = valid();
            let (link, mut bytes) = packet.get(&packets).clone();
            for (at, value) in edits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(len.index(bytes.len() + 1));
            if let Some(Segment { ip, header, payload, .. }) = of(link, &bytes) {
                prop_assert!(ip.start <= header.start && header.end == payload.start);
                prop_assert!(payload.end == ip.end && ip.end <= bytes.len());
            }
        }
    }
}
