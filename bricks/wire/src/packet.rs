//! The path of one packet through the layers.

use crate::{link, network, plain, transport, tunnel};
use legonf_core::{Headers, Malformed, PacketRecord};

/// Parses the headers of one captured packet. Never panics, whatever the bytes.
///
/// `bytes` are the captured bytes that belong to `record`. A malformed packet keeps each identity that was read
/// before the fault; [`Headers::malformed`] says what the fault was.
#[inline]
pub fn parse(record: &PacketRecord, bytes: &[u8]) -> Headers {
    let mut headers = Headers::default();
    fill(record, bytes, &mut headers);
    headers
}

/// Parses into `headers`, which are the default ones: writing them in place spares two copies a packet.
#[inline(always)]
pub(crate) fn fill(record: &PacketRecord, bytes: &[u8], headers: &mut Headers) {
    if plain::read(record, bytes, headers) {
        fill_record(record, headers);
    } else {
        fill_any(record, bytes, headers);
    }
}

/// What the record says.
#[inline(always)]
pub(crate) fn fill_record(record: &PacketRecord, headers: &mut Headers) {
    headers.seq = record.seq;
    headers.timestamp = record.timestamp;
    headers.shift = record.shift;
    headers.wire_len = record.wire_len;
}

/// [`fill`] of any packet. Out of line, so that the loop over packets stays small.
#[inline(never)]
pub(crate) fn fill_any(record: &PacketRecord, bytes: &[u8], headers: &mut Headers) {
    fill_record(record, headers);
    headers.malformed = layers(record, bytes, headers).err();
}

#[inline(always)]
fn layers(record: &PacketRecord, bytes: &[u8], headers: &mut Headers) -> Result<(), Malformed> {
    let payload = link::read(record.link, bytes, &mut headers.link)?;
    let Some(upper) = network::read(payload, &mut headers.outer)? else { return Ok(()) };
    transport::read(upper, &mut headers.outer)?;
    tunnel::read(upper, &headers.outer, &mut headers.inner)
}

#[cfg(test)]
mod tests {
    use crate::samples::{parse_as, valid};
    use legonf_core::{Fragment, Headers, Layer, LinkType, Network, Transport};
    use proptest::prelude::*;
    use proptest::sample::Index;
    use std::fmt::Debug;

    const LINKS: [LinkType; 23] = [
        LinkType::Ethernet,
        LinkType::RawIp,
        LinkType::Null,
        LinkType::LinuxSll,
        LinkType::LinuxSll2,
        LinkType::Ppp,
        LinkType::PppWithDirection,
        LinkType::Pppd,
        LinkType::PppoeSession,
        LinkType::CiscoHdlc,
        LinkType::FrameRelay,
        LinkType::Llc,
        LinkType::Fddi,
        LinkType::Wlan,
        LinkType::Radiotap,
        LinkType::Prism,
        LinkType::Avs,
        LinkType::Ppi,
        LinkType::NfLog,
        LinkType::PfLog,
        LinkType::Enc,
        LinkType::Ieee1394,
        LinkType::Unread(227),
    ];

    /// What holds of every layer, however malformed the packet.
    fn assert_layer(layer: &Layer) {
        let has_ports = matches!(layer.transport, Transport::Tcp | Transport::Udp);
        assert_eq!(layer.ports.is_some(), has_ports, "{layer:?}");
        if layer.fragment == Fragment::Later {
            assert_eq!(layer.transport, Transport::None);
        }
        if layer.transport != Transport::None {
            assert!(layer.src.is_some() && layer.dst.is_some(), "{layer:?}");
        }
        match layer.network {
            Network::None => assert_eq!(*layer, Layer::default()),
            Network::Arp => assert_eq!(layer.transport, Transport::None),
            Network::Ipv4 => assert!(layer.src.is_some_and(|a| a.is_ipv4())),
            Network::Ipv6 => assert!(layer.src.is_some_and(|a| a.is_ipv6())),
        }
    }

    fn assert_headers(headers: &Headers) {
        assert_layer(&headers.outer);
        if let Some(inner) = &headers.inner {
            assert_layer(&inner.layer);
            assert_ne!(headers.outer.transport, Transport::None);
        }
    }

    fn assert_kept<T: PartialEq + Debug>(cut: &Option<T>, whole: &Option<T>) {
        assert!(cut.is_none() || cut == whole, "{cut:?} is not what the whole packet has: {whole:?}");
    }

    fn assert_prefix(cut: &Layer, whole: &Layer) {
        assert!(cut.network == Network::None || cut.network == whole.network);
        assert!(cut.transport == Transport::None || cut.transport == whole.transport);
        assert_kept(&cut.src, &whole.src);
        assert_kept(&cut.dst, &whole.dst);
        assert_kept(&cut.ports, &whole.ports);
    }

    #[test]
    fn valid_packets_are_not_malformed() {
        for (link, bytes) in valid() {
            let headers = parse_as(link, &bytes);
            assert_eq!(headers.malformed, None, "{link:?} {bytes:02x?}");
            assert_headers(&headers);
        }
    }

    #[test]
    fn a_cut_packet_keeps_what_comes_before_the_cut() {
        for (link, bytes) in valid() {
            let whole = parse_as(link, &bytes);
            for len in 0..bytes.len() {
                let cut = parse_as(link, &bytes[..len]);
                assert_headers(&cut);
                assert_kept(&cut.link.map(|l| (l.src, l.dst)), &whole.link.map(|l| (l.src, l.dst)));
                assert_prefix(&cut.outer, &whole.outer);
                if let Some(inner) = cut.inner {
                    let whole = whole.inner.unwrap();
                    assert_eq!(inner.by, whole.by);
                    assert_prefix(&inner.layer, &whole.layer);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for link in LINKS {
                assert_headers(&parse_as(link, &bytes));
            }
        }

        #[test]
        fn mutated_packets_never_panic(
            packet in any::<Index>(),
            edits in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
            len in any::<Index>(),
            is_cut in any::<bool>(),
        ) {
            let packets = valid();
            let (link, mut bytes) = packet.get(&packets).clone();
            for (at, value) in edits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if is_cut {
                bytes.truncate(len.index(bytes.len() + 1));
            }
            assert_headers(&parse_as(link, &bytes));
        }
    }
}
