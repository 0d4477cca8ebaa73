//! A run under the controller: what it is told, and what it leaves.

use crate::agent::{Agent, cores};
#[cfg(feature = "live")]
use crate::agent::{batching, hold};
use crate::folder::write_text;
use crate::scoring::Function;
use crate::{Error, reading};
use legonf_controller::{Config, ControllerError, Costs, Event};
#[cfg(feature = "live")]
use legonf_core::{Plan, State};
use std::path::{Path, PathBuf};

/// How the controller decides, and where it writes what it did.
#[derive(Clone, Debug, Default)]
pub struct Steering {
    /// How it decides (TOML); without it by its defaults.
    pub policy: Option<PathBuf>,
    /// What the bricks cost, as a [`Profile`](crate::Profile) says: by it stages are divided.
    pub costs: Option<PathBuf>,
    /// Where the costs go as they are at the end (TOML), measured by the processor time of the workers.
    pub costs_out: Option<PathBuf>,
    /// The event log: a line of JSON for each decision.
    pub events: Option<PathBuf>,
}

/// What the files say that were given.
#[derive(Clone)]
pub(crate) struct Orders {
    config: Config,
    costs: Option<Costs>,
}

/// What was run under a controller.
pub(crate) struct Work {
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
        let facts: Vec<_> = all.map(|id| (id, State::Serial)).collect();
        let batching = batching(&facts);
        let costs = self.costs.clone();
        let costs = costs.unwrap_or_else(|| Costs::unknown("", legonf_core::BATCH, facts));
        hold(&self.config, &costs, &batching)
    }
}

impl Steering {
    /// The files that it writes.
    pub fn outputs(&self) -> impl Iterator<Item = &Path> {
        [&self.costs_out, &self.events].into_iter().filter_map(Option::as_deref)
    }

    /// Reads the files that are given.
    pub(crate) fn orders(&self) -> Result<Orders, Error> {
        let of_policy = |path: &Path| reading::parsed(path, reading::TABLE, policy);
        let config = self.policy.as_deref().map(of_policy).transpose()?;
        let costs = self.costs.as_deref().map(read_costs).transpose()?;
        Ok(Orders { config: config.unwrap_or_default(), costs })
    }

    /// The controller of a function.
    pub(crate) fn agent(&self, orders: Orders, function: &mut Function) -> Result<Agent, Error> {
        let agent = Agent::new(function.facts(), orders.config, orders.costs, self.events.as_deref())?;
        Ok(agent.with_swaps(function.swaps().cloned()).with_hosts(function.hosts()))
    }

    /// Writes the costs, ends the event log, and gives what is in it.
    pub(crate) fn conclude(&self, agent: &mut Agent, work: Work) -> Result<Vec<Event>, Error> {
        let packets = work.packets;
        if let Some(path) = &self.costs_out {
            write_costs(path, agent.costs(), work)?;
        }
        Ok(agent.finish(packets)?.to_vec())
    }
}

/// Reads a policy that fits this host.
pub(crate) fn policy(text: &str) -> Result<Config, ControllerError> {
    let config = Config::from_toml(text)?;
    config.check_host(cores() as f64).map(|()| config)
}

/// Reads a file of costs.
///
/// # Errors
/// In one line that names the file and the key.
pub fn read_costs(path: &Path) -> Result<Costs, Error> {
    reading::parsed(path, reading::TABLE, Costs::from_toml)
}

fn write_costs(path: &Path, costs: &Costs, work: Work) -> Result<(), Error> {
    let mut costs = costs.clone();
    (costs.capture, costs.packets) = (work.capture, work.packets);
    if costs.graph.is_empty() {
        costs.graph = work.graph;
    }
    if costs.total() == 0.0 {
        let reason = "the run was over before anything was measured";
        return Err(Error::file(path, format!("not written: {reason}")));
    }
    write_text(path, &costs.to_toml())
}
