//! `legonf profile`: what each brick of a graph costs.

use crate::Style;
use crate::failure::{Failure, show};
use crate::inputs::Filter;
use crate::scoring::ModelFiles;
use crate::summary::tables;
use clap::Args;
use legonf_controller::{Cost, Costs};
use legonf_engine::{Execution, Profile, write_text};
use std::path::PathBuf;

/// Runs a graph over a capture in one thread and measures each brick: nanoseconds of processor time a packet, bytes a packet
/// that it adds, bytes of state at the end; and what handing a batch from one worker to the next takes.
///
/// The sink is that of `legonf replay --out`, with all its files, which go into a temporary folder (TMPDIR). It is measured
/// with the alerts that the capture raises, and, since it takes longer for an alert, once more with every packet as one.
///
/// `legonf plan` and `legonf run` take what it writes. Of several runs the medians count.
#[derive(Args)]
pub struct Arguments {
    /// Network function: the name of one that ships, such as `kitsune`, or a graph file (TOML).
    graph: PathBuf,
    /// Captures (pcap, pcapng or Kitsune's TSV), and folders of them, read as one in the order of their first packets.
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    models: ModelFiles,
    /// Where the costs go (TOML).
    #[arg(long = "out", short, alias = "output", value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    execution: Execution,
    /// Scores above this are alerts, instead of the model's calibrated threshold.
    #[arg(long, value_name = "RMSE")]
    threshold: Option<f64>,
    /// Runs, after one that warms up.
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Read only the first N packets.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    style.check_results(arguments.output.as_deref())?;
    let costs = arguments.given().measure(&style.session())?;
    if let Some(path) = &arguments.output {
        write_text(path, &costs.to_toml())?;
    }
    show(&costs, table, style)
}

impl Arguments {
    /// What the engine takes.
    fn given(&self) -> Profile {
        Profile {
            graph: Some(self.graph.clone()),
            captures: self.filter.of(&self.captures),
            models: self.models.files.clone(),
            execution: self.execution,
            threshold: self.threshold,
            runs: self.runs,
            limit: self.limit,
        }
    }
}

/// What each brick costs, a row each.
fn bricks(costs: &Costs) -> String {
    let headings = ["brick", "state", "ns/packet", "share", "bytes/packet", "state bytes"];
    let cells = |brick: &Cost| {
        vec![
            brick.id.clone(),
            format!("{:?}", brick.state).to_lowercase(),
            format!("{:.1}", brick.ns),
            format!("{:.1}%", brick.ns / costs.total() * 100.0),
            format!("{:.1}", brick.bytes),
            brick.state_bytes.to_string(),
        ]
    };
    let rows: Vec<_> = costs.bricks.iter().map(cells).collect();
    let line = |row: &[String]| {
        format!("{:<20} {:<10} {:>10} {:>7} {:>14} {:>14}\n", row[0], row[1], row[2], row[3], row[4], row[5])
    };
    tables::table(&headings, &rows, line)
}

fn table(costs: &Costs) -> String {
    let mut out = bricks(costs);
    let total = costs.total();
    let flood = costs.flood_ns.unwrap_or_default();
    out += &format!(
        "alerts: {:.3}% of the packets; where every packet is one, the sink takes {flood:.1} ns a packet\n",
        costs.alert_share * 100.0
    );
    out + &format!(
        "one worker: {:.0} packets/s of processor time; a hop between workers: {:.0} ns a batch of {:.0} packets\n",
        1e9 / total,
        costs.hop_ns,
        costs.batch
    )
}
