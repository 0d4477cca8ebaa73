//! Tables and figures of the papers as experiments.
//!
//! [`table2`] is LEGO's Table II: what a split of the traffic does to Kitsune's scores. It runs [`Cluster`]s, which
//! are replicas of an extractor behind dispatchers and a merge, in one thread. [`scaling`] projects from what they take
//! what more cores would give.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cluster;
mod error;
pub mod scaling;
mod scorer;
pub mod table2;

pub use cluster::{Clock, Cluster, Costs, Make, Setup};
pub use error::ExperimentError;
pub use scorer::Scorer;
