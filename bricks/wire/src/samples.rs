//! Literal packets for the tests of this crate.

use legonf_core::{Headers, LinkType, Mac, PacketRecord, Packets, Timestamp};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) const DST: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub(crate) const SRC: Mac = Mac([2, 0, 0, 0, 0, 2]);
pub(crate) const SRC4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 4, 10));
pub(crate) const DST4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5));
pub(crate) const SRC6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
pub(crate) const DST6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2));

/// The record of one packet with these bytes.
pub(crate) fn record(link: LinkType, bytes: &[u8]) -> PacketRecord {
    let mut packets = Packets::default();
    packets.push(7, Timestamp::new(1, 2), bytes.len() as u32, link, bytes);
    *packets.record(0)
}

pub(crate) fn parse_as(link: LinkType, bytes: &[u8]) -> Headers {
    crate::parse(&record(link, bytes), bytes)
}

pub(crate) fn parse(frame: &[u8]) -> Headers {
    parse_as(LinkType::Ethernet, frame)
}

pub(crate) fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&DST.0[..], &SRC.0, &ethertype.to_be_bytes(), payload].concat()
}

pub(crate) fn ip4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len() as u16).to_be_bytes();
    let fixed = [0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, protocol, 0, 0];
    [&fixed[..], &[192, 168, 4, 10, 10, 0, 0, 5], payload].concat()
}

pub(crate) fn ip6(next: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16).to_be_bytes();
    let (IpAddr::V6(src), IpAddr::V6(dst)) = (SRC6, DST6) else { unreachable!("both are IPv6") };
    let fixed = [0x60, 0, 0, 0, len[0], len[1], next, 64];
    [&fixed[..], &src.octets(), &dst.octets(), payload].concat()
}

pub(crate) fn tcp(src: u16, dst: u16) -> Vec<u8> {
    let rest = [0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 9, 0, 0, 0, 0];
    [&src.to_be_bytes()[..], &dst.to_be_bytes(), &rest].concat()
}

pub(crate) fn udp(src: u16, dst: u16) -> Vec<u8> {
    udp_with(src, dst, &[])
}

pub(crate) fn udp_with(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let len = (8 + payload.len() as u16).to_be_bytes();
    [&src.to_be_bytes()[..], &dst.to_be_bytes(), &len, &[0, 0], payload].concat()
}

/// An ARP request of `SRC4` for `DST4`.
pub(crate) fn arp() -> Vec<u8> {
    let fixed = [0, 1, 8, 0, 6, 4, 0, 1];
    [&fixed[..], &SRC.0, &[192, 168, 4, 10], &[0; 6], &[10, 0, 0, 5]].concat()
}

/// IP packets of every kind that is parsed, each with its EtherType.
fn ip_packets() -> Vec<(u16, Vec<u8>)> {
    let plain4 = [ip4(6, &tcp(80, 4000)), ip4(17, &udp(53, 4000)), ip4(1, &[8, 0, 0, 0, 0, 0, 0, 0])];
    let plain6 = [ip6(6, &tcp(80, 4000)), ip6(17, &udp(53, 4000)), ip6(58, &[128, 0, 0, 0, 0, 0, 0, 0])];
    let mut fragment = ip4(17, &[7; 16]);
    fragment[7] = 1;
    let extended = [
        ip6(0, &[&[6, 0, 1, 4, 0, 0, 0, 0][..], &tcp(80, 4000)].concat()),
        ip6(60, &[&[43, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0][..], &udp(53, 4000)].concat()),
        ip6(44, &[&[17, 0, 0, 1, 0, 0, 0, 9][..], &udp(53, 4000)].concat()),
        ip6(44, &[&[17, 0, 0, 8, 0, 0, 0, 9][..], &[7; 8]].concat()),
        ip6(51, &[&[6, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2][..], &tcp(80, 4000)].concat()),
        ip6(135, &[59, 0, 5, 0, 0, 0, 0, 0]),
    ];
    let mut all: Vec<(u16, Vec<u8>)> = [ip4(132, &[9; 12]), fragment].map(|p| (0x0800, p)).into();
    for carried in plain4 {
        all.extend(carriers(0x0800, &carried));
        all.push((0x0800, carried));
    }
    for carried in plain6.into_iter().chain(extended) {
        all.extend(carriers(0x86dd, &carried));
        all.push((0x86dd, carried));
    }
    all
}

/// The packet in every tunnel, and quoted by an error.
fn carriers(ethertype: u16, packet: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let [high, low] = ethertype.to_be_bytes();
    let vxlan = [&[8, 0, 0, 0, 0, 0, 1, 0][..], &ethernet(ethertype, packet)].concat();
    let is4 = ethertype == 0x0800;
    let error = [&[if is4 { 3 } else { 1 }, 0, 0, 0, 0, 0, 0, 0][..], packet].concat();
    let frame = ethernet(ethertype, packet);
    let gtp = (4 + packet.len() as u16).to_be_bytes();
    let gtp = [&[0x32, 255, gtp[0], gtp[1], 0, 0, 0, 7, 0, 9, 0, 0][..], packet].concat();
    let geneve = [&[1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 0][..], &frame].concat();
    let gpe = [&[0x0c, 0, 0, 3, 0, 0, 7, 0][..], &frame].concat();
    let quoting = if is4 { ip4(1, &error) } else { ip6(58, &error) };
    let mut all = vec![(ethertype, quoting)];
    for (protocol, body) in [
        (if is4 { 4 } else { 41 }, packet.to_vec()),
        (47, [&[0x20, 0, high, low, 0, 0, 0, 7][..], packet].concat()),
        (47, [&[0, 0, 0x65, 0x58][..], &ethernet(ethertype, packet)].concat()),
        (47, [&[0, 0, 0x88, 0xbe][..], &frame].concat()),
        (47, [&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 5, 0, 9, 0, 0, 0, 7][..], &frame].concat()),
        (17, udp_with(40010, 4789, &vxlan)),
        (17, udp_with(40010, 4790, &gpe)),
        (17, udp_with(40010, 6081, &geneve)),
        (17, udp_with(2152, 2152, &gtp)),
    ] {
        all.push((0x0800, ip4(protocol, &body)));
        all.push((0x86dd, ip6(protocol, &body)));
    }
    all
}

/// Frames around an IP packet, with every tag that is parsed.
fn frames(ethertype: u16, packet: &[u8]) -> Vec<Vec<u8>> {
    let [high, low] = ethertype.to_be_bytes();
    let ppp = if ethertype == 0x0800 { 0x21 } else { 0x57 };
    let session = (2 + packet.len() as u16).to_be_bytes();
    let tagged = |ethertype, tags: &[u8]| ethernet(ethertype, &[tags, packet].concat());
    vec![
        ethernet(ethertype, packet),
        tagged(0x88a8, &[0, 7, 0x81, 0, 0, 8, high, low]),
        tagged(0x8847, &[0, 1, 0, 64, 0, 2, 1, 64]),
        tagged(0x893f, &[0, 0, 0x10, 1, 0, 0, high, low]),
        tagged(0x8926, &[0x80, 1, 0, 2, high, low]),
        tagged(0x8909, &[1, 1, 0, 1, 0, 9, high, low]),
        tagged(0x88e5, &[0x20, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0, 1, high, low]),
        tagged(0x894f, &[0x0f, 0xc2, 1, if ethertype == 0x0800 { 1 } else { 2 }, 0, 0, 1, 0xff]),
        tagged(0x8864, &[0x11, 0, 0, 1, session[0], session[1], 0, ppp]),
        tagged(8 + packet.len() as u16, &[0xaa, 0xaa, 3, 0, 0, 0, high, low]),
    ]
}

/// Valid packets of every protocol on every link type.
pub(crate) fn valid() -> Vec<(LinkType, Vec<u8>)> {
    let mut all: Vec<_> =
        [0x0806, 0x8035].map(|ethertype| (LinkType::Ethernet, ethernet(ethertype, &arp()))).into();
    for (ethertype, packet) in ip_packets() {
        let [high, low] = ethertype.to_be_bytes();
        let family = if ethertype == 0x0800 { 2 } else { 30 };
        let sll = [0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 7, 0, 0, high, low];
        let sll2 = [high, low, 0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 2, 0, 0, 0, 0, 7, 0, 0];
        all.extend(frames(ethertype, &packet).into_iter().map(|f| (LinkType::Ethernet, f)));
        all.push((LinkType::Null, [&[family, 0, 0, 0][..], &packet].concat()));
        all.push((LinkType::LinuxSll, [&sll[..], &packet].concat()));
        all.push((LinkType::LinuxSll2, [&sll2[..], &packet].concat()));
        all.extend(rarer_links(ethertype, &packet));
        all.push((LinkType::RawIp, packet));
    }
    all
}

/// The packet on every link type that few captures have.
fn rarer_links(ethertype: u16, packet: &[u8]) -> Vec<(LinkType, Vec<u8>)> {
    let [high, low] = ethertype.to_be_bytes();
    let protocol = if ethertype == 0x0800 { 0x21 } else { 0x57 };
    let session = (2 + packet.len() as u16).to_be_bytes();
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, high, low];
    let wlan = [&[0x88, 1, 0, 0][..], &[2; 6], &[4; 6], &[6; 6], &[0, 0, 0, 0], &snap].concat();
    let log = (4 + packet.len() as u16).to_le_bytes();
    let log = [2, 0, 0, 5, 8, 0, 1, 0, high, low, 1, 0, log[0], log[1], 9, 0];
    let headers = [
        (LinkType::Ppp, vec![0xff, 3, 0, protocol]),
        (LinkType::PppWithDirection, vec![1, 0xff, 3, 0, protocol]),
        (LinkType::Pppd, vec![1, 3, 0, protocol]),
        (LinkType::PppoeSession, vec![0x11, 0, 0, 1, session[0], session[1], 0, protocol]),
        (LinkType::CiscoHdlc, vec![0x0f, 0, high, low]),
        (LinkType::FrameRelay, vec![0x18, 0x41, high, low]),
        (LinkType::Llc, snap.to_vec()),
        (LinkType::Fddi, [&[0x50][..], &[2; 6], &[4; 6], &snap].concat()),
        (LinkType::Ieee1394, [&[2; 16][..], &[high, low]].concat()),
        (LinkType::Radiotap, [&[0, 0, 8, 0, 0, 0, 0, 0][..], &wlan].concat()),
        (LinkType::Prism, [&[0x44, 0, 0, 0, 8, 0, 0, 0][..], &wlan].concat()),
        (LinkType::Avs, [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 8][..], &wlan].concat()),
        (LinkType::Ppi, [&[0, 0, 8, 0, 105, 0, 0, 0][..], &wlan].concat()),
        (LinkType::Wlan, wlan),
        (LinkType::NfLog, log.to_vec()),
        (LinkType::PfLog, [&[61, 2][..], &[0; 62]].concat()),
        (LinkType::Enc, vec![0; 12]),
    ];
    headers.map(|(link, header)| (link, [&header[..], packet].concat())).into()
}
