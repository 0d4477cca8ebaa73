//! Fields of a packet by which traffic can be split, and keys made of them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A field of a packet's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Field {
    /// Source MAC address.
    SrcMac,
    /// Source address: of the outer network layer, or the MAC where there is none.
    SrcIp,
    /// The first so many bits of the source address, 1 to 127; an address that has no more is taken whole.
    SrcPrefix(u8),
    /// Source port, or the protocol that has none in its place.
    SrcPort,
    /// Destination MAC address.
    DstMac,
    /// Destination address.
    DstIp,
    /// The first so many bits of the destination address.
    DstPrefix(u8),
    /// Destination port.
    DstPort,
    /// Network and transport protocol.
    Protocol,
    /// Identifier of the outermost VLAN tag.
    Vlan,
    /// Key or network identifier of a GRE or VXLAN tunnel.
    Tunnel,
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no such field.
    #[error(
        "unknown field \"{0}\": expected SrcMAC, DstMAC, SrcIP, DstIP, SrcIP/1 to SrcIP/127, DstIP/1 to DstIP/127, \
         SrcPort, DstPort, Protocol, VLAN or Tunnel"
    )]
    UnknownField(String),
    /// The key has no field.
    #[error("no fields: expected one at least, such as \"SrcIP\"")]
    Empty,
    /// A field is named twice.
    #[error("\"{0}\" is named twice")]
    Twice(Field),
    /// A key that reads both directions has other fields of one end than of the other.
    #[error(
        "both directions are read, but the ends have different fields ({0}): expected the same of source and \
         destination, such as \"SrcIP\", \"DstIP\""
    )]
    Unequal(Key),
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SrcMac => "SrcMAC",
            Self::SrcIp => "SrcIP",
            Self::SrcPrefix(bits) => return write!(f, "SrcIP/{bits}"),
            Self::SrcPort => "SrcPort",
            Self::DstMac => "DstMAC",
            Self::DstIp => "DstIP",
            Self::DstPrefix(bits) => return write!(f, "DstIP/{bits}"),
            Self::DstPort => "DstPort",
            Self::Protocol => "Protocol",
            Self::Vlan => "VLAN",
            Self::Tunnel => "Tunnel",
        })
    }
}

impl FromStr for Field {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let plain = [
            Self::SrcMac,
            Self::SrcIp,
            Self::SrcPort,
            Self::DstMac,
            Self::DstIp,
            Self::DstPort,
            Self::Protocol,
            Self::Vlan,
            Self::Tunnel,
        ];
        if let Some(field) = plain.into_iter().find(|field| field.to_string() == text) {
            return Ok(field);
        }
        let bits =
            |name| text.strip_prefix(name).and_then(|t| t.parse().ok()).filter(|b| (1..128).contains(b));
        let prefix = bits("SrcIP/").map(Self::SrcPrefix).or(bits("DstIP/").map(Self::DstPrefix));
        prefix.ok_or_else(|| KeyError::UnknownField(text.into()))
    }
}

impl TryFrom<String> for Field {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<Field> for String {
    fn from(field: Field) -> Self {
        field.to_string()
    }
}

/// Which fields of one end a key holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// The MAC address.
    pub mac: bool,
    /// The first so many bits of the address: 0 for none of it, [`End::WHOLE`] for all.
    pub ip: u8,
    /// The port.
    pub port: bool,
}

impl End {
    /// Bits of a whole address.
    pub const WHOLE: u8 = 128;

    /// Whether it holds no field.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether its fields follow from those of `other`.
    fn follows_from(&self, other: &Self) -> bool {
        self.mac <= other.mac && self.ip <= other.ip && self.port <= other.port
    }

    fn fields(&self, source: bool) -> impl Iterator<Item = Field> {
        let of = |src, dst| if source { src } else { dst };
        let ip = match self.ip {
            0 => None,
            Self::WHOLE => Some(of(Field::SrcIp, Field::DstIp)),
            bits => Some(of(Field::SrcPrefix(bits), Field::DstPrefix(bits))),
        };
        let mac = self.mac.then(|| of(Field::SrcMac, Field::DstMac));
        mac.into_iter().chain(ip).chain(self.port.then(|| of(Field::SrcPort, Field::DstPort)))
    }
}

/// A key: the fields whose values tell one stream of a state group from another.
///
/// Equal keys are equal in every field, so that a key with `SrcIP` and `SrcIP/24` is the one with `SrcIP` alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Key {
    /// Fields of the source.
    pub src: End,
    /// Fields of the destination.
    pub dst: End,
    /// The protocol.
    pub protocol: bool,
    /// The VLAN.
    pub vlan: bool,
    /// The tunnel.
    pub tunnel: bool,
    /// Whether the ends are an unordered pair: a packet and one in the other direction have the same key.
    pub unordered: bool,
}

impl Key {
    /// The key of all packets: it has no field, and one stream.
    pub const ALL: Self = {
        let none = End { mac: false, ip: 0, port: false };
        Self { src: none, dst: none, protocol: false, vlan: false, tunnel: false, unordered: false }
    };

    /// The key of these fields; of an unordered pair of ends if `unordered`.
    ///
    /// # Errors
    /// If there is no field, one is named twice, or the ends of an unordered pair have different fields.
    pub fn new(fields: &[Field], unordered: bool) -> Result<Self, KeyError> {
        let twice = fields.iter().enumerate().find(|(at, field)| fields[..*at].contains(field));
        match twice {
            Some((_, field)) => return Err(KeyError::Twice(*field)),
            None if fields.is_empty() => return Err(KeyError::Empty),
            None => {}
        }
        let mut key = fields.iter().fold(Self::ALL, |key, field| key.with(*field));
        if unordered && key.src != key.dst {
            return Err(KeyError::Unequal(key));
        }
        key.unordered = unordered && !key.src.is_empty();
        Ok(key)
    }

    fn with(mut self, field: Field) -> Self {
        match field {
            Field::SrcMac => self.src.mac = true,
            Field::SrcIp => self.src.ip = End::WHOLE,
            Field::SrcPrefix(bits) => self.src.ip = self.src.ip.max(bits),
            Field::SrcPort => self.src.port = true,
            Field::DstMac => self.dst.mac = true,
            Field::DstIp => self.dst.ip = End::WHOLE,
            Field::DstPrefix(bits) => self.dst.ip = self.dst.ip.max(bits),
            Field::DstPort => self.dst.port = true,
            Field::Protocol => self.protocol = true,
            Field::Vlan => self.vlan = true,
            Field::Tunnel => self.tunnel = true,
        }
        self
    }

    /// Whether packets with an equal `other` key have an equal key of this kind: it is a function of the other.
    pub fn follows_from(&self, other: &Self) -> bool {
        let ends = self.src.follows_from(&other.src) && self.dst.follows_from(&other.dst);
        let order = self.unordered || !other.unordered || (self.src.is_empty() && self.dst.is_empty());
        ends && order
            && self.protocol <= other.protocol
            && self.vlan <= other.vlan
            && self.tunnel <= other.tunnel
    }

    /// The same fields, with the direction told apart.
    #[must_use]
    pub fn directed(self) -> Self {
        Self { unordered: false, ..self }
    }

    /// Whether it holds no field.
    pub fn is_empty(&self) -> bool {
        *self == Self::ALL
    }

    /// Its fields: the source's, the destination's, then those of the packet.
    pub fn fields(&self) -> impl Iterator<Item = Field> {
        let common =
            [(self.protocol, Field::Protocol), (self.vlan, Field::Vlan), (self.tunnel, Field::Tunnel)];
        let common = common.into_iter().filter(|(held, _)| *held).map(|(_, field)| field);
        self.src.fields(true).chain(self.dst.fields(false)).chain(common)
    }

    /// The fields of one end without "source" or "destination" in their names.
    fn end_names(&self) -> String {
        let names: Vec<_> = self.src.fields(true).map(|f| f.to_string().replacen("Src", "", 1)).collect();
        names.join(" ")
    }
}

/// A key as it is written to files.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    fields: Vec<Field>,
    #[serde(default)]
    both_directions: bool,
}

impl From<Key> for Fields {
    fn from(key: Key) -> Self {
        Self { fields: key.fields().collect(), both_directions: key.unordered }
    }
}

impl TryFrom<Fields> for Key {
    type Error = KeyError;

    fn try_from(file: Fields) -> Result<Self, KeyError> {
        match file.fields[..] {
            [] => Ok(Self::ALL),
            _ => Self::new(&file.fields, file.both_directions),
        }
    }
}

/// Fields joined by hyphens, as the papers write them; an unordered pair in braces: `{IP, IP}`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Vec::new();
        let mut fields = self.fields().collect::<Vec<_>>();
        if self.unordered {
            let end = self.end_names();
            names.push(format!("{{{end}, {end}}}"));
            fields.retain(|f| matches!(f, Field::Protocol | Field::Vlan | Field::Tunnel));
        }
        names.extend(fields.iter().map(Field::to_string));
        if names.is_empty() { f.write_str("all packets") } else { f.write_str(&names.join("-")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fields: &str, unordered: bool) -> Result<Key, KeyError> {
        let fields: Result<Vec<Field>, _> = fields.split(' ').map(str::parse).collect();
        Key::new(&fields?, unordered)
    }

    #[test]
    fn fields_read_what_they_print() {
        for text in ["SrcMAC", "DstIP", "SrcIP/24", "DstIP/127", "DstPort", "Protocol", "VLAN", "Tunnel"] {
            assert_eq!(text.parse::<Field>().unwrap().to_string(), text);
        }
        for text in ["", "srcip", "SrcIP/0", "SrcIP/128", "SrcIP/x", "DstIP/"] {
            assert!(text.parse::<Field>().unwrap_err().to_string().starts_with("unknown field"), "{text}");
        }
    }

    #[test]
    fn keys_print_as_in_the_papers() {
        assert_eq!(key("DstIP SrcIP", false).unwrap().to_string(), "SrcIP-DstIP");
        assert_eq!(key("SrcIP DstIP", true).unwrap().to_string(), "{IP, IP}");
        let socket = key("SrcIP DstIP SrcPort DstPort Protocol", true).unwrap();
        assert_eq!(socket.to_string(), "{IP Port, IP Port}-Protocol");
        assert_eq!(Key::ALL.to_string(), "all packets");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        assert_eq!(Key::new(&[], false), Err(KeyError::Empty));
        assert_eq!(key("SrcIP SrcIP", false), Err(KeyError::Twice(Field::SrcIp)));
        let one_end = key("SrcIP", true).unwrap_err().to_string();
        assert!(one_end.contains("(SrcIP)") && one_end.contains("expected the same"), "{one_end}");
    }

    #[test]
    fn a_longer_prefix_holds_the_shorter() {
        assert_eq!(key("SrcIP/8 SrcIP/24", false), key("SrcIP/24", false));
        assert_eq!(key("SrcIP SrcIP/24", false), key("SrcIP", false));
        let (whole, prefix) = (key("SrcIP", false).unwrap(), key("SrcIP/24", false).unwrap());
        assert!(prefix.follows_from(&whole) && !whole.follows_from(&prefix));
    }

    #[test]
    fn a_direction_does_not_follow_from_a_pair() {
        let (pair, directed) = (key("SrcIP DstIP", true).unwrap(), key("SrcIP DstIP", false).unwrap());
        let source = key("SrcIP", false).unwrap();
        assert!(pair.follows_from(&directed) && !directed.follows_from(&pair));
        assert!(source.follows_from(&directed) && !source.follows_from(&pair));
        assert!(Key::ALL.follows_from(&pair));
        assert_eq!(key("Protocol", true), key("Protocol", false));
    }
}
