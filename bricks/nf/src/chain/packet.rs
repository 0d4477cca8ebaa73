//! What a network function sees of a packet.

use crate::ip::{IpHeaders, TCP, UDP};
use legonf_core::{
    Address, Batch, Ends, Fragment, Hasher, HeaderAction, Headers, LinkType, Network, PacketKind, Socket,
    Verdict, pair_words, protocol_word,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What tells one flow from another: the unordered pair of sockets, with the protocol.
pub type FlowKey = [u64; 5];

/// A packet as a network function sees it: as it came, but with the addresses, ports and hops that the functions before have given it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Its number.
    pub seq: u64,
    /// The latest stream time of it and all packets before it, in nanoseconds.
    pub now: i64,
    /// Length on the wire in bytes.
    pub wire_len: u32,
    /// What was captured, before any function changed it.
    pub bytes: &'a [u8],
    /// What was parsed, likewise.
    pub headers: &'a Headers,
    /// Whether it is an Ethernet frame.
    pub is_frame: bool,
    /// The verdict on it, for a function that [looks at verdicts](super::ChainFunction::verdicts).
    pub verdict: Option<Verdict>,
    link: LinkType,
    /// What the functions before have done to it: its ends, and by how much its hops have fallen.
    src: Option<Socket>,
    dst: Option<Socket>,
    taken: u8,
}

/// The ends of a packet, and what else its flow is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The source.
    pub src: (Address, u16),
    /// The destination.
    pub dst: (Address, u16),
    /// What the ports are, and the number of the protocol.
    tag: u64,
    protocol: u64,
}

/// A flow's key, its hash, and whether the packet goes from the second end of the pair to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The key.
    pub key: FlowKey,
    /// Its hash; the slot is the upper part.
    pub hash: u64,
    /// Whether the packet goes from the second end to the first.
    pub swapped: bool,
}

impl Flow {
    /// The flow of whole packets of TCP or UDP between two sockets.
    pub fn between(src: Socket, dst: Socket, protocol: u8) -> Self {
        let end = |socket: Socket| (Address::from(socket.ip), socket.port);
        // As `Ports::parts` and `protocol_word` give them.
        let network = if src.ip.is_ipv4() { 2 } else { 3 };
        let protocol = network << 9 | 1 << 8 | u64::from(protocol);
        Self { src: end(src), dst: end(dst), tag: 1, protocol }
    }

    /// Its key.
    #[inline(always)]
    pub fn keyed(&self, hasher: &Hasher) -> Keyed {
        let (mut key, swapped) = pair_words(self.src, self.dst, self.tag);
        key[4] ^= self.protocol << 48;
        Keyed { key, hash: hasher.five(key), swapped }
    }
}

/// An address of IPv4 or IPv6, as such.
pub(crate) fn ip_of(address: Address) -> Option<IpAddr> {
    match address.kind {
        2 => Some(Ipv4Addr::from_bits(address.low as u32).into()),
        3 => Some(Ipv6Addr::from_bits(u128::from(address.high) << 64 | u128::from(address.low)).into()),
        _ => None,
    }
}

/// A socket of an end.
pub(crate) fn socket_of((address, port): (Address, u16)) -> Option<Socket> {
    ip_of(address).map(|ip| Socket { ip, port })
}

impl<'a> Packet<'a> {
    /// The packet at a place of a batch, with the latest stream time.
    ///
    /// # Panics
    /// If the place is not in the batch.
    #[inline(always)]
    pub fn of(batch: &'a Batch, place: usize, now: i64) -> Self {
        let headers = &batch.headers[place];
        let (link, bytes): (_, &[u8]) = match place < batch.packets.len() {
            true => (batch.packets.record(place).link, batch.packets.bytes(place)),
            false => (LinkType::RawIp, &[]),
        };
        let is_frame = link == LinkType::Ethernet && bytes.len() >= 12;
        let (seq, wire_len) = (headers.seq, headers.wire_len);
        let (verdict, src, dst, taken) = (None, None, None, 0);
        Self { seq, now, wire_len, bytes, headers, is_frame, verdict, link, src, dst, taken }
    }

    /// Where its IP headers are; none where it is not IP, or behind headers that are not looked into.
    #[inline(always)]
    pub fn ip(&self) -> Option<IpHeaders> {
        let is_ip = matches!(self.headers.outer.network, Network::Ipv4 | Network::Ipv6);
        if is_ip { IpHeaders::find(self.link, self.bytes) } else { None }
    }

    /// Its time to live or hop limit, if its IP headers are these.
    #[inline(always)]
    pub fn hops(&self, ip: &IpHeaders) -> u8 {
        ip.hops(self.bytes).saturating_sub(self.taken)
    }

    /// Its flow; none where it has no network addresses, or is ARP.
    #[inline(always)]
    pub fn flow(&self) -> Option<Flow> {
        let mut flow = flow_of(self.headers)?;
        let end = |socket: Socket| (Address::from(socket.ip), socket.port);
        flow.src = self.src.map_or(flow.src, end);
        flow.dst = self.dst.map_or(flow.dst, end);
        Some(flow)
    }

    /// The protocol of a packet that is whole, and has ports of TCP or UDP where they can be found; none for any other one.
    #[inline(always)]
    pub fn whole(&self) -> Option<u8> {
        self.whole_of(&self.ip()?)
    }

    /// The same of a packet whose IP headers are these.
    #[inline(always)]
    pub(crate) fn whole_of(&self, ip: &IpHeaders) -> Option<u8> {
        let outer = &self.headers.outer;
        let (protocol, _) = ip.transport?;
        let is_whole = outer.fragment == Fragment::Whole && outer.ports.is_some();
        (is_whole && matches!(protocol, TCP | UDP)).then_some(protocol)
    }

    /// What a packet of TCP or UDP carries; none for others, and for later fragments.
    pub fn payload(&self) -> Option<&'a [u8]> {
        self.ip()?.payload(self.bytes)
    }

    /// Whether it is a fragment of a datagram.
    pub fn is_fragment(&self) -> bool {
        self.headers.outer.fragment != Fragment::Whole
    }

    /// The packet as the next function sees it, behind an action that does not drop it.
    #[inline]
    pub fn follow(&mut self, action: &HeaderAction) {
        self.taken = self.taken.saturating_add(action.hops);
        (self.src, self.dst) = (action.src.or(self.src), action.dst.or(self.dst));
    }
}

#[inline(always)]
fn flow_of(headers: &Headers) -> Option<Flow> {
    if matches!(PacketKind::of(headers), PacketKind::Bare | PacketKind::Arp) {
        return None;
    }
    let ends = Ends::of(headers);
    let (tag, from, to) = ends.ports.parts();
    Some(Flow { src: (ends.src, from), dst: (ends.dst, to), tag, protocol: protocol_word(headers) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Sample, batch};
    use legonf_core::Projector;

    #[test]
    fn a_flow_is_hashed_as_the_splitter_does_and_as_one_between_its_sockets() {
        let (hasher, projector) = (Hasher::new(9), Projector::new(&super::super::key(), 9));
        for (a, b) in [("10.0.0.1:5", "10.0.0.2:80"), ("[fd00::1]:5", "[fd00::2]:80")] {
            for sample in [Sample::tcp(a, b), Sample::tcp(b, a).udp()] {
                let bytes = sample.bytes();
                let batch = batch(&[(LinkType::Ethernet, &bytes, 60)]);
                let packet = Packet::of(&batch, 0, 0);
                let (flow, between) =
                    (packet.flow().unwrap(), Flow::between(sample.src, sample.dst, sample.protocol));
                assert_eq!((flow, packet.whole()), (between, Some(sample.protocol)));
                assert_eq!(flow.keyed(&hasher).hash, projector.hash(&batch.headers[0]));
                let back = Flow::between(sample.dst, sample.src, sample.protocol).keyed(&hasher);
                assert_eq!((back.key, back.hash), (flow.keyed(&hasher).key, flow.keyed(&hasher).hash));
                assert_ne!(back.swapped, flow.keyed(&hasher).swapped);
            }
        }
    }
}
