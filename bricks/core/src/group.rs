//! State groups: the families of streams that a stateful brick keeps, by which its traffic may be split (LEGO §III-A).

use crate::{Headers, Key, Network, Transport};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A kind of packet, by which a group may be keyed in one way or another. Every packet is of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PacketKind {
    /// ARP or RARP with its addresses.
    Arp,
    /// TCP with its ports.
    Tcp,
    /// UDP with its ports.
    Udp,
    /// ICMP or ICMPv6.
    Icmp,
    /// Any other packet with network addresses, later fragments among them.
    OtherIp,
    /// Without network addresses.
    Bare,
}

impl PacketKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Arp, Self::Tcp, Self::Udp, Self::Icmp, Self::OtherIp, Self::Bare];

    /// The name in group files.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::OtherIp => "other-ip",
            Self::Bare => "bare",
        }
    }

    /// The kind of a packet.
    #[inline]
    pub fn of(headers: &Headers) -> Self {
        let outer = &headers.outer;
        match (outer.transport, outer.ports) {
            _ if outer.src.is_none() || outer.dst.is_none() => Self::Bare,
            (Transport::Tcp, Some(_)) => Self::Tcp,
            (Transport::Udp, Some(_)) => Self::Udp,
            (_, None) if outer.network == Network::Arp => Self::Arp,
            (Transport::Icmp(_) | Transport::Icmpv6(_), _) => Self::Icmp,
            _ => Self::OtherIp,
        }
    }
}

/// A set of [`PacketKind`]s.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct PacketKinds(u8);

impl PacketKinds {
    /// Every packet.
    pub const ALL: Self = Self::of(&PacketKind::ALL);
    /// No packet.
    pub const NONE: Self = Self(0);

    /// The set of these kinds.
    pub const fn of(kinds: &[PacketKind]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < kinds.len() {
            bits |= 1 << kinds[i] as u8;
            i += 1;
        }
        Self(bits)
    }

    /// Whether a kind is in the set.
    #[inline]
    pub const fn holds(self, kind: PacketKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Kinds in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Kinds in either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Kinds that are not in the set.
    #[must_use]
    pub const fn others(self) -> Self {
        Self(Self::ALL.0 & !self.0)
    }

    /// Whether no kind is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every kind of the set is in `other`.
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The kinds in the set.
    pub fn iter(self) -> impl Iterator<Item = PacketKind> {
        PacketKind::ALL.into_iter().filter(move |kind| self.holds(*kind))
    }
}

/// A name that no [`PacketKind`] has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of packet \"{0}\": expected {list}", list = PacketKind::ALL.map(PacketKind::label).join(", "))]
pub struct UnknownKind(String);

impl TryFrom<Vec<String>> for PacketKinds {
    type Error = UnknownKind;

    fn try_from(names: Vec<String>) -> Result<Self, UnknownKind> {
        names.into_iter().try_fold(Self::NONE, |set, name| {
            let kind = PacketKind::ALL.into_iter().find(|kind| kind.label() == name);
            Ok(set.or(Self::of(&[kind.ok_or(UnknownKind(name))?])))
        })
    }
}

impl From<PacketKinds> for Vec<String> {
    fn from(kinds: PacketKinds) -> Self {
        kinds.iter().map(|kind| kind.label().to_owned()).collect()
    }
}

impl fmt::Debug for PacketKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `arp, tcp`; `all`; and `all but arp` where that is shorter.
impl fmt::Display for PacketKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |set: Self| set.iter().map(PacketKind::label).collect::<Vec<_>>().join(", ");
        match self.iter().count() {
            0 => f.write_str("none"),
            6 => f.write_str("all"),
            4 | 5 => write!(f, "all but {}", list(self.others())),
            _ => f.write_str(&list(*self)),
        }
    }
}

/// How the packets of some kinds are keyed in a [`StateGroup`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyed {
    /// Which packets.
    pub packets: PacketKinds,
    /// Their key.
    pub key: Key,
}

/// A family of streams that a stateful brick keeps.
///
/// Replicas give the single instance's answer where all packets with an equal key of the group meet at one of them,
/// in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateGroup {
    /// Name, as in [`Feature::group`](crate::Feature).
    pub name: String,
    /// Keys by kinds of packets, the principal one first. No two share a kind; packets of none are not in the group.
    ///
    /// A group whose packets read both directions' streams has an unordered key.
    pub keys: Vec<Keyed>,
    /// Why streams of different keys depend on one another, if they do: no split of the traffic keeps the group's
    /// answers then.
    pub coupled: Option<String>,
}

impl StateGroup {
    /// A group with one key for all packets.
    pub fn new(name: impl Into<String>, key: Key) -> Self {
        Self { name: name.into(), keys: vec![Keyed { packets: PacketKinds::ALL, key }], coupled: None }
    }

    /// The group with another key for packets of some kinds.
    #[must_use]
    pub fn except(mut self, packets: PacketKinds, key: Key) -> Self {
        for keyed in &mut self.keys {
            keyed.packets = keyed.packets.and(packets.others());
        }
        self.keys.push(Keyed { packets, key });
        self
    }

    /// The group, with the reason why its streams depend on one another.
    #[must_use]
    pub fn coupled(self, why: impl Into<String>) -> Self {
        Self { coupled: Some(why.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Field, Layer};

    #[test]
    fn every_packet_has_one_kind() {
        let ip = Some("10.0.0.1".parse().unwrap());
        let of = |outer| PacketKind::of(&Headers { outer, ..Headers::default() });
        let both = Layer { src: ip, dst: ip, ..Layer::default() };
        assert_eq!(of(Layer { src: ip, ..Layer::default() }), PacketKind::Bare);
        assert_eq!(of(Layer { network: Network::Arp, ..both }), PacketKind::Arp);
        assert_eq!(of(Layer { transport: Transport::Tcp, ports: Some((1, 2)), ..both }), PacketKind::Tcp);
        assert_eq!(
            of(Layer { transport: Transport::Icmpv6(crate::Icmp::default()), ..both }),
            PacketKind::Icmp
        );
        assert_eq!(of(both), PacketKind::OtherIp);
    }

    #[test]
    fn kinds_behave_as_sets() {
        let arp = PacketKinds::of(&[PacketKind::Arp]);
        assert!(arp.within(PacketKinds::ALL) && !PacketKinds::ALL.within(arp) && !arp.is_empty());
        assert_eq!(arp.or(arp.others()), PacketKinds::ALL);
        assert!(arp.and(arp.others()).is_empty());
        assert_eq!((arp.to_string(), arp.others().to_string()), ("arp".into(), "all but arp".into()));
    }

    #[test]
    fn an_exception_takes_its_packets_from_the_rest() {
        let (ip, mac) =
            (Key::new(&[Field::SrcIp], false).unwrap(), Key::new(&[Field::SrcMac], false).unwrap());
        let arp = PacketKinds::of(&[PacketKind::Arp]);
        let group = StateGroup::new("HpHp", ip).except(arp, mac);
        assert_eq!(group.keys[0].packets, arp.others());
        assert_eq!(group.keys[1], Keyed { packets: arp, key: mac });
    }
}
