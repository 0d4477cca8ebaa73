//! `legonf replay`: a capture through the brick graph, a score and a verdict for every packet.

mod outputs;
mod tally;

use crate::failure::{Failure, print, print_json};
use crate::input;
use crate::network::Network;
use crate::progress::Bar;
use crate::summary::{Summary, Timing};
use crate::{Style, features, graph, interrupt, kitsune};
use clap::{Args, ValueEnum};
use legonf_core::{Brick, Column, Columns};
use legonf_extract::Arithmetic;
use legonf_io::Content;
use legonf_io::labels::Labels;
use legonf_runtime::{BrickSpec, Graph, GraphSpec, Layout, Options, Outcome, RunFault};
use outputs::{Outputs, Purpose};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tally::Tally;

/// Runs a capture through packet batching, feature quantization, feature mapping, autoencoder and sample-result
/// quantization, and writes what each packet scored.
///
/// With --out the folder gets scores.csv (or .parquet), eve.json (alerts in Suricata's schema), alerts.pcapng (their
/// packets), scores.svg and scores.png, and summary.json. Two replays of one capture write the same bytes,
/// whatever --workers says.
///
/// A table of features in place of the capture starts at feature mapping: Kitsune's published CSV files, N-BaIoT's,
/// and those of `legonf features`. Its rows have no time (0 stands for it) and no packets (no alerts.pcapng).
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Capture (pcap, pcapng or Kitsune's TSV) or table of features (CSV, .npy), plain, gzip or zstd; `-` is standard
    /// input.
    capture: PathBuf,
    /// Model of `legonf train`, or of `legonf model import`.
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Folder for the results; it must not exist yet.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write into --out even if it exists; files of the same names are replaced.
    #[arg(long, requires = "out")]
    force: bool,
    /// Format of the scores.
    #[arg(long, value_enum, default_value_t = ScoreFormat::Csv)]
    scores: ScoreFormat,
    /// Truth of every packet: lines `index,label` or one label a line (0/1, benign/malicious), for AUC, TPR and FPR.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Graph file (TOML) instead of the built-in graph; `legonf graph show --toml` prints one to start from.
    #[arg(long, value_name = "FILE")]
    graph: Option<PathBuf>,
    /// Layout: everything in one thread, or a worker for each brick. The results are the same.
    #[arg(long, value_enum, default_value_t = Workers::Bricks)]
    workers: Workers,
    /// Network engine: `kitnet` is legonf's own, `onnx` the generic one (tract), which runs any model.
    #[arg(long, value_enum)]
    engine: Option<EngineKind>,
    /// Arithmetic of the features; without it the one that the model was trained with.
    #[arg(long)]
    arithmetic: Option<Arithmetic>,
    /// Scores above this are anomalous, instead of the model's calibrated threshold.
    #[arg(long, value_name = "RMSE")]
    threshold: Option<f64>,
    /// Read only the first N packets.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Workers {
    Monolithic,
    Bricks,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScoreFormat {
    Csv,
    Parquet,
}

/// The engine that computes scores.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineKind {
    /// legonf's own KitNET kernel in f64.
    Kitnet,
    /// tract, over the ONNX graph.
    Onnx,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    timing: Timing,
    outputs: Vec<String>,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let model = Network::load(&arguments.model)?;
    let threshold = arguments.threshold.or(model.threshold());
    let (content, mut source) = input::open_any(&arguments.capture, arguments.limit, model.schema())?;
    let spec = arguments.spec(&model, content)?;
    let mut graph = assemble(&spec, content, &model, threshold)?;
    let labels = arguments.labels.as_deref().map(Labels::open).transpose()?;
    let mut tally = Tally::new(labels, arguments.outputs(content, &model, threshold)?);

    let bar = Bar::new("replay", None, style.quiet);
    let layout = if arguments.workers == Workers::Bricks { Layout::Bricks } else { Layout::Monolithic };
    let options = Options { layout, queue: 8, stop: interrupt::install() };
    let start = Instant::now();
    let outcome =
        legonf_runtime::run(&mut graph, &mut *source, &mut tally, options, &mut |p, n| bar.update(p, n));
    let seconds = start.elapsed().as_secs_f64();
    bar.clear();
    let timing = Timing { seconds, packets_per_second: outcome.packets as f64 / seconds.max(1e-9) };
    arguments.conclude(&model, threshold, tally, outcome, timing, style)
}

/// Builds the graph's bricks around a model.
pub fn assemble(
    spec: &GraphSpec,
    content: Content,
    model: &Network,
    threshold: Option<f64>,
) -> Result<Graph, Failure> {
    assemble_with(spec, content, model, threshold, |_, brick| brick)
}

/// [`assemble`] with something put around each brick, which is given with its identifier.
pub fn assemble_with(
    spec: &GraphSpec,
    content: Content,
    model: &Network,
    threshold: Option<f64>,
    wrap: impl Fn(&str, Box<dyn Brick>) -> Box<dyn Brick>,
) -> Result<Graph, Failure> {
    let wanted = Columns::of(&[Column::Scores, Column::Verdicts]);
    let engine = || model.engine();
    let context = model.context(threshold, &engine);
    let given = match content {
        Content::Packets => Columns::of(&[Column::Packets]),
        Content::Features => Columns::of(&[Column::Features]),
    };
    let make =
        |b: &BrickSpec| legonf_catalog::build(&b.kind, &b.config, &context).map(|brick| wrap(&b.id, brick));
    Ok(Graph::assemble(spec, given, wanted, make)?)
}

/// The built-in graph for a model, with an engine that can run it.
pub fn built_in(
    model: &Network,
    content: Content,
    engine: Option<EngineKind>,
    arithmetic: Option<Arithmetic>,
) -> GraphSpec {
    let arithmetic = arithmetic.unwrap_or(model.arithmetic());
    let own = engine.map_or(model.kitnet().is_some(), |e| e == EngineKind::Kitnet);
    let schema = &model.schema().name;
    kitsune::deciding(match content {
        Content::Features => kitsune::scoring_features(own),
        Content::Packets if own => kitsune::scoring(schema, arithmetic),
        Content::Packets => kitsune::generic_scoring(schema, arithmetic),
    })
}

impl Arguments {
    fn spec(&self, model: &Network, content: Content) -> Result<GraphSpec, Failure> {
        match &self.graph {
            Some(path) => graph::read(path),
            None => Ok(built_in(model, content, self.engine, self.arithmetic)),
        }
    }

    fn outputs(
        &self,
        content: Content,
        model: &Network,
        threshold: Option<f64>,
    ) -> Result<Option<Outputs>, Failure> {
        let Some(folder) = &self.out else { return Ok(None) };
        let item = if content == Content::Features { "row" } else { "packet" };
        let title = format!("{}: anomaly score of every {item}", file_name(&self.capture));
        let (force, format, explain) = (self.force, self.scores, model.explainer());
        Ok(Some(Outputs::create(Purpose { folder, force, format, content, title, threshold, explain })?))
    }

    /// Completes the outputs, prints the summary, and says how the replay ended.
    fn conclude(
        &self,
        model: &Network,
        threshold: Option<f64>,
        mut tally: Tally,
        outcome: Outcome,
        timing: Timing,
        style: Style,
    ) -> Result<(), Failure> {
        if let Some(RunFault::Sink(fault)) = outcome.fault {
            return Err(fault.into());
        }
        let mut summary = self.summary(model, threshold, &mut tally, &outcome);
        let ended = self.ending(&mut tally, &outcome);
        summary.ended_early = ended.clone();
        let coverage = tally.coverage().clone();
        let mut written = Vec::new();
        if let Some(outputs) = tally.outputs() {
            written = outputs.finish(&coverage, &outcome.counters)?;
            written.push(outputs.summarize(&summary)?);
        }
        self.show(&summary, timing, written, style)?;
        match ended {
            None => Ok(()),
            Some(reason) if outcome.stopped => Err(Failure::Interrupted(reason)),
            Some(reason) => Err(Failure::Fault(reason)),
        }
    }

    /// Why the replay ended before the end of the capture, and up to where the results are complete.
    fn ending(&self, tally: &mut Tally, outcome: &Outcome) -> Option<String> {
        let written = format!("the results are complete for the {} packets before it", outcome.packets);
        if let Some(fault) = &outcome.fault {
            return Some(format!("{fault}; {written}"));
        }
        if outcome.stopped {
            return Some(format!("stopped after {} packets, whose results are complete", outcome.packets));
        }
        // A limit leaves labels over, which is not a fault.
        if self.limit.is_some() { None } else { tally.check_labels().err() }
    }

    fn summary(
        &self,
        model: &Network,
        threshold: Option<f64>,
        tally: &mut Tally,
        outcome: &Outcome,
    ) -> Summary {
        let schema = model.schema();
        Summary {
            capture: file_name(&self.capture),
            model: file_name(&self.model),
            schema: schema.name.clone(),
            schema_hash: schema.hash().to_string(),
            arithmetic: self.arithmetic.unwrap_or(model.arithmetic()).to_string(),
            coverage: tally.coverage().clone(),
            score: tally.scores(),
            threshold,
            false_positive_bound: self.threshold.is_none().then(|| model.false_positive_bound()).flatten(),
            alerts: tally.alerts(),
            counters: features::flatten(&outcome.counters),
            evaluation: tally.evaluation(),
            ended_early: None,
        }
    }

    fn show(
        &self,
        summary: &Summary,
        timing: Timing,
        outputs: Vec<String>,
        style: Style,
    ) -> Result<(), Failure> {
        if style.json {
            return print_json(&Report { summary, timing, outputs });
        }
        if style.quiet {
            return Ok(());
        }
        let mut text = summary.text(timing)?;
        for output in outputs {
            text += &format!("written     {output}\n");
        }
        print(&text)
    }
}

/// The name of a file without its folders; `-` for standard input.
fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned())
}
