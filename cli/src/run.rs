//! `legonf run`: a capture through the brick graph under the controller.

use crate::agent::{Agent, read};
use crate::failure::{Failure, print};
use crate::{Style, replay, scoring};
use clap::Args;
use legonf_controller::{Config, Costs};
use legonf_io::sink::OutputFile;
use std::path::{Path, PathBuf};

/// Runs a capture as `legonf replay` does, with the same results, under the controller: every 100 ms it looks at what each
/// worker does, finds the bottleneck by itself, and changes the layout while packets flow. --workers is the layout to begin
/// with. What was decided, with the figures behind it, is in --events.
///
/// The policy (TOML) says when: `high`, `low`, `imbalance`, `ticks_up`, `ticks_down`, `cooldown`, `max_workers`, `cores`, `fuse`,
/// `trial`, `refresh`, `scaling` (brick, graph or fixed), and in `[sla]` `rate` (packets/s) and `latency_ms`. Each brick gets its part
/// of the latency as its deadline, in proportion to its cost. Ticks in which a promise or a deadline is not kept are counted
/// (`end` in the event log, `controller` in --json); one that the costs say cannot be kept is refused at once.
#[derive(Args)]
pub struct Arguments {
    /// Graph file (TOML), or `kitsune` for the built-in graph.
    #[arg(value_name = "GRAPH", conflicts_with = "graph")]
    function: PathBuf,
    #[command(flatten)]
    replay: replay::Arguments,
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

impl Arguments {
    fn write_costs(&self, path: &Path, costs: &Costs, packets: u64) -> Result<(), Failure> {
        let mut costs = costs.clone();
        (costs.capture, costs.packets) = (self.replay.capture_name(), packets);
        if costs.graph.is_empty() {
            costs.graph = scoring::file_name(&self.function);
        }
        if costs.total() == 0.0 {
            let reason = "the run was over before anything was measured";
            return Err(Failure::fault(format!("{}: not written: {reason}", path.display())));
        }
        let mut file = OutputFile::create(path)?;
        file.put(costs.to_toml().as_bytes())?;
        Ok(file.finish()?)
    }
}

/// The graph file that GRAPH names; none where it is the built-in graph.
pub fn graph_file(graph: &Path) -> Option<PathBuf> {
    (graph != Path::new("kitsune")).then(|| graph.to_owned())
}

pub fn run(mut arguments: Arguments, style: Style) -> Result<(), Failure> {
    arguments.replay.set_graph(graph_file(&arguments.function));
    let config = arguments.policy.as_deref().map(|path| read(path, Config::from_toml)).transpose()?;
    let config = config.unwrap_or_default();
    let costs = arguments.costs.as_deref().map(|path| read(path, Costs::from_toml)).transpose()?;
    let events = arguments.events.as_deref();
    let mut prepare =
        |function: &mut scoring::Function| Agent::new(function, config.clone(), costs.clone(), events);
    let mut agent = None;
    let result = replay::replay(&arguments.replay, Some((&mut agent, &mut prepare)), style);
    if let Some((mut agent, packets)) = agent {
        if let Some(path) = &arguments.costs_out {
            arguments.write_costs(path, agent.costs(), packets)?;
        }
        let events = agent.finish(packets)?;
        if !style.quiet && !style.json {
            let lines: Vec<_> = events.iter().map(|event| event.text() + "\n").collect();
            print(&lines.concat())?;
        }
    }
    result
}
