//! `legonf replay`: a capture through the brick graph, a score and a verdict for every packet.

pub mod outputs;
pub mod tally;

use crate::agent::{Agent, Ending};
use crate::alerts::Alerts;
use crate::failure::{Failure, print};
use crate::network::Network;
use crate::progress::Bar;
use crate::scoring::{Function, Report, Scoring, fault_after, file_name, render};
use crate::summary::{Incidents, Timing};
use crate::{Style, features, input, interrupt, kitsune};
use clap::{Args, ValueEnum};
use legonf_core::{Brick, ColumnSpec, count};
use legonf_decide::VERDICTS;
use legonf_extract::{Arithmetic, FEATURES};
use legonf_infer::SCORES;
use legonf_io::Content;
use legonf_models::kitnet::Precision;
use legonf_runtime::{BrickSpec, Control, Graph, GraphSpec, Outcome};
use outputs::{Outputs, Purpose};
use std::path::PathBuf;
use tally::Tally;

/// Runs a capture through packet batching, feature quantization, feature mapping, autoencoder and sample-result
/// quantization, and writes what each packet scored.
///
/// With --out the folder gets scores.csv (or .parquet), eve.json (alerts in Suricata's schema), alerts.pcapng (their
/// packets), scores.svg and scores.png, and summary.json. Of a flood of alerts the first of each second are written, and the
/// others counted: records of the type `suppressed` in eve.json say of whom they were. Two replays of one capture write the same bytes,
/// whatever --workers says.
///
/// A table of features in place of the capture starts at feature mapping: Kitsune's published CSV files, N-BaIoT's,
/// and those of `legonf features`. Its rows have no time (0 stands for it) and no packets (no alerts.pcapng).
#[derive(Args)]
pub struct Arguments {
    /// Capture (pcap, pcapng or Kitsune's TSV) or table of features (CSV, .npy), plain, gzip or zstd; `-` is standard
    /// input.
    capture: PathBuf,
    #[command(flatten)]
    scoring: Scoring,
    /// Folder for the results; without --force it must not exist yet, or be empty.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Format of the scores.
    #[arg(long, value_enum, default_value_t = ScoreFormat::Csv)]
    scores: ScoreFormat,
    #[command(flatten)]
    alerts: Alerts,
    /// Truth of every packet: lines `index,label` or one label a line (0/1, benign/malicious), for AUC, TPR and FPR.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Read only the first N packets.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScoreFormat {
    Csv,
    Parquet,
}

/// The engine that computes scores.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EngineKind {
    /// legonf's own KitNET kernel.
    Kitnet,
    /// tract, over the ONNX graph.
    Onnx,
}

/// What executes the network, and in which numbers.
#[derive(Clone, Copy, Default, Args)]
pub struct Execution {
    /// Network engine: `kitnet` is legonf's own, `onnx` the generic one (tract), which runs any model.
    #[arg(long, value_enum)]
    pub engine: Option<EngineKind>,
    /// Numbers that legonf's own engine computes in: `f64` (the reference's, the default) or `f32`, which is about twice as
    /// fast and within 1e-5 of the score.
    #[arg(long, value_name = "f64|f32")]
    pub precision: Option<Precision>,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    replay(arguments, None, style)
}

/// Where the controller of a run is put, with the packets of the run at its end, and what makes it for a function.
pub type Controlled<'a> =
    (&'a mut Option<(Agent, u64)>, &'a mut dyn FnMut(&mut Function) -> Result<Agent, Failure>);

/// Runs a capture through the graph, under a controller if one is given.
pub fn replay(
    arguments: &Arguments,
    controlled: Option<Controlled<'_>>,
    style: Style,
) -> Result<(), Failure> {
    style.check_folder(arguments.out.as_deref())?;
    let network = arguments.scoring.network()?;
    let (content, mut source) = input::open_any(&arguments.capture, arguments.limit, network.schema())?;
    let mut function = arguments.scoring.build(network, content)?;
    let (place, mut agent) = match controlled {
        Some((place, make)) => (Some(place), Some(make(&mut function)?)),
        None => (None, None),
    };
    let labels = arguments.labels.as_deref().map(input::labels).transpose()?;
    let mut tally = Tally::new(labels, arguments.outputs(content, &function, style.force)?);
    let bar = Bar::new("replay", None, style.quiet);
    let stop = interrupt::install();
    let control = agent.as_mut().map(|agent| agent as &mut dyn Control);
    let ran = function.run(control, &mut *source, &mut tally, stop, &mut |p, n| bar.update(p, n));
    bar.clear();
    let (outcome, timing) = ran?;
    arguments.check_labels(&mut tally, &outcome)?;
    let ending = agent.as_ref().map(Agent::ending);
    if let Some(place) = place {
        *place = agent.map(|agent| (agent, outcome.packets));
    }
    arguments.conclude(&function, tally, (outcome, timing, ending), style)
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
    let engine = || model.engine();
    let context = model.context(threshold, &engine);
    let given = match content {
        Content::Packets => ColumnSpec::PACKETS,
        Content::Features => FEATURES.of_width(model.schema().len()),
    };
    let make =
        |b: &BrickSpec| legonf_catalog::build(&b.kind, &b.config, &context).map(|brick| wrap(&b.id, brick));
    Ok(Graph::assemble(spec, &[given], &[SCORES, VERDICTS], make)?)
}

/// The built-in graph for a model, with an engine that can run it.
pub fn built_in(
    model: &Network,
    content: Content,
    Execution { engine, precision }: Execution,
    arithmetic: Option<Arithmetic>,
) -> Result<GraphSpec, Failure> {
    let arithmetic = arithmetic.unwrap_or(model.arithmetic());
    let own = engine.map_or(model.kitnet().is_some(), |e| e == EngineKind::Kitnet);
    if let (false, Some(precision)) = (own, precision) {
        let reason = "the generic engine computes in the model's own numbers; leave the option out";
        return Err(Failure::fault(format!("--precision {precision}: {reason}")));
    }
    let schema = &model.schema().name;
    Ok(kitsune::deciding(match content {
        Content::Features => kitsune::scoring_features(own, precision),
        Content::Packets if own => kitsune::scoring(schema, arithmetic, precision),
        Content::Packets => kitsune::generic_scoring(schema, arithmetic),
    }))
}

impl Arguments {
    /// Takes the graph of this file, or the built-in one.
    pub fn set_graph(&mut self, graph: Option<PathBuf>) {
        self.scoring.set_graph(graph);
    }

    fn outputs(
        &self,
        content: Content,
        function: &Function,
        force: bool,
    ) -> Result<Option<Outputs>, Failure> {
        let Some(folder) = &self.out else { return Ok(None) };
        let item = if content == Content::Features { "row" } else { "packet" };
        let title = format!("{}: anomaly score of every {item}", file_name(&self.capture));
        let format = self.scores;
        let (threshold, explain) = (function.threshold, function.network.explainer());
        let rate = self.alerts.rate();
        Ok(Some(Outputs::create(Purpose {
            folder,
            force,
            format,
            content,
            title,
            threshold,
            explain,
            rate,
        })?))
    }

    /// Name of the capture's file.
    pub fn capture_name(&self) -> String {
        file_name(&self.capture)
    }

    /// Completes the outputs, prints the summary, and says how the replay ended.
    fn conclude(
        &self,
        function: &Function,
        mut tally: Tally<Outputs>,
        (outcome, timing, controller): (Outcome, Timing, Option<Ending>),
        style: Style,
    ) -> Result<(), Failure> {
        let mut summary = self.scoring.summary(file_name(&self.capture), function, &mut tally, &outcome);
        let ended = ending(&outcome);
        summary.ended_early = ended.clone();
        let coverage = tally.coverage().clone();
        let mut written = Vec::new();
        if let Some(results) = tally.outputs() {
            written = results.finish(&coverage, features::with_clock(&outcome))?;
            written.push(results.summarize(&summary)?);
        }
        let (summary, incidents, outputs) = (&summary, Incidents::of(&outcome), written);
        print(&render(Report { summary, timing, incidents, outputs, controller, service: None }, style)?)?;
        match ended {
            None => Ok(()),
            Some(reason) if outcome.stopped => Err(Failure::Interrupted(reason)),
            Some(reason) => Err(Failure::Fault(reason)),
        }
    }

    /// Checks, before anything is said of them, that the labels were those of the packets.
    fn check_labels(&self, tally: &mut Tally<Outputs>, outcome: &Outcome) -> Result<(), Failure> {
        // What ends before the capture leaves labels over, which is not a fault.
        let early = self.limit.is_some() || outcome.stopped || outcome.fault.is_some();
        if early { Ok(()) } else { tally.check_labels() }
    }
}

/// Why the replay ended before the end of the capture, and up to where the results are complete.
fn ending(outcome: &Outcome) -> Option<String> {
    if outcome.fault.is_some() {
        return fault_after(outcome);
    }
    let packets = count(outcome.packets, "packet");
    outcome.stopped.then(|| format!("stopped after {packets}, whose results are complete"))
}
