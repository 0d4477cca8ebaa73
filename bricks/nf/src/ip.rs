//! Where a packet's IP and transport headers are, and how they are changed with the right checksums.

use crate::network;
use legonf_core::{HeaderAction, LinkType, Mac, MacFrom, Socket};
use std::net::IpAddr;

/// Numbers of protocols.
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
/// Bytes of the fixed headers of IPv4 and IPv6.
const HEADER_4: usize = 20;
const HEADER_6: usize = 40;
/// Extension headers that are looked behind.
const MOST_EXTENSIONS: usize = 8;
/// Bits of the flags of TCP that end a connection (FIN, RST), and the one that begins it.
const ENDS: u8 = 0b101;
const BEGINS: u8 = 0b10;

/// The headers of an IP packet that was captured with its whole network header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpHeaders {
    /// Where the network header begins.
    pub at: usize,
    /// Whether it is IPv6.
    pub is_six: bool,
    /// Where the transport header begins, and its protocol; none for later fragments and what cannot be looked behind.
    pub transport: Option<(u8, usize)>,
}

impl IpHeaders {
    /// Finds the headers in raw IP and in Ethernet frames, behind VLAN tags; none in other packets.
    #[inline(always)]
    pub fn find(link: LinkType, bytes: &[u8]) -> Option<Self> {
        let at = network(link, bytes)?;
        let header = &bytes[at..];
        match header.first()? >> 4 {
            4 if header.len() >= HEADER_4 => {
                let length = usize::from(header[0] & 0xf) * 4;
                let is_later = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
                let transport = (length >= HEADER_4 && !is_later).then_some((header[9], at + length));
                Some(Self { at, is_six: false, transport })
            }
            6 if header.len() >= HEADER_6 => {
                let transport = behind_extensions(header).map(|(protocol, behind)| (protocol, at + behind));
                Some(Self { at, is_six: true, transport })
            }
            _ => None,
        }
    }

    /// The time to live, or the hop limit.
    #[inline(always)]
    pub fn hops(&self, bytes: &[u8]) -> u8 {
        bytes[self.hops_at()]
    }

    fn hops_at(&self) -> usize {
        self.at + if self.is_six { 7 } else { 8 }
    }

    /// The network header, as far as it is captured: with IPv4's options.
    pub fn network<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let length = if self.is_six { HEADER_6 } else { usize::from(bytes[self.at] & 0xf) * 4 };
        &bytes[self.at..(self.at + length).min(bytes.len())]
    }

    /// What a packet of TCP or UDP carries, without what a link has appended; none if its transport header is cut off.
    pub fn payload<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (protocol, at) = self.transport?;
        let word = |place: usize| usize::from(u16::from_be_bytes([bytes[place], bytes[place + 1]]));
        // A length of 0 is that of what a network card has yet to cut.
        let whole = match (self.is_six, word(self.at + if self.is_six { 4 } else { 2 })) {
            (_, 0) => bytes.len(),
            (true, behind) => self.at + HEADER_6 + behind,
            (false, all) => self.at + all,
        };
        let start = match protocol {
            TCP => at + usize::from(*bytes.get(at + 12)? >> 4) * 4,
            UDP => at + 8,
            _ => return None,
        };
        bytes.get(start..whole.min(bytes.len()))
    }

    /// The flags of TCP, if the packet has a whole header of that.
    fn flags(&self, bytes: &[u8]) -> u8 {
        let tcp = self.transport.filter(|(protocol, _)| *protocol == TCP);
        tcp.and_then(|(_, at)| bytes.get(at + 13)).copied().unwrap_or(0)
    }

    /// Whether the packet ends a connection of TCP, by FIN or RST.
    pub fn ends(&self, bytes: &[u8]) -> bool {
        self.flags(bytes) & ENDS != 0
    }

    /// Whether it begins one.
    pub fn begins(&self, bytes: &[u8]) -> bool {
        self.flags(bytes) & BEGINS != 0
    }
}

/// The protocol behind the extension headers of IPv6, and where that begins; none behind those of a later fragment.
fn behind_extensions(header: &[u8]) -> Option<(u8, usize)> {
    let (mut next, mut at) = (header[6], HEADER_6);
    for _ in 0..MOST_EXTENSIONS {
        let length = match next {
            // Hop-by-hop options, routing, destination options; fragment; authentication.
            0 | 43 | 60 => (usize::from(*header.get(at + 1)?) + 1) * 8,
            44 if u16::from_be_bytes([*header.get(at + 2)?, *header.get(at + 3)?]) & 0xfff8 == 0 => 8,
            44 => return None,
            51 => (usize::from(*header.get(at + 1)?) + 2) * 4,
            _ => return Some((next, at)),
        };
        (next, at) = (*header.get(at)?, at + length);
    }
    None
}

/// The checksum of a header (RFC 1071); 0 over one that has its own.
pub(crate) fn checksum(header: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    let sum: u32 = header.chunks(2).map(word).sum();
    !fold(sum)
}

/// A checksum after one word has changed (RFC 1624, equation 3).
pub(crate) fn updated(checksum: u16, before: u16, after: u16) -> u16 {
    !fold(u32::from(!checksum) + u32::from(!before) + u32::from(after))
}

fn fold(sum: u32) -> u16 {
    let folded = (sum & 0xffff) + (sum >> 16);
    ((folded & 0xffff) + (folded >> 16)) as u16
}

/// Does what an action says to the bytes of a packet whose headers were found. Checksums follow by the difference, so that a wrong one stays
/// wrong; of a header that was not captured whole there is none to change.
pub(crate) fn modify(bytes: &mut [u8], ip: IpHeaders, action: &HeaderAction) {
    if action.hops > 0 {
        fall(bytes, ip, action.hops);
    }
    for (socket, is_source) in [(action.src, true), (action.dst, false)] {
        if let Some(socket) = socket {
            translate(bytes, ip, socket, is_source);
        }
    }
}

fn fall(bytes: &mut [u8], ip: IpHeaders, hops: u8) {
    let at = ip.hops_at();
    let word = |bytes: &[u8]| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let before = word(bytes);
    bytes[at] = bytes[at].saturating_sub(hops);
    if !ip.is_six {
        let after = word(bytes);
        update(bytes, ip.at + 10, before, after);
    }
}

/// Updates the checksum at a place for one word that has changed.
fn update(bytes: &mut [u8], at: usize, before: u16, after: u16) {
    if let Some(field) = bytes.get_mut(at..at + 2) {
        let checksum = updated(u16::from_be_bytes([field[0], field[1]]), before, after);
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Puts a socket in the place of the source or the destination.
fn translate(bytes: &mut [u8], ip: IpHeaders, socket: Socket, is_source: bool) {
    let (v4, v6);
    let address: &[u8] = match (socket.ip, ip.is_six) {
        (IpAddr::V4(ip), false) => {
            v4 = ip.octets();
            &v4
        }
        (IpAddr::V6(ip), true) => {
            v6 = ip.octets();
            &v6
        }
        _ => return,
    };
    let first = if ip.is_six { ip.at + 8 } else { ip.at + 12 };
    let start = if is_source { first } else { first + address.len() };
    for (word, place) in address.chunks_exact(2).zip((start..).step_by(2)) {
        let (before, after) = replace(bytes, place, [word[0], word[1]]);
        if !ip.is_six {
            update(bytes, ip.at + 10, before, after);
        }
        update_transport(bytes, ip, before, after);
    }
    let Some((TCP | UDP, at)) = ip.transport else { return };
    let place = if is_source { at } else { at + 2 };
    if bytes.len() >= at + 4 {
        let (before, after) = replace(bytes, place, socket.port.to_be_bytes());
        update_transport(bytes, ip, before, after);
    }
}

/// Writes a word, and gives those before and after.
fn replace(bytes: &mut [u8], at: usize, word: [u8; 2]) -> (u16, u16) {
    let before = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    bytes[at..at + 2].copy_from_slice(&word);
    (before, u16::from_be_bytes(word))
}

/// Updates the checksum of TCP or UDP. One of UDP that is 0 says that there is none (RFC 768), and stays so.
fn update_transport(bytes: &mut [u8], ip: IpHeaders, before: u16, after: u16) {
    let Some((protocol, at)) = ip.transport else { return };
    match protocol {
        TCP => update(bytes, at + 16, before, after),
        UDP if bytes.get(at + 6..at + 8).is_some_and(|field| field != [0, 0]) => {
            update(bytes, at + 6, before, after);
            if bytes[at + 6..at + 8] == [0, 0] {
                bytes[at + 6..at + 8].fill(0xff);
            }
        }
        _ => {}
    }
}

/// Gives an Ethernet frame the MAC addresses of an action. Says whether it has such.
pub(crate) fn modify_link(link: LinkType, bytes: &mut [u8], action: &HeaderAction) -> bool {
    let Some(addresses) = bytes.first_chunk_mut::<12>().filter(|_| link == LinkType::Ethernet) else {
        return false;
    };
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *addresses;
    let (dst, src) = ([a, b, c, d, e, f], [g, h, i, j, k, l]);
    let of = |from| match from {
        MacFrom::Source => src,
        MacFrom::Destination => dst,
        MacFrom::Other(Mac(mac)) => mac,
    };
    addresses[..6].copy_from_slice(&of(action.mac_dst));
    addresses[6..].copy_from_slice(&of(action.mac_src));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::apply;
    use crate::samples::{Sample, batch, reparsed};
    use proptest::prelude::*;

    fn socket(is_six: bool) -> BoxedStrategy<Socket> {
        let port = prop_oneof![any::<u16>(), Just(4789)];
        let ip = match is_six {
            false => any::<[u8; 4]>().prop_map(IpAddr::from).boxed(),
            true => any::<[u8; 16]>().prop_map(IpAddr::from).boxed(),
        };
        (ip, port).prop_map(|(ip, port)| Socket { ip, port }).boxed()
    }

    fn sample(is_six: bool) -> impl Strategy<Value = Sample> {
        let rest = (prop_oneof![Just(TCP), Just(UDP)], 2..=255_u8, 0..40_u8, any::<u8>(), any::<u8>());
        (socket(is_six), socket(is_six), rest).prop_map(
            |(src, dst, (protocol, hops, payload, options, flags))| Sample {
                src,
                dst,
                protocol,
                hops,
                flags,
                payload,
                options,
            },
        )
    }

    fn action(is_six: bool) -> impl Strategy<Value = HeaderAction> {
        let maybe = || proptest::option::of(socket(is_six));
        let mac = || {
            prop_oneof![
                Just(MacFrom::Source),
                Just(MacFrom::Destination),
                any::<[u8; 6]>().prop_map(|mac| MacFrom::Other(Mac(mac)))
            ]
        };
        (maybe(), maybe(), mac(), mac(), 0..2_u8).prop_map(|(src, dst, mac_src, mac_dst, hops)| {
            HeaderAction { drop: None, src, dst, mac_src, mac_dst, hops }
        })
    }

    /// What a packet with right checksums is after an action: its bytes are made anew.
    fn expected(sample: &Sample, action: &HeaderAction) -> Vec<u8> {
        let (src, dst) = (action.src.unwrap_or(sample.src), action.dst.unwrap_or(sample.dst));
        let mut bytes = Sample { src, dst, hops: sample.hops - action.hops, ..*sample }.bytes();
        let before = sample.bytes();
        let of = |from| match from {
            MacFrom::Source => before[6..12].to_vec(),
            MacFrom::Destination => before[..6].to_vec(),
            MacFrom::Other(Mac(mac)) => mac.to_vec(),
        };
        bytes[..6].copy_from_slice(&of(action.mac_dst));
        bytes[6..12].copy_from_slice(&of(action.mac_src));
        bytes
    }

    fn some() -> impl Strategy<Value = (Sample, HeaderAction, HeaderAction)> {
        any::<bool>().prop_flat_map(|is_six| (sample(is_six), action(is_six), action(is_six)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_modified_packet_is_as_if_it_were_made_anew((sample, first, second) in some()) {
            let bytes = sample.bytes();
            let mut some = batch(&[(LinkType::Ethernet, &bytes, bytes.len() as u32)]);
            prop_assert!(apply(&mut some.packets, &mut some.headers, 0, &first));
            prop_assert_eq!(some.packets.bytes(0), &expected(&sample, &first)[..]);
            prop_assert_eq!(&some.headers, &reparsed(&some));
            // Two actions are what one is that consolidates them.
            let mut one = batch(&[(LinkType::Ethernet, &bytes, bytes.len() as u32)]);
            prop_assume!(sample.hops > first.hops + second.hops);
            apply(&mut some.packets, &mut some.headers, 0, &second);
            apply(&mut one.packets, &mut one.headers, 0, &first.then(second));
            prop_assert_eq!(some.packets.bytes(0), one.packets.bytes(0));
            prop_assert_eq!(some.headers, one.headers);
        }

        #[test]
        fn no_bytes_make_it_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..90),
            kind in prop_oneof![Just([0x08, 0x00]), Just([0x86, 0xdd]), Just([0x81, 0x00])],
            version in prop_oneof![Just(0x45), Just(0x60), Just(0x4f), any::<u8>()],
            act in any::<bool>().prop_flat_map(action),
        ) {
            if bytes.len() > 14 {
                bytes[12..14].copy_from_slice(&kind);
                bytes[14] = version;
            }
            let mut some = batch(&[(LinkType::Ethernet, &bytes, 60)]);
            apply(&mut some.packets, &mut some.headers, 0, &act);
            prop_assert_eq!(&some.headers, &reparsed(&some));
        }
    }

    #[test]
    fn a_datagram_without_a_checksum_stays_without() {
        let mut bytes = Sample::tcp("10.0.0.1:5", "10.0.0.2:53").udp().bytes();
        bytes[40..42].fill(0);
        let mut some = batch(&[(LinkType::Ethernet, &bytes, 60)]);
        let src = Some(Socket { ip: [9, 9, 9, 9].into(), port: 7 });
        apply(&mut some.packets, &mut some.headers, 0, &HeaderAction { src, ..HeaderAction::default() });
        assert_eq!(some.packets.bytes(0)[40..42], [0, 0]);
    }
}
