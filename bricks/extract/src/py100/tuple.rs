//! From headers to the identities by which the reference keeps its streams (kitsune-py-100.md §1).

use legonf_core::{Headers, Layer, Mac, Network, Transport};
use std::net::IpAddr;

/// An end of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Address {
    /// None was captured.
    #[default]
    None,
    /// An Ethernet address.
    Mac(Mac),
    /// An IP address.
    Ip(IpAddr),
}

/// What stands for the protocol, beside the addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Nothing.
    #[default]
    None,
    /// ARP or RARP.
    Arp,
    /// ICMP for IPv4.
    Icmp,
    /// The ports of the first TCP and of the first UDP header at any depth; one of them at least.
    Ports {
        /// Source and destination port of TCP.
        tcp: Option<(u16, u16)>,
        /// Source and destination port of UDP.
        udp: Option<(u16, u16)>,
    },
}

/// What identifies the streams of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tuple {
    /// Ethernet addresses of source and destination.
    pub(super) macs: [Address; 2],
    /// IP addresses of source and destination, or what takes their place.
    pub(super) ends: [Address; 2],
    /// The protocol.
    pub(super) protocol: Protocol,
}

impl Tuple {
    /// The identities of a packet.
    #[inline(always)]
    pub(super) fn of(headers: &Headers) -> Self {
        let macs = headers.link.map_or([Address::None; 2], |link| [link.src, link.dst].map(Address::Mac));
        let layers = [Some(&headers.outer), headers.inner.as_ref().map(|inner| &inner.layer)];
        let ends = ip_ends(layers);
        let ports = |transport| {
            layers.into_iter().flatten().filter(|l| l.transport == transport).find_map(|l| l.ports)
        };
        let (tcp, udp) = (ports(Transport::Tcp), ports(Transport::Udp));
        if tcp.is_some() || udp.is_some() {
            return Self { macs, ends, protocol: Protocol::Ports { tcp, udp } };
        }
        let layer = |found: fn(&Layer) -> bool| layers.into_iter().flatten().find(|l| found(l));
        if let Some(arp) = layer(|l| l.network == Network::Arp) {
            return Self { macs, ends: addresses(arp), protocol: Protocol::Arp };
        }
        if layer(|l| matches!(l.transport, Transport::Icmp(_))).is_some() {
            return Self { macs, ends, protocol: Protocol::Icmp };
        }
        let ends = if ends == [Address::None; 2] { macs } else { ends };
        Self { macs, ends, protocol: Protocol::None }
    }

    /// The identities in words: equal words, equal identities.
    #[inline(always)]
    pub(super) fn words(&self) -> [u64; 7] {
        let [m, n] = self.macs.map(words);
        let [a, b] = self.ends.map(words);
        let (tag, tcp, udp) = match self.protocol {
            Protocol::None => (0, None, None),
            Protocol::Arp => (1, None, None),
            Protocol::Icmp => (2, None, None),
            Protocol::Ports { tcp, udp } => (3, tcp, udp),
        };
        let ports = |p: Option<(u16, u16)>| p.map_or(0, |(p, q)| u64::from(p) << 16 | u64::from(q));
        let kinds = [m.0, n.0, a.0, b.0, tag, u64::from(tcp.is_some()), u64::from(udp.is_some())];
        let kinds = kinds.into_iter().fold(0, |all, kind| all << 2 | kind);
        [m.2 | kinds << 48, n.2, a.1, a.2, b.1, b.2, ports(tcp) << 32 | ports(udp)]
    }
}

/// Kind, high and low word of an address.
#[inline(always)]
fn words(address: Address) -> (u64, u64, u64) {
    match address {
        Address::None => (0, 0, 0),
        Address::Mac(Mac([a, b, c, d, e, f])) => (1, 0, u64::from_be_bytes([0, 0, a, b, c, d, e, f])),
        Address::Ip(IpAddr::V4(v4)) => (2, 0, v4.to_bits().into()),
        Address::Ip(IpAddr::V6(v6)) => (3, (v6.to_bits() >> 64) as u64, v6.to_bits() as u64),
    }
}

/// The addresses of the first IPv4 header at any depth; without one, of the first IPv6 header.
#[inline(always)]
fn ip_ends(layers: [Option<&Layer>; 2]) -> [Address; 2] {
    let first = |network| layers.into_iter().flatten().find(|l| l.network == network && l.src.is_some());
    first(Network::Ipv4).or_else(|| first(Network::Ipv6)).map_or([Address::None; 2], addresses)
}

fn addresses(layer: &Layer) -> [Address; 2] {
    [layer.src, layer.dst].map(|address| address.map_or(Address::None, Address::Ip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Encapsulation, Icmp, Inner, Link};

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn layer(src: &str, dst: &str, transport: Transport, ports: Option<(u16, u16)>) -> Layer {
        let network = if src.contains(':') { Network::Ipv6 } else { Network::Ipv4 };
        Layer { network, src: ip(src), dst: ip(dst), transport, ports, ..Layer::default() }
    }

    fn packet(outer: Layer, inner: Option<Layer>) -> Tuple {
        let link = Link { src: Mac([2; 6]), dst: Mac([4; 6]), ..Link::default() };
        let inner = inner.map(|layer| Inner { by: Encapsulation::IpInIp, layer });
        Tuple::of(&Headers { link: Some(link), outer, inner, ..Headers::default() })
    }

    fn end(text: &str) -> Address {
        Address::Ip(text.parse().unwrap())
    }

    #[test]
    fn ports_come_from_any_depth() {
        let icmp = Transport::Icmp(Icmp { kind: 3, code: 1 });
        let quoted = layer("10.0.0.2", "10.0.0.1", Transport::Udp, Some((53, 4000)));
        let error = packet(layer("10.0.0.9", "10.0.0.2", icmp, None), Some(quoted));
        assert_eq!(error.protocol, Protocol::Ports { tcp: None, udp: Some((53, 4000)) });
        assert_eq!(error.ends, [end("10.0.0.9"), end("10.0.0.2")]);
        let inside = layer("1.1.1.1", "2.2.2.2", Transport::Tcp, Some((443, 10)));
        let vxlan = packet(layer("10.0.0.9", "10.0.0.2", Transport::Udp, Some((40010, 4789))), Some(inside));
        assert_eq!(vxlan.protocol, Protocol::Ports { tcp: Some((443, 10)), udp: Some((40010, 4789)) });
    }

    #[test]
    fn the_first_ipv4_header_names_the_ends() {
        let inside = layer("1.1.1.1", "2.2.2.2", Transport::Tcp, Some((443, 10)));
        let tunnel = packet(layer("fe80::1", "fe80::2", Transport::Other(4), None), Some(inside));
        assert_eq!(tunnel.ends, [end("1.1.1.1"), end("2.2.2.2")]);
        let plain = packet(layer("fe80::1", "fe80::2", Transport::Icmpv6(Icmp::default()), None), None);
        assert_eq!((plain.ends, plain.protocol), ([end("fe80::1"), end("fe80::2")], Protocol::None));
    }

    #[test]
    fn only_without_any_address_do_macs_take_their_place() {
        let bare = packet(Layer::default(), None);
        assert_eq!((bare.ends, bare.protocol), (bare.macs, Protocol::None));
        let mut cut = layer("10.0.0.1", "10.0.0.2", Transport::None, None);
        cut.dst = None;
        assert_eq!(packet(cut, None).ends, [end("10.0.0.1"), Address::None]);
        let arp = packet(Layer { network: Network::Arp, ..Layer::default() }, None);
        assert_eq!((arp.ends, arp.protocol), ([Address::None; 2], Protocol::Arp));
        let icmp = Layer { transport: Transport::Icmp(Icmp::default()), ..Layer::default() };
        assert_eq!(
            (packet(icmp, None).ends, packet(icmp, None).protocol),
            ([Address::None; 2], Protocol::Icmp)
        );
        assert_eq!(Tuple::of(&Headers::default()), Tuple::default());
    }

    #[test]
    fn words_tell_identities_apart() {
        let ports = |tcp, udp| Tuple { protocol: Protocol::Ports { tcp, udp }, ..Tuple::default() };
        let mapped = |text: &str| Tuple { ends: [end(text), end(text)], ..Tuple::default() };
        let all = [
            Tuple::default(),
            ports(Some((0, 0)), None),
            ports(None, Some((0, 0))),
            ports(Some((0, 0)), Some((0, 0))),
            ports(Some((1, 0)), None),
            ports(Some((0, 1)), None),
            Tuple { protocol: Protocol::Arp, ..Tuple::default() },
            Tuple { protocol: Protocol::Icmp, ..Tuple::default() },
            Tuple { macs: [Address::Mac(Mac([0; 6])); 2], ..Tuple::default() },
            mapped("0.0.0.0"),
            mapped("::"),
        ];
        for (i, a) in all.iter().enumerate() {
            for b in &all[..i] {
                assert_ne!(a.words(), b.words(), "{a:?} {b:?}");
            }
        }
    }
}
