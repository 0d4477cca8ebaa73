//! The identities by which a packet's streams are found (kitsune-115.md §1).

use crate::Shard;
use crate::hash::Hasher;
use crate::shard::Shards;
use legonf_core::{Address, Ends, Headers, Ports, pair_words};
use std::net::{IpAddr, Ipv4Addr};

/// Key of a table by source address: the address, and whatever else identifies the source.
pub(crate) type SourceKey = [u64; 3];

/// Key of a table by pair: both addresses, their kinds and ports.
pub(crate) type PairKey = [u64; 5];

/// The direction of a packet within its unordered pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    /// Which of the two directed streams the packet belongs to.
    pub(crate) own: u8,
    /// The opposite stream; the same one where both ends are equal.
    pub(crate) other: u8,
}

/// Every key of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PacketKeys {
    /// MI: source address and source MAC.
    pub(crate) identity: SourceKey,
    /// HH: the unordered pair of addresses, and which direction this is.
    pub(crate) channel: PairKey,
    pub(crate) channel_flow: Flow,
    /// HpHp: the unordered pair of sockets, and which direction this is.
    pub(crate) socket: PairKey,
    pub(crate) socket_flow: Flow,
    /// Whether the socket is between other addresses than the channel: ARP's MACs.
    is_arp: bool,
}

/// Hashes of a packet's keys.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashes {
    pub(crate) identity: u64,
    pub(crate) source: u64,
    pub(crate) channel: u64,
    pub(crate) socket: u64,
    /// Of the unordered pair of hosts to whose slot the socket belongs: the channel's, or for ARP that of the MACs.
    pub(crate) socket_shard: u64,
    /// What those of the channel and, but for ARP, of the sockets have in common.
    pub(crate) pair: u64,
}

impl PacketKeys {
    /// The keys of a packet. One without any identity gets the empty addresses: a stream of its own kind.
    pub(crate) fn of(headers: &Headers) -> Self {
        let mut keys = Self::default();
        keys.set(headers);
        keys
    }

    /// Becomes [those](Self::of) of a packet.
    #[inline(always)]
    pub(crate) fn set(&mut self, headers: &Headers) {
        let outer = &headers.outer;
        match (outer.src, outer.dst, outer.ports, headers.link) {
            (Some(IpAddr::V4(src)), Some(IpAddr::V4(dst)), Some((p, q)), Some(link)) => {
                *self = Self::of_ipv4_sockets((src, p), (dst, q), link.src.into());
            }
            _ => self.set_ends(headers),
        }
    }

    #[inline(never)]
    fn set_ends(&mut self, headers: &Headers) {
        *self = Self::of_ends(&Ends::of(headers));
    }

    /// H: source address.
    #[inline(always)]
    pub(crate) fn source(&self) -> SourceKey {
        let [high, low, kinds] = self.identity;
        [high, low, kinds & 0xff]
    }

    /// [`of_ends`](Self::of_ends) for most packets, in few instructions.
    #[inline(always)]
    fn of_ipv4_sockets((src, p): (Ipv4Addr, u16), (dst, q): (Ipv4Addr, u16), mac: Address) -> Self {
        let kind = u64::from(Address::from(IpAddr::V4(src)).kind);
        let (socket, socket_flow) = ipv4_sockets((src, p), (dst, q));
        let [a, low, b, high, _] = socket;
        Self {
            identity: identity(u64::from(src.to_bits()), 0, kind, mac),
            channel: [a, low, b, high, kind | kind << 4],
            channel_flow: Flow::new(dst < src, src == dst),
            socket,
            socket_flow,
            is_arp: false,
        }
    }

    /// Sets the key of the sockets alone, and returns its direction.
    #[inline(always)]
    pub(crate) fn set_ipv4_sockets(&mut self, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Flow {
        (self.socket, self.socket_flow) = ipv4_sockets(from, to);
        self.socket_flow
    }

    /// The keys of a packet between these ends.
    fn of_ends(&Ends { src, dst, macs, ports }: &Ends) -> Self {
        let (channel, channel_flow) = pair((src, 0), (dst, 0), 0);
        let (tag, p, q) = ports.parts();
        let is_arp = ports == Ports::Arp;
        let (from, to) = if is_arp { macs } else { (src, dst) };
        let (socket, socket_flow) = pair((from, p), (to, q), tag);
        let identity = identity(src.low, src.high, u64::from(src.kind), macs.0);
        Self { identity, channel, channel_flow, socket, socket_flow, is_arp }
    }

    /// The hashes of the keys in these shards; those of others are 0.
    #[inline(always)]
    pub(crate) fn hashes(&self, hasher: &Hasher, shards: Shards) -> Hashes {
        let mut hashes = Hashes::default();
        if shards.has(Shard::Sources) {
            hashes.identity = hasher.three(self.identity);
            hashes.source = hasher.three(self.source());
        }
        if shards.has(Shard::Channels) || shards.has(Shard::Sockets) {
            let [a, b, c, d, kinds] = self.channel;
            hashes.pair = hasher.four([a, b, c, d]);
            hashes.channel = hasher.fifth(hashes.pair, kinds);
        }
        if shards.has(Shard::Sockets) {
            let [a, b, c, d, kinds] = self.socket;
            let pair = if self.is_arp { hasher.four([a, b, c, d]) } else { hashes.pair };
            hashes.socket = hasher.fifth(pair, kinds);
            hashes.socket_shard = if self.is_arp { hasher.fifth(pair, kinds & 0xff) } else { hashes.channel };
        }
        hashes
    }
}

#[inline(always)]
fn identity(low: u64, high: u64, kind: u64, mac: Address) -> SourceKey {
    [high, low, kind | u64::from(mac.kind) << 8 | mac.low << 16]
}

impl Flow {
    #[inline(always)]
    fn new(is_swapped: bool, is_own_reverse: bool) -> Self {
        let own = u8::from(is_swapped);
        Self { own, other: own ^ u8::from(!is_own_reverse) }
    }
}

/// [`pair`] of most packets, in few instructions.
#[inline(always)]
fn ipv4_sockets((src, p): (Ipv4Addr, u16), (dst, q): (Ipv4Addr, u16)) -> (PairKey, Flow) {
    let kind = u64::from(Address::from(IpAddr::V4(src)).kind);
    let end = |address: Ipv4Addr, port: u16| u64::from(address.to_bits()) << 16 | u64::from(port);
    let (from, to) = (end(src, p), end(dst, q));
    let (low, high) = (from.min(to), from.max(to));
    let (tag, ..) = Ports::Numbers(p, q).parts();
    let kinds = kind | kind << 4 | tag << 8 | (low & 0xffff) << 16 | (high & 0xffff) << 32;
    ([0, low >> 16, 0, high >> 16, kinds], Flow::new(to < from, from == to))
}

/// The key of an unordered pair of sockets, and which direction `from` → `to` is.
#[inline(always)]
fn pair(from: (Address, u16), to: (Address, u16), tag: u64) -> (PairKey, Flow) {
    let (key, swapped) = pair_words(from, to, tag);
    (key, Flow::new(swapped, from == to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Encapsulation, Icmp, Inner, Layer, Link, Mac, Network, Transport};

    fn packet(src: &str, dst: &str, transport: Transport, ports: Option<(u16, u16)>) -> Headers {
        let (src, dst) = (Some(src.parse().unwrap()), Some(dst.parse().unwrap()));
        let outer = Layer { network: Network::Ipv4, src, dst, transport, ports, ..Layer::default() };
        let link = Link { src: Mac([2; 6]), dst: Mac([4; 6]), ..Link::default() };
        Headers { link: Some(link), outer, ..Headers::default() }
    }

    #[test]
    fn both_directions_share_a_record() {
        let there = PacketKeys::of(&packet("10.0.0.1", "10.0.0.2", Transport::Tcp, Some((1443, 80))));
        let back = PacketKeys::of(&packet("10.0.0.2", "10.0.0.1", Transport::Tcp, Some((80, 1443))));
        assert_eq!((there.channel, there.socket), (back.channel, back.socket));
        assert_eq!(
            (there.socket_flow.own, there.socket_flow.other),
            (back.socket_flow.other, back.socket_flow.own)
        );
        let crossed = PacketKeys::of(&packet("10.0.0.2", "10.0.0.1", Transport::Tcp, Some((1443, 80))));
        assert_ne!(there.socket, crossed.socket);
    }

    #[test]
    fn a_stream_with_itself_is_its_own_reverse() {
        let keys = PacketKeys::of(&packet("10.0.0.1", "10.0.0.1", Transport::Udp, Some((5, 6))));
        assert_eq!(keys.channel_flow.own, keys.channel_flow.other);
        assert_ne!(keys.socket_flow.own, keys.socket_flow.other);
        let none = PacketKeys::of(&Headers::default());
        assert_eq!((none.channel, none.channel_flow.other), ([0; 5], 0));
    }

    #[test]
    fn kinds_never_collide() {
        let v4 = PacketKeys::of(&packet("1.2.3.4", "1.2.3.4", Transport::None, None));
        let v6 = PacketKeys::of(&packet("::ffff:1.2.3.4", "::ffff:1.2.3.4", Transport::None, None));
        let low = PacketKeys::of(&packet("::102:304", "::102:304", Transport::None, None));
        assert!(v4.source() != v6.source() && v4.source() != low.source() && v4.channel != low.channel);
        let zero_ports = PacketKeys::of(&packet("1.2.3.4", "1.2.3.4", Transport::Tcp, Some((0, 0))));
        let icmp = PacketKeys::of(&packet("1.2.3.4", "1.2.3.4", Transport::Icmp(Icmp::default()), None));
        assert!(
            v4.socket != zero_ports.socket && zero_ports.socket != icmp.socket && v4.socket != icmp.socket
        );
    }

    #[test]
    fn an_icmp_error_takes_the_quoted_ports() {
        let mut error = packet("10.0.0.9", "10.0.0.1", Transport::Icmp(Icmp { kind: 3, code: 1 }), None);
        let layer = Layer { ports: Some((1000, 53)), ..Layer::default() };
        error.inner = Some(Inner { by: Encapsulation::Quoted, layer });
        let plain = packet("10.0.0.9", "10.0.0.1", Transport::Udp, Some((1000, 53)));
        assert_eq!(PacketKeys::of(&error).socket, PacketKeys::of(&plain).socket);
        error.inner = Some(Inner { by: Encapsulation::IpInIp, layer });
        assert_ne!(PacketKeys::of(&error).socket, PacketKeys::of(&plain).socket);
    }

    /// What the splitter sends to a slot is what the tables keep there.
    #[test]
    fn the_splitters_slot_is_the_tables() {
        use crate::hash::{Hasher, slot};
        use legonf_core::Projector;
        use legonf_core::{Field, Key};
        let (seed, hasher) = (99, Hasher::new(99));
        let pair = |a, b| Key::new(&[a, b], true).unwrap();
        let by_source = Projector::new(&Key::new(&[Field::SrcIp], false).unwrap(), seed);
        let by_pair = Projector::new(&pair(Field::SrcIp, Field::DstIp), seed);
        let by_macs = Projector::new(&pair(Field::SrcMac, Field::DstMac), seed);
        for (src, dst) in [("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1"), ("2001:db8::7", "::1")] {
            let mut headers = packet(src, dst, Transport::None, None);
            for network in [Network::Ipv4, Network::Arp] {
                headers.outer.network = network;
                let keys = PacketKeys::of(&headers);
                let hashes = keys.hashes(&hasher, Shards::ALL);
                assert_eq!(by_source.slot(&headers), slot(hashes.source));
                assert_eq!(by_pair.slot(&headers), slot(hashes.channel));
                let sockets = if network == Network::Arp { &by_macs } else { &by_pair };
                assert_eq!(sockets.slot(&headers), slot(hashes.socket_shard));
            }
        }
    }

    #[test]
    fn arp_is_between_macs_and_sharded_so() {
        let mut arp = packet("10.0.0.1", "10.0.0.2", Transport::None, None);
        let ip = PacketKeys::of(&arp);
        arp.outer.network = Network::Arp;
        let keys = PacketKeys::of(&arp);
        assert_eq!(keys.channel, ip.channel);
        assert_eq!((keys.socket[1], keys.socket[3]), (0x0202_0202_0202, 0x0404_0404_0404));
        arp.outer = Layer::default();
        let bare = PacketKeys::of(&arp);
        let hasher = Hasher::new(1);
        let [bare_hashes, hashes] = [bare, keys].map(|keys| keys.hashes(&hasher, Shards::ALL));
        assert_eq!(
            (bare_hashes.channel, bare_hashes.socket_shard),
            (hashes.socket_shard, hashes.socket_shard)
        );
        assert_ne!(bare.socket, keys.socket);
    }

    #[test]
    fn most_packets_have_the_keys_of_any_packet() {
        let addresses = ["0.0.0.0", "10.0.0.1", "10.0.0.2", "255.255.255.255"];
        let sockets = || addresses.into_iter().flat_map(|address| [0, 80, 65535].map(|port| (address, port)));
        for ((src, p), (dst, q)) in sockets().flat_map(|from| sockets().map(move |to| (from, to))) {
            let headers = packet(src, dst, Transport::Tcp, Some((p, q)));
            assert_eq!(PacketKeys::of(&headers), PacketKeys::of_ends(&Ends::of(&headers)));
        }
    }
}
