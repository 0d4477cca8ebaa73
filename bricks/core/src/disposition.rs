//! What happens to a packet.

use crate::{Batch, BindError, ColumnSpec, Handle, Layout};
use serde::{Deserialize, Serialize};

/// An exit of a graph: the place of its name among the `ports` of the graph file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Port(pub u8);

impl Port {
    /// The largest number of ports that a graph may have.
    pub const MOST: usize = 256;

    /// Its place among the ports.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What happens to a packet. A value, never an error: dropped packets stay in their batch, later bricks skip them, and sinks
/// account for them.
///
/// ```
/// use legonf_core::{Disposition, DropReason, Port};
///
/// let mirrored = Disposition::Mirror { forward: Port(0), copy: Port(1) };
/// assert_eq!(mirrored.ports().collect::<Vec<_>>(), [Port(0), Port(1)]);
/// assert_eq!(mirrored.dropped(), None);
/// let dropped = Disposition::Drop(DropReason::RateLimit);
/// assert_eq!(dropped.dropped().map(DropReason::label), Some("rate-limit"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Disposition {
    /// The packet leaves by a port.
    Forward(Port),
    /// The packet leaves by a port, and a copy of it by another one.
    Mirror {
        /// The port of the packet.
        forward: Port,
        /// The port of the copy.
        copy: Port,
    },
    /// The packet goes nowhere.
    Drop(DropReason),
}

impl Default for Disposition {
    /// The first port.
    fn default() -> Self {
        Self::Forward(Port::default())
    }
}

impl Disposition {
    /// Why the packet is dropped, if it is.
    pub const fn dropped(self) -> Option<DropReason> {
        match self {
            Self::Drop(reason) => Some(reason),
            Self::Forward(_) | Self::Mirror { .. } => None,
        }
    }

    /// Whether the packet has no results: it was dropped for another reason than its verdict, so later bricks have not seen it.
    pub const fn is_unseen(self) -> bool {
        match self.dropped() {
            None => false,
            Some(reason) => !matches!(reason, DropReason::Verdict),
        }
    }

    /// The ports that the packet leaves by, itself first.
    pub fn ports(self) -> impl Iterator<Item = Port> {
        let (forward, copy) = match self {
            Self::Forward(port) => (Some(port), None),
            Self::Mirror { forward, copy } => (Some(forward), Some(copy)),
            Self::Drop(_) => (None, None),
        };
        forward.into_iter().chain(copy)
    }
}

/// Where sinks find what happens to packets. If no brick of a graph declares that, all packets leave by the first port.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dispositions(Option<Handle<Vec<Disposition>>>);

impl Dispositions {
    /// Those of a graph.
    ///
    /// # Errors
    /// If its column of this name holds something else.
    pub fn bind(layout: &Layout) -> Result<Self, BindError> {
        layout.handle_if_any(&ColumnSpec::DISPOSITION).map(Self)
    }

    /// What happens to a packet, by its place in the batch.
    #[inline]
    pub fn of(self, batch: &Batch, packet: usize) -> Disposition {
        let all = self.0.map(|column| batch.columns.get(column));
        all.and_then(|all| all.get(packet)).copied().unwrap_or_default()
    }
}

/// Why a packet is dropped. There is one list for all bricks, so that their counters can be added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DropReason {
    /// Its verdict: it has results, which sinks write.
    Verdict,
    /// A rule forbids it.
    Policy,
    /// It exceeds the rate that is let through.
    RateLimit,
    /// Its time to live (IPv4) or hop limit (IPv6) is used up.
    TtlExpired,
    /// It is longer than the next hop takes.
    TooLong,
    /// There is no route to its destination.
    NoRoute,
    /// It was captured only in part, and so cannot be sent.
    Truncated,
    /// The interface that it was to leave by had no room.
    NoBuffer,
    /// The interface that it was to leave by refused it.
    Unsent,
    /// Its network header is damaged, or its source address cannot be one.
    BadHeader,
    /// It is a fragment of a datagram, where whole datagrams are needed.
    Fragment,
    /// Its addresses would have to be translated, and there is no translation for it.
    NoTranslation,
    /// There is no free port for its translation.
    NoPort,
    /// No back end of the service is up.
    NoBackend,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 14] = [
        Self::Verdict,
        Self::Policy,
        Self::RateLimit,
        Self::TtlExpired,
        Self::TooLong,
        Self::NoRoute,
        Self::Truncated,
        Self::NoBuffer,
        Self::Unsent,
        Self::BadHeader,
        Self::Fragment,
        Self::NoTranslation,
        Self::NoPort,
        Self::NoBackend,
    ];

    /// The word under which such packets are counted.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Verdict => "verdict",
            Self::Policy => "policy",
            Self::RateLimit => "rate-limit",
            Self::TtlExpired => "ttl-expired",
            Self::TooLong => "too-long",
            Self::NoRoute => "no-route",
            Self::Truncated => "truncated",
            Self::NoBuffer => "no-buffer",
            Self::Unsent => "unsent",
            Self::BadHeader => "bad-header",
            Self::Fragment => "fragment",
            Self::NoTranslation => "no-translation",
            Self::NoPort => "no-port",
            Self::NoBackend => "no-backend",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_leaves_by_its_ports() {
        let ports = |disposition: Disposition| disposition.ports().map(Port::index).collect::<Vec<_>>();
        assert_eq!(ports(Disposition::default()), [0]);
        assert_eq!(ports(Disposition::Mirror { forward: Port(1), copy: Port(0) }), [1, 0]);
        assert!(ports(Disposition::Drop(DropReason::Policy)).is_empty());
    }

    #[test]
    fn only_what_was_dropped_by_its_verdict_has_one() {
        let unseen = |reason: &&DropReason| Disposition::Drop(**reason).is_unseen();
        let seen: Vec<_> = DropReason::ALL.iter().filter(|reason| !unseen(reason)).collect();
        assert_eq!(seen, [&DropReason::Verdict]);
        assert!(!Disposition::default().is_unseen());
    }
}
