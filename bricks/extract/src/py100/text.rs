//! Stream keys as the reference spells them: text, put together without separators.
//!
//! So "192.168.4.1" with port "23" is the same stream as "192.168.4.12" with port "3". Whoever reproduces the
//! reference's results needs that, too.

use super::tuple::{Address, Protocol, Tuple};
use legonf_core::Mac;
use std::io::Write;
use std::net::IpAddr;
use std::ops::Range;

/// Room for all keys of a packet: two Ethernet addresses and four IPv6 addresses, and ports.
const ROOM: usize = 256;

/// Keys being put together, one behind the other.
#[derive(Clone, Debug)]
struct Text {
    bytes: [u8; ROOM],
    len: usize,
}

impl Text {
    fn push(&mut self, part: &[u8]) {
        let end = (self.len + part.len()).min(ROOM);
        self.bytes[self.len..end].copy_from_slice(&part[..end - self.len]);
        self.len = end;
    }

    fn decimal(&mut self, number: u16) {
        let mut digits = [b'0'; 5];
        let mut first = digits.len() - 1;
        let mut rest = number;
        loop {
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
            first -= 1;
        }
        self.push(&digits[first..]);
    }

    /// Lower-case hexadecimal with colons.
    fn mac(&mut self, Mac(mac): Mac) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for (i, byte) in mac.into_iter().enumerate() {
            if i > 0 {
                self.push(b":");
            }
            self.push(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }

    /// Dotted decimal, or for IPv6 the form of RFC 5952.
    fn ip(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(v4) => {
                for (i, octet) in v4.octets().into_iter().enumerate() {
                    if i > 0 {
                        self.push(b".");
                    }
                    self.decimal(octet.into());
                }
            }
            IpAddr::V6(v6) => {
                let mut rest = &mut self.bytes[self.len..];
                let before = rest.len();
                // It fails only where the buffer ends, and no key is that long.
                let _ = write!(rest, "{v6}");
                self.len += before - rest.len();
            }
        }
    }

    /// Spells an address and returns where.
    fn address(&mut self, address: Address) -> Range<usize> {
        let start = self.len;
        match address {
            Address::None => {}
            Address::Mac(mac) => self.mac(mac),
            Address::Ip(ip) => self.ip(ip),
        }
        start..self.len
    }

    /// Spells an end with its protocol and returns where.
    fn endpoint(
        &mut self,
        address: Range<usize>,
        protocol: Protocol,
        port: fn((u16, u16)) -> u16,
    ) -> Range<usize> {
        let start = self.len;
        self.bytes.copy_within(address.clone(), start);
        self.len += address.len();
        match protocol {
            Protocol::None => {}
            Protocol::Arp => self.push(b"arp"),
            Protocol::Icmp => self.push(b"icmp"),
            Protocol::Ports { tcp, udp } => {
                [tcp, udp].into_iter().flatten().for_each(|p| self.decimal(port(p)))
            }
        }
        start..self.len
    }
}

/// The keys of a packet's streams (kitsune-py-100.md §2).
///
/// Most of them are parts of one text: source MAC, source and destination address.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    text: Text,
    source: Range<usize>,
    destination: Range<usize>,
    sockets: [Range<usize>; 2],
}

impl Keys {
    /// The keys of a packet.
    pub(super) fn of(tuple: &Tuple) -> Self {
        let Tuple { macs: [src_mac, dst_mac], ends: [src, dst], protocol } = *tuple;
        let mut text = Text { bytes: [0; ROOM], len: 0 };
        let mac = text.address(src_mac);
        let [source, destination] = [src, dst].map(|end| text.address(end));
        let sockets = match protocol {
            Protocol::Arp => [mac, text.address(dst_mac)],
            _ => [
                text.endpoint(source.clone(), protocol, |ports| ports.0),
                text.endpoint(destination.clone(), protocol, |ports| ports.1),
            ],
        };
        Self { text, source, destination, sockets }
    }

    /// MI: source MAC and address.
    pub(super) fn identity(&self) -> &[u8] {
        &self.text.bytes[..self.source.end]
    }

    /// HH: source and destination address.
    pub(super) fn hosts(&self) -> [&[u8]; 2] {
        [&self.text.bytes[self.source.clone()], &self.text.bytes[self.destination.clone()]]
    }

    /// HH_jit: source with destination address.
    pub(super) fn channel(&self) -> &[u8] {
        &self.text.bytes[self.source.start..self.destination.end]
    }

    /// HpHp: addresses with ports; for ARP the MACs.
    pub(super) fn sockets(&self) -> [&[u8]; 2] {
        self.sockets.clone().map(|range| &self.text.bytes[range])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Address {
        Address::Ip(text.parse().unwrap())
    }

    fn shown<const N: usize>(keys: [&[u8]; N]) -> [&str; N] {
        keys.map(|key| std::str::from_utf8(key).unwrap())
    }

    #[test]
    fn keys_are_spelt_as_the_reference_spells_them() {
        let macs = [Address::Mac(Mac([0, 0x1a, 0xff, 0x80, 0, 9])), Address::Mac(Mac([0xff; 6]))];
        let ends = [ip("192.168.4.1"), ip("10.0.0.255")];
        let protocol = Protocol::Ports { tcp: Some((443, 65535)), udp: Some((40010, 0)) };
        let keys = Keys::of(&Tuple { macs, ends, protocol });
        assert_eq!(
            shown([keys.identity(), keys.channel()]),
            ["00:1a:ff:80:00:09192.168.4.1", "192.168.4.110.0.0.255"]
        );
        assert_eq!(shown(keys.hosts()), ["192.168.4.1", "10.0.0.255"]);
        assert_eq!(shown(keys.sockets()), ["192.168.4.144340010", "10.0.0.255655350"]);
        let arp = Keys::of(&Tuple { macs, ends, protocol: Protocol::Arp });
        assert_eq!(shown(arp.sockets()), ["00:1a:ff:80:00:09", "ff:ff:ff:ff:ff:ff"]);
        let icmp = Keys::of(&Tuple { macs, ends, protocol: Protocol::Icmp });
        assert_eq!(shown(icmp.sockets()), ["192.168.4.1icmp", "10.0.0.255icmp"]);
    }

    #[test]
    fn the_longest_keys_fit() {
        let longest = ip("1111:2222:3333:4444:5555:6666:7777:8888");
        let macs = [Address::Mac(Mac([0xff; 6])); 2];
        let protocol = Protocol::Ports { tcp: Some((65535, 65535)), udp: Some((65535, 65535)) };
        let keys = Keys::of(&Tuple { macs, ends: [longest; 2], protocol });
        assert_eq!((keys.identity().len(), keys.channel().len()), (17 + 39, 78));
        assert_eq!(keys.sockets().map(<[u8]>::len), [39 + 10; 2]);
        assert!(keys.sockets()[1].ends_with(b":88886553565535"));
        let keys = Keys::of(&Tuple { ends: [ip("fe80::1"), ip("::ffff:1.2.3.4")], ..Tuple::default() });
        assert_eq!(shown(keys.hosts()), ["fe80::1", "::ffff:1.2.3.4"]);
    }

    #[test]
    fn concatenation_collides_as_it_must() {
        let with = |address, port| {
            let protocol = Protocol::Ports { tcp: Some((port, 0)), udp: None };
            Keys::of(&Tuple { ends: [ip(address); 2], protocol, ..Tuple::default() })
        };
        assert_eq!(with("192.168.4.1", 23).sockets()[0], with("192.168.4.12", 3).sockets()[0]);
    }
}
