//! `legonf run`: a capture through the brick graph under the controller.

use crate::agent::{Agent, read};
use crate::failure::{Failure, print};
use crate::{Style, replay};
use clap::Args;
use legonf_controller::{Config, Costs};
use std::path::{Path, PathBuf};

/// Runs a capture as `legonf replay` does, with the same results, under the controller: every 100 ms it looks at what each
/// worker does, finds the bottleneck by itself, and changes the layout while packets flow. --workers is the layout to begin
/// with. What was decided, with the figures behind it, is in --events.
///
/// The policy (TOML) says when: `high`, `low`, `ticks_up`, `ticks_down`, `cooldown`, `max_workers`, `cores`, `fuse`,
/// `scaling` (brick, graph or fixed), and in `[sla]` `rate` (packets/s) and `latency_ms`.
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
    /// The event log: a line of JSON for each decision.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
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
        |function: &crate::scoring::Function| Agent::new(function, config.clone(), costs.clone(), events);
    let mut agent = None;
    let result = replay::replay(&arguments.replay, Some((&mut agent, &mut prepare)), style);
    if let Some((mut agent, packets)) = agent {
        let events = agent.finish(packets)?;
        if !style.quiet && !style.json {
            let lines: Vec<_> = events.iter().map(|event| event.text() + "\n").collect();
            print(&lines.concat())?;
        }
    }
    result
}
