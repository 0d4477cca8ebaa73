//! `legonf bench`: how fast the bricks are on this machine, and how near to what it can do.

use crate::Style;
use crate::failure::{Failure, print_json, show, tell};
use crate::summary::tables::fields;
use clap::Subcommand;
use legonf_experiments::bench::{Arguments, KEYS, graph, growth, networks, rows, transport};

/// The subcommands of `legonf bench`.
#[derive(Subcommand)]
pub enum Command {
    /// Kitsune, file to score, in one thread: packets a second end to end and of each brick, beside the floating-point
    /// rate and memory bandwidth that the same run measured.
    ///
    /// Bytes and floating-point operations of a packet are computed from what each stage reads and writes, and set beside
    /// what the core can do (the roofline): 100% is a stage that nothing but its arithmetic, or memory, or cache holds up.
    #[command(after_long_help = KEYS)]
    Kitsune(Arguments),
    #[command(about = "What a packet costs as streams, batches and features grow, with plots")]
    Growth(growth::Arguments),
    #[command(
        about = "The price of being bricks: beside plain functions, for each hop, beyond a replica for each core"
    )]
    Graph(graph::Arguments),
    #[command(about = "Convolutional networks on one core: rows a second, beside the core's peak rate")]
    Networks(networks::Arguments),
    #[command(about = "What it costs to send packets to another worker, process or host")]
    Transport(transport::Arguments),
}

pub fn run(command: &Command, style: Style) -> Result<(), Failure> {
    let session = style.session();
    match command {
        Command::Growth(arguments) => show(&growth::run(arguments, &session)?, growth::text, style),
        Command::Graph(arguments) => show(&graph::run(arguments, &session)?, graph::text, style),
        Command::Networks(arguments) => show(&networks::run(arguments, &session)?, networks::text, style),
        Command::Transport(arguments) => show(&transport::run(arguments, &session)?, transport::text, style),
        Command::Kitsune(arguments) => {
            let report = arguments.run(&session)?;
            if style.json { print_json(&report) } else { tell(&fields(&rows(&report))) }
        }
    }
}
