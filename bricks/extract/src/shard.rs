//! The parts of an extractor's state, and which part of a packet's state is where.

use crate::hash::{Hasher, slot};
use crate::kitsune115::PacketKeys;
use legonf_core::Headers;
use serde::{Deserialize, Serialize};

/// Streams that are split by one key. Every stream of a shard is in the slot of its key's hash, and a packet's
/// columns of a shard depend on the packets of one slot alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shard {
    /// MI and H, by source address.
    Sources,
    /// HH and HH_jit, by the unordered pair of addresses.
    Channels,
    /// HpHp, by the same pair, or for ARP by the pair of MACs.
    Sockets,
}

impl Shard {
    /// Every shard, in the order of the columns.
    pub const ALL: [Self; 3] = [Self::Sources, Self::Channels, Self::Sockets];

    /// Columns of its streams.
    #[inline(always)]
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Sources => 30,
            Self::Channels => 50,
            Self::Sockets => 35,
        }
    }
}

/// A set of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shards(pub(crate) u8);

impl Shards {
    /// Every shard.
    pub(crate) const ALL: Self = Self(0b111);

    /// Those by source.
    pub(crate) const SOURCES: Self = Self(1 << Shard::Sources as u8);
    /// Those by pair.
    pub(crate) const PAIRS: Self = Self(1 << Shard::Channels as u8 | 1 << Shard::Sockets as u8);

    /// Those of a list.
    pub(crate) fn of(shards: &[Shard]) -> Self {
        Self(shards.iter().fold(0, |set, shard| set | 1 << *shard as u8))
    }

    /// Whether a shard is in it.
    #[inline(always)]
    pub(crate) fn has(self, shard: Shard) -> bool {
        self.0 & 1 << shard as u8 != 0
    }

    /// Columns of all their streams.
    #[inline(always)]
    pub(crate) fn width(self) -> usize {
        let [sources, channels, sockets] = Shard::ALL;
        let width = |shard: Shard| if self.has(shard) { shard.width() } else { 0 };
        width(sources) + width(channels) + width(sockets)
    }
}

/// Tells the slots of packets, as extractors with the same seed divide their streams into.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    hasher: Hasher,
}

impl Slots {
    /// Number of slots.
    pub const COUNT: usize = crate::hash::SLOTS;

    /// The slots under a [seed](crate::Limits::seed).
    pub fn new(seed: u64) -> Self {
        Self { hasher: Hasher::new(seed) }
    }

    /// The packet's slot in each shard, in the order of [`Shard::ALL`]; less than [`COUNT`](Self::COUNT).
    pub fn of(&self, headers: &Headers) -> [u16; 3] {
        let hashes = PacketKeys::of(headers).hashes(&self.hasher, Shards::ALL);
        [hashes.source, hashes.channel, hashes.socket_shard].map(|hash| slot(hash) as u16)
    }
}
