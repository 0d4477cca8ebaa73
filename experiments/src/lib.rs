//! Tables and figures of the papers as experiments.
//!
//! [`table2`] is LEGO's Table II: what a split of the traffic does to Kitsune's scores. It runs [`Replicas`] of an extractor in the
//! runtime, as many as asked for, however few cores there are. [`scaling`] projects the throughput on more cores from the
//! processor time that their pieces take.
//!
//! The others run the engine on traffic in memory: [`flood`], [`figure4`], [`deepnfv_figure4`], [`elasticity`], [`hosts`], [`statelessnf_figure4_8`], [`quiet`], [`lego_table2`], [`speedybox`], [`detectors`], [`deepnfv`] and [`mod@bench`] each have
//! `Arguments` (as the command takes them), a function that runs them in a [`Session`](legonf_engine::Session), a report for
//! programs, and that report as text.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bars;
pub mod bench;
pub mod deepnfv;
pub mod deepnfv_figure4;
pub mod detectors;
mod deviation;
pub mod elasticity;
mod ends;
mod error;
pub mod failover;
pub mod figure4;
pub mod flood;
pub mod hosts;
mod lap;
pub mod lego_table2;
mod load;
mod meter;
mod offer;
mod other_hosts;
mod pieces;
pub mod quiet;
mod replicas;
pub mod scaling;
mod scorer;
pub mod speedybox;
pub mod statelessnf_figure4_8;
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
