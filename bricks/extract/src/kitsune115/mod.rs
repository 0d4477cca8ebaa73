//! The 115 features of Kitsune's published data set, `kitsune-115` (kitsune-115.md), and `kitsune-115-clean`.
//!
//! Five groups of streams are damped at five rates λ: **MI** (source MAC and address), **H** (source address),
//! **HH** (source to destination address), **HH_jit** (the times between packets of HH) and **HpHp** (source to
//! destination socket; ARP: MAC to MAC). MI, H and HH_jit give weight, mean and variance; HH and HpHp also
//! compare the two directions.
//!
//! # Oddities of `kitsune-115`, and what `kitsune-115-clean` does
//!
//! | `kitsune-115` | `kitsune-115-clean` |
//! |---|---|
//! | A direction's first packet has the time since the epoch (about 1.5e9 s) as its jitter value. | It has 0. |
//! | Times are the time stamps, as they are. | Times are stream times ([`Clock`](legonf_core::Clock)): a clock that is set, or one wrong time stamp, is no time. |
//! | The sum of residual products S decays unevenly: an even packet of the channel (counted from 0) multiplies it by 2^(-λ·g) twice, where g is the gap to the packet before; an odd one once by 2^(-λ·g'), where g' is the gap to the odd packet before. | Every packet multiplies S by 2^(-λ·g) once, g being the gap by which both directions' sums decay. |
//!
//! # Where the published definition has no answer
//!
//! A packet without addresses has its MACs for addresses; one without a link layer, too, has empty ones, so it
//! still gets a row. A gap of zero or less does not decay; it counts for parity. A stream whose weight has
//! decayed to exactly 0 has mean and variance 0. No input gives NaN or infinity: own weights are at least 1.

mod channel;
mod keys;
mod link;
#[cfg(test)]
mod model;
mod packets;
mod pairs;
mod run;
mod schema;
mod source;
mod statistics;
mod sums;

use crate::hash::{Hasher, SLOTS};
use crate::shard::Shards;
use crate::state::{self, Origin};
use crate::table::Table;
use crate::{Extractor, Limits, Shard, StateError};
use channel::Channel;
pub(crate) use keys::PacketKeys;
use keys::{Flow, Hashes};
use legonf_core::{Headers, Rows, Schema};
use link::Link;
use packets::Numbers;
use run::{Part, Run, Selection};
pub(crate) use schema::schema;
use source::Source;

/// Bytes of the records and index lines of a packet's streams, once they have grown: a source, a link and a channel.
pub const PACKET_STATE_BYTES: usize = size_of::<Source>() + size_of::<Link>() + size_of::<Channel>() + 3 * 64;

/// Floating-point operations of a packet's features by their definition, for each of five rates; a power, a root and a
/// division count one. MI, H and HH_jit: decay 4, insertion 4, three statistics 4; HH and HpHp: both directions' decay 8,
/// insertion 4, statistics 9, sum of residual products 5, radius and magnitude 8, covariance and coefficient 3.
pub const PACKET_OPERATIONS: u64 = 5 * (3 * 12 + 2 * 37);
/// Divisions among them: two moments of each stream, of both directions in HH and HpHp; covariance and coefficient.
pub const PACKET_DIVISIONS: u64 = 5 * (3 * 2 + 2 * 6);
/// Roots among them: standard deviations of both directions, radius and magnitude of HH and HpHp.
pub const PACKET_ROOTS: u64 = 5 * 2 * 4;

/// Which definition of the features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// As published.
    Published,
    /// With the oddities mended.
    Clean,
}

impl Variant {
    /// Name of the schema.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Published => "kitsune-115",
            Self::Clean => "kitsune-115-clean",
        }
    }
}

/// Which rules the streams follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Those of [`Variant::Clean`].
    pub(crate) clean: bool,
}

impl Rules {
    /// The time by which a packet's streams decay, in seconds: [`Variant::Clean`] does not follow the faults of a capture's
    /// clock.
    #[inline(always)]
    pub(crate) fn time(self, headers: &Headers) -> f64 {
        let time = if self.clean { headers.stream_time() } else { headers.timestamp };
        time.as_secs_f64()
    }
}

/// What a packet brings to a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Packet {
    /// Seconds.
    pub(crate) time: f64,
    /// Bytes.
    pub(crate) length: u32,
    /// Its direction, in the streams of pairs.
    pub(crate) flow: Flow,
}

/// Every stream.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) identities: Table<Source>,
    pub(crate) sources: Table<Source>,
    pub(crate) links: Table<Link>,
    pub(crate) sockets: Table<Channel>,
    generation: u64,
}

/// The generation of tables from which no record has gone.
const NOTHING_GONE: u64 = 1;

impl Tables {
    /// Changes when a record gets another stream: until then the number of a record that has grown is that of its stream.
    #[inline(always)]
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a record has ever gone.
    #[inline(always)]
    pub(crate) fn has_evicted(&self) -> bool {
        self.generation != NOTHING_GONE
    }

    /// Looks whether streams have gone.
    #[inline]
    pub(crate) fn renew(&mut self) {
        let Self { identities, sources, links, sockets, generation } = self;
        *generation = NOTHING_GONE + identities.gone() + sources.gone() + links.gone() + sockets.gone();
    }

    /// Whether the streams of packet `at` in these shards, but for its sockets', are there and grown; notes their numbers
    /// then.
    #[inline(always)]
    fn hit(
        &self,
        keys: &PacketKeys,
        hashes: &Hashes,
        numbers: &mut Numbers,
        at: usize,
        shards: Shards,
    ) -> bool {
        let Self { identities, sources, links, .. } = self;
        let sources = !shards.has(Shard::Sources)
            || sources.hit(&mut numbers.source[at], hashes.source, &keys.source())
                && identities.hit(&mut numbers.identity[at], hashes.identity, &keys.identity);
        sources
            && (!shards.has(Shard::Channels)
                || links.hit(&mut numbers.link[at], hashes.channel, &keys.channel))
    }
}

/// The extractor of both variants.
#[derive(Debug)]
pub(crate) struct Kitsune115 {
    schema: Schema,
    limits: Limits,
    shards: Shards,
    origin: Origin,
    tables: Tables,
    run: Run,
    parts: Vec<Part>,
}

impl Kitsune115 {
    /// An extractor without any stream.
    #[cfg(test)]
    pub(crate) fn new(variant: Variant, limits: &Limits) -> Self {
        Self::of_shards(variant, limits, Shards::ALL)
    }

    /// An extractor of some shards without any stream.
    pub(crate) fn of_shards(variant: Variant, limits: &Limits, shards: Shards) -> Self {
        let hasher = Hasher::new(limits.seed);
        let tables = Tables {
            identities: Table::new(limits.sources_per_slot, hasher),
            sources: Table::new(limits.sources_per_slot, hasher),
            links: Table::new(limits.channels_per_slot, hasher),
            sockets: Table::new(limits.sockets_per_slot, hasher),
            generation: NOTHING_GONE,
        };
        let whole = schema(variant);
        let origin = Origin { schema: whole.hash(), seed: limits.seed };
        let run = Run::new(variant, hasher, shards);
        let (schema, limits, parts) = (schema::of_shards(whole, shards), *limits, Vec::new());
        Self { schema, limits, shards, origin, tables, run, parts }
    }
}

impl Extractor for Kitsune115 {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn extract(&mut self, headers: &[Headers], rows: &mut Rows) {
        rows.reset(headers.len(), self.schema.len());
        self.run.extract(&mut self.tables, Selection::all(headers), rows.as_mut_slice());
    }

    fn divide(&mut self, parts: &[Vec<Shard>]) -> Result<(), StateError> {
        let stray = parts.iter().flatten().find(|shard| !self.shards.has(**shard));
        if let Some(shard) = stray {
            return Err(StateError::NoShard(*shard));
        }
        self.parts = parts.iter().map(|part| Part::of(Shards::of(part))).collect();
        Ok(())
    }

    fn extract_part(
        &mut self,
        part: usize,
        headers: &[Headers],
        places: &[usize],
        rows: &mut Rows,
    ) -> Result<(), StateError> {
        let part = self.parts.get_mut(part).ok_or(StateError::NoPart(part))?;
        self.run.exchange(part, rows.width(), self.shards);
        self.run.extract(&mut self.tables, Selection::some(headers, places), rows.as_mut_slice());
        self.run.exchange(part, self.schema.len(), self.shards);
        Ok(())
    }

    fn export(&mut self, shard: Shard, slots: &[u16]) -> Result<Vec<u8>, StateError> {
        let state = self.copy(shard, slots)?;
        let Tables { identities, sources, links, sockets, .. } = &mut self.tables;
        match shard {
            Shard::Sources => {
                identities.remove(slots);
                sources.remove(slots);
            }
            Shard::Channels => links.remove(slots),
            Shard::Sockets => sockets.remove(slots),
        }
        self.tables.renew();
        Ok(state)
    }

    fn copy(&self, shard: Shard, slots: &[u16]) -> Result<Vec<u8>, StateError> {
        if !self.shards.has(shard) {
            return Err(StateError::NoShard(shard));
        }
        if let Some(slot) = slots.iter().find(|slot| usize::from(**slot) >= SLOTS) {
            return Err(StateError::NoSlot((*slot).into()));
        }
        let mut slots = slots.to_vec();
        slots.sort_unstable();
        slots.dedup();
        let mut out = state::begin(&self.origin, shard);
        match shard {
            Shard::Sources => {
                self.tables.identities.copy(&slots, &mut out);
                self.tables.sources.copy(&slots, &mut out);
            }
            Shard::Channels => self.tables.links.copy(&slots, &mut out),
            Shard::Sockets => self.tables.sockets.copy(&slots, &mut out),
        }
        Ok(state::end(out))
    }

    fn import(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let (shard, mut reader) = state::open(bytes, &self.origin)?;
        if !self.shards.has(shard) {
            return Err(StateError::NoShard(shard));
        }
        let Tables { identities, sources, links, sockets, .. } = &mut self.tables;
        match shard {
            Shard::Sources => {
                let read = (identities.read(&mut reader)?, sources.read(&mut reader)?);
                reader.finish()?;
                identities.import(read.0);
                sources.import(read.1);
            }
            Shard::Channels => {
                let read = links.read(&mut reader)?;
                reader.finish()?;
                links.import(read);
            }
            Shard::Sockets => {
                let read = sockets.read(&mut reader)?;
                reader.finish()?;
                sockets.import(read);
            }
        }
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("evicted-MI", self.tables.identities.evictions()),
            ("evicted-H", self.tables.sources.evictions()),
            ("evicted-HH", self.tables.links.evictions()),
            ("evicted-HpHp", self.tables.sockets.evictions()),
        ]
    }

    fn state_bytes(&self) -> usize {
        let Tables { identities, sources, links, sockets, .. } = &self.tables;
        let bytes = |shard| match shard {
            Shard::Sources => identities.bytes() + sources.bytes(),
            Shard::Channels => links.bytes(),
            Shard::Sockets => sockets.bytes(),
        };
        Shard::ALL.into_iter().filter(|shard| self.shards.has(*shard)).map(bytes).sum()
    }

    fn max_state_bytes(&self) -> usize {
        let Limits { sources_per_slot, channels_per_slot, sockets_per_slot, .. } = self.limits;
        let bytes = |shard| match shard {
            Shard::Sources => 2 * Table::<Source>::max_bytes(sources_per_slot),
            Shard::Channels => Table::<Link>::max_bytes(channels_per_slot),
            Shard::Sockets => Table::<Channel>::max_bytes(sockets_per_slot),
        };
        Shard::ALL.into_iter().filter(|shard| self.shards.has(*shard)).map(bytes).sum()
    }
}
