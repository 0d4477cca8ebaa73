//! Runs graphs of bricks: reads their description, checks it, and moves batches through it.
//!
//! A graph file (TOML) lists bricks with an `id`, a `kind` of the catalogue, its configuration and the brick that is `next`.
//! [`Graph::assemble`] checks everything before anything runs; [`run`] then moves pooled batches from a source through
//! the bricks to a sink, either all in one thread or with one worker per brick over bounded queues. Both layouts give
//! the same results, since each brick sees the same batches in the same order.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod drawing;
mod error;
mod graph;
mod run;
mod spec;

pub use drawing::svg;
pub use error::GraphError;
pub use graph::{Graph, Node, check};
pub use run::{BrickCounters, Layout, Options, Outcome, RunFault, run};
pub use spec::{BrickSpec, GraphSpec};
