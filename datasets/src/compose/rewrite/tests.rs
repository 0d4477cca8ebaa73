use super::super::mapping::tests::mapping;
use super::super::sum::is_valid;
use super::*;
use proptest::prelude::*;

const HOSTS: [&str; 4] = ["192.168.1.2", "192.168.1.3", "2001:db8::2", "2001:db8::3"];
const ATTACK: [&str; 4] = ["6.6.6.6", "7.7.7.7", "2001:db8:6::6", "2001:db8:7::7"];

fn map() -> Mapping {
    mapping(&ATTACK, &HOSTS, 5)
}

fn rewritten(link: LinkType, bytes: &[u8]) -> Result<Vec<u8>, LeftOut> {
    let mut frame = Vec::new();
    rewrite(link, bytes, &map(), &mut frame).map(|_| frame)
}

fn octets(text: &str) -> Vec<u8> {
    match text.parse::<IpAddr>().unwrap() {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

fn mapped(text: &str) -> IpAddr {
    map().ip(text.parse().unwrap())
}

/// The ones' complement sum's complement.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let mut bytes = parts.concat();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let mut sum: u32 = bytes.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

fn pseudo(src: &[u8], dst: &[u8], protocol: u8, len: usize) -> Vec<u8> {
    [src, dst, &[0, protocol], &(len as u16).to_be_bytes()].concat()
}

/// Where a transport header keeps its checksum.
fn checksum_at(protocol: u8) -> usize {
    match protocol {
        6 => 16,
        17 => 6,
        _ => 2,
    }
}

fn transport_bytes(protocol: u8, src: &[u8], dst: &[u8], message: &[u8]) -> Vec<u8> {
    let (mut bytes, at) = (message.to_vec(), checksum_at(protocol));
    bytes[at..at + 2].fill(0);
    let pseudo = if protocol == 1 { vec![] } else { pseudo(src, dst, protocol, bytes.len()) };
    let sum = checksum(&[&pseudo, &bytes]);
    bytes[at..at + 2].copy_from_slice(&if protocol == 17 && sum == [0, 0] { [0xff; 2] } else { sum });
    bytes
}

/// An IP packet with valid checksums.
fn ip(src: &str, dst: &str, protocol: u8, message: &[u8]) -> Vec<u8> {
    let (src, dst) = (octets(src), octets(dst));
    let upper = transport_bytes(protocol, &src, &dst, message);
    if src.len() == 16 {
        let len = (upper.len() as u16).to_be_bytes();
        return [&[0x60, 0, 0, 0, len[0], len[1], protocol, 64], &src[..], &dst, &upper].concat();
    }
    let len = (20 + upper.len() as u16).to_be_bytes();
    let mut header = [&[0x45, 0, len[0], len[1], 0, 1, 0, 0, 64, protocol, 0, 0], &src[..], &dst].concat();
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum);
    [header, upper].concat()
}

fn ethernet_frame(payload: &[u8]) -> Vec<u8> {
    let ethertype: &[u8] = if payload[0] >> 4 == 4 { &[8, 0] } else { &[0x86, 0xdd] };
    [&[0xaa; 6], &[0xbc; 6], ethertype, payload].concat()
}

/// Checks every checksum of an IP packet without extensions.
fn assert_valid(packet: &[u8]) {
    let (header, src, dst, protocol) = match packet[0] >> 4 {
        4 => {
            assert!(is_valid(&[&packet[..20]]), "{packet:02x?}");
            (20, &packet[12..16], &packet[16..20], packet[9])
        }
        _ => (40, &packet[8..24], &packet[24..40], packet[6]),
    };
    let upper = &packet[header..];
    let pseudo = if protocol == 1 { vec![] } else { pseudo(src, dst, protocol, upper.len()) };
    assert!(is_valid(&[&pseudo, upper]), "{packet:02x?}");
}

/// A UDP datagram to everyone; both its checksums are those that another program computes.
#[test]
fn literal_bytes() {
    let map = mapping(&["192.0.2.1", "192.0.2.2"], &["10.1.1.1"], 1);
    let query: &[u8] = &[
        0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xbc, 0xbc, 0xbc, 0xbc, 0xbc, 0xbc, 0x08, 0x00, // Ethernet
        0x45, 0x00, 0x00, 0x1d, 0x00, 0x01, 0x00, 0x00, 0x40, 0x11, 0xb8, 0xce, //
        192, 0, 2, 1, 255, 255, 255, 255, // 192.0.2.1 to broadcast
        0x00, 0x35, 0x10, 0x00, 0x00, 0x09, 0xec, 0xa5, 0x41, // UDP, one byte
    ];
    let mut frame = Vec::new();
    assert_eq!(rewrite(LinkType::Ethernet, query, &map, &mut frame), Ok(0));
    let expected: &[u8] = &[
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x08, 0x00, // broadcast, the host's MAC
        0x45, 0x00, 0x00, 0x1d, 0x00, 0x01, 0x00, 0x00, 0x40, 0x11, 0x6f, 0xce, //
        10, 1, 1, 1, 255, 255, 255, 255, //
        0x00, 0x35, 0x10, 0x00, 0x00, 0x09, 0xa3, 0xa5, 0x41, //
    ];
    assert_eq!(frame, expected);
}

#[test]
fn arp_tells_the_host_s_mac() {
    let arp = [
        &[0xff; 6][..],
        &[0xbc; 6],
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &[0xbc; 6],
        &[6, 6, 6, 6],
        &[0; 6],
        &[7, 7, 7, 7],
    ]
    .concat();
    let frame = rewritten(LinkType::Ethernet, &arp).unwrap();
    let (src, dst) = (mapped("6.6.6.6"), mapped("7.7.7.7"));
    assert_eq!((&frame[..6], &frame[6..12]), (&[0xff; 6][..], &map().mac(src).0[..]));
    assert_eq!((&frame[22..28], &frame[32..38]), (&map().mac(src).0[..], &[0; 6][..]));
    assert_eq!(
        (&frame[28..32], &frame[38..42]),
        (&octets(&src.to_string())[..], &octets(&dst.to_string())[..])
    );
}

#[test]
fn quoted_packets_and_neighbours_are_rewritten() {
    let quoted = ip(ATTACK[0], ATTACK[1], 17, &[0, 53, 16, 0, 0, 12, 0, 0, 1, 2, 3, 4]);
    let error = ip(ATTACK[1], ATTACK[0], 1, &[&[3, 3, 0, 0, 0, 0, 0, 0], &quoted[..]].concat());
    let frame = rewritten(LinkType::Ethernet, &ethernet_frame(&error)).unwrap();
    assert_valid(&frame[14..]);
    assert_valid(&frame[14 + 28..]);
    assert_eq!(frame[14 + 28 + 12..][..4], octets(&mapped(ATTACK[0]).to_string()));

    let target = octets(ATTACK[3]);
    let message = [&[136, 0, 0, 0, 0x60, 0, 0, 0], &target[..], &[2, 1], &[0xaa; 6]].concat();
    let frame =
        rewritten(LinkType::Ethernet, &ethernet_frame(&ip(ATTACK[3], ATTACK[2], 58, &message))).unwrap();
    assert_valid(&frame[14..]);
    assert_eq!(frame[62..78], octets(&mapped(ATTACK[3]).to_string()));
    assert_eq!(frame[80..86], map().mac(mapped(ATTACK[3])).0);
}

#[test]
fn tags_stay_and_other_link_types_become_ethernet() {
    let packet = ip(ATTACK[0], "224.0.0.251", 17, &[0, 53, 16, 0, 0, 9, 0, 0, 65]);
    let plain = rewritten(LinkType::RawIp, &packet).unwrap();
    assert_eq!(plain[..6], [1, 0, 0x5e, 0, 0, 251]);
    assert_eq!(plain[12..14], [8, 0]);
    assert_valid(&plain[14..]);
    let cooked = [&[0; 14], &[8, 0][..], &packet].concat();
    assert_eq!(rewritten(LinkType::LinuxSll, &cooked).unwrap(), plain);
    let tagged = [&[0xaa; 12], &[0x81, 0, 0, 7, 8, 0][..], &packet].concat();
    let frame = rewritten(LinkType::Ethernet, &tagged).unwrap();
    assert_eq!((&frame[12..18], &frame[18..]), (&tagged[12..18], &plain[14..]));
}

#[test]
fn what_has_no_address_is_left_out() {
    for (bytes, reason) in [
        (vec![], LeftOut::BadHeader),
        (vec![0; 13], LeftOut::BadHeader),
        ([&[0; 12][..], &[0x88, 0xcc, 1]].concat(), LeftOut::NoAddress),
        ([&[0; 12][..], &[8, 0, 0x45, 0]].concat(), LeftOut::BadHeader),
        ([&[0; 12][..], &[0x86, 0xdd, 0x45, 0]].concat(), LeftOut::BadHeader),
        ([&[0; 12][..], &[0x81, 0, 0, 1].repeat(9)].concat(), LeftOut::NoAddress),
    ] {
        assert_eq!(rewritten(LinkType::Ethernet, &bytes), Err(reason), "{bytes:02x?}");
    }
}

proptest! {
    #[test]
    fn valid_checksums_stay_valid_and_cutting_comes_to_the_same(
        payload in prop::collection::vec(any::<u8>(), 24..80),
        ends in prop::sample::select(vec![(0, 1), (1, 0), (2, 3), (3, 2)]),
        protocol in prop::sample::select(vec![6_u8, 17, 1, 58]),
        other: u32,
        cut in 54..120_usize,
    ) {
        let mut message = payload;
        // No message that holds addresses itself.
        message[0] = 128;
        let public = Ipv4Addr::from_bits(other).to_string();
        let dst = if ends.0 < 2 { public.as_str() } else { ATTACK[ends.1] };
        let frame = ethernet_frame(&ip(ATTACK[ends.0], dst, protocol, &message));
        let whole = rewritten(LinkType::Ethernet, &frame).unwrap();
        assert_valid(&whole[14..]);
        prop_assert_ne!(&whole, &frame);
        // Of half a checksum nobody knows what it becomes.
        let half = 14 + if ends.0 < 2 { 20 } else { 40 } + checksum_at(protocol) + 1;
        let cut = if cut == half { half + 1 } else { cut.min(frame.len()) };
        prop_assert_eq!(rewritten(LinkType::Ethernet, &frame[..cut]).unwrap(), &whole[..cut]);
    }

    #[test]
    fn udp_without_a_checksum_keeps_none(payload in prop::collection::vec(any::<u8>(), 8..40)) {
        let mut frame = ethernet_frame(&ip(ATTACK[0], ATTACK[1], 17, &payload));
        frame[40..42].fill(0);
        prop_assert_eq!(&rewritten(LinkType::Ethernet, &frame).unwrap()[40..42], &[0, 0]);
    }

    #[test]
    fn any_bytes_are_taken(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        start in prop::sample::select(vec![
            vec![], vec![0x45], vec![0x60],
            [&[0; 12][..], &[8, 0, 0x45]].concat(),
            [&[0; 12][..], &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 90, 58]].concat(),
            [&[0; 12][..], &[8, 6, 0, 1, 8, 0, 6, 4]].concat(),
        ]),
    ) {
        let bytes = [start, bytes].concat();
        for link in [LinkType::Ethernet, LinkType::RawIp, LinkType::Null, LinkType::LinuxSll, LinkType::LinuxSll2] {
            if let Ok(frame) = rewritten(link, &bytes) {
                prop_assert!(frame.len() >= ETHERNET);
            }
        }
    }
}
