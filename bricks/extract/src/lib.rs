//! Feature extractors: damped statistics of Kitsune.
//!
//! An [`Extractor`] turns headers into the feature vectors of its schema; [`build`] makes one by the schema's
//! name. [`FeatureQuantization`] is the brick around it (LEGO, Table I).
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod damp;
mod extractor;
pub mod flow;
mod groups;
/// The hash of stream keys, by which slots are told apart here and in the splitter.
mod hash {
    pub(crate) use legonf_core::{Hasher, SLOTS, same, slot};
}
mod kitsune115;
mod lanes;
pub mod math;
mod pages;
mod py100;
mod quantization;
mod readable;
mod schema;
mod shard;
mod state;
mod table;
mod vector;

pub use extractor::{
    DEFAULT_SCHEMA, ExtractError, Extractor, Limits, SCHEMAS, build, build_shards, follows_stream_time,
    instruction_set, schema_by_name,
};
pub use groups::{shards_of, state_groups};
pub use kitsune115::{PACKET_DIVISIONS, PACKET_OPERATIONS, PACKET_ROOTS, PACKET_STATE_BYTES};
pub use quantization::{Config, FEATURES, FeatureQuantization};
pub use shard::{Shard, Slots};
pub use state::StateError;
