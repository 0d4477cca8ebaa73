//! Addresses in the bytes of a packet, and the checksums over them.
//!
//! Rewritten are the Ethernet addresses, those of ARP, of IPv4 and IPv6, of the packet that an ICMP error quotes, and
//! of neighbour discovery. Left as they are: addresses inside tunnels and in application data. What the capture cut
//! off changes no checksum that was captured whole, but for that of an ICMP message whose quoted packet was cut off
//! before its own checksum.

use super::mapping::Mapping;
use super::sum::{Change, correct, correct_optional, replace};
use legonf_core::{LinkType, Mac};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a packet has no place in another network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LeftOut {
    /// It is neither IPv4, IPv6 nor ARP, so nothing says whose it is.
    NoAddress,
    /// The header with the addresses is cut off or contradicts itself.
    BadHeader,
    /// Its link-layer header cannot become Ethernet's.
    LinkType,
}

impl LeftOut {
    /// The name under which it is counted.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::NoAddress => "no-ip-address",
            Self::BadHeader => "bad-header",
            Self::LinkType => "link-type",
        }
    }
}

const MACS: usize = 12;
const ETHERNET: usize = 14;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// VLAN and QinQ tags that are followed.
const MAX_TAGS: usize = 4;
const MAX_EXTENSIONS: usize = 16;
/// Bytes of the target in neighbour discovery, and the most options that are followed.
const TARGET: usize = 16;
const MAX_OPTIONS: usize = 16;

/// Source and destination of a rewritten packet.
struct Ends {
    src: IpAddr,
    dst: IpAddr,
}

/// Puts a packet of any link type into `frame` as an Ethernet frame with its addresses mapped, and tells how many
/// bytes its link-layer header is longer than before.
pub(super) fn rewrite(
    link: LinkType,
    bytes: &[u8],
    mapping: &Mapping,
    frame: &mut Vec<u8>,
) -> Result<i32, LeftOut> {
    frame.clear();
    let longer = ethernet(link, bytes, frame)?;
    let (ethertype, at) = untagged(frame)?;
    let ends = network(ethertype, &mut frame[at..], mapping)?;
    let owner = if ends.src.is_unspecified() { ends.dst } else { ends.src };
    frame[6..12].copy_from_slice(&mapping.mac(owner).0);
    // A group address stands for itself.
    if frame[0] & 1 == 0 {
        frame[..6].copy_from_slice(&destination(ends.dst, mapping).0);
    }
    Ok(longer)
}

/// The MAC to which frames for an address go, its group's for multicast and broadcast.
fn destination(dst: IpAddr, mapping: &Mapping) -> Mac {
    match dst {
        IpAddr::V4(a) if a.is_broadcast() => Mac([0xff; 6]),
        IpAddr::V4(a) if a.is_multicast() => {
            let [_, b, c, d] = a.octets();
            Mac([1, 0, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(a) if a.is_multicast() => {
            let [.., b, c, d, e] = a.octets();
            Mac([0x33, 0x33, b, c, d, e])
        }
        _ => mapping.mac(dst),
    }
}

/// The packet as an Ethernet frame, with addresses of 0 where it had none.
fn ethernet(link: LinkType, bytes: &[u8], frame: &mut Vec<u8>) -> Result<i32, LeftOut> {
    let header = match link {
        LinkType::Ethernet => {
            frame.extend_from_slice(bytes);
            return Ok(0);
        }
        LinkType::RawIp => 0,
        LinkType::Null => 4,
        LinkType::LinuxSll => 16,
        LinkType::LinuxSll2 => 20,
        _ => return Err(LeftOut::LinkType),
    };
    let payload = bytes.get(header..).ok_or(LeftOut::BadHeader)?;
    let ethertype = match (link, payload.first().map(|b| b >> 4)) {
        (LinkType::LinuxSll, _) => [bytes[14], bytes[15]],
        (LinkType::LinuxSll2, _) => [bytes[0], bytes[1]],
        (_, Some(4)) => IPV4.to_be_bytes(),
        (_, Some(6)) => IPV6.to_be_bytes(),
        _ => return Err(LeftOut::NoAddress),
    };
    frame.extend_from_slice(&[0; MACS]);
    frame.extend_from_slice(&ethertype);
    frame.extend_from_slice(payload);
    Ok(ETHERNET as i32 - header as i32)
}

/// EtherType after every VLAN tag, and where what follows it starts.
fn untagged(frame: &[u8]) -> Result<(u16, usize), LeftOut> {
    let mut at = MACS;
    for _ in 0..=MAX_TAGS {
        let ethertype = be16(frame, at).ok_or(LeftOut::BadHeader)?;
        at += 2;
        if !matches!(ethertype, 0x8100 | 0x88a8 | 0x9100) {
            return Ok((ethertype, at));
        }
        at += 2;
    }
    Err(LeftOut::NoAddress)
}

fn network(ethertype: u16, bytes: &mut [u8], mapping: &Mapping) -> Result<Ends, LeftOut> {
    match ethertype {
        IPV4 => ipv4(bytes, mapping, true).map(|(ends, _)| ends),
        IPV6 => ipv6(bytes, mapping, true).map(|(ends, _)| ends),
        0x0806 | 0x8035 => arp(bytes, mapping),
        _ => Err(LeftOut::NoAddress),
    }
}

/// Sender's and target's addresses; a target's MAC of 0 is a question and stays.
fn arp(bytes: &mut [u8], mapping: &Mapping) -> Result<Ends, LeftOut> {
    let Some(h) = bytes.first_chunk_mut::<28>() else { return Err(LeftOut::BadHeader) };
    if h[2..6] != [8, 0, 6, 4] {
        return Err(LeftOut::NoAddress);
    }
    let ends = Ends { src: map4(&h[14..18], mapping), dst: map4(&h[24..28], mapping) };
    let owner = if ends.src.is_unspecified() { ends.dst } else { ends.src };
    h[8..14].copy_from_slice(&mapping.mac(owner).0);
    put4(&mut h[14..18], ends.src);
    if Mac([h[18], h[19], h[20], h[21], h[22], h[23]]) != Mac::default() {
        h[18..24].copy_from_slice(&mapping.mac(ends.dst).0);
    }
    put4(&mut h[24..28], ends.dst);
    Ok(ends)
}

fn put4(to: &mut [u8], address: IpAddr) {
    if let IpAddr::V4(a) = address {
        to.copy_from_slice(&a.octets());
    }
}

fn map4(bytes: &[u8], mapping: &Mapping) -> IpAddr {
    let octets = bytes.first_chunk::<4>().copied().unwrap_or_default();
    mapping.ip(Ipv4Addr::from(octets).into())
}

fn map6(bytes: &[u8], mapping: &Mapping) -> IpAddr {
    let octets = bytes.first_chunk::<16>().copied().unwrap_or_default();
    mapping.ip(Ipv6Addr::from(octets).into())
}

fn replace_address(bytes: &mut [u8], at: usize, address: IpAddr) -> Change {
    match address {
        IpAddr::V4(a) => replace(bytes, at, &a.octets()),
        IpAddr::V6(a) => replace(bytes, at, &a.octets()),
    }
}

/// Rewrites an IPv4 packet and tells how the sum over all of it changes. A quoted packet is not looked into for
/// another that it quotes.
fn ipv4(bytes: &mut [u8], mapping: &Mapping, is_outer: bool) -> Result<(Ends, Change), LeftOut> {
    let Some(h) = bytes.first_chunk::<20>() else { return Err(LeftOut::BadHeader) };
    let header_len = usize::from(h[0] & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([h[2], h[3]]));
    if h[0] >> 4 != 4 || header_len < 20 {
        return Err(LeftOut::BadHeader);
    }
    let (protocol, is_later) = (h[9], u16::from_be_bytes([h[6], h[7]]) & 0x1fff != 0);
    let ends = Ends { src: map4(&h[12..16], mapping), dst: map4(&h[16..20], mapping) };
    let addresses = replace_address(bytes, 12, ends.src).and(replace_address(bytes, 16, ends.dst));
    let mut change = addresses.and(correct(bytes, 10, addresses));
    let end = if total_len == 0 { bytes.len() } else { total_len.min(bytes.len()) };
    if let Some(upper) = bytes.get_mut(header_len..end).filter(|_| !is_later) {
        change = change.and(transport(protocol, upper, addresses, is_outer.then_some(ends.src), mapping));
    }
    Ok((ends, change))
}

/// As [`ipv4`].
fn ipv6(bytes: &mut [u8], mapping: &Mapping, is_outer: bool) -> Result<(Ends, Change), LeftOut> {
    let Some(h) = bytes.first_chunk::<40>() else { return Err(LeftOut::BadHeader) };
    if h[0] >> 4 != 6 {
        return Err(LeftOut::BadHeader);
    }
    let (next, payload_len) = (h[6], usize::from(u16::from_be_bytes([h[4], h[5]])));
    let ends = Ends { src: map6(&h[8..24], mapping), dst: map6(&h[24..40], mapping) };
    let addresses = replace_address(bytes, 8, ends.src).and(replace_address(bytes, 24, ends.dst));
    let end = if payload_len == 0 { bytes.len() } else { bytes.len().min(40 + payload_len) };
    let mut change = addresses;
    if let Some((protocol, at)) = after_extensions(next, &bytes[40..end]) {
        let upper = &mut bytes[40 + at..end];
        change = change.and(transport(protocol, upper, addresses, is_outer.then_some(ends.src), mapping));
    }
    Ok((ends, change))
}

/// Protocol and offset of the transport header; none in a later fragment or where it was cut off.
fn after_extensions(mut next: u8, bytes: &[u8]) -> Option<(u8, usize)> {
    let mut at = 0;
    for _ in 0..MAX_EXTENSIONS {
        let h = bytes.get(at..)?;
        let len = match next {
            0 | 43 | 60 | 135 => (usize::from(*h.get(1)?) + 1) * 8,
            51 => (usize::from(*h.get(1)?) + 2) * 4,
            44 if be16(h, 2)? >> 3 != 0 => return None,
            44 => 8,
            protocol => return Some((protocol, at)),
        };
        (next, at) = (h[0], at + len);
    }
    None
}

/// Corrects the checksum of a transport header for the addresses in its pseudo-header, rewrites the addresses
/// that it holds itself, and tells how the sum over it changes. A quoted packet has no `outer_src`.
fn transport(
    protocol: u8,
    bytes: &mut [u8],
    addresses: Change,
    outer_src: Option<IpAddr>,
    mapping: &Mapping,
) -> Change {
    match protocol {
        6 => correct(bytes, 16, addresses),
        17 => correct_optional(bytes, 6, addresses),
        // DCCP and UDP-Lite.
        33 | 136 => correct(bytes, 6, addresses),
        1 | 58 => {
            let inside = outer_src.map_or(Change::default(), |src| icmp(protocol, bytes, src, mapping));
            // Only ICMPv6 sums up a pseudo-header.
            let summed = if protocol == 58 { inside.and(addresses) } else { inside };
            inside.and(correct(bytes, 2, summed))
        }
        _ => Change::default(),
    }
}

/// Rewrites what an ICMP or ICMPv6 message holds.
fn icmp(protocol: u8, bytes: &mut [u8], src: IpAddr, mapping: &Mapping) -> Change {
    let Some((header, body)) = bytes.split_first_chunk_mut::<8>() else { return Change::default() };
    let quoted = match (protocol, header[0]) {
        (1, 3 | 4 | 5 | 11 | 12) => ipv4(body, mapping, false),
        (58, 1..=4) => ipv6(body, mapping, false),
        (58, 133) => return neighbour(body, 0, src, mapping),
        (58, 134) => return neighbour(body, 8, src, mapping),
        (58, 135 | 136) => return neighbour(body, TARGET, src, mapping),
        _ => return Change::default(),
    };
    quoted.map_or(Change::default(), |(_, change)| change)
}

/// Target and link-layer addresses of neighbour discovery (RFC 4861 §4), whose options start after so many bytes.
fn neighbour(body: &mut [u8], options: usize, src: IpAddr, mapping: &Mapping) -> Change {
    let mut change = Change::default();
    let mut owners = [src, src];
    if options == TARGET && body.len() >= TARGET {
        owners[1] = map6(body, mapping);
        change = replace_address(body, 0, owners[1]);
    }
    let mut at = options;
    for _ in 0..MAX_OPTIONS {
        let Some(&[kind, units]) = body.get(at..).and_then(|b| b.first_chunk()) else { break };
        // Source link-layer address and target link-layer address.
        if let (1 | 2, 1) = (kind, units) {
            let mac = mapping.mac(owners[usize::from(kind) - 1]);
            change = change.and(replace(body, at + 2, &mac.0));
        }
        at += usize::from(units.max(1)) * 8;
    }
    change
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b))
}

#[cfg(test)]
mod tests;
