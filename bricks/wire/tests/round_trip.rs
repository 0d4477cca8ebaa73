//! Packets of every protocol, written from what shall be found in them: parsing finds exactly that.
#![allow(clippy::unwrap_used)]

use legonf_core::{
    Encapsulation, Fragment, Headers, Icmp, Inner, Layer, Link, LinkType, Mac, Network, Packets, Timestamp,
    Transport,
};
use proptest::prelude::*;
use proptest::sample::select;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A layer, and its bytes from the network header on.
#[derive(Clone, Debug)]
struct Packet {
    ethertype: u16,
    layer: Layer,
    bytes: Vec<u8>,
}

/// What IP carries: protocol number, what is found of it, and its bytes.
#[derive(Clone, Debug)]
struct Body {
    protocol: u8,
    transport: Transport,
    ports: Option<(u16, u16)>,
    inner: Option<Inner>,
    bytes: Vec<u8>,
}

const VXLAN: u16 = 4789;

/// Ports of tunnels.
const TUNNELS: [u16; 4] = [VXLAN, 4790, 6081, 2152];

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..24)
}

fn tcp() -> impl Strategy<Value = Body> {
    (any::<(u16, u16, u32, u32)>(), 5_u8..16, any::<u8>(), payload()).prop_map(
        |(n, words, flags, payload)| {
            let (src, dst, sequence, acknowledgement) = n;
            let mut bytes = [src.to_be_bytes(), dst.to_be_bytes()].concat();
            bytes.extend([sequence.to_be_bytes(), acknowledgement.to_be_bytes()].concat());
            bytes.extend([words << 4, flags, 1, 0, 0, 0, 0, 0]);
            bytes.resize(usize::from(words) * 4, 1);
            bytes.extend(payload);
            Body { protocol: 6, transport: Transport::Tcp, ports: Some((src, dst)), inner: None, bytes }
        },
    )
}

fn udp_around(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let len = 8 + payload.len() as u16;
    [&[src, dst, len, 0].map(u16::to_be_bytes).concat(), payload].concat()
}

fn udp() -> impl Strategy<Value = Body> {
    let ports = any::<(u16, u16)>().prop_filter("no tunnel", |(_, dst)| !TUNNELS.contains(dst));
    (ports, payload()).prop_map(|((src, dst), payload)| {
        let bytes = udp_around(src, dst, &payload);
        Body { protocol: 17, transport: Transport::Udp, ports: Some((src, dst)), inner: None, bytes }
    })
}

fn icmp_body(version: u8, kind: u8, code: u8, rest: &[u8]) -> Body {
    let icmp = Icmp { kind, code };
    let (protocol, transport) =
        if version == 4 { (1, Transport::Icmp(icmp)) } else { (58, Transport::Icmpv6(icmp)) };
    let bytes = [&[kind, code, 0, 0, 0, 0, 0, 0][..], rest].concat();
    Body { protocol, transport, ports: None, inner: None, bytes }
}

fn icmp(version: u8) -> impl Strategy<Value = Body> {
    let kinds = if version == 4 { vec![0_u8, 8, 9, 13, 14, 17] } else { vec![128, 129, 133, 134, 135, 136] };
    (select(kinds), any::<u8>(), payload())
        .prop_map(move |(kind, code, payload)| icmp_body(version, kind, code, &payload))
}

fn other() -> impl Strategy<Value = Body> {
    (select(vec![2_u8, 50, 89, 103, 132, 253]), payload()).prop_map(|(protocol, bytes)| {
        let transport = Transport::Other(protocol);
        Body { protocol, transport, ports: None, inner: None, bytes }
    })
}

/// Everything that IP of a version carries, but tunnels.
fn plain(version: u8) -> BoxedStrategy<Body> {
    prop_oneof![tcp(), udp(), icmp(version), other()].boxed()
}

fn fragment() -> impl Strategy<Value = (Fragment, u16)> {
    prop_oneof![
        4 => Just((Fragment::Whole, 0)),
        1 => Just((Fragment::First, 0)),
        1 => (1_u16..0x1fff).prop_map(|offset| (Fragment::Later, offset)),
    ]
}

/// The layer around `body`, without what only its first fragment says.
fn layer(network: Network, src: IpAddr, dst: IpAddr, fragment: Fragment, body: &Body) -> Layer {
    let base = Layer { network, src: Some(src), dst: Some(dst), fragment, ..Layer::default() };
    match fragment {
        Fragment::Later => base,
        _ => Layer { transport: body.transport, ports: body.ports, ..base },
    }
}

fn ip4(body: Body, fragment: (Fragment, u16)) -> impl Strategy<Value = Packet> {
    (any::<(u32, u32, u16, u8, u8)>(), 0_usize..11).prop_map(move |((src, dst, id, tos, ttl), options)| {
        let total = (20 + options * 4 + body.bytes.len()) as u16;
        let field = fragment.1 | if fragment.0 == Fragment::First { 0x2000 } else { 0 };
        let mut bytes = vec![0x45 + options as u8, tos];
        bytes.extend([total, id, field].map(u16::to_be_bytes).concat());
        bytes.extend([ttl, body.protocol, 0, 0]);
        bytes.extend([src.to_be_bytes(), dst.to_be_bytes()].concat());
        bytes.extend(vec![1; options * 4]);
        bytes.extend(&body.bytes);
        let [src, dst] = [src, dst].map(|a| IpAddr::V4(Ipv4Addr::from(a)));
        Packet { ethertype: 0x0800, layer: layer(Network::Ipv4, src, dst, fragment.0, &body), bytes }
    })
}

/// Extension headers before the fragment header: their numbers and bytes, without the number of the next one.
fn extensions() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let padded = (select(vec![0_u8, 43, 60]), 0_u8..3).prop_map(|(number, units)| {
        let mut bytes = vec![units, 1, 4, 0, 0, 0, 0];
        bytes.resize(7 + usize::from(units) * 8, 0);
        (number, bytes)
    });
    let authentication = Just((51, vec![1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]));
    prop::collection::vec(prop_oneof![3 => padded, 1 => authentication], 0..4)
}

fn ip6(body: Body, fragment: (Fragment, u16)) -> impl Strategy<Value = Packet> {
    (any::<(u128, u128, u8)>(), extensions(), any::<bool>()).prop_map(
        move |((src, dst, hops), mut chain, atomic)| {
            if fragment.0 != Fragment::Whole || atomic {
                let more = u16::from(fragment.0 == Fragment::First);
                let field = (fragment.1 << 3 | more).to_be_bytes();
                chain.push((44, vec![0, field[0], field[1], 0, 0, 0, 9]));
            }
            let next: Vec<u8> = chain.iter().map(|(number, _)| *number).chain([body.protocol]).collect();
            let mut upper = Vec::new();
            for ((_, bytes), next) in chain.iter().zip(&next[1..]) {
                upper.push(*next);
                upper.extend(bytes);
            }
            upper.extend(&body.bytes);
            let len = (upper.len() as u16).to_be_bytes();
            let mut bytes = vec![0x60, 0, 0, 0, len[0], len[1], next[0], hops];
            bytes.extend([src.to_be_bytes(), dst.to_be_bytes()].concat());
            bytes.extend(upper);
            let [src, dst] = [src, dst].map(|a| IpAddr::V6(Ipv6Addr::from(a)));
            Packet { ethertype: 0x86dd, layer: layer(Network::Ipv6, src, dst, fragment.0, &body), bytes }
        },
    )
}

fn ip(version: u8, body: Body, fragment: (Fragment, u16)) -> BoxedStrategy<Packet> {
    if version == 4 { ip4(body, fragment).boxed() } else { ip6(body, fragment).boxed() }
}

/// IP of a version around what is no tunnel.
fn simple(version: u8) -> BoxedStrategy<Packet> {
    (plain(version), fragment()).prop_flat_map(move |(body, fragment)| ip(version, body, fragment)).boxed()
}

fn any_version() -> impl Strategy<Value = u8> {
    select(vec![4_u8, 6])
}

/// Any of the tunnels around a packet, or an error that quotes it. An error quotes its own version of IP.
fn tunnel() -> BoxedStrategy<(u8, Body)> {
    let outer_and_inner = (any_version(), any_version().prop_flat_map(simple));
    let tunnels = (outer_and_inner, 0_u8..5, any::<u32>(), any::<(u16, bool, bool)>()).prop_map(
        |((version, packet), kind, id, (port, checksum, sequence))| {
            let body = match kind {
                0 => in_ip(packet),
                1 => in_gre(&packet, packet.ethertype, packet.bytes.clone(), id, checksum, sequence),
                2 => in_gre(&packet, 0x6558, frame(&packet), id, checksum, sequence),
                3 => in_vxlan(&packet, id >> 8, port),
                _ => return quoted(packet, id),
            };
            (version, body)
        },
    );
    tunnels.boxed()
}

fn carried(protocol: u8, by: Encapsulation, layer: Layer, bytes: Vec<u8>) -> Body {
    let inner = Some(Inner { by, layer });
    Body { protocol, transport: Transport::Other(protocol), ports: None, inner, bytes }
}

fn in_ip(packet: Packet) -> Body {
    let protocol = if packet.ethertype == 0x0800 { 4 } else { 41 };
    carried(protocol, Encapsulation::IpInIp, packet.layer, packet.bytes)
}

/// GRE with a key where it is odd, and the fields that are wanted.
fn in_gre(
    packet: &Packet,
    protocol: u16,
    payload: Vec<u8>,
    key: u32,
    checksum: bool,
    sequence: bool,
) -> Body {
    let keyed = key & 1 == 1;
    let flags = u16::from(checksum) << 15 | u16::from(keyed) << 13 | u16::from(sequence) << 12;
    let mut bytes = [flags, protocol].map(u16::to_be_bytes).concat();
    for (is_there, field) in [(checksum, 0), (keyed, key), (sequence, 77)] {
        bytes.extend(is_there.then(|| field.to_be_bytes()).into_iter().flatten());
    }
    bytes.extend(payload);
    carried(47, Encapsulation::Gre(keyed.then_some(key)), packet.layer, bytes)
}

fn in_vxlan(packet: &Packet, network: u32, port: u16) -> Body {
    let id = network.to_be_bytes();
    let bytes = [&[8, 0, 0, 0, id[1], id[2], id[3], 0][..], &frame(packet)].concat();
    let inner = Some(Inner { by: Encapsulation::Vxlan(network), layer: packet.layer });
    let bytes = udp_around(port, VXLAN, &bytes);
    Body { protocol: 17, transport: Transport::Udp, ports: Some((port, VXLAN)), inner, bytes }
}

fn quoted(packet: Packet, random: u32) -> (u8, Body) {
    let [choice, code, ..] = random.to_be_bytes();
    let (version, kinds) =
        if packet.ethertype == 0x0800 { (4, vec![3, 4, 5, 11, 12]) } else { (6, vec![1, 2, 3, 4]) };
    let kind = kinds[usize::from(choice) % kinds.len()];
    let body = icmp_body(version, kind, code, &packet.bytes);
    (version, Body { inner: Some(Inner { by: Encapsulation::Quoted, layer: packet.layer }), ..body })
}

fn frame(packet: &Packet) -> Vec<u8> {
    [&[2; 12][..], &packet.ethertype.to_be_bytes(), &packet.bytes].concat()
}

fn arp() -> impl Strategy<Value = Packet> {
    (any::<(u32, u32)>(), 1_u16..3, any::<bool>()).prop_map(|((sender, target), operation, reverse)| {
        let mut bytes = vec![0, 1, 8, 0, 6, 4];
        bytes.extend(operation.to_be_bytes());
        bytes.extend([2; 6]);
        bytes.extend(sender.to_be_bytes());
        bytes.extend([3; 6]);
        bytes.extend(target.to_be_bytes());
        let [src, dst] = [sender, target].map(|a| Some(IpAddr::V4(Ipv4Addr::from(a))));
        let layer = Layer { network: Network::Arp, src, dst, ..Layer::default() };
        Packet { ethertype: if reverse { 0x8035 } else { 0x0806 }, layer, bytes }
    })
}

/// A packet of any kind with the packet in it, if there is one.
fn packet() -> BoxedStrategy<(Packet, Option<Inner>)> {
    let tunnelled = tunnel().prop_flat_map(|(version, body)| {
        let inner = body.inner;
        ip(version, body, (Fragment::Whole, 0)).prop_map(move |packet| (packet, inner))
    });
    let alone = prop_oneof![any_version().prop_flat_map(simple), arp().boxed()].prop_map(|p| (p, None));
    prop_oneof![alone, tunnelled].boxed()
}

/// What stands between the link header and the packet: the type that announces it, its bytes, and the VLAN.
fn tagged(packet: &Packet, kind: u8, vlans: &[u16], labels: &[u32]) -> (u16, Vec<u8>, Option<u16>) {
    let is_ip = matches!(packet.ethertype, 0x0800 | 0x86dd);
    let (mut ethertype, mut bytes) = match kind {
        1 if is_ip && !labels.is_empty() => {
            let last = labels.len() - 1;
            let label =
                |(i, label): (usize, &u32)| ((label & !0x100) | u32::from(i == last) << 8).to_be_bytes();
            let stack: Vec<u8> = labels.iter().enumerate().flat_map(label).collect();
            (0x8847, [stack, packet.bytes.clone()].concat())
        }
        2 if is_ip => {
            let len = (2 + packet.bytes.len() as u16).to_be_bytes();
            let protocol = if packet.ethertype == 0x0800 { 0x21 } else { 0x57 };
            (0x8864, [&[0x11, 0, 0, 1, len[0], len[1], 0, protocol][..], &packet.bytes].concat())
        }
        3 if packet.bytes.len() < 1400 => {
            let [high, low] = packet.ethertype.to_be_bytes();
            let bytes = [&[0xaa, 0xaa, 3, 0, 0, 0, high, low][..], &packet.bytes].concat();
            (bytes.len() as u16, bytes)
        }
        _ => (packet.ethertype, packet.bytes.clone()),
    };
    for (vlan, tag) in vlans.iter().rev().zip([0x8100, 0x88a8, 0x9100]) {
        bytes = [&vlan.to_be_bytes()[..], &ethertype.to_be_bytes(), &bytes].concat();
        ethertype = tag;
    }
    (ethertype, bytes, vlans.first().map(|vlan| vlan & 0x0fff))
}

/// A packet on a link, and what shall be found in it.
fn on_a_link() -> impl Strategy<Value = (LinkType, Vec<u8>, Headers)> {
    let tags =
        (0_u8..5, prop::collection::vec(any::<u16>(), 0..3), prop::collection::vec(any::<u32>(), 0..4));
    (packet(), 0_u8..6, tags, any::<([u8; 6], [u8; 6])>()).prop_map(
        |((packet, inner), kind, tags, (src, dst))| {
            let (announced, tagged, vlan) = tagged(&packet, tags.0, &tags.1, &tags.2);
            let is_arp = packet.layer.network == Network::Arp;
            let family: u32 = if packet.ethertype == 0x0800 { 2 } else { 30 };
            let high_low = announced.to_be_bytes();
            // Cooked headers announce a type and never a length; null and raw IP carry IP alone.
            let kind = if (kind > 3 && announced < 1536) || (kind < 4 && is_arp) { 5 } else { kind };
            let (link, bytes, has_dst) = match kind {
                0 => (LinkType::RawIp, packet.bytes.clone(), None),
                1 => (LinkType::Null, [&family.to_le_bytes()[..], &packet.bytes].concat(), None),
                2 => (LinkType::Null, [&family.to_be_bytes()[..], &packet.bytes].concat(), None),
                3 => {
                    let head =
                        [&[0, 4, 0, 1, 0, 6][..], &src, &[0, 0], &packet.ethertype.to_be_bytes()].concat();
                    (LinkType::LinuxSll, [head, packet.bytes.clone()].concat(), Some((false, None)))
                }
                4 => {
                    let head = [&high_low[..], &[0; 2], &[0, 0, 0, 3, 0, 1, 4, 6], &src, &[0, 0]].concat();
                    (LinkType::LinuxSll2, [head, tagged].concat(), Some((false, vlan)))
                }
                _ => {
                    let head = [&dst[..], &src, &high_low].concat();
                    (LinkType::Ethernet, [head, tagged].concat(), Some((true, vlan)))
                }
            };
            let found = has_dst.map(|(has_dst, vlan)| Link {
                src: Mac(src),
                dst: if has_dst { Mac(dst) } else { Mac::default() },
                ethertype: packet.ethertype,
                vlan,
            });
            let headers = Headers {
                seq: 7,
                timestamp: Timestamp::new(1, 2),
                shift: 0,
                wire_len: bytes.len() as u32,
                link: found,
                outer: packet.layer,
                inner,
                malformed: None,
            };
            (link, bytes, headers)
        },
    )
}

fn parse(link: LinkType, bytes: &[u8]) -> Headers {
    let mut packets = Packets::default();
    packets.push(7, Timestamp::new(1, 2), bytes.len() as u32, link, bytes);
    legonf_wire::parse(packets.record(0), bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 8192, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_found((link, bytes, expected) in on_a_link()) {
        prop_assert_eq!(parse(link, &bytes), expected, "{:?} {:02x?}", link, bytes);
    }

    /// Ethernet pads short frames; what the lengths leave over is not looked at.
    #[test]
    fn padding_changes_nothing((link, mut bytes, expected) in on_a_link(), padding in 1_usize..46) {
        bytes.extend(vec![0xa5; padding]);
        let found = parse(link, &bytes);
        prop_assert_eq!(Headers { wire_len: expected.wire_len, ..found }, expected, "{:?} {:02x?}", link, bytes);
    }
}
