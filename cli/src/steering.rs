//! The controller's options, for every command that runs a graph under it.

use crate::Style;
use crate::agent::host::cores;
use crate::agent::{self, Agent, read};
use crate::failure::Failure;
use crate::overwrite::write_text;
use crate::reading;
use crate::scoring::Function;
use clap::Args;
#[cfg(feature = "live")]
use legonf_controller::State;
use legonf_controller::{Config, Costs};
#[cfg(feature = "live")]
use legonf_core::Plan;
use std::path::{Path, PathBuf};

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

/// What the files say that were given.
#[derive(Clone)]
pub struct Orders {
    config: Config,
    costs: Option<Costs>,
}

/// What was run under a controller.
pub struct Work {
    /// Name of the graph.
    pub graph: String,
    /// Name of the capture or the interface.
    pub capture: String,
    /// Packets whose results the sink took.
    pub packets: u64,
}

#[cfg(feature = "live")]
impl Orders {
    /// How long a batch may wait to be full, as far as that is known before the model is.
    pub fn hold(&self, bricks: Vec<String>) -> Option<std::time::Duration> {
        let ends = |id: &str| [id.to_owned()];
        let all = ends(Plan::SOURCE).into_iter().chain(bricks).chain(ends(Plan::SINK));
        let facts: Vec<_> = all.map(|id| (id, State::Single)).collect();
        let batching = agent::batching(&facts);
        let costs = self.costs.clone();
        let costs = costs.unwrap_or_else(|| Costs::unknown("", legonf_core::BATCH, facts));
        agent::hold(&self.config, &costs, &batching)
    }
}

impl Steering {
    /// Whether any of the options is given.
    #[cfg(feature = "live")]
    pub fn is_given(&self) -> bool {
        [&self.policy, &self.costs, &self.costs_out, &self.events].into_iter().any(Option::is_some)
    }

    /// Refuses files that would be overwritten.
    pub fn check_outputs(&self, style: Style) -> Result<(), Failure> {
        style.check_outputs([&self.costs_out, &self.events].into_iter().filter_map(Option::as_deref))
    }

    /// Reads the files that are given.
    pub fn orders(&self) -> Result<Orders, Failure> {
        let policy = |text: &str| {
            let config = Config::from_toml(text)?;
            config.check_host(cores() as f64).map(|()| config)
        };
        let config = self.policy.as_deref().map(|path| read(path, reading::TABLE, policy)).transpose()?;
        let costs =
            self.costs.as_deref().map(|path| read(path, reading::TABLE, Costs::from_toml)).transpose()?;
        Ok(Orders { config: config.unwrap_or_default(), costs })
    }

    /// The controller of a function.
    pub fn agent(&self, orders: Orders, function: &mut Function) -> Result<Agent, Failure> {
        Agent::new(function, orders.config, orders.costs, self.events.as_deref())
    }

    /// Writes the costs, ends the event log, and gives what is in it as lines of text.
    pub fn conclude(&self, agent: &mut Agent, work: Work) -> Result<String, Failure> {
        let packets = work.packets;
        if let Some(path) = &self.costs_out {
            write_costs(path, agent.costs(), work)?;
        }
        Ok(agent.finish(packets)?.iter().map(|event| event.text() + "\n").collect())
    }
}

fn write_costs(path: &Path, costs: &Costs, work: Work) -> Result<(), Failure> {
    let mut costs = costs.clone();
    (costs.capture, costs.packets) = (work.capture, work.packets);
    if costs.graph.is_empty() {
        costs.graph = work.graph;
    }
    if costs.total() == 0.0 {
        let reason = "the run was over before anything was measured";
        return Err(Failure::fault(format!("{}: not written: {reason}", path.display())));
    }
    write_text(path, &costs.to_toml())
}
