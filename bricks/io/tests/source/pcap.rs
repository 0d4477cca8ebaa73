//! The classic capture format.

use crate::build::{MICROS, NANOS, ORDERS, Order, pcap_header, pcap_record};
use crate::{Seen, read, read_with};
use legonf_core::LinkType;
use legonf_io::SourceOptions;
use proptest::prelude::*;

/// A little-endian microsecond capture of one 3-byte packet, every byte written out.
const LITERAL: [u8; 43] = [
    0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0, //
    0x00, 0xf1, 0x53, 0x65, 0x40, 0xe2, 0x01, 0, 3, 0, 0, 0, 60, 0, 0, 0, 0xaa, 0xbb, 0xcc,
];

/// The same big-endian with nanoseconds.
const LITERAL_BIG: [u8; 43] = [
    0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 1, //
    0x65, 0x53, 0xf1, 0x00, 0, 0x01, 0xe2, 0x40, 0, 0, 0, 3, 0, 0, 0, 60, 0xaa, 0xbb, 0xcc,
];

fn seen(nanos: i64, wire_len: u32, link: LinkType, bytes: &[u8]) -> Seen {
    Seen { nanos, wire_len, link, bytes: bytes.to_vec() }
}

#[test]
fn literal_captures() {
    let bytes = [0xaa, 0xbb, 0xcc];
    let micros = seen(1_700_000_000_123_456_000, 60, LinkType::Ethernet, &bytes);
    assert_eq!(read(&LITERAL).packets, [micros]);
    let nanos = seen(1_700_000_000_000_123_456, 60, LinkType::Ethernet, &bytes);
    assert_eq!(read(&LITERAL_BIG).packets, [nanos]);
}

#[test]
fn every_supported_link_type() {
    for (number, link) in [
        (0, LinkType::Null),
        (1, LinkType::Ethernet),
        (12, LinkType::RawIp),
        (14, LinkType::RawIp),
        (101, LinkType::RawIp),
        (108, LinkType::Null),
        (113, LinkType::LinuxSll),
        (228, LinkType::RawIp),
        (229, LinkType::RawIp),
        (276, LinkType::LinuxSll2),
        (9, LinkType::Ppp),
        (10, LinkType::Fddi),
        (50, LinkType::Ppp),
        (51, LinkType::PppoeSession),
        (100, LinkType::Llc),
        (104, LinkType::CiscoHdlc),
        (105, LinkType::Wlan),
        (107, LinkType::FrameRelay),
        (109, LinkType::Enc),
        (117, LinkType::PfLog),
        (119, LinkType::Prism),
        (127, LinkType::Radiotap),
        (138, LinkType::Ieee1394),
        (163, LinkType::Avs),
        (166, LinkType::Pppd),
        (192, LinkType::Ppi),
        (204, LinkType::PppWithDirection),
        (239, LinkType::NfLog),
        (0xf400_0001, LinkType::Ethernet),
    ] {
        let mut file = pcap_header(Order::Little, MICROS, number);
        file.extend(pcap_record(Order::Little, 1, 2, 3, b"abc"));
        assert_eq!(read(&file).packets, [seen(1_000_002_000, 3, link, b"abc")], "{number}");
    }
}

/// Variants of the format, each with a packet of four bytes in both byte orders.
#[test]
fn variants_of_other_systems_are_read() {
    for order in ORDERS {
        let header = |magic, version: (u16, u16), link| {
            let mut header = pcap_header(order, magic, link);
            header[4..8].copy_from_slice(&[order.u16(version.0), order.u16(version.1)].concat());
            header
        };
        let record = |a: u32, b: u32| [1, 2, a, b].map(|n| order.u32(n)).concat();
        let micros = seen(1_000_002_000, 9, LinkType::Ethernet, b"abcd");
        let nanos = seen(1_000_000_002, 9, LinkType::Ethernet, b"abcd");
        let modified = [record(4, 9), vec![0, 0, 0, 7, 8, 0, 4, 0]].concat();
        for (file, packet) in [
            ([header(0xa1b2_cd34, (2, 4), 1), modified.clone()].concat(), &micros),
            ([header(0x1c00_01ab, (2, 4), 1), vec![0xff; 4], record(4, 9)].concat(), &micros),
            ([header(MICROS, (2, 2), 6), record(4, 9)].concat(), &nanos),
            ([header(MICROS, (2, 2), 6), record(9, 4)].concat(), &nanos),
            ([header(MICROS, (543, 0), 1), record(9, 4)].concat(), &micros),
        ] {
            let run = read(&[&file[..], b"abcd", &file[file.len() - modified.len()..][..7]].concat());
            assert_eq!(run.packets, std::slice::from_ref(packet), "{}", run.message());
            assert!(run.message().contains("cut off inside packet 1"), "{}", run.message());
        }
    }
}

#[test]
fn other_link_types_are_named() {
    let message = read(&pcap_header(Order::Big, NANOS, 227)).message();
    let expected = "x: link type 227 (SocketCAN) is not supported; supported: Ethernet (1), ";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn lengths_of_old_versions_are_told_apart() {
    for (minor, lengths, wire_len) in [(2, [9, 3], 9), (3, [9, 3], 9), (3, [3, 9], 9), (4, [3, 9], 9)] {
        let mut file = pcap_header(Order::Little, MICROS, 1);
        file[6] = minor;
        file.extend([0, 0, lengths[0], lengths[1]].map(|n| Order::Little.u32(n)).concat());
        file.extend(b"abc");
        assert_eq!(read(&file).packets, [seen(0, wire_len, LinkType::Ethernet, b"abc")], "2.{minor}");
    }
    let mut file = pcap_header(Order::Little, MICROS, 1);
    file[4] = 3;
    assert_eq!(read(&file).message(), "x: pcap version 3.4 is not supported, expected version 2");
}

#[test]
fn packets_of_every_length() {
    for order in ORDERS {
        let mut file = pcap_header(order, MICROS, 1);
        let lengths = [0, 1, 65_535, 262_144, 0, 262_144];
        for len in lengths {
            file.extend(pcap_record(order, 0, 0, len as u32, &vec![0x5a; len]));
        }
        let run = read(&file);
        assert_eq!(run.message(), "");
        assert_eq!(run.packets.iter().map(|p| p.bytes.len()).collect::<Vec<_>>(), lengths);
    }
}

#[test]
fn impossible_length_is_corrupt() {
    let mut file = pcap_header(Order::Little, MICROS, 1);
    file.extend(pcap_record(Order::Little, 0, 0, 4, b"good"));
    file.extend(pcap_record(Order::Little, 0, 0, 262_145, &vec![0; 262_145]));
    let expected = "x: packet 1 is corrupt (byte 44): captured length 262145 is more than 262144 bytes; \
                    the 1 packet before it was read";
    assert_eq!(read(&file).message(), expected);
}

#[test]
fn limit_ends_early_and_sees_no_later_fault() {
    let mut file = pcap_header(Order::Little, MICROS, 1);
    for n in 0..600 {
        file.extend(pcap_record(Order::Little, n, 0, 4, b"good"));
    }
    file.extend(b"cut");
    for (limit, count) in [(0, 0), (1, 1), (256, 256), (257, 257), (600, 600)] {
        let run = read_with(&file, &SourceOptions { limit: Some(limit), ..SourceOptions::default() });
        assert_eq!((run.packets.len(), run.message()), (count, String::new()), "{limit}");
    }
    let run = read_with(&file, &SourceOptions { limit: Some(601), ..SourceOptions::default() });
    assert_eq!(run.packets.len(), 600);
    assert!(run.message().contains("cut off inside packet 600 (byte 12024)"), "{}", run.message());
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        big in any::<bool>(),
        nanos in any::<bool>(),
        packets in prop::collection::vec(
            (any::<u32>(), any::<u32>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..200)), 0..600),
    ) {
        let order = if big { Order::Big } else { Order::Little };
        let (magic, tick) = if nanos { (NANOS, 1) } else { (MICROS, 1000) };
        let mut file = pcap_header(order, magic, 1);
        let mut expected = Vec::new();
        for (seconds, ticks, original, bytes) in &packets {
            file.extend(pcap_record(order, *seconds, *ticks, *original, bytes));
            let time = i64::from(*seconds) * 1_000_000_000 + i64::from(*ticks) * tick;
            expected.push(seen(time, *original, LinkType::Ethernet, bytes));
        }
        let run = read(&file);
        prop_assert_eq!(run.message(), "");
        prop_assert_eq!(run.packets, expected);
    }
}
