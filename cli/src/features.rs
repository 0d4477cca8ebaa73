//! `legonf features`: the feature matrix of a capture.

use crate::Style;
use crate::failure::{Failure, show};
use crate::inputs::{Inputs, filtered_out};
use crate::summary;
use crate::workers::Workers;
use clap::Args;
use legonf_core::count;
use legonf_engine::{Extracted, Extraction};
use std::path::PathBuf;

/// Writes one row of features for every packet; that of a packet whose link type is not parsed is NaN.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    inputs: Inputs,
    /// Where the matrix goes; the ending (.npy, .csv or .parquet) names the format.
    #[arg(long = "out", short, alias = "output", value_name = "FILE")]
    output: PathBuf,
    /// Feature schema: kitsune-115-clean, or kitsune-115 and kitsune-py-100, which reproduce what was published.
    #[arg(long, default_value = legonf_extract::DEFAULT_SCHEMA)]
    schema: String,
    #[command(flatten)]
    workers: Workers,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    style.check_results([&*arguments.output])?;
    show(&arguments.given().run(&style.session())?, text, style)
}

impl Arguments {
    /// What the engine takes.
    fn given(&self) -> Extraction {
        Extraction {
            captures: self.inputs.captures(),
            output: self.output.clone(),
            schema: self.schema.clone(),
            limit: self.inputs.limit,
            workers: self.workers.given(),
        }
    }
}

fn text(report: &Extracted) -> String {
    let counters: Vec<_> = report.counters.iter().map(|(name, value)| format!(", {name} {value}")).collect();
    format!(
        "{}: {} of {} features ({}, {}){}\n{}{}",
        report.output,
        count(report.rows, "row"),
        report.columns,
        report.schema,
        report.schema_hash,
        counters.concat(),
        filtered_out(report.filtered_out),
        report.clock.iter().map(summary::clock::text).collect::<String>()
    )
}
