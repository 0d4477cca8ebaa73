//! Tables and figures of the papers as experiments.
//!
//! [`table2`] is LEGO's Table II: what a split of the traffic does to Kitsune's scores. It runs [`Replicas`] of an extractor in the
//! runtime, as many as asked for, however few cores there are. [`scaling`] projects from what their pieces take what more cores
//! would give.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ends;
mod error;
mod load;
mod meter;
mod pieces;
mod replicas;
pub mod scaling;
mod scorer;
mod steering;
pub mod table2;

pub use ends::Take;
pub use error::ExperimentError;
pub use load::{Heavy, Loads, Overload};
pub use replicas::{Costs, Finished, Replicas, Setup};
pub use scorer::Scorer;
pub use steering::Order;

/// A clock that measures work: the processor time of this thread, say.
pub type Clock = fn() -> std::time::Duration;
