//! Brick graphs on Kubernetes.
//!
//! A [`BrickGraph`] asks for a network function with agents that its bricks can run on. The [operator](run) makes the objects of it: agents (a
//! StatefulSet with a headless service and a disruption budget), the process of the graph (a StatefulSet for an interface, a Job for a capture),
//! and certificates by which they know each other. It asks the agents how many bricks they host, and [adds or takes away](scale) one.
//!
//! What Kubernetes does to agents (evictions, rolling updates, lost nodes) does not show in the results: legonf makes what an agent lost anew, from
//! a checkpoint in the process of the graph.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod certificates;
mod check;
mod error;
mod load;
mod names;
mod objects;
mod reconcile;
mod resource;
pub mod scale;
mod server;
mod status;

pub use check::check;
pub use error::OperatorError;
pub use reconcile::{Settings, run};
pub use resource::{
    Agents, BrickGraph, BrickGraphSpec, BrickGraphStatus, Input, Reference, Tally, Volume, definition,
};
