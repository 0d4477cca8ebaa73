//! The exchange: which replica takes which packets of a batch, and how the parts of a packet's row are joined.
//!
//! Of the shards of a plan one is the *home shard*: the one with the most cells. The replica that has a packet's slot of the home
//! shard is the packet's home: there its row is completed and goes on downstream. The other shards are computed first, and only
//! their cells travel.

mod copies;
mod counters;
mod join;
mod partitioner;
mod router;
mod slots;
mod sub_batch;
mod travel;
mod ways;

pub use copies::reversed;
pub use counters::SlotCounters;
pub use join::PartialRows;
pub use partitioner::{MAX_ROUTES, Ownership, Partitioner};
pub use router::Router;
pub use slots::SlotSet;
pub use sub_batch::{Entry, Link, PartialEntry, Selection, SubBatch};

/// Rows that a replica computes at a time: so few that they stay in its core's cache.
pub const CHUNK: usize = legonf_core::ENGINE_ROWS;
