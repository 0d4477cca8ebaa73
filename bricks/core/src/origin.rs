//! Whom a packet is from.

use crate::{Address, Headers, Mac};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// The source of a packet: of the outermost network layer, or of the link where there is none.
///
/// Serialized as an object with `src_ip`, with `src_mac`, or with neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// An IP address.
    Ip(IpAddr),
    /// An Ethernet address, of packets without a network layer.
    Mac(Mac),
    /// Nothing is known of it.
    #[default]
    Unknown,
}

impl Origin {
    /// That of a packet.
    #[inline]
    pub fn of(headers: &Headers) -> Self {
        let mac = headers.link.map_or(Self::Unknown, |link| Self::Mac(link.src));
        headers.outer.src.map_or(mac, Self::Ip)
    }

    /// The destination of a packet, likewise.
    #[inline]
    pub fn target(headers: &Headers) -> Self {
        let mac = headers.link.map_or(Self::Unknown, |link| Self::Mac(link.dst));
        headers.outer.dst.map_or(mac, Self::Ip)
    }

    /// As an address of any kind, to be hashed.
    #[inline]
    pub fn address(self) -> Address {
        match self {
            Self::Ip(ip) => ip.into(),
            Self::Mac(mac) => mac.into(),
            Self::Unknown => Address::default(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}

#[derive(Serialize, Deserialize)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    src_ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    src_mac: Option<String>,
}

impl Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (src_ip, src_mac) = match self {
            Self::Ip(ip) => (Some(*ip), None),
            Self::Mac(mac) => (None, Some(mac.to_string())),
            Self::Unknown => (None, None),
        };
        Fields { src_ip, src_mac }.serialize(serializer)
    }
}

impl<'a> Deserialize<'a> for Origin {
    fn deserialize<D: serde::Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        let Fields { src_ip, src_mac } = Fields::deserialize(deserializer)?;
        let mac = src_mac.map(|text| text.parse().map(Self::Mac)).transpose();
        let mac = mac.map_err(<D::Error as serde::de::Error>::custom)?;
        Ok(src_ip.map(Self::Ip).or(mac).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, Link};

    #[test]
    fn a_packet_is_from_its_address_or_its_link_or_nobody() {
        let link =
            Some(Link { src: Mac([2, 0, 0, 0, 0, 1]), dst: Mac([2, 0, 0, 0, 0, 2]), ..Link::default() });
        let src = "10.0.0.1".parse().unwrap();
        let outer = Layer { src: Some(src), dst: Some("10.0.0.2".parse().unwrap()), ..Layer::default() };
        let texts = [
            (Headers { link, outer, ..Headers::default() }, "10.0.0.1", "10.0.0.2"),
            (Headers { link, ..Headers::default() }, "02:00:00:00:00:01", "02:00:00:00:00:02"),
            (Headers::default(), "no address", "no address"),
        ];
        for (headers, from, to) in texts {
            let shown = (Origin::of(&headers).to_string(), Origin::target(&headers).to_string());
            assert_eq!(shown, (from.to_owned(), to.to_owned()));
        }
        let json = |origin: Origin| serde_json::to_string(&origin).unwrap();
        assert_eq!(json(Origin::Ip(src)), r#"{"src_ip":"10.0.0.1"}"#);
        assert_eq!(json(Origin::Mac(Mac([0; 6]))), r#"{"src_mac":"00:00:00:00:00:00"}"#);
        assert_eq!(json(Origin::Unknown), "{}");
    }
}
