//! Stream keys as the reference spells them: text, put together without separators.
//!
//! So "192.168.4.1" with port "23" is the same stream as "192.168.4.12" with port "3". Whoever reproduces the
//! reference's results needs that, too.

use super::tuple::{Address, Protocol, Tuple};
use legonf_core::Mac;
use std::io::Write;
use std::net::IpAddr;

/// Room for the longest key: an Ethernet address and an IPv6 address, or two of the latter.
const ROOM: usize = 96;

/// A key being put together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    bytes: [u8; ROOM],
    len: usize,
}

impl Text {
    const EMPTY: Self = Self { bytes: [0; ROOM], len: 0 };

    /// The key so far.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

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

    fn address(mut self, address: Address) -> Self {
        match address {
            Address::None => {}
            Address::Mac(mac) => self.mac(mac),
            Address::Ip(ip) => self.ip(ip),
        }
        self
    }

    fn port(mut self, port: Option<u16>) -> Self {
        if let Some(port) = port {
            self.decimal(port);
        }
        self
    }

    fn word(mut self, word: &str) -> Self {
        self.push(word.as_bytes());
        self
    }
}

/// The key of an end with its protocol.
fn endpoint(address: Address, protocol: Protocol, port: fn((u16, u16)) -> u16) -> Text {
    let text = Text::EMPTY.address(address);
    match protocol {
        Protocol::None => text,
        Protocol::Arp => text.word("arp"),
        Protocol::Icmp => text.word("icmp"),
        Protocol::Ports { tcp, udp } => text.port(tcp.map(port)).port(udp.map(port)),
    }
}

/// The keys of a packet's streams (kitsune-py-100.md §2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    /// MI: source MAC and address.
    pub(super) identity: Text,
    /// HH: source and destination address.
    pub(super) hosts: [Text; 2],
    /// HH_jit: source with destination address.
    pub(super) channel: Text,
    /// HpHp: addresses with ports; for ARP the MACs.
    pub(super) sockets: [Text; 2],
}

impl Keys {
    /// The keys of a packet.
    pub(super) fn of(tuple: &Tuple) -> Self {
        let Tuple { macs: [src_mac, dst_mac], ends: [src, dst], protocol } = *tuple;
        let hosts = [src, dst].map(|end| Text::EMPTY.address(end));
        let sockets = match protocol {
            Protocol::Arp => [src_mac, dst_mac].map(|mac| Text::EMPTY.address(mac)),
            _ => [endpoint(src, protocol, |ports| ports.0), endpoint(dst, protocol, |ports| ports.1)],
        };
        let identity = Text::EMPTY.address(src_mac).address(src);
        Self { identity, hosts, channel: hosts[0].address(dst), sockets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Address {
        Address::Ip(text.parse().unwrap())
    }

    fn shown(texts: &[Text]) -> Vec<&str> {
        texts.iter().map(|t| std::str::from_utf8(t.as_bytes()).unwrap()).collect()
    }

    #[test]
    fn keys_are_spelt_as_the_reference_spells_them() {
        let macs = [Address::Mac(Mac([0, 0x1a, 0xff, 0x80, 0, 9])), Address::Mac(Mac([0xff; 6]))];
        let ends = [ip("192.168.4.1"), ip("10.0.0.255")];
        let protocol = Protocol::Ports { tcp: Some((443, 65535)), udp: Some((40010, 0)) };
        let keys = Keys::of(&Tuple { macs, ends, protocol });
        assert_eq!(
            shown(&[keys.identity, keys.channel]),
            ["00:1a:ff:80:00:09192.168.4.1", "192.168.4.110.0.0.255"]
        );
        assert_eq!(shown(&keys.hosts), ["192.168.4.1", "10.0.0.255"]);
        assert_eq!(shown(&keys.sockets), ["192.168.4.144340010", "10.0.0.255655350"]);
        let arp = Keys::of(&Tuple { macs, ends, protocol: Protocol::Arp });
        assert_eq!(shown(&arp.sockets), ["00:1a:ff:80:00:09", "ff:ff:ff:ff:ff:ff"]);
        let icmp = Keys::of(&Tuple { macs, ends, protocol: Protocol::Icmp });
        assert_eq!(shown(&icmp.sockets), ["192.168.4.1icmp", "10.0.0.255icmp"]);
    }

    #[test]
    fn the_longest_key_fits() {
        let longest = ip("1111:2222:3333:4444:5555:6666:7777:8888");
        let keys = Keys::of(&Tuple { ends: [longest; 2], ..Tuple::default() });
        assert_eq!(keys.channel.as_bytes().len(), 78);
        let keys = Keys::of(&Tuple { ends: [ip("fe80::1"), ip("::ffff:1.2.3.4")], ..Tuple::default() });
        assert_eq!(shown(&keys.hosts), ["fe80::1", "::ffff:1.2.3.4"]);
    }

    #[test]
    fn concatenation_collides_as_it_must() {
        let with = |address, port| {
            let protocol = Protocol::Ports { tcp: Some((port, 0)), udp: None };
            Keys::of(&Tuple { ends: [ip(address); 2], protocol, ..Tuple::default() }).sockets[0]
        };
        assert_eq!(with("192.168.4.1", 23).as_bytes(), with("192.168.4.12", 3).as_bytes());
    }
}
