//! `legonf run`: a capture through the brick graph under the controller.

use crate::failure::Failure;
use crate::invalid::Invalid;
use crate::steering::Steering;
use crate::{Style, replay};
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use legonf_engine::{ModelFile, Planned};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
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
    /// From packet SEQ (0 is the first) on another model judges, of the same features; once for each change. The results are the same
    /// in any layout. `legonf model swap` does so in a live run.
    #[arg(long, value_name = "SEQ=[NAME=]FILE", value_parser = OsStringValueParser::new().try_map(planned))]
    swap: Vec<Planned>,
    #[command(flatten)]
    steering: Steering,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let steering = arguments.steering.given();
    style.check_outputs(steering.outputs())?;
    arguments.replay.check(style)?;
    let mut replay = arguments.replay.given()?;
    replay.scoring.graph = Some(arguments.function.clone());
    replay.steering = Some(steering);
    replay.scoring.swaps = arguments.swap.clone();
    replay::replay(&replay, style)
}

/// A packet and the model that judges from it on.
fn planned(text: OsString) -> Result<Planned, Invalid> {
    let expected = || Invalid::Value("SEQ=FILE or SEQ=NAME=FILE, such as 100000=new.onnx");
    let bytes = text.as_bytes();
    let equals = bytes.iter().position(|byte| *byte == b'=').ok_or_else(expected)?;
    let seq = std::str::from_utf8(&bytes[..equals]).ok().and_then(|seq| seq.parse().ok());
    let file = &bytes[equals + 1..];
    match seq {
        Some(seq) if !file.is_empty() => {
            Ok(Planned { seq, model: ModelFile::from(OsStr::from_bytes(file).to_owned()) })
        }
        _ => Err(expected()),
    }
}
