//! `legonf run`: a capture through the brick graph under the controller.

use crate::failure::Failure;
use crate::steering::Steering;
use crate::{Style, replay};
use clap::Args;
use std::path::PathBuf;

/// Runs a capture as `legonf replay` does, with the same results, under the controller: every 100 ms it looks at what each
/// worker does, finds the bottleneck by itself, and changes the layout while packets flow. --workers is the layout to begin
/// with. What was decided, with the figures behind it, is in --events. `legonf live --controller` does so with the packets of an
/// interface.
///
/// The policy (TOML) says when: `high`, `low`, `imbalance`, `ticks_up`, `ticks_down`, `cooldown`, `max_workers`, `cores`, `fuse`,
/// `trial`, `challenge`, `refresh`, `scaling` (brick, graph or fixed), and in `[sla]` `rate` (packets/s) and `latency_ms`. Each brick gets its part
/// of the latency as its deadline, in proportion to its cost; that of the source and of packet batching is how long a live packet
/// waits, at most, for its batch to be full. Ticks in which a promise or a deadline is not kept are counted
/// (`end` in the event log, `controller` in --json); one that the costs say cannot be kept is refused at once.
#[derive(Args)]
pub struct Arguments {
    /// Network function: the name of one that ships, such as `kitsune`, or a graph file (TOML).
    #[arg(value_name = "GRAPH", conflicts_with = "nf")]
    function: PathBuf,
    #[command(flatten)]
    replay: replay::Arguments,
    #[command(flatten)]
    steering: Steering,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let steering = arguments.steering.given();
    style.check_outputs(steering.outputs())?;
    arguments.replay.check(style)?;
    let mut replay = arguments.replay.given();
    replay.scoring.graph = Some(arguments.function.clone());
    replay.steering = Some(steering);
    replay::replay(&replay, style)
}
