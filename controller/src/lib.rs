//! The controller's policy: snapshots of a running graph in, plans out (LEGO §III-C, µNF §IV-E).
//!
//! [`Policy`] finds the bottleneck and decides. [`Costs`] are what `legonf profile` measured; a [`Model`] computes from them what
//! a plan can carry. [`Simulation`] runs a policy in virtual time. Nothing here reads a clock, starts a thread or sees a
//! packet: time is in the snapshots.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod costs;
mod error;
mod event;
mod hosts;
mod model;
mod moves;
mod policy;
mod promise;
mod refresh;
mod sim;
mod sla;

pub use config::{Config, Scaling};
pub use costs::{Cost, Costs};
pub use error::ControllerError;
pub use event::{Action, Decision, Event, Figures};
pub use hosts::{HostOffer, HostPlan, HostShare, Hosted};
pub use model::{Forecast, Model, StageForecast};
pub use policy::Policy;
pub use promise::{Broken, Promises};
pub use sim::{Conditions, Simulation, Step};
pub use sla::{Deadline, Sla, deadlines, full, patience};
