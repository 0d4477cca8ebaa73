//! A network function: a model and its graph, ready to run, and the accounts of a run.

use crate::agent::{Ending, facts};
use crate::assembly::{self, Execution, Opened, assemble};
use crate::captures::Series;
use crate::graph_check::Checked;
use crate::models::{ModelFile, Models};
use crate::monitor::{self, Monitor};
use crate::placement::{Hosts, Locations, Order, Placed, Placement, Remotes, placed};
use crate::seed::{self, Seed};
use crate::standby::{self, HotStandby, Partner, StandbyReport};
use crate::state::{self, Saved};
use crate::summary::{ClockReport, Disturbances, Service, Summary, Timing, WarmingUp, flatten};
use crate::supply::Maker;
use crate::swap::{Explainers, Planned, Position, Renewal, Stretches, Swaps};
use crate::tally::{Results, Tally, decides_on_scores};
use crate::warming::{self, WarmUp};
use crate::watch::Found;
use crate::{Error, Session, Workers, input, nf};
use legonf_controller::Event;
use legonf_core::{Clock, Explain, Layout, Progress, Schema, Source, State, count};
use legonf_extract::FeatureQuantization;
use legonf_io::Content;
use legonf_io::sink::is_closed_pipe;
use legonf_runtime::{
    BrickSpec, Control, Graph, GraphSpec, Options, Outcome, RunFault, Time, end_flows, run_under,
};
use legonf_transport::standby::Agreement;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Which network function scores packets, and how.
#[derive(Clone, Debug)]
pub struct Scoring {
    /// Files of the graph's models: of the only one, or of those of its `[models]` that have none there or shall have another.
    pub models: Vec<ModelFile>,
    /// A graph file instead of the built-in graph.
    pub graph: Option<PathBuf>,
    /// How bricks are laid out over threads.
    pub workers: Workers,
    /// What executes the network in the built-in graph.
    pub execution: Execution,
    /// Scores above this are anomalous, instead of the model's calibrated threshold.
    pub threshold: Option<f64>,
    /// Where the seed comes from by which streams are divided into slots.
    pub seed: Seed,
    /// Which packets are scored but not judged.
    pub warm_up: WarmUp,
    /// A state to begin with, which an earlier run has saved.
    pub state: Option<PathBuf>,
    /// Where the state at the end goes. A run that ends by a fault leaves none.
    pub state_out: Option<PathBuf>,
    /// Changes of models at packets that are known before, in their order.
    pub swaps: Vec<Planned>,
    /// Where bricks run that do not run in this process.
    pub placement: Placement,
    /// A second process for the case that this one dies.
    pub redundancy: HotStandby,
}

/// A network function that is ready to run.
pub(crate) struct Function {
    models: Models,
    /// Scores above it are anomalous.
    pub threshold: Option<f64>,
    /// Schema of its features.
    schema: Schema,
    /// Scores above it are anomalous for decisions that name no threshold, whatever their models say.
    given: Option<f64>,
    /// Numbers that its KitNET is executed in.
    precision: Option<String>,
    graph: Graph,
    spec: GraphSpec,
    workers: Workers,
    /// Where its stream stands before the run.
    clock: Clock,
    /// The changes of its models, where they can change.
    swaps: Option<Swaps>,
    /// Instances of its bricks elsewhere, where any are wanted.
    remotes: Option<Remotes>,
    /// Whether flows that are open at the end go on in another run, to which its state is handed.
    goes_on: bool,
    /// Whether the latencies of its bricks are measured.
    is_measured: bool,
}

/// Packets at the beginning of captures that a model was made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Those that it was trained on: so many, from the first on.
    pub trained: u64,
    /// Those that its threshold comes from: the first, and the first behind them.
    pub calibrated: Option<(u64, u64)>,
}

/// What there is to say at the end of a run. The part that is serialized is what programs are told.
#[derive(Serialize)]
pub struct Report {
    /// What was found.
    #[serde(flatten)]
    pub summary: Summary,
    /// How long it took.
    pub timing: Timing,
    /// What happened to the bricks.
    #[serde(rename = "runtime")]
    pub disturbances: Disturbances,
    /// Files that were written.
    pub outputs: Vec<String>,
    /// What a controller has done, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<Ending>,
    /// What happened to the interface and the outputs of a live run.
    #[serde(rename = "live", skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// What became of a hot standby, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standby: Option<StandbyReport>,
    /// Why the run ended before its input, if it did: a fault, or that the session was stopped. The words are those of
    /// `ended_early` in the summary.
    #[serde(skip)]
    pub ended: Option<Error>,
    /// The controller's event log; an error where the log or the costs could not be written, which says nothing of the results.
    #[serde(skip)]
    pub decided: Result<Vec<Event>, Error>,
}

impl Scoring {
    /// A model in its built-in graph, as it was trained, in a worker for each brick.
    pub fn new(model: impl Into<PathBuf>) -> Self {
        Self {
            models: vec![ModelFile::from(model.into())],
            graph: None,
            workers: Workers::default(),
            execution: Execution::default(),
            threshold: None,
            seed: Seed::default(),
            warm_up: WarmUp::default(),
            state: None,
            state_out: None,
            swaps: Vec::new(),
            placement: Placement::default(),
            redundancy: HotStandby::default(),
        }
    }

    /// Name of the graph's file, or of the built-in graph.
    pub fn graph_name(&self) -> String {
        self.graph.as_deref().map_or_else(|| nf::DEFAULT.into(), input::file_name)
    }

    /// A refusal of what the graph cannot do.
    pub(crate) fn refused(&self, reason: &str) -> Error {
        nf::in_file(self.graph.as_deref(), Error::refused(reason.to_owned()))
    }

    /// Opens the graph, and loads its models.
    pub(crate) fn open(&self, session: &Session) -> Result<Opened, Error> {
        assembly::open(session, self.graph.as_deref(), &self.models)
    }

    /// Whether the model and the threshold are to be changeable for those who see the run: not where bricks run elsewhere, or twice.
    pub(crate) fn may_change(&self, monitor: Option<&Arc<Monitor>>) -> bool {
        let is_here = self.placement.is_empty() && !self.redundancy.is_used();
        is_here && monitor.is_some_and(|monitor| monitor.is_changeable())
    }

    /// The same with the seed of a primary, where this is a standby.
    pub(crate) fn seeded(&self, partner: Option<&Partner>) -> Cow<'_, Self> {
        match partner.and_then(Partner::seed) {
            Some(seed) => Cow::Owned(Self { seed, ..self.clone() }),
            None => Cow::Borrowed(self),
        }
    }

    /// What is open for a hot standby, if there is to be one.
    ///
    /// # Errors
    /// Names the option that cannot be as it is.
    pub(crate) fn redundancy(&self) -> Result<Option<standby::Opened>, Error> {
        if self.redundancy.is_used() && !self.swaps.is_empty() {
            return Err(Error::refused(
                "--swap: with a hot standby the model cannot change; leave one of both out",
            ));
        }
        self.redundancy.open(self.placement.cluster.as_deref())
    }

    /// Builds the graph for input of this kind, with the state that it begins with.
    pub(crate) fn build(
        &self,
        session: &Session,
        opened: Opened,
        content: Content,
    ) -> Result<Function, Error> {
        self.build_with(session, opened, content, !self.swaps.is_empty())
    }

    /// [`build`](Self::build) a graph whose models can be changed while it runs, if so.
    pub(crate) fn build_with(
        &self,
        session: &Session,
        opened: Opened,
        content: Content,
        changeable: bool,
    ) -> Result<Function, Error> {
        session.check_outputs(self.state_out.as_deref())?;
        let mut spec = opened.graph(content, self.execution)?;
        let saved = self.state.as_deref().map(Saved::open).transpose()?;
        self.seed.set(&mut spec, |brick| saved.as_ref()?.seed(brick))?;
        let (models, given) = (opened.models, self.threshold);
        let (precision, schema) = (nf::precision(&spec), models.schema(&spec)?);
        self.warm_up.set(&mut spec, &schema);
        let swaps =
            changeable.then(|| Swaps::new(session, &spec, &models, given, &self.swaps)).transpose()?;
        let order = || Order::new(&spec, content, &models, self.threshold);
        let remotes = Remotes::of(session, &self.placement, (&spec, changeable), order)?;
        let wrap = |id: &str, brick| placed(remotes.as_ref(), id, brick);
        let assembled = assemble(&spec, content, (&models, swaps.as_ref()), given, &wrap);
        let mut graph = assembled.map_err(|error| nf::in_file(self.graph.as_deref(), error))?;
        self.workers.check(&mut graph)?;
        let threshold = given.or(models.main(&spec).and_then(|model| model.network.threshold()));
        let (workers, clock) =
            (self.workers.clone(), self.begin(session, saved, (&spec, &models), &mut graph)?);
        let goes_on = self.state_out.is_some();
        let function = Function {
            models,
            threshold,
            schema,
            given,
            precision,
            graph,
            spec,
            workers,
            clock,
            swaps,
            goes_on,
            remotes,
            is_measured: false,
        };
        if given.is_some() && !function.decides_on_scores() {
            let reason = "the graph decides on no score, so nothing is compared with a threshold; leave --threshold out";
            return Err(self.refused(reason));
        }
        Ok(function)
    }

    /// Brings a graph to where it begins, and gives the clock of its stream.
    fn begin(
        &self,
        session: &Session,
        saved: Option<Saved>,
        (spec, models): (&GraphSpec, &Models),
        graph: &mut Graph,
    ) -> Result<Clock, Error> {
        if self.state_out.is_some() {
            state::check(graph, "--state-out")?;
        }
        let clock = match (saved, &self.warm_up) {
            (Some(saved), _) => saved.load(graph)?,
            (None, WarmUp::Capture(capture)) => warming::play(session, capture, (spec, models), graph)?,
            _ => Clock::default(),
        };
        Ok(clock)
    }

    /// Saves the state at the end of a run, if that is wanted and the run came to one, and adds the file to those that were written.
    pub(crate) fn save_state(
        &self,
        function: &mut Function,
        outcome: (&Clock, bool),
        written: &mut Vec<String>,
    ) -> Result<(), Error> {
        let (clock, whole) = outcome;
        let Some(path) = self.state_out.as_deref().filter(|_| whole) else { return Ok(()) };
        state::save(path, &mut function.graph, *clock)?;
        written.push(path.display().to_string());
        Ok(())
    }

    /// What a run over `capture` found. Takes the evaluation out of the tally.
    pub(crate) fn summary<R: Results>(
        &self,
        capture: String,
        function: &Function,
        (tally, found): (&mut Tally<R>, Option<&Found>),
        outcome: &Outcome,
    ) -> Summary {
        let suppressed = found.and_then(|found| found.suppressed);
        let (main, schema) = (function.models.main(&function.spec), &function.schema);
        let network = main.map(|model| &model.network);
        let bound = function.bound();
        let beside = |bound| Some(tally.false_positives()?.beside(bound, network?.confidence()));
        let named = function.models.named();
        let renewed = || function.swaps.iter().flat_map(Swaps::in_force);
        Summary {
            promise: bound.and_then(beside),
            capture,
            captures: Vec::new(),
            filtered: None,
            model: main.map(|model| input::file_name(&model.file)).unwrap_or_default(),
            models: named.map(|(name, file)| (name.to_owned(), input::file_name(file))).collect(),
            schema: function.of_features(|| schema.name.clone()),
            schema_hash: function.of_features(|| schema.hash().to_string()),
            precision: function.precision.clone(),
            slot_seed: function.slot_seed(),
            coverage: tally.coverage().clone(),
            score: tally.scores(),
            threshold: function.threshold,
            false_positive_bound: bound,
            warming_up: warming::seconds(&function.spec)
                .map(|seconds| WarmingUp { packets: tally.warming_up(), seconds }),
            alerts: tally.alerts(),
            alerts_written: tally
                .held_back()
                .map(|held_back| tally.alerts() - held_back - suppressed.unwrap_or(0)),
            alerts_held_back: tally.held_back(),
            alerts_suppressed: suppressed,
            suppressions: found.map(|found| found.rules.clone()).unwrap_or_default(),
            incidents: found.map(Found::summary),
            decides_on_scores: function.decides_on_scores(),
            classes: tally.classes(),
            flows: tally.flows(),
            counters: flatten(&outcome.counters),
            clock: ClockReport::of(&outcome.clock, &schema.name),
            misfit: tally.fit(),
            evaluation: tally.evaluation(),
            figures: found.and_then(|found| found.figures),
            swaps: renewed().filter_map(Renewal::model).collect(),
            thresholds: renewed().filter_map(Renewal::threshold).collect(),
            ended_early: None,
        }
    }
}

impl Function {
    /// What there is to say of features, where the graph uses any.
    fn of_features(&self, say: impl FnOnce() -> String) -> String {
        let uses = |brick: &BrickSpec| {
            brick.kind == FeatureQuantization::KIND
                || legonf_catalog::reads_features(&brick.kind, &brick.config)
        };
        if self.spec.bricks.iter().any(uses) { say() } else { String::new() }
    }

    /// Seed by which its streams are divided into slots.
    pub fn slot_seed(&self) -> Option<u64> {
        seed::of(&self.spec)
    }

    /// Other hosts that its bricks can run on.
    pub fn hosts(&self) -> Option<Arc<Hosts>> {
        self.remotes.as_ref().map(Remotes::hosts)
    }

    /// The changes of its models, where they can change.
    pub fn swaps(&self) -> Option<&Swaps> {
        self.swaps.as_ref()
    }

    /// The share of benign packets above the threshold that it stands for, where it is the model's own, and the only one.
    pub fn bound(&self) -> Option<f64> {
        let changed = self.swaps.as_ref().is_some_and(Swaps::is_changed);
        let main = self.models.main(&self.spec).filter(|_| self.given.is_none() && !changed);
        main.and_then(|model| model.network.false_positive_bound())
    }

    /// The columns of its batches.
    pub fn layout(&self) -> &Layout {
        self.graph.layout()
    }

    /// Whether its graph decides on scores, so that there can be alerts.
    pub fn decides_on_scores(&self) -> bool {
        decides_on_scores(self.layout())
    }

    /// Says why a packet is anomalous, where its network can.
    pub fn explainer(&self) -> Option<Box<dyn Explain>> {
        let first = self.models.main(&self.spec)?.network.explainer()?;
        Some(self.swaps.as_ref().map_or(first, |swaps| Box::new(Explainers::new(swaps))))
    }

    /// Where instances of its bricks run at any moment; none where all are in this process.
    pub fn locations(&self) -> Option<Arc<Locations>> {
        self.remotes.as_ref().map(Remotes::locations)
    }

    /// What others are told of it, who watch a run. In that the latencies of its bricks are measured.
    pub fn monitored(&mut self, is_controlled: bool) -> monitor::Facts {
        self.is_measured = true;
        let states = self.facts();
        let brick = |(id, state): (String, State)| {
            let spec = self.spec.bricks.iter().find(|brick| brick.id == id);
            let kind = spec.map(|brick| brick.kind.clone()).unwrap_or_default();
            monitor::BrickFacts { kind, id, state }
        };
        monitor::Facts {
            graph: self.spec.name.clone(),
            bricks: states.into_iter().map(brick).collect(),
            edges: monitor::Facts::edges(&self.spec),
            threshold: self.threshold.filter(|_| self.decides_on_scores()),
            is_controlled,
            may_oversubscribe: self.workers.oversubscribe,
        }
    }

    /// Which packets of captures its model comes from, where that is known. They are read for that only if the model knows the name
    /// of the first of them.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn known(&self, series: &Series) -> Result<Known, Error> {
        let Some(model) = self.models.main(&self.spec) else { return Ok(Known::default()) };
        let first = series.files().first().map(|file| input::file_name(file));
        if !series.can_be_read_twice() || !first.is_some_and(|first| model.network.names(&first)) {
            return Ok(Known::default());
        }
        let origins = series.origins()?;
        let trained = origins.iter().map(|origin| model.network.trained_packets(origin));
        let trained = trained.take_while(|packets| *packets > 0).sum();
        Ok(Known { trained, calibrated: model.network.calibrated_packets(&origins) })
    }

    /// What the results of a run depend on, each with a digest.
    ///
    /// # Errors
    /// If the file of a model cannot be read any more.
    pub fn agreement(&self, content: Content) -> Result<Agreement, Error> {
        let mut agreement = Order::agreement(self.spec.clone(), content, &self.models, self.given)?;
        let begin = Sha256::digest(format!("{:?}", self.clock));
        agreement.0.push(("what the stream begins with (--state, --warm-up)".to_owned(), begin.into()));
        Ok(agreement)
    }

    /// What of it a run would use.
    pub fn checked(&self) -> Checked {
        let bricks = self.graph.nodes().iter().map(|node| node.id.clone()).collect();
        let results = self.layout().specs().iter().filter(|column| column.is_result());
        let results = results.map(|column| column.name.to_string()).collect();
        let workers = Some(self.workers.layout.plan(&self.graph).to_string());
        Checked { graph: self.spec.name.clone(), bricks, results, workers, models: true }
    }

    /// The ports by which packets leave; none where they leave as they came.
    pub fn ports(&self) -> Vec<String> {
        if self.graph.forwards() { self.spec.port_names() } else { Vec::new() }
    }

    /// What the controller must know of the bricks.
    pub fn facts(&mut self) -> Vec<(String, State)> {
        facts(&mut self.graph)
    }

    /// Runs a source through the graph until its end or until `stop` is set, under a control if one is given, and says how long
    /// it took. Flows that are open then end with it, unless its state goes on in another run.
    ///
    /// # Errors
    /// When the results cannot be written; other faults are in the outcome.
    pub fn run<R: Results>(
        &mut self,
        session: &Session,
        control: Option<&mut dyn Control>,
        (source, tally): (&mut dyn Source, &mut Tally<R>),
        stop: &AtomicBool,
        observe: &mut dyn FnMut(Progress, u64),
    ) -> Result<(Outcome, Timing), Error> {
        let swaps = self.swaps.as_ref();
        let maker = Maker { spec: &self.spec, models: &self.models, threshold: self.given, swaps };
        let supply = Placed { maker: &maker, remotes: self.remotes.as_ref() };
        let options = self.workers.options(session, Some(&supply));
        let checkpoint = options.checkpoint.or(supply.checkpoint());
        let start = Instant::now();
        let time = || start.elapsed();
        let time = self.is_measured.then_some(&time as Time<'_>);
        let options = Options { stop, clock: self.clock, checkpoint, time, ..options };
        let mut outcome = match swaps {
            None => run_under(control, &mut self.graph, source, tally, options, observe),
            Some(swaps) => {
                let (mut source, mut sink) = (Stretches::new(source, swaps), Position::new(tally, swaps));
                let mut observe = |progress, packets| {
                    swaps.passed(packets);
                    observe(progress, packets);
                };
                let ran = run_under(control, &mut self.graph, &mut source, &mut sink, options, &mut observe);
                swaps.end();
                ran
            }
        };
        if !self.goes_on {
            end_flows(&mut self.graph, tally, &mut outcome);
        }
        let seconds = start.elapsed().as_secs_f64();
        match outcome.fault.take() {
            Some(RunFault::Sink(fault)) if is_closed_pipe(&fault) => return Err(Error::ClosedPipe),
            Some(RunFault::Sink(fault)) => return Err(input::sink_error(fault)),
            other => outcome.fault = other,
        }
        let packets_per_second = outcome.packets as f64 / seconds.max(1e-9);
        Ok((outcome, Timing { seconds, packets_per_second }))
    }
}

/// A run that came to the end of its input.
///
/// # Errors
/// Why it ended before, with what is kept of so many packets, in words.
pub(crate) fn whole(outcome: Outcome, kept: impl FnOnce(String) -> String) -> Result<Outcome, Error> {
    let packets = count(outcome.packets, "packet").to_string();
    match outcome.fault {
        Some(RunFault::Sink(fault)) => Err(fault.into()),
        Some(fault) => Err(Error::Run { fault, kept: kept(packets) }),
        None if outcome.stopped => Err(Error::Interrupted(kept(packets))),
        None => Ok(outcome),
    }
}

/// Why a run ended before its input, if it did, and up to where the results are complete. Takes the fault out of the outcome.
pub(crate) fn ending(outcome: &mut Outcome) -> Option<Error> {
    let packets = count(outcome.packets, "packet");
    if let Some(fault) = outcome.fault.take() {
        let kept = format!("the results are complete for the {packets} before it");
        return Some(Error::Run { fault, kept });
    }
    let stopped = || Error::Interrupted(format!("stopped after {packets}, whose results are complete"));
    outcome.stopped.then(stopped)
}
