//! Tables and figures of the papers as experiments.
//!
//! [`table2`] is LEGO's Table II: what a split of the traffic does to Kitsune's scores. It runs [`Cluster`]s, which
//! are replicas of an extractor behind dispatchers and a merge, in one thread. [`scaling`] projects from what they take
//! what more cores would give.
//!
//! The others run the engine on traffic in memory: [`flood`], [`figure4`], [`elasticity`], [`lego_table2`] and [`mod@bench`] each have
//! `Arguments` (as the command takes them), a function that runs them in a [`Session`](legonf_engine::Session), a report for
//! programs, and its words.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod arguments;
mod bars;
pub mod bench;
mod cluster;
pub mod elasticity;
mod error;
pub mod figure4;
pub mod flood;
mod lap;
pub mod lego_table2;
mod offer;
pub mod scaling;
mod scorer;
pub mod table2;

pub use cluster::{Clock, Cluster, Costs, Make, Setup};
pub use error::ExperimentError;
pub use scorer::Scorer;
