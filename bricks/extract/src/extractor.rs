//! What every feature extractor is, and how one is built from its schema's name.

use crate::kitsune115::{self, Kitsune115, Variant};
use crate::py100::{self, Py100};
use crate::readable::Readable;
use crate::shard::Shards;
use crate::vector;
use crate::{Shard, StateError};
use legonf_core::{Headers, Rows, Schema, StateGroup};
use serde::{Deserialize, Serialize};

/// Names of the schemas that [`build`] knows.
pub const SCHEMAS: [&str; 3] = ["kitsune-115", "kitsune-115-clean", "kitsune-py-100"];

/// The instruction set that features of a schema are computed with on this processor: `avx512`, `avx2`, `neon`, or `portable` where
/// there is nothing wider than what all processors of the architecture have.
pub fn instruction_set(schema: &str) -> &'static str {
    if schema == "kitsune-py-100" { py100::instruction_set() } else { vector::name() }
}

/// The schema where none is named. The published ones are for reproducing what was published: on quiet traffic their
/// divisions by almost nothing give scores that mean nothing.
pub const DEFAULT_SCHEMA: &str = "kitsune-115-clean";

/// Turns parsed headers into feature vectors, one row per packet, in arrival order.
///
/// The rows depend only on the sequence of packets, never on how it is cut into batches.
pub trait Extractor: Send {
    /// The columns of the rows.
    fn schema(&self) -> &Schema;

    /// The state groups, by whose keys traffic may be split among replicas.
    fn state_groups(&self) -> Vec<StateGroup> {
        crate::state_groups(&self.schema().name).unwrap_or_default()
    }

    /// Makes `rows` one row per packet of `headers`, `schema().len()` wide, and counts the packets in, but for those of
    /// link types that are [not parsed](Headers::is_unread): their rows are NaN.
    fn extract(&mut self, headers: &[Headers], rows: &mut Rows);

    /// Takes the streams of some slots of a shard out, as bytes for [`import`](Self::import): whichever extractor of
    /// the same configuration takes them in goes on as this one would have, with the same bits and the same evictions.
    ///
    /// # Errors
    /// [`StateError`] if there is no such slot or shard here, or the schema's streams are not divided into slots.
    fn export(&mut self, _shard: Shard, _slots: &[u16]) -> Result<Vec<u8>, StateError> {
        Err(StateError::Undivided(self.schema().name.clone()))
    }

    /// What [`export`](Self::export) would give, without taking it out: a checkpoint.
    ///
    /// # Errors
    /// As there.
    fn copy(&self, _shard: Shard, _slots: &[u16]) -> Result<Vec<u8>, StateError> {
        Err(StateError::Undivided(self.schema().name.clone()))
    }

    /// Takes in what [`export`](Self::export) took out elsewhere.
    ///
    /// # Errors
    /// [`StateError`] if the bytes are damaged or from an extractor of another configuration, or if one of the slots
    /// has streams here. Nothing has changed then.
    fn import(&mut self, _state: &[u8]) -> Result<(), StateError> {
        Err(StateError::Undivided(self.schema().name.clone()))
    }

    /// Prepares for [`extract_part`](Self::extract_part) with parts of these shards, numbered from 0.
    ///
    /// # Errors
    /// [`StateError`] if a shard is not computed here, or the schema's streams are not divided into slots.
    fn divide(&mut self, _parts: &[Vec<Shard>]) -> Result<(), StateError> {
        Err(StateError::Undivided(self.schema().name.clone()))
    }

    /// [`extract`](Self::extract) for some packets, those at `places` in this order, and for the streams of one part alone:
    /// writes its columns into the packets' rows. `rows` has one for each of `places`: as wide as the schema, or as the part's
    /// columns alone, which it holds side by side then.
    ///
    /// # Errors
    /// [`StateError::NoPart`] if there is no such part.
    ///
    /// # Panics
    /// If a place is not below `headers.len()`, or `rows` has other rows.
    fn extract_part(
        &mut self,
        part: usize,
        _headers: &[Headers],
        _places: &[usize],
        _rows: &mut Rows,
    ) -> Result<(), StateError> {
        Err(StateError::NoPart(part))
    }

    /// Evictions per table, as (name, value).
    fn counters(&self) -> Vec<(&'static str, u64)>;

    /// Bytes that the state takes now.
    fn state_bytes(&self) -> usize;

    /// The most bytes that the state can ever take, by its [`Limits`].
    fn max_state_bytes(&self) -> usize;
}

/// Bounds of an extractor's state.
///
/// Streams are divided into 4,096 slots by a hash of their shard key, and each slot holds so many streams of a
/// table at most: the one with the least damped weight makes room for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Source streams per slot, for each table keyed by a source address. Default 192.
    pub sources_per_slot: u32,
    /// Pairs of hosts per slot. Default 256.
    pub channels_per_slot: u32,
    /// Pairs of sockets per slot. All sockets of two hosts are in one slot. Default 1024.
    pub sockets_per_slot: u32,
    /// Seed of the hash that assigns streams to slots. Replicas of one brick need the same. Default 1234.
    pub seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sources_per_slot: 192, channels_per_slot: 256, sockets_per_slot: 1024, seed: 1234 }
    }
}

impl Limits {
    /// The largest value of each limit, so that 2^32 records number every stream.
    pub const MAX_PER_SLOT: u32 = 1 << 18;

    /// Checks that every limit is between 1 and [`MAX_PER_SLOT`](Self::MAX_PER_SLOT).
    ///
    /// # Errors
    /// [`ExtractError::Limit`] names the first that is not.
    pub fn validate(&self) -> Result<(), ExtractError> {
        for (key, value) in [
            ("sources_per_slot", self.sources_per_slot),
            ("channels_per_slot", self.channels_per_slot),
            ("sockets_per_slot", self.sockets_per_slot),
        ] {
            if !(1..=Self::MAX_PER_SLOT).contains(&value) {
                return Err(ExtractError::Limit { key, value });
            }
        }
        Ok(())
    }
}

/// Why an extractor could not be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// No extractor has this schema.
    #[error("unknown schema '{name}': expected one of {}", SCHEMAS.join(", "))]
    UnknownSchema {
        /// What was asked for.
        name: String,
    },
    /// The schema's streams have no shards.
    #[error("shards of '{name}': its streams depend on each other; expected all shards")]
    Shards {
        /// Name of the schema.
        name: String,
    },
    /// Nothing to compute.
    #[error("shards = []: expected at least one of sources, channels, sockets")]
    NoShard,
    /// A limit is out of range.
    #[error("{key} = {value}: expected 1 to {}", Limits::MAX_PER_SLOT)]
    Limit {
        /// Name of the limit.
        key: &'static str,
        /// Its value.
        value: u32,
    },
}

/// Builds the extractor of a schema with empty state.
///
/// # Errors
/// If the schema is unknown or a limit is out of range.
pub fn build(schema: &str, limits: Limits) -> Result<Box<dyn Extractor>, ExtractError> {
    build_shards(schema, limits, &Shard::ALL)
}

/// Builds an extractor that computes the streams and the columns of some shards alone: those columns, side by side in
/// the order of [`Shard::ALL`], are the row of an extractor with all of them.
///
/// # Errors
/// If the schema is unknown, a limit is out of range, there is no shard, or the schema's streams cannot be divided.
pub fn build_shards(
    schema: &str,
    limits: Limits,
    shards: &[Shard],
) -> Result<Box<dyn Extractor>, ExtractError> {
    limits.validate()?;
    let set = Shards::of(shards);
    let variant = match schema {
        "kitsune-115" => Variant::Published,
        "kitsune-115-clean" => Variant::Clean,
        "kitsune-py-100" if set == Shards::ALL => {
            return Ok(Box::new(Readable::new(Py100::new(&limits))));
        }
        "kitsune-py-100" => return Err(ExtractError::Shards { name: schema.into() }),
        _ => return Err(ExtractError::UnknownSchema { name: schema.into() }),
    };
    if shards.is_empty() {
        return Err(ExtractError::NoShard);
    }
    Ok(Box::new(Readable::new(Kitsune115::of_shards(variant, &limits, set))))
}

/// Whether the features of a schema follow stream time ([`Clock`](legonf_core::Clock)), and not the time stamps as they are:
/// the published ones keep the reference's behaviour. All else in a graph follows stream time.
pub fn follows_stream_time(schema: &str) -> bool {
    schema == Variant::Clean.name() || !SCHEMAS.contains(&schema)
}

/// The schema of this name.
///
/// # Errors
/// If there is none; the message lists those that exist.
pub fn schema_by_name(name: &str) -> Result<Schema, ExtractError> {
    match name {
        "kitsune-115" => Ok(kitsune115::schema(Variant::Published)),
        "kitsune-115-clean" => Ok(kitsune115::schema(Variant::Clean)),
        "kitsune-py-100" => Ok(py100::schema()),
        _ => Err(ExtractError::UnknownSchema { name: name.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved_or_listed() {
        let error = schema_by_name("kitsune").unwrap_err().to_string();
        for name in SCHEMAS {
            assert!(error.contains(name), "{error}");
        }
        assert_eq!(schema_by_name("kitsune-115").unwrap().len(), 115);
        assert!(build("nothing", Limits::default()).is_err());
    }

    #[test]
    fn limits_out_of_range_name_the_key() {
        let limits = Limits { channels_per_slot: 0, ..Limits::default() };
        let error = build("kitsune-115", limits).err().unwrap();
        assert_eq!(error.to_string(), "channels_per_slot = 0: expected 1 to 262144");
    }
}
