//! The block format.

use crate::build::{ORDERS, Order, block, enhanced, interface, obsolete, option, section, simple};
use crate::{Seen, read};
use legonf_core::LinkType;
use proptest::prelude::*;

/// A little-endian section, an Ethernet interface and one 3-byte packet, every byte written out.
const LITERAL: [u8; 84] = [
    0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, //
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0, //
    1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 20, 0, 0, 0, //
    6, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 60, 0, 0, 0, //
    0xaa, 0xbb, 0xcc, 0, 36, 0, 0, 0,
];

fn seen(nanos: i64, wire_len: u32, link: LinkType, bytes: &[u8]) -> Seen {
    Seen { nanos, wire_len, link, bytes: bytes.to_vec() }
}

#[test]
fn literal_capture() {
    let expected = seen(((1 << 32) + 2) * 1000, 60, LinkType::Ethernet, &[0xaa, 0xbb, 0xcc]);
    assert_eq!(read(&LITERAL).packets, [expected]);
}

/// Sections of either order with interfaces of several clocks and every kind of block, and what is in them.
pub fn rich(order: Order) -> (Vec<u8>, Vec<Seen>) {
    let resolution = |byte| option(order, 9, &[byte]);
    let offset = [resolution(9), option(order, 14, &order.u64(5)), option(order, 0, &[])].concat();
    let name = [option(order, 2, b"eth0"), resolution(0x80 | 10)].concat();
    let file = [
        section(order),
        interface(order, 1, 5, &[]),
        interface(order, 101, 0, &offset),
        interface(order, 276, 0, &name),
        block(order, 5, b"statistics"),
        enhanced(order, 0, 1_700_000_000_000_001, 60, b"first"),
        enhanced(order, 1, 1_000_000_007, 61, b"second"),
        block(order, 0x0bad_cafe, &[9; 70_000]),
        enhanced(order, 2, 1536, 62, b""),
        simple(order, 9, b"abcde"),
        obsolete(order, 0, 3, 64, b"obsolete"),
        section(order),
        interface(order, 0, 0, &[]),
        simple(order, 3, b"abc"),
    ];
    let expected = vec![
        seen(1_700_000_000_000_001_000, 60, LinkType::Ethernet, b"first"),
        seen(6_000_000_007, 61, LinkType::RawIp, b"second"),
        seen(1_500_000_000, 62, LinkType::LinuxSll2, b""),
        seen(1_500_000_000, 9, LinkType::Ethernet, b"abcde"),
        seen(3000, 64, LinkType::Ethernet, b"obsolete"),
        seen(3000, 3, LinkType::Null, b"abc"),
    ];
    (file.concat(), expected)
}

#[test]
fn sections_interfaces_clocks_and_kinds_of_blocks() {
    for order in ORDERS {
        let (file, expected) = rich(order);
        let run = read(&file);
        assert_eq!(run.message(), "");
        assert_eq!(run.packets, expected, "{order:?}");
    }
    let (little, big) = (rich(Order::Little), rich(Order::Big));
    let both = read(&[little.0, big.0].concat());
    assert_eq!(both.packets.len(), 12, "{}", both.message());
}

#[test]
fn packets_of_another_link_type_are_delivered_among_others() {
    let order = Order::Little;
    let (ethernet, can) = (interface(order, 1, 0, &[]), interface(order, 227, 0, &[]));
    let packets = [enhanced(order, 1, 0, 1, b"b"), enhanced(order, 0, 0, 1, b"a")].concat();
    let mixed = [section(order), ethernet.clone(), can.clone(), packets].concat();
    let expected = [seen(0, 1, LinkType::Unread(227), b"b"), seen(0, 1, LinkType::Ethernet, b"a")];
    let run = read(&mixed);
    assert_eq!((run.message().as_str(), &run.packets[..]), ("", &expected[..]));
    let alone = [section(order), can, enhanced(order, 0, 0, 1, b"b")].concat();
    let later = read(&[section(order), ethernet, enhanced(order, 0, 0, 1, b"a"), alone.clone()].concat());
    assert_eq!((later.message().as_str(), later.packets.len()), ("", 2));
    assert_eq!(later.packets[1].link, LinkType::Unread(227));
    let message = read(&alone).message();
    assert!(message.starts_with("x: link type 227 (SocketCAN) is not supported; supported: "), "{message}");
}

#[test]
fn contradictions_are_corrupt() {
    let order = Order::Little;
    let start = [section(order), interface(order, 1, 0, &[])].concat();
    let packet = enhanced(order, 0, 0, 4, b"good");
    let changed = |at: usize, byte: u8| {
        let mut block = packet.clone();
        block[at] = byte;
        read(&[start.clone(), block].concat()).message()
    };
    let begin = |what: &str| format!("x: {what} is corrupt (byte 48): ");
    assert_eq!(
        changed(8, 1),
        begin("packet 0") + "it is of interface 1, but its section has described 1 so far"
    );
    let overrun = "captured length 200 does not fit into its block, which has 24 bytes";
    assert_eq!(changed(20, 200), begin("packet 0") + overrun);
    let long = "captured length 1677721604 is more than 262144 bytes";
    assert_eq!(changed(23, 100), begin("packet 0") + long);
    assert_eq!(changed(4, 57), begin("a block") + "a block of its type cannot be 57 bytes long");
    assert_eq!(changed(4, 16), begin("a block") + "a block of its type cannot be 16 bytes long");
    let tail = packet.len() - 4;
    assert_eq!(changed(tail, 1), begin("a block") + "its length is 56 bytes at its begin and 1 at its end");
    let mut second = section(order);
    second[8] = 0;
    let message = read(&[start.clone(), second].concat()).message();
    assert_eq!(message, begin("a block") + "a section header without byte-order magic");
    let message = read(&[section(order), interface(order, 1, 0, &[1, 0, 99, 0])].concat()).message();
    assert_eq!(message, "x: a block is corrupt (byte 28): an option is longer than its block");
    let mut newer = section(order);
    newer[12] = 2;
    assert_eq!(read(&newer).message(), "x: pcapng version 2 is not supported, expected version 1");
}

#[test]
fn interfaces_of_one_section_are_bounded() {
    let order = Order::Big;
    let many = [section(order), interface(order, 1, 0, &[]).repeat(65_537)].concat();
    assert!(read(&many).message().ends_with("more than 65536 interfaces in one section"));
}

#[test]
fn packets_of_every_length() {
    for order in ORDERS {
        let lengths = [0, 1, 2, 3, 65_535, 262_144, 1];
        let mut file = [section(order), interface(order, 1, 0, &[])].concat();
        for len in lengths {
            file.extend(enhanced(order, 0, 0, 0, &vec![3; len]));
        }
        let run = read(&file);
        assert_eq!(run.message(), "");
        assert_eq!(run.packets.iter().map(|p| p.bytes.len()).collect::<Vec<_>>(), lengths);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        big in any::<bool>(),
        packets in prop::collection::vec(
            (0_u32..3, 0..u64::MAX >> 12, any::<u32>(), prop::collection::vec(any::<u8>(), 0..200)), 0..400),
    ) {
        let order = if big { Order::Big } else { Order::Little };
        let clocks = [6_u8, 9, 0x80 | 20];
        let links = [(1, LinkType::Ethernet), (113, LinkType::LinuxSll), (0, LinkType::Null)];
        let mut file = section(order);
        for (clock, (link, _)) in clocks.iter().zip(links) {
            file.extend(interface(order, link, 0, &option(order, 9, &[*clock])));
        }
        let mut expected = Vec::new();
        for (id, ticks, original, bytes) in &packets {
            file.extend(enhanced(order, *id, *ticks, *original, bytes));
            let ticks = i128::from(*ticks);
            let nanos = [ticks * 1000, ticks, ticks * 1_000_000_000 / (1 << 20)][*id as usize];
            let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
            expected.push(seen(nanos, *original, links[*id as usize].1, bytes));
        }
        let run = read(&file);
        prop_assert_eq!(run.message(), "");
        prop_assert_eq!(run.packets, expected);
    }
}
