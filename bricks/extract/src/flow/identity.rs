//! Which flow a packet belongs to.

use super::key;
use legonf_core::{
    Address, Ends, Hasher, Headers, PacketKind, Projector, pair_words, protocol_word, tunnel_word,
};
use serde::{Deserialize, Serialize};

/// What tells one flow from another: the values of its key, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Identity {
    /// The unordered pair of sockets, and behind the ports the protocol.
    sockets: [u64; 5],
    vlan: u32,
    tunnel: u64,
}

/// Finds the flow of a packet, and the slot that the splitter puts it in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identifier {
    projector: Projector,
    /// The hash of the projector, for the values that are at hand where neither VLAN nor tunnel tells flows apart.
    hasher: Hasher,
    vlan: bool,
    tunnel: bool,
}

/// A packet's flow, the hash of its key, and whether the packet goes from the second end of the pair to the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub identity: Identity,
    pub hash: u64,
    pub swapped: bool,
}

impl Identifier {
    pub fn new(vlan: bool, tunnel: bool, seed: u64) -> Self {
        let (projector, hasher) = (Projector::new(&key(vlan, tunnel), seed), Hasher::new(seed));
        Self { projector, hasher, vlan, tunnel }
    }

    /// The flow of a packet; none where it has no network addresses, or is ARP.
    #[inline]
    pub fn find(&self, headers: &Headers) -> Option<Found> {
        if matches!(PacketKind::of(headers), PacketKind::Bare | PacketKind::Arp) {
            return None;
        }
        let ends = Ends::of(headers);
        let (tag, p, q) = ends.ports.parts();
        let (mut sockets, swapped) = pair_words((ends.src, p), (ends.dst, q), tag);
        sockets[4] ^= protocol_word(headers) << 48;
        let hash = match self.vlan || self.tunnel {
            true => self.projector.hash_of_ends(headers, &ends),
            false => self.hasher.five(sockets),
        };
        let vlan = headers.link.and_then(|link| link.vlan).filter(|_| self.vlan);
        let vlan = vlan.map_or(0, |vlan| 1 << 16 | u32::from(vlan));
        let tunnel = if self.tunnel { tunnel_word(headers) } else { 0 };
        Some(Found { identity: Identity { sockets, vlan, tunnel }, hash, swapped })
    }
}

impl Identity {
    /// The first end of the pair, or the second.
    pub fn end(&self, second: bool) -> (Address, u16) {
        let [a, b, c, d, meta] = self.sockets;
        let kind = |at: u32| (meta >> at & 0xf) as u8;
        match second {
            false => (Address { kind: kind(0), high: a, low: b }, (meta >> 16) as u16),
            true => (Address { kind: kind(4), high: c, low: d }, (meta >> 32) as u16),
        }
    }

    /// Number of the transport protocol; 0 where packets have none, as later fragments.
    pub fn protocol(&self) -> u8 {
        (self.sockets[4] >> 48) as u8
    }

    /// The identifier of the VLAN, if it tells flows apart and the packets have one.
    pub fn vlan(&self) -> Option<u16> {
        (self.vlan != 0).then_some(self.vlan as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Layer, Link, Network, Transport};

    fn packet(src: &str, dst: &str, ports: (u16, u16), transport: Transport) -> Headers {
        let outer = Layer {
            network: Network::Ipv4,
            src: Some(src.parse().unwrap()),
            dst: Some(dst.parse().unwrap()),
            transport,
            ports: Some(ports),
            ..Layer::default()
        };
        let link = Link { vlan: Some(7), ..Link::default() };
        Headers { outer, link: Some(link), ..Headers::default() }
    }

    #[test]
    fn both_directions_are_one_flow() {
        let identifier = Identifier::new(false, false, 3);
        let there = identifier.find(&packet("10.0.0.1", "10.0.0.2", (9, 80), Transport::Tcp)).unwrap();
        let back = identifier.find(&packet("10.0.0.2", "10.0.0.1", (80, 9), Transport::Tcp)).unwrap();
        assert_eq!((there.identity, there.hash), (back.identity, back.hash));
        assert_ne!(there.swapped, back.swapped);
        let (address, port) = there.identity.end(there.swapped);
        assert_eq!((address.to_string(), port, there.identity.protocol()), ("10.0.0.1".into(), 9, 6));
        let (address, port) = there.identity.end(!there.swapped);
        assert_eq!((address.to_string(), port), ("10.0.0.2".into(), 80));
        let other = identifier.find(&packet("10.0.0.1", "10.0.0.2", (9, 80), Transport::Udp)).unwrap();
        assert_ne!(there.identity, other.identity);
        assert_eq!(identifier.find(&Headers::default()).map(|found| found.hash), None);
        for transport in [Transport::Tcp, Transport::Udp, Transport::Other(132)] {
            let headers = packet("10.0.0.9", "10.0.0.2", (9, 80), transport);
            let found = identifier.find(&headers).unwrap();
            assert_eq!(found.hash, identifier.projector.hash(&headers));
        }
    }

    #[test]
    fn the_vlan_tells_flows_apart_only_where_that_is_wanted() {
        let tagged = packet("10.0.0.1", "10.0.0.2", (9, 80), Transport::Tcp);
        let bare = Headers { link: None, ..tagged };
        let of = |vlan, headers| Identifier::new(vlan, false, 3).find(headers).unwrap();
        assert_eq!(of(false, &tagged).identity, of(false, &bare).identity);
        assert_ne!(of(true, &tagged).identity, of(true, &bare).identity);
        assert_ne!(of(true, &tagged).hash, of(true, &bare).hash);
        assert_eq!(of(true, &tagged).identity.vlan(), Some(7));
    }
}
