//! Runs graphs of bricks: reads their description, checks it, and moves batches through it.
//!
//! A graph file (TOML) lists bricks with an `id`, a `kind` of the catalogue, its configuration and the brick that is `next`.
//! [`Graph::assemble`] checks everything before anything runs; [`run`] then moves pooled batches from a source through
//! the bricks to a sink. A [`Layout`] says which bricks share a worker and how many workers share the batches of a stage;
//! [`run_under`] a [`Control`] it changes while batches flow. All layouts give the same results: each brick that keeps
//! state, and the sink, sees the same batches in the same order, and replicas of the others take any batch. Replicas of a
//! brick whose state can be divided ([`WestEast`](legonf_core::WestEast)) see the packets of the slots that they own.
#![forbid(unsafe_code)]
#![allow(clippy::vec_box, reason = "boxes go from queue to queue, and lists of them are kept for that")]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod checkpointer;
mod contain;
mod declared;
mod drawing;
mod error;
mod exchange;
mod fault;
mod graph;
mod handover;
mod layout;
mod message;
mod migration;
mod operator;
mod order;
mod pin;
mod ports;
mod replica_set;
mod route;
mod run;
mod spec;
mod stats;
mod supervisor;
mod sync;
mod watch;
mod watchdog;
mod ways;
mod whole;
mod worker;
mod worker_columns;

pub use contain::is_contained;
pub use drawing::svg;
pub use error::GraphError;
pub use exchange::{Partition, Undivided};
pub use fault::{PlanError, RunFault};
pub use graph::{Graph, Node, Wanted, check};
pub use layout::Layout;
pub use run::{BrickCounters, Control, Options, Outcome, Pauses, Supply, run, run_under};
pub use spec::{BrickSpec, GraphSpec, MAX_BRICKS};
pub use supervisor::MAX_WORKERS;
pub use watchdog::{End, Watchdog};
