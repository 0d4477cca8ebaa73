//! What `replay` and `live` have in common: a model's graph, running it, and the summary.

use crate::agent::{Ending, facts};
use crate::failure::{Failure, json};
use crate::network::Network;
use crate::replay::tally::{Results, Tally};
use crate::replay::{Execution, assemble, built_in};
use crate::seed::{self, Seed};
use crate::summary::clock::ClockReport;
use crate::summary::{Incidents, Service, Summary, Timing};
use crate::supply::Maker;
use crate::workers::Workers;
use crate::{Style, features, graph, input, kitsune};
use clap::Args;
use legonf_controller::State;
use legonf_core::{Progress, Source, count};
use legonf_extract::Arithmetic;
use legonf_io::Content;
use legonf_io::sink::is_closed_pipe;
use legonf_output::one_line;
use legonf_runtime::{Control, Graph, GraphSpec, Outcome, RunFault, run_under};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Which network function scores packets, and how.
#[derive(Args)]
pub struct Scoring {
    /// Model of `legonf train`, or of `legonf model import`.
    #[arg(long, value_name = "MODEL")]
    pub model: PathBuf,
    /// Graph file (TOML) instead of the built-in graph; `legonf graph show --toml` prints one to start from.
    #[arg(long, value_name = "FILE")]
    graph: Option<PathBuf>,
    #[command(flatten)]
    workers: Workers,
    #[command(flatten)]
    execution: Execution,
    /// Arithmetic of the features; without it the one that the model was trained with.
    #[arg(long)]
    arithmetic: Option<Arithmetic>,
    /// Scores above this are anomalous, instead of the model's calibrated threshold.
    #[arg(long, value_name = "RMSE")]
    threshold: Option<f64>,
    /// Seed by which streams are divided into slots: what `summary.json`, or the comment of a recording, says of an earlier run.
    /// Without it `live` takes a random one, and the others a fixed one. It shows in the results only where streams were evicted.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    slot_seed: Option<u64>,
    /// Where the seed comes from otherwise.
    #[arg(skip)]
    seed: Seed,
}

/// A network function that is ready to run.
pub struct Function {
    /// Its model.
    pub network: Network,
    /// Scores above it are anomalous.
    pub threshold: Option<f64>,
    /// Numbers that its KitNET is executed in.
    precision: Option<String>,
    graph: Graph,
    spec: GraphSpec,
    workers: Workers,
}

/// What there is to say at the end of a run.
#[derive(Serialize)]
pub struct Report<'a> {
    /// What was found.
    #[serde(flatten)]
    pub summary: &'a Summary,
    /// How long it took.
    pub timing: Timing,
    /// What happened to the bricks.
    #[serde(rename = "runtime")]
    pub incidents: Incidents,
    /// Files that were written.
    pub outputs: Vec<String>,
    /// What a controller has done, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<Ending>,
    /// What happened to the interface and the outputs of a live run.
    #[serde(rename = "live", skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
}

impl Scoring {
    /// Takes the graph of this file, or the built-in one.
    pub fn set_graph(&mut self, graph: Option<PathBuf>) {
        self.graph = graph;
    }

    /// Takes a random seed for the slots, unless one is given.
    #[cfg(feature = "live")]
    pub fn seed_at_random(&mut self) {
        self.seed = Seed::Random;
    }

    /// Refuses a model that is not there, before anything is done with it.
    #[cfg(feature = "live")]
    pub fn check_present(&self) -> Result<(), Failure> {
        let missing = |error| Failure::fault(format!("{}: {error}", self.model.display()));
        std::fs::metadata(&self.model).map(drop).map_err(missing)
    }

    /// Identifiers of the bricks, as far as they are known before the model is: that of a foreign network is one for two.
    #[cfg(feature = "live")]
    pub fn expected_bricks(&self) -> Result<Vec<String>, Failure> {
        let spec = match &self.graph {
            Some(path) => graph::read(path)?,
            None => kitsune::deciding(kitsune::scoring("", Arithmetic::default(), None)),
        };
        Ok(spec.bricks.into_iter().map(|brick| brick.id).collect())
    }

    /// Name of the graph's file, or of the built-in graph.
    #[cfg(feature = "live")]
    pub fn graph_name(&self) -> String {
        self.graph.as_deref().map_or_else(|| "kitsune".into(), file_name)
    }

    /// Loads the model.
    pub fn network(&self) -> Result<Network, Failure> {
        Network::load(&self.model)
    }

    /// Builds the graph of a model for input of this kind.
    pub fn build(&self, network: Network, content: Content) -> Result<Function, Failure> {
        let threshold = self.threshold.or(network.threshold());
        let spec = self.spec(&network, content)?;
        let assembled = assemble(&spec, content, &network, threshold);
        let mut graph = assembled.map_err(|failure| graph::in_file(self.graph.as_deref(), failure))?;
        let precision = kitsune::precision(&spec);
        self.workers.check(&mut graph)?;
        Ok(Function { network, threshold, precision, graph, spec, workers: self.workers.clone() })
    }

    fn spec(&self, network: &Network, content: Content) -> Result<GraphSpec, Failure> {
        let mut spec = match &self.graph {
            Some(path) => graph::read(path)?,
            None => built_in(network, content, self.execution, self.arithmetic)?,
        };
        self.slot_seed.map_or(self.seed, Seed::Given).set(&mut spec)?;
        Ok(spec)
    }

    /// What a run over `capture` found. Takes the evaluation out of the tally.
    pub fn summary<R: Results>(
        &self,
        capture: String,
        function: &Function,
        tally: &mut Tally<R>,
        outcome: &Outcome,
    ) -> Summary {
        let (network, schema) = (&function.network, function.network.schema());
        let bound = self.threshold.is_none().then(|| network.false_positive_bound()).flatten();
        let beside = |bound| Some(tally.false_positives()?.beside(bound, network.confidence()));
        Summary {
            promise: bound.and_then(beside),
            capture,
            model: file_name(&self.model),
            schema: schema.name.clone(),
            schema_hash: schema.hash().to_string(),
            arithmetic: self.arithmetic.unwrap_or(network.arithmetic()).to_string(),
            precision: function.precision.clone(),
            slot_seed: function.slot_seed(),
            coverage: tally.coverage().clone(),
            score: tally.scores(),
            threshold: function.threshold,
            false_positive_bound: bound,
            alerts: tally.alerts(),
            alerts_written: tally.suppressed().map(|suppressed| tally.alerts() - suppressed),
            alerts_suppressed: tally.suppressed(),
            counters: features::flatten(&outcome.counters),
            clock: ClockReport::of(&outcome.clock, &schema.name),
            evaluation: tally.evaluation(),
            ended_early: None,
        }
    }
}

impl Function {
    /// Seed by which its streams are divided into slots.
    pub fn slot_seed(&self) -> Option<u64> {
        seed::of(&self.spec)
    }

    /// What the controller must know of the bricks.
    pub fn facts(&mut self) -> Vec<(String, State)> {
        facts(&mut self.graph)
    }

    /// Runs a source through the graph, under a control if one is given, and says how long it took.
    ///
    /// # Errors
    /// When the results cannot be written; other faults are in the outcome.
    pub fn run<R: Results>(
        &mut self,
        control: Option<&mut dyn Control>,
        source: &mut dyn Source,
        tally: &mut Tally<R>,
        stop: &AtomicBool,
        observe: &mut dyn FnMut(Progress, u64),
    ) -> Result<(Outcome, Timing), Failure> {
        let maker = Maker { spec: &self.spec, network: Some((&self.network, self.threshold)) };
        let make = |id: &str| maker.make(id);
        let options = self.workers.options(stop, Some(&make));
        let start = Instant::now();
        let mut outcome = run_under(control, &mut self.graph, source, tally, options, observe);
        let seconds = start.elapsed().as_secs_f64();
        match outcome.fault.take() {
            Some(RunFault::Sink(fault)) if is_closed_pipe(&fault) => return Err(Failure::ClosedPipe),
            Some(RunFault::Sink(fault)) => return Err(input::sink_failure(fault)),
            other => outcome.fault = other,
        }
        let packets_per_second = outcome.packets as f64 / seconds.max(1e-9);
        Ok((outcome, Timing { seconds, packets_per_second }))
    }
}

/// The words on a fault, with up to where the results are complete.
pub fn fault_after(outcome: &Outcome) -> Option<String> {
    let fault = outcome.fault.as_ref()?;
    let packets = count(outcome.packets, "packet");
    Some(format!("{fault}; the results are complete for the {packets} before it"))
}

/// A report, in the style that is asked for; empty where none is asked for.
pub fn render(report: Report<'_>, style: Style) -> Result<String, Failure> {
    if style.json {
        return json(&report);
    }
    if style.quiet {
        return Ok(String::new());
    }
    let mut text = report.summary.text(report.timing)? + &report.incidents.text();
    text += &report.service.map_or_else(String::new, |service| service.text());
    for output in report.outputs {
        text += &format!("written     {}\n", one_line(&output));
    }
    Ok(text)
}

/// The name of a file without its folders; `-` for standard input.
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned())
}
