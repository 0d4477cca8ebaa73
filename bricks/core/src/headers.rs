//! What header parsing finds in one packet.

use crate::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An Ethernet address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Text that is no Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an Ethernet address, such as 02:00:5e:10:00:01")]
pub struct NoMac;

impl FromStr for Mac {
    type Err = NoMac;

    fn from_str(text: &str) -> Result<Self, NoMac> {
        let byte = |digits: &str| {
            let is_hex = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
        };
        let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(NoMac)
    }
}

/// Link-layer identity of a packet. Where one frame carries another (PBB, FabricPath, TRILL), that of the inner one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Link {
    /// Source address. On Linux cooked captures the only one there is; zero where the frame has none.
    pub src: Mac,
    /// Destination address; zero on link types that have none.
    pub dst: Mac,
    /// EtherType of the payload after every VLAN tag, MPLS label, PPPoE and SNAP header, as far as it is known;
    /// for IEEE 802.3 frames without SNAP the length, and 0 where the link type has neither.
    pub ethertype: u16,
    /// VLAN identifier of the outermost tag.
    pub vlan: Option<u16>,
}

/// Which network-layer protocol a [`Layer`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Network {
    /// None that is parsed.
    #[default]
    None,
    /// ARP or RARP; `src` and `dst` of the layer are the sender's and the target's protocol addresses, both
    /// `None` if they are not IPv4 or not captured whole.
    Arp,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// Which transport protocol a [`Layer`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// None: a later fragment, no IP, or a header that was cut off before its ports, or its type and code.
    #[default]
    None,
    /// TCP with its ports.
    Tcp,
    /// UDP with its ports.
    Udp,
    /// ICMP for IPv4.
    Icmp(Icmp),
    /// ICMPv6.
    Icmpv6(Icmp),
    /// Another protocol, by its IP protocol number.
    Other(u8),
}

/// Type and code of an ICMP or ICMPv6 message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Icmp {
    /// Message type.
    pub kind: u8,
    /// Message code.
    pub code: u8,
}

/// Position of a packet in a fragmented datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fragment {
    /// Not a fragment.
    #[default]
    Whole,
    /// The first fragment: it carries the transport header.
    First,
    /// A later fragment: it has no transport header and so no ports.
    Later,
}

/// Network and transport identity of a packet, or of the packet inside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Layer {
    /// Network protocol.
    pub network: Network,
    /// Source address (ARP: sender's); `None` where the capture cut it off.
    pub src: Option<IpAddr>,
    /// Destination address (ARP: target's); `None` where the capture cut it off.
    pub dst: Option<IpAddr>,
    /// Fragmentation.
    pub fragment: Fragment,
    /// Transport protocol.
    pub transport: Transport,
    /// Source and destination port of TCP or UDP.
    pub ports: Option<(u16, u16)>,
}

/// How the inner packet of [`Headers::inner`] is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encapsulation {
    /// Quoted by an ICMP or ICMPv6 error.
    Quoted,
    /// IPv4 or IPv6 directly inside IP.
    IpInIp,
    /// Generic routing encapsulation, with its key if it has one.
    Gre(Option<u32>),
    /// VXLAN, with its network identifier.
    Vxlan(u32),
    /// VXLAN with the generic protocol extension, with its network identifier.
    VxlanGpe(u32),
    /// GENEVE, with its network identifier.
    Geneve(u32),
    /// ERSPAN over GRE, with its session if it has one (type I has none).
    Erspan(Option<u16>),
    /// The user plane of GTP, with its tunnel endpoint identifier.
    GtpU(u32),
}

/// A packet inside the packet, one level deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Inner {
    /// What carries it.
    pub by: Encapsulation,
    /// Its identity.
    pub layer: Layer,
}

/// Why a packet could not be parsed to its end.
///
/// Such a packet keeps every identity that was read before the fault; it is counted under
/// [`label`](Self::label).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Malformed {
    /// Shorter than its link-layer header.
    LinkTooShort,
    /// A header between the link and the network layer (VLAN, MPLS, PPPoE and others) is cut off or contradicts
    /// itself, or they are nested too deep.
    TagTooShort,
    /// An ARP packet is cut off or has address lengths that are not Ethernet and IPv4.
    BadArp,
    /// An IPv4 header is cut off or contradicts itself (version, header length, total length).
    BadIpv4,
    /// An IPv6 header is cut off or contradicts itself.
    BadIpv6,
    /// An IPv6 extension header is cut off, or there are too many.
    BadExtension,
    /// A TCP, UDP or ICMP header is cut off.
    TransportTooShort,
    /// A tunnel header is cut off or contradicts itself; one that carries what is not parsed is not malformed.
    BadTunnel,
    /// The packet is of a link type that is not parsed. Nothing is known of it, so it changes no stream and is
    /// rejected: [`Headers::is_unread`].
    LinkType,
}

impl Malformed {
    /// Every reason, in order.
    pub const ALL: [Self; 9] = [
        Self::LinkTooShort,
        Self::TagTooShort,
        Self::BadArp,
        Self::BadIpv4,
        Self::BadIpv6,
        Self::BadExtension,
        Self::TransportTooShort,
        Self::BadTunnel,
        Self::LinkType,
    ];

    /// The name under which this reason is counted and shown.
    pub const fn label(self) -> &'static str {
        match self {
            Self::LinkTooShort => "link-too-short",
            Self::TagTooShort => "tag-too-short",
            Self::BadArp => "bad-arp",
            Self::BadIpv4 => "bad-ipv4",
            Self::BadIpv6 => "bad-ipv6",
            Self::BadExtension => "bad-ipv6-extension",
            Self::TransportTooShort => "transport-too-short",
            Self::BadTunnel => "bad-tunnel",
            Self::LinkType => "link-type",
        }
    }
}

/// Everything that header parsing keeps of one packet: no payload, no reference into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headers {
    /// Arrival number of the packet.
    pub seq: u64,
    /// Capture time.
    pub timestamp: Timestamp,
    /// Nanoseconds from there to [`stream_time`](Self::stream_time), which the [`Clock`](crate::Clock) of a run finds: 0 as
    /// long as the capture's clock is not set.
    pub shift: i64,
    /// Length on the wire in bytes.
    pub wire_len: u32,
    /// Link-layer identity; `None` where the link type has none or the frame is shorter than it.
    pub link: Option<Link>,
    /// The outermost network and transport layer.
    pub outer: Layer,
    /// The packet inside a tunnel or quoted by an ICMP error.
    pub inner: Option<Inner>,
    /// Why parsing ended early, if it did.
    pub malformed: Option<Malformed>,
}

impl Headers {
    /// The time by which streams decay where they do not follow the faults of a capture's clock.
    #[inline]
    pub fn stream_time(&self) -> Timestamp {
        Timestamp::from_nanos(self.timestamp.as_nanos().wrapping_add(self.shift))
    }

    /// Whether the packet is of a link type that is not parsed: it has no features, and it is rejected.
    #[inline(always)]
    pub fn is_unread(&self) -> bool {
        self.malformed == Some(Malformed::LinkType)
    }
}
