//! `legonf flows`: a record for every flow of a capture.

use crate::Style;
use crate::failure::{Failure, show};
use crate::inputs::{Inputs, filtered_out};
use crate::invalid::Invalid;
use crate::summary;
use crate::workers::Workers;
use clap::Args;
use legonf_core::count;
use legonf_engine::arguments::time;
use legonf_engine::{FlowRecords, FlowsWritten};
use legonf_extract::flow::{FlowTableConfig, WAITS};
use std::path::PathBuf;
use std::time::Duration;

/// Writes a record for every flow, in both directions, with the names of IPFIX: who spoke to whom, since when, how many packets and
/// bytes each way, which TCP flags, and why the flow ended.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    inputs: Inputs,
    /// Where the records go; the ending names the format: .csv, .parquet, .npy, or .log for Zeek's conn.log. Without it flows are only counted.
    #[arg(long = "out", short, alias = "output", value_name = "FILE")]
    output: Option<PathBuf>,
    /// End a flow that had no packet for so long.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = timeout)]
    idle: Duration,
    /// End a flow that lasts for so long; its next packet begins another.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = timeout)]
    active: Duration,
    /// Tell flows of different VLANs apart.
    #[arg(long)]
    vlan: bool,
    /// Tell flows of different tunnels (GRE, VXLAN, GENEVE, GTP-U) apart.
    #[arg(long)]
    tunnel: bool,
    #[command(flatten)]
    workers: Workers,
}

/// A time from a millisecond to a year.
fn timeout(text: &str) -> Result<Duration, Invalid> {
    let bounds = Duration::from_millis(1)..=Duration::from_secs_f64(WAITS);
    let time = time(text).ok().filter(|time| bounds.contains(time));
    time.ok_or(Invalid::Value("a time from 1ms to 365d, such as 60s"))
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    style.check_results(arguments.output.as_deref())?;
    show(&arguments.given().run(&style.session())?, text, style)
}

impl Arguments {
    /// What the engine takes.
    fn given(&self) -> FlowRecords {
        let Self { vlan, tunnel, idle, active, .. } = *self;
        let (idle, active) = (idle.as_secs_f64(), active.as_secs_f64());
        FlowRecords {
            captures: self.inputs.captures(),
            output: self.output.clone(),
            table: FlowTableConfig { vlan, tunnel, idle, active, ..FlowTableConfig::default() },
            limit: self.inputs.limit,
            workers: self.workers.given(),
        }
    }
}

fn text(report: &FlowsWritten) -> String {
    let none: Vec<_> =
        report.packets_in_none.iter().map(|(why, packets)| format!(" + {packets} {why}")).collect();
    format!(
        "{}{}\n{} = {} in flows{}\n{}{}",
        report.output.iter().map(|file| format!("{file}: ")).collect::<String>(),
        count(report.flows, "flow"),
        count(report.packets, "packet"),
        report.packets_in_flows,
        none.concat(),
        filtered_out(report.filtered_out),
        report.clock.iter().map(summary::clock::text).collect::<String>()
    )
}
