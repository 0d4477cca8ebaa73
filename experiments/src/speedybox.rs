//! SpeedyBox's figures: what it costs to process a packet by a chain, its functions one after the other and on one fast path.

mod chain;
mod traffic;

use crate::ExperimentError;
use chain::{Chain, Ways};
use clap::Args;
use legonf_core::Progress;
use legonf_engine::{Error, Extent, Session};
use serde::Serialize;
use std::fmt::Write;
use traffic::Traffic;

/// Processes 64-byte packets of some flows in memory, in batches, by the functions of a chain one after the other and on one fast path, in turns. What is measured is the
/// processor time from bytes to what becomes of a packet: parsing, the chain, and what is done to the packet.
#[derive(Args)]
pub struct Arguments {
    /// Packets of each measurement.
    #[arg(long, default_value_t = 2_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(10_000..=1_000_000_000))]
    packets: u64,
    /// Flows that the packets are of; of figure 9 those that are timed.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    flows: u32,
    /// Rules of each filter, of which no packet matches one.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=250))]
    rules: u32,
}

/// Which figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Figure 4: one to three filters that forward.
    Four,
    /// Table III: two filters that forward, and one that drops.
    Three,
    /// Figure 8: one to nine filters.
    Eight,
    /// Figure 9: the time that flows take in NAT, load balancer, monitor and filter.
    Nine,
}

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    figure: &'static str,
    packets: u64,
    flows: u32,
    rules: u32,
    chains: Vec<Measured>,
}

/// A chain both ways. Times are medians over turns.
#[derive(Serialize)]
struct Measured {
    chain: String,
    /// Nanoseconds of processor time: of a packet, or of a flow in figure 9.
    one_after_the_other_ns: f64,
    fast_path_ns: f64,
    /// The same of packets that begin a flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_one_after_the_other_ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_fast_path_ns: Option<f64>,
    change_percent: f64,
    /// What the paper found on BESS, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    paper_percent: Option<f64>,
}

impl Figure {
    const fn name(self) -> &'static str {
        match self {
            Self::Four => "speedybox-figure4",
            Self::Three => "speedybox-table3",
            Self::Eight => "speedybox-figure8",
            Self::Nine => "speedybox-figure9",
        }
    }

    /// The chains, and what the paper found.
    fn chains(self, rules: u32) -> Vec<(Chain, Option<f64>)> {
        let filters = |count| Chain::filters(count, rules, false);
        match self {
            Self::Four => vec![(filters(1), None), (filters(2), Some(-40.9)), (filters(3), Some(-57.7))],
            Self::Three => vec![(Chain::filters(3, rules, true), Some(-65.0))],
            Self::Eight => (1..=9).map(|count| (filters(count), None)).collect(),
            Self::Nine => vec![(Chain::gateway(rules), Some(-39.6))],
        }
    }
}

/// Runs a figure.
///
/// # Errors
/// If both ways differ in what becomes of packets, or the run is stopped.
pub fn run(figure: Figure, arguments: &Arguments, session: &Session) -> Result<Report, ExperimentError> {
    let Arguments { packets, flows, rules } = *arguments;
    let chains = figure.chains(rules);
    let bar = session.begin(figure.name(), Extent::Packets(packets * chains.len() as u64));
    let mut measured = Vec::new();
    for (at, (chain, paper)) in chains.into_iter().enumerate() {
        if session.is_stopped() {
            return Err(Error::Interrupted("chains were not measured to the end".into()).into());
        }
        let mut ways = Ways::new(&chain)?;
        measured.push(match figure {
            Figure::Nine => of_flows(&chain, &mut ways, flows, paper)?,
            _ => of_packets(&chain, &mut ways, arguments, paper)?,
        });
        let done = packets * (at as u64 + 1);
        bar.update(Progress { read_bytes: done, total_bytes: None }, done);
    }
    drop(bar);
    Ok(Report { figure: figure.name(), packets, flows, rules, chains: measured })
}

/// Turns of each way.
const TURNS: u64 = 20;

fn of_packets(
    chain: &Chain,
    ways: &mut Ways,
    arguments: &Arguments,
    paper: Option<f64>,
) -> Result<Measured, ExperimentError> {
    let traffic = Traffic::new(arguments.flows);
    let first = ways.both(|way| way.spend(&traffic, arguments.flows.into()));
    let each = arguments.packets / TURNS;
    let turns: Vec<[f64; 2]> = (0..TURNS).map(|_| ways.both(|way| way.spend(&traffic, each))).collect();
    ways.check()?;
    let median = |way: usize| median(turns.iter().map(|turn| turn[way]).collect()) / each as f64;
    let first = first.map(|spent| spent / f64::from(arguments.flows));
    Ok(Measured::new(chain, [median(0), median(1)], Some(first), paper))
}

/// Flows of some packets each, one after the other: the median of their times.
fn of_flows(
    chain: &Chain,
    ways: &mut Ways,
    flows: u32,
    paper: Option<f64>,
) -> Result<Measured, ExperimentError> {
    let times: Vec<[f64; 2]> = (0..flows)
        .map(|flow| {
            let traffic = Traffic::one(flow);
            ways.both(|way| way.spend(&traffic, traffic::length(flow)))
        })
        .collect();
    ways.check()?;
    let median = |way: usize| median(times.iter().map(|time| time[way]).collect());
    Ok(Measured::new(chain, [median(0), median(1)], None, paper))
}

impl Measured {
    fn new(chain: &Chain, [chained, fast]: [f64; 2], first: Option<[f64; 2]>, paper: Option<f64>) -> Self {
        Self {
            chain: chain.name.clone(),
            one_after_the_other_ns: chained,
            fast_path_ns: fast,
            first_one_after_the_other_ns: first.map(|both| both[0]),
            first_fast_path_ns: first.map(|both| both[1]),
            change_percent: 100.0 * (fast / chained - 1.0),
            paper_percent: paper,
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// A report as text.
pub fn text(report: &Report) -> String {
    let unit = if report.figure == Figure::Nine.name() { "flow (median)" } else { "packet" };
    let mut out = format!(
        "{} packets of {} flows, filters of {} rules; nanoseconds of processor time a {unit}\n\n{:34}{:>12}{:>12}{:>10}{:>10}\n",
        report.packets, report.flows, report.rules, "", "in turn", "fast path", "change", "paper"
    );
    for row in &report.chains {
        let paper = row.paper_percent.map_or_else(String::new, |percent| format!("{percent:+.1}%"));
        let change = format!("{:+.1}%", row.change_percent);
        let (chained, fast) = (row.one_after_the_other_ns, row.fast_path_ns);
        let _ = writeln!(out, "{:34}{chained:>12.1}{fast:>12.1}{change:>10}{paper:>10}", row.chain);
        if let (Some(chained), Some(fast)) = (row.first_one_after_the_other_ns, row.first_fast_path_ns) {
            let _ = writeln!(out, "{:34}{chained:>12.1}{fast:>12.1}", "  first packet of a flow");
        }
    }
    out
}

/// What differs.
fn differs(what: &str, [chained, fast]: [&dyn std::fmt::Debug; 2]) -> ExperimentError {
    Error::refused(format!("{what}: {chained:?} one after the other, {fast:?} on the fast path")).into()
}
