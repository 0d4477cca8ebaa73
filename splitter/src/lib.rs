//! Splits traffic over replicas without changing the answer (LEGO §III-A).
//!
//! A stateful brick declares its [state groups](legonf_core::StateGroup). Their keys form a [`Lattice`] by inclusion;
//! its maximal elements are the granularities (Algorithm 1). A [`Plan`] makes shards of them.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod explain;
mod groups;
mod lattice;
mod picture;
mod plan;

pub use error::SplitError;
pub use explain::{Explanation, explain};
pub use groups::GroupSet;
pub use lattice::{Element, Lattice, Relation, is_included, relation};
pub use picture::svg;
pub use plan::{MAX_ROUTES, Mode, Plan, Route, Served, Shard};
