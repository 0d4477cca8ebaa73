//! Sets of prefixes and of ports, as lists or as nftables writes them.

use crate::NfError;
use legonf_core::Address;
use serde::Deserialize;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// A set as it is written: a list of texts, or one text as in nftables, such as `{ 80, 443, 8000-8080 }` or `10.0.0.0/8`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Words {
    /// `["80", "443"]`.
    List(Vec<String>),
    /// `"{ 80, 443 }"`, or one element without braces.
    Text(String),
}

impl Words {
    /// Its elements.
    pub fn elements(&self) -> Vec<&str> {
        match self {
            Self::List(list) => list.iter().map(String::as_str).collect(),
            Self::Text(text) => {
                let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
                match inner.map(str::trim) {
                    None => vec![text.as_str()],
                    Some("") => Vec::new(),
                    Some(inner) => inner.split(',').map(str::trim).collect(),
                }
            }
        }
    }
}

/// Why an element of a set cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It is no prefix.
    #[error("expected an address or a prefix, such as 10.0.0.0/8")]
    Prefix,
    /// It has bits that do not belong to the prefix.
    #[error("bits behind the prefix are set; write {0}/{1}")]
    HostBits(IpAddr, u32),
    /// It is empty.
    #[error("expected some bytes")]
    Bytes,
    /// It is no port.
    #[error("expected a port or a range, such as 8000-8080")]
    Port,
}

/// Addresses with a common beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    is_six: bool,
    bits: u128,
    mask: u128,
}

/// An address in the upper bits of a number, with those that a prefix of some length leaves open.
fn upper(ip: IpAddr) -> (bool, u128, u32) {
    match ip {
        IpAddr::V4(ip) => (false, u128::from(ip.to_bits()) << 96, 32),
        IpAddr::V6(ip) => (true, ip.to_bits(), 128),
    }
}

impl Prefix {
    /// Reads `10.0.0.0/8` or an address.
    ///
    /// # Errors
    /// What was expected.
    pub fn read(text: &str) -> Result<Self, Unread> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| Unread::Prefix)?)),
            None => (text, None),
        };
        let ip: IpAddr = address.parse().map_err(|_| Unread::Prefix)?;
        let (is_six, bits, whole) = upper(ip);
        let length = length.unwrap_or(whole);
        if length > whole {
            return Err(Unread::Prefix);
        }
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        let prefix = Self { is_six, bits: bits & mask, mask };
        if prefix.bits == bits {
            return Ok(prefix);
        }
        let first: IpAddr = match is_six {
            true => std::net::Ipv6Addr::from_bits(prefix.bits).into(),
            false => std::net::Ipv4Addr::from_bits((prefix.bits >> 96) as u32).into(),
        };
        Err(Unread::HostBits(first, length))
    }

    /// Reads the prefixes of a key of a configuration.
    ///
    /// # Errors
    /// Which one cannot be read.
    pub fn read_all(key: &'static str, words: &Words) -> Result<Vec<Self>, NfError> {
        let read = |text: &str| {
            let why = |why: Unread| why.to_string().into();
            Self::read(text).map_err(|error| NfError::Value { key, found: text.to_owned(), why: why(error) })
        };
        words.elements().into_iter().map(read).collect()
    }

    /// Whether an address is in it.
    #[inline]
    pub fn holds(&self, ip: IpAddr) -> bool {
        self.has(ip.into())
    }

    /// The same of an address of any kind.
    #[inline]
    pub fn has(&self, address: Address) -> bool {
        let (kind, high, low) = match self.is_six {
            false => (2, 0, (self.mask >> 96) as u64),
            true => (3, (self.mask >> 64) as u64, self.mask as u64),
        };
        let bits = if self.is_six { self.bits } else { self.bits >> 96 };
        address.kind == kind && address.high & high == (bits >> 64) as u64 && address.low & low == bits as u64
    }

    /// Whether it is of IPv6.
    pub fn is_six(&self) -> bool {
        self.is_six
    }

    fn covers(&self, other: &Self) -> bool {
        self.is_six == other.is_six
            && self.mask & other.mask == self.mask
            && other.bits & self.mask == self.bits
    }
}

/// Whether each prefix of `few` is in one of `many`.
pub(super) fn covers(many: &[Prefix], few: &[Prefix]) -> bool {
    few.iter().all(|one| many.iter().any(|prefix| prefix.covers(one)))
}

/// Ports in ranges that rise and do not touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortSet(Vec<RangeInclusive<u16>>);

impl PortSet {
    /// Reads `80` or `8000-8080`.
    pub fn read(text: &str) -> Result<RangeInclusive<u16>, Unread> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let port = |text: &str| text.trim().parse::<u16>().map_err(|_| Unread::Port);
        let (first, last) = (port(first)?, port(last)?);
        if first <= last { Ok(first..=last) } else { Err(Unread::Port) }
    }

    /// The set of some ranges.
    pub fn of(mut ranges: Vec<RangeInclusive<u16>>) -> Self {
        ranges.sort_unstable_by_key(|range| *range.start());
        let mut merged: Vec<RangeInclusive<u16>> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last) if u32::from(*range.start()) <= u32::from(*last.end()) + 1 => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    #[inline]
    pub fn holds(&self, port: u16) -> bool {
        self.0.iter().any(|range| range.contains(&port))
    }

    pub fn covers(&self, other: &Self) -> bool {
        let within = |one: &RangeInclusive<u16>| {
            self.0.iter().any(|range| range.contains(one.start()) && range.contains(one.end()))
        };
        other.0.iter().all(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::read(text).unwrap()
    }

    #[test]
    fn prefixes_hold_their_addresses() {
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("::1", "::1", "::2"),
            ("1.2.3.4", "1.2.3.4", "1.2.3.5"),
        ] {
            assert!(prefix(text).holds(inside.parse().unwrap()), "{text}");
            assert!(!prefix(text).holds(outside.parse().unwrap()), "{text}");
        }
        assert!(prefix("10.0.0.0/8").covers(&prefix("10.1.0.0/16")));
        assert!(!prefix("10.1.0.0/16").covers(&prefix("10.0.0.0/8")));
        assert!(!prefix("0.0.0.0/0").covers(&prefix("::/8")));
    }

    proptest! {
        #[test]
        fn a_set_of_ports_holds_what_its_ranges_hold(
            ranges in proptest::collection::vec((0..400_u16, 0..60_u16), 1..8),
            other in (0..400_u16, 0..60_u16),
        ) {
            let of = |(first, more): (u16, u16)| first..=first + more;
            let set = PortSet::of(ranges.iter().copied().map(of).collect());
            let holds = |port: u16| ranges.iter().copied().any(|range| of(range).contains(&port));
            for port in 0..500 {
                prop_assert_eq!(set.holds(port), holds(port));
            }
            let covered = of(other).all(holds);
            prop_assert_eq!(set.covers(&PortSet::of(vec![of(other)])), covered);
        }
    }
}
