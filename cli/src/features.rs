//! `legonf features`: the feature matrix of a capture.

use crate::failure::{Failure, print, print_json};
use crate::progress::Bar;
use crate::summary::clock::ClockReport;
use crate::supply::Maker;
use crate::workers::Workers;
use crate::{Style, input, interrupt, kitsune};
use clap::Args;
use legonf_catalog::Context;
use legonf_core::{ColumnSpec, Malformed, Sink, count};
use legonf_extract::{Arithmetic, FEATURES};
use legonf_io::sink::Matrix;
use legonf_runtime::{BrickCounters, Graph, Outcome};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Writes one row of features for every packet; that of a packet whose link type is not parsed is NaN.
#[derive(Args)]
pub struct Arguments {
    /// Capture: pcap, pcapng or Kitsune's TSV, plain, gzip or zstd; `-` is standard input.
    capture: PathBuf,
    /// Where the matrix goes; the ending (.npy, .csv or .parquet) names the format.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Feature schema: kitsune-115-clean, or kitsune-115 and kitsune-py-100, which reproduce what was published.
    #[arg(long, default_value = legonf_extract::DEFAULT_SCHEMA)]
    schema: String,
    /// `reference` gives the bits of the reference implementation, `fast` is quicker within a stated tolerance.
    #[arg(long, default_value = "reference")]
    arithmetic: Arithmetic,
    /// Read only the first N packets.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    workers: Workers,
}

#[derive(Serialize)]
struct Report {
    output: String,
    schema: String,
    schema_hash: String,
    rows: u64,
    /// Rows of packets whose link type is not parsed.
    rejected: u64,
    columns: usize,
    counters: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<ClockReport>,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    style.check_results([&*arguments.output])?;
    let schema = legonf_extract::schema_by_name(&arguments.schema)?;
    let spec = kitsune::extraction(&arguments.schema, arguments.arithmetic);
    let mut graph = Graph::assemble(&spec, &[ColumnSpec::PACKETS], &[FEATURES], |b| {
        legonf_catalog::build(&b.kind, &b.config, &Context::default())
    })?;
    arguments.workers.check(&mut graph)?;
    let mut source = input::open(&arguments.capture, arguments.limit)?;
    let mut matrix = Matrix::create(&arguments.output, &schema)?;
    let bar = Bar::new("features", None, style.quiet);
    let maker = Maker { spec: &spec, network: None };
    let make = |id: &str| maker.make(id);
    let options = arguments.workers.options(interrupt::install(), Some(&make));
    let outcome =
        legonf_runtime::run(&mut graph, &mut *source, &mut matrix, options, &mut |p, n| bar.update(p, n));
    bar.clear();
    if !matches!(outcome.fault, Some(legonf_runtime::RunFault::Sink(_))) {
        matrix.finish()?;
    }
    let packets = count(outcome.packets, "packet");
    let written = format!("{} holds the {packets} before it", arguments.output.display());
    match outcome.fault {
        Some(legonf_runtime::RunFault::Sink(fault)) => return Err(fault.into()),
        Some(fault) => return Err(Failure::fault(format!("{fault}; {written}"))),
        None if outcome.stopped => return Err(Failure::Interrupted(written)),
        None => {}
    }
    let counters = flatten(&outcome.counters);
    let report = Report {
        output: arguments.output.display().to_string(),
        schema: schema.name.clone(),
        schema_hash: schema.hash().to_string(),
        rows: outcome.packets,
        columns: schema.len(),
        rejected: counters.get(Malformed::LinkType.label()).copied().unwrap_or(0),
        counters,
        clock: ClockReport::of(&outcome.clock, &schema.name),
    };
    show(&report, style)
}

/// All counters of a run that are not zero, by name.
pub fn flatten(counters: &[BrickCounters]) -> BTreeMap<String, u64> {
    let all = counters.iter().flat_map(|b| b.counters.iter());
    all.filter(|(_, value)| *value > 0).map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

/// [`flatten`] with what was wrong with the capture's clock, for records that have nothing but counters.
pub fn with_clock(outcome: &Outcome) -> BTreeMap<String, u64> {
    let clock = BrickCounters { id: String::new(), counters: outcome.clock.faults().counters().into() };
    let mut counters = flatten(&outcome.counters);
    counters.extend(flatten(&[clock]));
    counters
}

fn show(report: &Report, style: Style) -> Result<(), Failure> {
    if style.json {
        return print_json(report);
    }
    if style.quiet {
        return Ok(());
    }
    let counters: Vec<_> = report.counters.iter().map(|(name, value)| format!(", {name} {value}")).collect();
    print(&format!(
        "{}: {} of {} features ({}, {}){}\n{}",
        report.output,
        count(report.rows, "row"),
        report.columns,
        report.schema,
        report.schema_hash,
        counters.concat(),
        report.clock.iter().map(ClockReport::text).collect::<String>()
    ))
}
