//! What happens to a packet.

use serde::{Deserialize, Serialize};

/// Where packets leave a graph: a number among the ports that its file names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Port(pub u8);

impl Port {
    /// Ports of a graph at most.
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
    /// It leaves by a port.
    Forward(Port),
    /// It leaves by a port, and a copy by another one.
    Mirror {
        /// Of the packet.
        forward: Port,
        /// Of the copy.
        copy: Port,
    },
    /// It goes nowhere.
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

    /// Whether bricks behind have found nothing of the packet: it was dropped, and not for what they found.
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

/// Why a packet goes no further. One list for the whole product, so that counters of different bricks can be added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DropReason {
    /// What was found of it: it has a score and a verdict.
    Verdict,
    /// A rule forbids it.
    Policy,
    /// More came than is let through.
    RateLimit,
    /// It has passed as many routers as it may.
    TtlExpired,
    /// It is longer than the way takes.
    TooLong,
    /// There is no way to where it goes.
    NoRoute,
    /// It was captured in part, and cannot be sent whole.
    Truncated,
    /// The interface that it was to leave by had no room.
    NoBuffer,
    /// The interface that it was to leave by refused it.
    Unsent,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Verdict,
        Self::Policy,
        Self::RateLimit,
        Self::TtlExpired,
        Self::TooLong,
        Self::NoRoute,
        Self::Truncated,
        Self::NoBuffer,
        Self::Unsent,
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
