//! What `replay` and `live` have in common: which network function scores packets, and the words on what it found.

use crate::Style;
use crate::failure::{Failure, json};
use crate::summary;
use crate::warming::Warming;
use crate::workers::Workers;
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use legonf_engine::{Execution, HotStandby, ModelFile, Placement, Report, Seed};
use legonf_output::one_line;
use std::path::{Path, PathBuf};

/// The files of a graph's models.
#[derive(Args)]
pub struct ModelFiles {
    /// Model of `legonf train`, or of `legonf model import`. For a graph file with `[models]`: NAME=FILE gives the one of this name its
    /// file, instead of the one that stands there; once for each. A file with a name like that is ./NAME=FILE.
    #[arg(long = "model", value_name = "[NAME=]FILE", value_parser = OsStringValueParser::new().map(ModelFile::from))]
    pub files: Vec<ModelFile>,
}

/// Which network function scores packets, and how.
#[derive(Args)]
pub struct Scoring {
    #[command(flatten)]
    models: ModelFiles,
    /// Network function: the name of one that ships (`kitsune`, the default, `kitsune-detector` or `kitsune-onnx`), or a graph file (TOML);
    /// `legonf graph show --toml` prints one to start from.
    #[arg(long, visible_alias = "graph", value_name = "NAME|FILE")]
    nf: Option<PathBuf>,
    #[command(flatten)]
    workers: Workers,
    #[command(flatten)]
    placement: Placement,
    #[command(flatten)]
    redundancy: HotStandby,
    #[command(flatten)]
    execution: Execution,
    /// Scores above this are anomalous, instead of the model's calibrated threshold.
    #[arg(long, value_name = "RMSE")]
    threshold: Option<f64>,
    /// Seed by which streams are divided into slots: what `summary.json`, or the comment of a recording, says of an earlier run.
    /// Without it `live` takes a random one, and the others a fixed one. It shows in the results only where streams were evicted.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    slot_seed: Option<u64>,
    #[command(flatten)]
    warming: Warming,
}

impl Scoring {
    /// What the engine takes; streams are divided into slots by `seed` where none is given.
    pub fn given(&self, seed: Seed) -> legonf_engine::Scoring {
        legonf_engine::Scoring {
            models: self.models.files.clone(),
            graph: self.nf.clone(),
            workers: self.workers.given(),
            execution: self.execution,
            threshold: self.threshold,
            seed: self.slot_seed.map_or(seed, Seed::Given),
            warm_up: self.warming.given(),
            state: self.warming.states.state.clone(),
            state_out: self.warming.states.state_out.clone(),
            swaps: Vec::new(),
            placement: self.placement.clone(),
            redundancy: self.redundancy.clone(),
        }
    }

    /// The files that are written whatever the command is.
    pub fn outputs(&self) -> Option<&Path> {
        self.warming.states.state_out.as_deref()
    }
}

/// A report, in the style that is asked for; empty where none is asked for.
pub fn render(report: &Report, style: Style) -> Result<String, Failure> {
    if style.json {
        return json(report);
    }
    if style.quiet {
        return Ok(String::new());
    }
    let mut text =
        summary::text(&report.summary, report.timing)? + &summary::disturbances(&report.disturbances);
    text += &report.standby.as_ref().map_or_else(String::new, summary::standby);
    text += &report.service.as_ref().map_or_else(String::new, summary::service);
    for output in &report.outputs {
        text += &format!("written     {}\n", one_line(output));
    }
    Ok(summary::width::fit(&text))
}
