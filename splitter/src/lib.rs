//! Splits traffic over replicas without changing the answer (LEGO §III-A).
//!
//! A keyed brick declares its [state groups](legonf_core::StateGroup). Their keys form a [`Lattice`] by inclusion; its
//! maximal elements are the granularities (Algorithm 1). A [`Plan`] makes shards of them. A [`Partitioner`] divides
//! batches among replicas by slot, and joins the parts of each packet's row.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod coupling;
mod error;
mod exchange;
mod explain;
mod groups;
mod lattice;
mod picture;
mod plan;

pub use coupling::{Coupling, Replication};
pub use error::SplitError;
pub use exchange::{
    CHUNK, Entry, Link, MAX_ROUTES, Ownership, PartialEntry, PartialRows, Partitioner, Router, Selection,
    SlotCounters, SlotSet, SubBatch, reversed,
};
pub use explain::{Explanation, explain};
pub use groups::{GroupSet, MAX_GROUPS};
pub use lattice::{Element, Lattice, Relation, is_included, relation};
pub use picture::svg;
pub use plan::{Mode, Plan, Route, Served, Shard};
