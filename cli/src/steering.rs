//! The controller's options, for every command that runs a graph under it.

use crate::summary::width::fit;
use clap::Args;
use legonf_controller::Event;
use std::path::PathBuf;

/// How the controller decides, and where it writes what it did.
#[derive(Args)]
pub struct Steering {
    /// How the controller decides (TOML); without it by its defaults.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// What the bricks cost, of `legonf profile`: by it stages are divided.
    #[arg(long, value_name = "FILE")]
    costs: Option<PathBuf>,
    /// Where the costs go as they are at the end (TOML), measured by the processor time of the workers. Bricks that shared a
    /// worker all the time keep the proportions of --costs, or have the same cost.
    #[arg(long, value_name = "FILE")]
    costs_out: Option<PathBuf>,
    /// The event log: a line of JSON for each decision.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
}

impl Steering {
    /// What the engine takes.
    pub fn given(&self) -> legonf_engine::Steering {
        let Self { policy, costs, costs_out, events } = self;
        legonf_engine::Steering {
            policy: policy.clone(),
            costs: costs.clone(),
            costs_out: costs_out.clone(),
            events: events.clone(),
        }
    }

    /// Whether any of the options is given.
    #[cfg(feature = "live")]
    pub fn is_given(&self) -> bool {
        [&self.policy, &self.costs, &self.costs_out, &self.events].into_iter().any(Option::is_some)
    }
}

/// A line of text for each event.
pub fn lines(events: &[Event]) -> String {
    fit(&events.iter().map(|event| event.text() + "\n").collect::<String>())
}
