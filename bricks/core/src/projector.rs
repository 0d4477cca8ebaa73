//! From a packet to its slot: the values of a key's fields, hashed.

use crate::{
    Address, Encapsulation, End, Ends, Field, Hasher, Headers, Key, Network, Transport, pair_words, slot,
    source_words,
};

/// Hashes the packets' values of one key.
///
/// Packets with equal values have equal hashes; the two directions of an unordered pair do, too. For the keys by which
/// extractors bound their state (`SrcIP`, `{IP, IP}`, `{MAC, MAC}`) the hash is that of the extractor with this seed.
#[derive(Clone, Copy, Debug)]
pub struct Projector {
    hasher: Hasher,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Source,
    Pair,
    MacPair,
    Sockets(Key),
    Other(Key),
}

impl Projector {
    /// A projector to a key's values, with the seed of the hash.
    pub fn new(key: &Key, seed: u64) -> Self {
        let is = |fields: &[Field], unordered| Key::new(fields, unordered).is_ok_and(|k| k == *key);
        let kind = if is(&[Field::SrcIp], false) {
            Kind::Source
        } else if is(&[Field::SrcIp, Field::DstIp], true) {
            Kind::Pair
        } else if is(&[Field::SrcMac, Field::DstMac], true) {
            Kind::MacPair
        } else if is_of_sockets(key) {
            Kind::Sockets(*key)
        } else {
            Kind::Other(*key)
        };
        Self { hasher: Hasher::new(seed), kind }
    }

    /// The hash of a packet's values.
    #[inline]
    pub fn hash(&self, headers: &Headers) -> u64 {
        self.hash_of(headers, &Ends::of(headers))
    }

    /// The hash of the values of a packet whose ends are known.
    #[inline]
    pub fn hash_of_ends(&self, headers: &Headers, ends: &Ends) -> u64 {
        self.hash_of(headers, ends)
    }

    /// The slot of a packet whose ends are known.
    #[inline]
    pub fn slot_of(&self, headers: &Headers, ends: &Ends) -> usize {
        slot(self.hash_of(headers, ends))
    }

    /// The slots of packets: with the key known before the loop, that of a packet takes no more than its hash.
    pub fn slots(&self, packets: &[Headers], slots: &mut [u16]) {
        let hasher = &self.hasher;
        match &self.kind {
            Kind::Source => each(packets, slots, |headers| hasher.three(source_words(Ends::of(headers).src))),
            Kind::Pair => each(packets, slots, |headers| {
                let Ends { src, dst, .. } = Ends::of(headers);
                hasher.five(pair_words((src, 0), (dst, 0), 0).0)
            }),
            _ => each(packets, slots, |headers| self.hash(headers)),
        }
    }

    #[inline]
    fn hash_of(&self, headers: &Headers, ends: &Ends) -> u64 {
        let pair = |a: Address, b: Address| self.hasher.five(pair_words((a, 0), (b, 0), 0).0);
        match &self.kind {
            Kind::Source => self.hasher.three(source_words(ends.src)),
            Kind::Pair => pair(ends.src, ends.dst),
            Kind::MacPair => pair(ends.macs.0, ends.macs.1),
            Kind::Sockets(key) => self.hasher.five(sockets(key, headers, ends)),
            Kind::Other(key) => self.hasher.words(&words(key, headers, ends)),
        }
    }

    /// The slot of a packet.
    #[inline]
    pub fn slot(&self, headers: &Headers) -> usize {
        slot(self.hash(headers))
    }
}

/// The slots of packets by their hashes.
#[inline(always)]
fn each(packets: &[Headers], slots: &mut [u16], hash: impl Fn(&Headers) -> u64) {
    for (headers, to) in packets.iter().zip(slots) {
        *to = slot(hash(headers)) as u16;
    }
}

/// Whether a key holds whole addresses of both ends, and at most the ports and the protocol beside them.
fn is_of_sockets(key: &Key) -> bool {
    let end = |port| End { ip: End::WHOLE, port, ..End::default() };
    key.src == end(key.src.port) && key.dst == end(key.src.port) && !key.vlan && !key.tunnel
}

/// The values of such a key.
#[inline]
fn sockets(key: &Key, headers: &Headers, ends: &Ends) -> [u64; 5] {
    let (tag, p, q) = if key.src.port { ends.ports.parts() } else { (0, 0, 0) };
    let (mut words, swapped) = pair_words((ends.src, p), (ends.dst, q), tag);
    if swapped && !key.unordered {
        words = [words[2], words[3], words[0], words[1], !words[4]];
    }
    if key.protocol {
        words[4] ^= protocol_word(headers) << 48;
    }
    words
}

/// Values of the fields of one end: MAC, address and port, each with what tells its kinds apart.
type Side = [u64; 4];

/// The values of a key's fields; what the key does not hold is 0.
fn words(key: &Key, headers: &Headers, ends: &Ends) -> [u64; 11] {
    let (tag, p, q) = ends.ports.parts();
    let src = side(&key.src, ends.macs.0, ends.src, tag << 16 | u64::from(p));
    let dst = side(&key.dst, ends.macs.1, ends.dst, tag << 16 | u64::from(q));
    let (a, b) = if key.unordered && dst < src { (dst, src) } else { (src, dst) };
    let common = [
        if key.protocol { protocol_word(headers) } else { 0 },
        if key.vlan { headers.link.and_then(|l| l.vlan).map_or(0, |v| 1 << 16 | u64::from(v)) } else { 0 },
        if key.tunnel { tunnel_word(headers) } else { 0 },
    ];
    let mut words = [0; 11];
    words[..4].copy_from_slice(&a);
    words[4..8].copy_from_slice(&b);
    words[8..].copy_from_slice(&common);
    words
}

fn side(end: &End, mac: Address, address: Address, port: u64) -> Side {
    let mac = if end.mac { u64::from(mac.kind) << 48 | mac.low } else { 0 };
    let port = if end.port { port } else { 0 };
    let address = prefix(address, end.ip);
    [mac, address.high, address.low, u64::from(address.kind) << 32 | port]
}

/// The first `bits` bits of an IP address; a MAC is taken whole, and of 0 bits nothing is left, not even the kind.
fn prefix(address: Address, bits: u8) -> Address {
    let keep = |value: u128, width: u32| {
        let drop = width.saturating_sub(bits.into());
        value >> drop << drop
    };
    match (bits, address.kind) {
        (0, _) => Address::default(),
        (_, 2) => Address { low: keep(address.low.into(), 32) as u64, ..address },
        (_, 3) => {
            let value = keep(u128::from(address.high) << 64 | u128::from(address.low), 128);
            Address { high: (value >> 64) as u64, low: value as u64, ..address }
        }
        _ => address,
    }
}

/// Network and transport protocol of a packet, in 11 bits: the number of the transport protocol is the lowest 8.
pub fn protocol_word(headers: &Headers) -> u64 {
    let network = match headers.outer.network {
        Network::None => 0,
        Network::Arp => 1,
        Network::Ipv4 => 2,
        Network::Ipv6 => 3,
    };
    let transport = match headers.outer.transport {
        Transport::None => 0,
        Transport::Icmp(_) => 1 << 8 | 1,
        Transport::Tcp => 1 << 8 | 6,
        Transport::Udp => 1 << 8 | 17,
        Transport::Icmpv6(_) => 1 << 8 | 58,
        Transport::Other(number) => 1 << 8 | u64::from(number),
    };
    network << 9 | transport
}

/// Kind and identifier of the tunnel that a packet comes through; 0 where there is none.
pub fn tunnel_word(headers: &Headers) -> u64 {
    match headers.inner.map(|inner| inner.by) {
        None | Some(Encapsulation::Quoted) => 0,
        Some(Encapsulation::IpInIp) => 1 << 32,
        Some(Encapsulation::Gre(None)) => 2 << 32,
        Some(Encapsulation::Gre(Some(key))) => 3 << 32 | u64::from(key),
        Some(Encapsulation::Vxlan(id)) => 4 << 32 | u64::from(id),
        Some(Encapsulation::VxlanGpe(id)) => 5 << 32 | u64::from(id),
        Some(Encapsulation::Geneve(id)) => 6 << 32 | u64::from(id),
        Some(Encapsulation::Erspan(None)) => 7 << 32,
        Some(Encapsulation::Erspan(Some(session))) => 8 << 32 | u64::from(session),
        Some(Encapsulation::GtpU(id)) => 9 << 32 | u64::from(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Inner, Layer, Link, Mac};

    type Change = fn(&mut Headers);

    fn packet(src: &str, dst: &str, ports: (u16, u16)) -> Headers {
        let outer = Layer {
            network: Network::Ipv4,
            src: Some(src.parse().unwrap()),
            dst: Some(dst.parse().unwrap()),
            transport: Transport::Tcp,
            ports: Some(ports),
            ..Layer::default()
        };
        let link = Link { src: Mac([2; 6]), dst: Mac([4; 6]), vlan: Some(5), ..Link::default() };
        Headers { outer, link: Some(link), ..Headers::default() }
    }

    fn hash(fields: &str, unordered: bool, headers: &Headers) -> u64 {
        let fields: Vec<Field> = fields.split(' ').map(|f| f.parse().unwrap()).collect();
        Projector::new(&Key::new(&fields, unordered).unwrap(), 3).hash(headers)
    }

    #[test]
    fn only_the_keys_fields_count() {
        let base = packet("10.0.0.1", "10.0.0.2", (1000, 80));
        let with = |change: Change| {
            let mut other = base;
            change(&mut other);
            other
        };
        let changes: [(&str, Change); 9] = [
            ("SrcMAC", |h| h.link.as_mut().unwrap().src = Mac([7; 6])),
            ("DstMAC", |h| h.link.as_mut().unwrap().dst = Mac([7; 6])),
            ("SrcIP", |h| h.outer.src = Some("11.0.0.1".parse().unwrap())),
            ("DstIP", |h| h.outer.dst = Some("::1".parse().unwrap())),
            ("SrcPort", |h| h.outer.ports = Some((1001, 80))),
            ("DstPort", |h| h.outer.ports = Some((1000, 81))),
            ("Protocol", |h| h.outer.transport = Transport::Udp),
            ("VLAN", |h| h.link.as_mut().unwrap().vlan = None),
            ("Tunnel", |h| {
                h.inner = Some(Inner { by: Encapsulation::Vxlan(9), layer: Layer::default() });
            }),
        ];
        for (field, _) in changes {
            for (changed, change) in changes {
                let same = hash(field, false, &base) == hash(field, false, &with(change));
                assert_eq!(same, field != changed, "{field} {changed}");
            }
        }
    }

    #[test]
    fn pairs_have_no_direction() {
        let (there, back) =
            (packet("10.0.0.1", "10.0.0.2", (5, 80)), packet("10.0.0.2", "10.0.0.1", (80, 5)));
        for fields in ["SrcIP DstIP", "SrcIP DstIP SrcPort DstPort", "SrcIP/24 DstIP/24 Protocol"] {
            assert_eq!(hash(fields, true, &there), hash(fields, true, &back), "{fields}");
        }
        assert_ne!(hash("SrcIP DstIP", false, &there), hash("SrcIP DstIP", false, &back));
        let crossed = packet("10.0.0.2", "10.0.0.1", (5, 80));
        let socket = "SrcIP DstIP SrcPort DstPort";
        assert_ne!(hash(socket, true, &there), hash(socket, true, &crossed));
    }

    #[test]
    fn prefixes_hold_neighbours_together() {
        let (a, b, c) = ("10.0.0.1", "10.0.0.200", "10.0.1.1");
        let of = |ip, fields| hash(fields, false, &packet(ip, "10.0.0.2", (1, 2)));
        assert_eq!(of(a, "SrcIP/24"), of(b, "SrcIP/24"));
        assert_ne!(of(a, "SrcIP/24"), of(c, "SrcIP/24"));
        assert_eq!(of(a, "SrcIP/22"), of(c, "SrcIP/22"));
        assert_ne!(of(a, "SrcIP/64"), of(b, "SrcIP/64"));
        assert_eq!(of("2001:db8::1", "SrcIP/64"), of("2001:db8::ffff:1", "SrcIP/64"));
        assert_ne!(of("2001:db8::1", "SrcIP/8"), of("32.0.0.0", "SrcIP/8"));
    }
}
