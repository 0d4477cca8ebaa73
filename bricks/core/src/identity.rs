//! The ends of a packet: the addresses and ports by which its streams are found.
//!
//! Values are typed words, never text: nothing collides by concatenation, and 1.2.3.4 is not ::ffff:1.2.3.4.

use crate::{Encapsulation, Headers, Layer, Mac, Network, Transport};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address of any kind. `kind` 0 is none, 1 Ethernet, 2 IPv4, 3 IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Which kind of address.
    pub kind: u8,
    /// The high half of an IPv6 address.
    pub high: u64,
    /// The low half of an IPv6 address, or the whole of another.
    pub low: u64,
}

impl From<Mac> for Address {
    #[inline(always)]
    fn from(mac: Mac) -> Self {
        let [a, b, c, d, e, f] = mac.0;
        Self { kind: 1, high: 0, low: u64::from_be_bytes([0, 0, a, b, c, d, e, f]) }
    }
}

impl From<IpAddr> for Address {
    #[inline(always)]
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self { kind: 2, high: 0, low: u64::from(v4.to_bits()) },
            IpAddr::V6(v6) => {
                let bits = v6.to_bits();
                Self { kind: 3, high: (bits >> 64) as u64, low: bits as u64 }
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, _, mac @ ..] = self.low.to_be_bytes();
        match self.kind {
            1 => Mac(mac).fmt(f),
            2 => Ipv4Addr::from_bits(self.low as u32).fmt(f),
            3 => Ipv6Addr::from_bits(u128::from(self.high) << 64 | u128::from(self.low)).fmt(f),
            _ => f.write_str("no address"),
        }
    }
}

/// The ports of a packet, or what takes their place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// Neither ports nor a protocol that stands for them.
    #[default]
    None,
    /// Source and destination port.
    Numbers(u16, u16),
    /// An ARP packet's.
    Arp,
    /// Those of ICMP for IPv4.
    Icmp,
}

impl Ports {
    /// A tag that tells the kinds apart, and the two numbers.
    #[inline(always)]
    pub fn parts(self) -> (u64, u16, u16) {
        match self {
            Self::None => (0, 0, 0),
            Self::Numbers(p, q) => (1, p, q),
            Self::Arp => (2, 0, 0),
            Self::Icmp => (3, 0, 0),
        }
    }
}

/// Both ends of a packet.
///
/// A packet without network addresses has its MACs for addresses; one without a link layer, too, has empty ones.
/// An ICMP error takes the ports of the TCP or UDP packet that it quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// Source address: of the outer network layer, or the MAC.
    pub src: Address,
    /// Destination address.
    pub dst: Address,
    /// Source and destination MAC.
    pub macs: (Address, Address),
    /// Ports.
    pub ports: Ports,
}

impl Ends {
    /// The ends of a packet.
    #[inline(always)]
    pub fn of(headers: &Headers) -> Self {
        let macs = headers.link.map_or_else(Default::default, |l| (l.src.into(), l.dst.into()));
        match (headers.outer.src, headers.outer.dst) {
            (Some(src), Some(dst)) => {
                Self { src: src.into(), dst: dst.into(), macs, ports: ports(&headers.outer, headers) }
            }
            _ => Self { src: macs.0, dst: macs.1, macs, ports: Ports::None },
        }
    }
}

/// The ports of the outer layer. An ICMP error takes those of the TCP or UDP packet that it quotes.
#[inline(always)]
fn ports(outer: &Layer, headers: &Headers) -> Ports {
    if let Some((p, q)) = outer.ports {
        return Ports::Numbers(p, q);
    }
    if outer.network == Network::Arp {
        return Ports::Arp;
    }
    let quoted = headers.inner.filter(|inner| inner.by == Encapsulation::Quoted).and_then(|i| i.layer.ports);
    match (outer.transport, quoted) {
        (Transport::Icmp(_) | Transport::Icmpv6(_), Some((p, q))) => Ports::Numbers(p, q),
        (Transport::Icmp(_), None) => Ports::Icmp,
        _ => Ports::None,
    }
}

/// The key words of one address.
#[inline(always)]
pub fn source_words(address: Address) -> [u64; 3] {
    [address.high, address.low, u64::from(address.kind)]
}

/// The key words of an unordered pair of sockets, and whether `to` comes first in it.
#[inline(always)]
pub fn pair_words(from: (Address, u16), to: (Address, u16), tag: u64) -> ([u64; 5], bool) {
    let swapped = to < from;
    let (a, b) = if swapped { (to, from) } else { (from, to) };
    let kinds = u64::from(a.0.kind) | u64::from(b.0.kind) << 4 | tag << 8;
    let meta = kinds | u64::from(a.1) << 16 | u64::from(b.1) << 32;
    ([a.0.high, a.0.low, b.0.high, b.0.low, meta], swapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_they_are_written() {
        for text in ["10.0.0.1", "2001:db8::1"] {
            assert_eq!(Address::from(text.parse::<IpAddr>().unwrap()).to_string(), text);
        }
        assert_eq!(Address::from(Mac([2, 0, 0, 0, 0, 255])).to_string(), "02:00:00:00:00:ff");
        assert_eq!(Address::default().to_string(), "no address");
    }

    #[test]
    fn a_pair_is_the_same_from_either_end() {
        let (a, b) = ((Address { kind: 2, high: 0, low: 7 }, 80), (Address { kind: 2, high: 0, low: 9 }, 5));
        let ((there, swapped), (back, swapped_back)) = (pair_words(a, b, 1), pair_words(b, a, 1));
        assert_eq!((there, swapped), (back, !swapped_back));
    }
}
