//! Training: a model learnt offline from benign traffic.

mod checkpoint;
mod drift;
mod goal;
mod learning;
mod sink;

pub use drift::Drift;
pub use goal::{Goal, Span};

use crate::assembly::assemble_extraction;
use crate::captures::{Captures, Series, is_stream};
use crate::models::Models;
use crate::state::{self, Saved};
use crate::summary::ClockReport;
use crate::supply::Maker;
use crate::warming::Learner;
use crate::{Error, Extent, Gauge, Seed, Session, Workers, nf};
use checkpoint::Checkpoint;
use goal::LEAST_HALF_LIVES;
use learning::Learning;
use legonf_core::{Clock, Schema, Source, count};
use legonf_extract::FEATURES;
use legonf_io::{Content, SourceError, SourceErrorKind};
use legonf_models::detectors::Method;
use legonf_models::kitnet::{MAX_PACKETS, TrainConfig, Trainer};
use legonf_models::{Bundle, Provenance};
use legonf_output::Existing;
use legonf_runtime::{Graph, GraphSpec, Options, Outcome, RunFault, Supply};
use serde::Serialize;
use sink::TrainSink;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// KitNET or a simpler detector, trained on the damped statistics of benign captures in the order given; no time passes between two captures.
///
/// The first packets decide which features an autoencoder takes; the next ones train the ensemble. A quarter as many, or as long,
/// after them are scored, to see whether the scores [drift](Drift). Later packets are not read.
#[derive(Clone, Debug)]
pub struct Training {
    /// Captures or tables of features, each a span of its own.
    pub captures: Captures,
    /// Where the model goes.
    pub output: PathBuf,
    /// Feature schema.
    pub schema: String,
    /// How is trained; the number of features is that of the schema, whatever it says.
    pub config: TrainConfig,
    /// What is trained in place of a KitNET, on the packets that one would be trained on.
    pub detector: Option<Method>,
    /// How long is trained.
    pub span: Span,
    /// Go on from the checkpoint beside the model.
    pub resume: bool,
    /// Packets between two checkpoints.
    pub checkpoint_every: u64,
    /// End after so many packets with a checkpoint.
    pub stop_after: Option<u64>,
    /// How bricks are laid out over threads.
    pub workers: Workers,
    /// A state of the extractor to begin with, which an earlier run has saved.
    pub state: Option<PathBuf>,
    /// Where the state of the extractor behind the last training packet goes.
    pub state_out: Option<PathBuf>,
}

/// A model that was trained.
#[derive(Clone, Debug, Serialize)]
pub struct Trained {
    /// Its file.
    pub model: String,
    /// Its feature schema.
    pub schema: String,
    /// Columns of the schema.
    #[serde(skip)]
    pub features: usize,
    /// Packets that it learnt from.
    pub packets: u64,
    /// Packets that were passed over: of a link type that is not parsed, or with features that are no finite numbers.
    pub skipped: u64,
    /// The detector, where it is no KitNET.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector: Option<Method>,
    /// Autoencoders of the ensemble; none of a detector.
    pub autoencoders: usize,
    /// RMSE of the last training packet, before its update; of a KitNET.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_training_rmse: Option<f64>,
    /// Stream time of the packets that it learnt from; none of rows of a table.
    pub seconds: Option<f64>,
    /// Where that is shorter than five half-lives of the schema's slowest statistic: these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shorter_than_seconds: Option<f64>,
    /// Scores of the packets after the training; none where too few came.
    pub drift: Option<Drift>,
    /// Packets that the filter left out, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filtered_out: Option<u64>,
    /// What was wrong with the captures' clocks; none where they were in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockReport>,
    /// The file of the extractor's state, where one was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl Training {
    /// A training on captures with the reference's parameters and the default schema.
    pub fn new(captures: impl IntoIterator<Item = PathBuf>, output: impl Into<PathBuf>) -> Self {
        Self {
            captures: Captures { paths: captures.into_iter().collect(), filter: None },
            output: output.into(),
            schema: legonf_extract::DEFAULT_SCHEMA.into(),
            config: TrainConfig::default(),
            detector: None,
            span: Span::default(),
            resume: false,
            checkpoint_every: 100_000,
            stop_after: None,
            workers: Workers::default(),
            state: None,
            state_out: None,
        }
    }

    /// Trains and saves a model. Where that ends early, a checkpoint is kept if training can go on from it.
    ///
    /// # Errors
    /// If the captures cannot be read or are too short, a checkpoint is in the way or is of another training, the model cannot be
    /// written, or the session is stopped.
    pub fn run(&self, session: &Session) -> Result<Trained, Error> {
        self.check_resumable()?;
        self.check_checkpoint(session)?;
        let schema = legonf_extract::schema_by_name(&self.schema)?;
        let spans = self.captures.spans(session, Some(&schema))?;
        self.check_state(session, &spans)?;
        let goal = Goal::new(self.span, self.config.training_packets, &schema);
        let config = self.config(&schema, goal)?;
        let origins = spans.iter().map(Series::origins).collect::<Result<Vec<_>, _>>()?.concat();
        let identity = checkpoint::Identity { schema: schema.hash().to_string(), origins, time: goal.time };
        let mut sink = self.start((&config, goal), &schema, identity)?;
        let mut used = Vec::new();
        let fed = self.feed(session, (&spans, &schema), &mut sink, &mut used);
        if fed.as_ref().is_err_and(|error| !matches!(error, Error::Interrupted(_))) {
            sink.discard_checkpoint();
        }
        let outcome = fed?;
        if outcome.fault.is_none() && !outcome.stopped {
            sink.end();
        }
        if !sink.is_done() {
            return Err(unfinished(self, &mut sink, outcome));
        }
        let mut trained = self.conclude(schema, sink, &used)?;
        trained.filtered_out = self.captures.filter.as_ref().map(|_| left_out(&spans));
        if let Some(path) = &self.state_out {
            self.save_state(session, path, (&spans, &used))?;
        }
        Ok(trained)
    }

    /// How the trainer is made: where the number of packets is not all that counts, the goal ends the training.
    fn config(&self, schema: &Schema, goal: Goal) -> Result<TrainConfig, Error> {
        let config = TrainConfig { features: schema.len(), ..self.config.clone() };
        config.validate()?;
        let training_packets = if goal.is_of_packets() { config.training_packets } else { MAX_PACKETS };
        Ok(TrainConfig { training_packets, ..config })
    }

    /// Saves the model.
    fn conclude(&self, schema: Schema, mut sink: TrainSink, used: &[u64]) -> Result<Trained, Error> {
        let (seconds, drift) = (sink.seconds(), sink.drift());
        let least = schema.half_lives(LEAST_HALF_LIVES).as_secs_f64();
        let clock = ClockReport::of(&sink.clock(), &self.schema);
        let (checkpoint, last_training_rmse) = (sink.checkpoint_path().to_owned(), sink.last_rmse());
        let (learning, identity) = sink.into_parts();
        let bundle = self.bundle(schema, &learning, identity, used)?;
        bundle.save(&self.output)?;
        // The model is complete; what is left of the checkpoint is of no more use.
        let _ = std::fs::remove_file(checkpoint);
        Ok(Trained {
            model: self.output.display().to_string(),
            schema: self.schema.clone(),
            features: bundle.schema.len(),
            packets: bundle.provenance.rows,
            skipped: bundle.provenance.skipped,
            detector: self.detector,
            autoencoders: bundle.describe().ensemble.len(),
            last_training_rmse,
            seconds,
            shorter_than_seconds: seconds.is_some_and(|seconds| seconds < least).then_some(least),
            drift,
            filtered_out: None,
            clock,
            state: self.state_out.as_ref().map(|path| path.display().to_string()),
        })
    }

    /// Refuses a state that cannot be saved, before there is any work: the extractor reads the captures a second time for it, up to
    /// the last training packet, since how far a source has read beyond depends on the layout.
    fn check_state(&self, session: &Session, spans: &[Series]) -> Result<(), Error> {
        session.check_outputs(self.state_out.as_deref())?;
        let Some(path) = &self.state_out else { return Ok(()) };
        state::check(&mut assemble_extraction(&nf::extraction(&self.schema))?, "--state-out")?;
        let once = spans.iter().flat_map(Series::files).find(|capture| is_stream(capture));
        let reason =
            "can be read only once, and --state-out needs captures that can be read twice; name files";
        once.map_or(Ok(()), |capture| Err(Error::file(path, format!("{}: {reason}", capture.display()))))
    }

    /// Saves the state behind the last training packet; of each capture so many were used.
    fn save_state(
        &self,
        session: &Session,
        path: &Path,
        (spans, used): (&[Series], &[u64]),
    ) -> Result<(), Error> {
        let (spec, mut graph, clock) = self.extraction()?;
        let (models, workers) = (Models::default(), &self.workers);
        let mut learner = Learner { spec: &spec, models: &models, workers, clock };
        for (number, (capture, packets)) in spans.iter().zip(used).enumerate() {
            if number > 0 {
                learner.clock = learner.clock.next_capture();
            }
            learner.learn(session, &mut graph, capture, Some(*packets))?;
        }
        state::save(path, &mut graph, learner.clock)
    }

    /// The extractor, with the state that it begins with, and the clock of its stream.
    fn extraction(&self) -> Result<(GraphSpec, Graph, Clock), Error> {
        let mut spec = nf::extraction(&self.schema);
        let saved = self.state.as_deref().map(Saved::open).transpose()?;
        Seed::Repeatable.set(&mut spec, |brick| saved.as_ref()?.seed(brick))?;
        let mut graph = assemble_extraction(&spec)?;
        let clock = saved.map_or(Ok(Clock::default()), |saved| saved.load(&mut graph))?;
        Ok((spec, graph, clock))
    }
}

/// Packets that a filter left out of captures.
fn left_out(spans: &[Series]) -> u64 {
    spans.iter().filter_map(Series::left_out).sum()
}

/// The error of a run that ended before the last training packet.
fn unfinished(training: &Training, sink: &mut TrainSink, outcome: Outcome) -> Error {
    match outcome.fault {
        Some(fault) if is_of_the_capture(&fault) => {
            sink.discard_checkpoint();
            Error::Run { fault, kept: "training needs whole captures, so nothing is kept".into() }
        }
        Some(fault) => Error::Run { fault, kept: keep(training, sink) },
        None if outcome.stopped => Error::Interrupted(keep(training, sink)),
        None => {
            sink.discard_checkpoint();
            too_short(training, sink)
        }
    }
}

/// Writes a checkpoint, and says what it holds.
fn keep(training: &Training, sink: &mut TrainSink) -> String {
    if !sink.can_go_on() {
        return "the training of a detector has no checkpoint, so nothing is kept".into();
    }
    match sink.save_checkpoint() {
        Ok(()) => format!(
            "checkpoint {} holds {} of {}; go on with --resume",
            sink.checkpoint_path().display(),
            sink.packets(),
            training.asked(),
        ),
        Err(error) => format!("no checkpoint could be written: {error}"),
    }
}

/// Whether a run over the same captures would end in the same fault: a checkpoint of them is of no use.
fn is_of_the_capture(fault: &RunFault) -> bool {
    let RunFault::Source(fault) = fault else { return false };
    let error = fault.get_ref().downcast_ref::<SourceError>();
    error.is_some_and(|error| !matches!(error.kind(), SourceErrorKind::Io(_)))
}

/// The error where the captures end before training does. No longer list of captures can go on from a checkpoint of these.
fn too_short(training: &Training, sink: &TrainSink) -> Error {
    if let Span::Time(time) = training.span {
        return too_brief(training, time, sink);
    }
    let (needed, have) = (training.needed(), sink.packets());
    let missing = needed.saturating_sub(have - sink.skipped());
    Error::refused(format!(
        "{}: too short: training needs {} ({} + 1 for the feature map, {} for the ensemble), and {have} came: \
         {missing} {} missing; give more captures or lower --feature-mapping-packets or --training-packets",
        training.names(),
        count(needed, "packet"),
        training.config.feature_mapping_packets,
        training.config.training_packets,
        if missing == 1 { "is" } else { "are" },
    ))
}

/// The error where the captures do not last as long as training shall.
fn too_brief(training: &Training, time: Duration, sink: &TrainSink) -> Error {
    let (packets, seconds) = (sink.packets(), sink.seconds().unwrap_or_default());
    Error::refused(format!(
        "{}: too short: training needs {} s, and {} of {seconds:.1} s came; give more captures or a shorter --training-time",
        training.names(),
        time.as_secs_f64(),
        count(packets, "packet"),
    ))
}

impl Training {
    /// Refuses to go on with what has no checkpoint.
    fn check_resumable(&self) -> Result<(), Error> {
        let asked = [("--resume", self.resume), ("--stop-after", self.stop_after.is_some())];
        match (self.detector, asked.iter().find(|(_, asked)| *asked)) {
            (Some(method), Some((option, _))) => {
                let reason = "its training has no checkpoint, since it takes seconds; leave the option out";
                Err(Error::refused(format!("{option} with --detector {method}: {reason}")))
            }
            _ => Ok(()),
        }
    }

    /// Packets that training takes in all, where their number alone counts.
    fn needed(&self) -> u64 {
        self.config.feature_mapping_packets + 1 + self.config.training_packets
    }

    /// What training takes, in words.
    fn asked(&self) -> String {
        match self.span {
            Span::Packets => count(self.needed(), "packet").to_string(),
            Span::Settled => format!("{} or more", count(self.needed(), "packet")),
            Span::Time(time) => format!("what comes in {} s", time.as_secs_f64()),
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.captures.paths.iter().map(|c| c.display().to_string()).collect();
        names.join(", ")
    }

    fn checkpoint_path(&self) -> PathBuf {
        let mut name = self.output.as_os_str().to_owned();
        name.push(".checkpoint");
        name.into()
    }

    /// Refuses to begin anew over the checkpoint of a run that was broken off.
    fn check_checkpoint(&self, session: &Session) -> Result<(), Error> {
        let path = self.checkpoint_path();
        let found = std::fs::metadata(&path).is_ok_and(|found| found.len() > 0);
        if self.resume || session.existing == Existing::Replace || !found {
            return Ok(());
        }
        let reason = "is the checkpoint of a training that was broken off";
        let remedy = "go on with --resume, or begin anew with --force";
        Err(Error::file(&path, format!("{reason}; {remedy}")))
    }

    /// A new trainer, or the one of the checkpoint.
    fn start(
        &self,
        (config, goal): (&TrainConfig, Goal),
        schema: &Schema,
        identity: checkpoint::Identity,
    ) -> Result<TrainSink, Error> {
        let path = self.checkpoint_path();
        let learning = match self.detector {
            Some(method) => Learning::detector(method, config.clone(), schema),
            None if self.resume => {
                Learning::KitNet(Checkpoint::load(&path, &identity)?.trainer(config, &path)?.into())
            }
            None => Learning::KitNet(Trainer::new(config.clone())?.into()),
        };
        Ok(TrainSink::new((learning, goal), identity, path, self.checkpoint_every, self.resume))
    }

    /// Feeds the captures one after the other until the trainer has enough.
    fn feed(
        &self,
        session: &Session,
        (spans, schema): (&[Series], &Schema),
        sink: &mut TrainSink,
        used: &mut Vec<u64>,
    ) -> Result<Outcome, Error> {
        let (spec, mut graph, begin) = self.extraction()?;
        self.workers.check(&mut graph)?;
        let mut no_brick = Graph::pass_through(&spec.name, &[FEATURES.of_width(schema.len())])?;
        let models = Models::default();
        let maker = Maker { spec: &spec, models: &models, threshold: None, swaps: None };
        let extent = if self.span == Span::Packets { Extent::Packets(self.needed()) } else { Extent::Bytes };
        let bar = session.begin("training", extent);
        let (mut last, mut clock): (Option<Outcome>, _) = (None, begin);
        for capture in spans {
            let done = sink.seen();
            let limit = self.stop_after.map(|n| n.saturating_sub(done));
            let (content, mut source) = match (capture.open_any(session, limit, schema), &mut last) {
                (Ok(opened), _) => opened,
                // What the captures before this one taught is kept.
                (Err(Error::Interrupted(_)), Some(outcome)) => {
                    outcome.stopped = true;
                    break;
                }
                (Err(error), _) => return Err(error),
            };
            self.check_content(capture, content)?;
            if content == Content::Features && matches!(self.span, Span::Time(_)) {
                let reason =
                    "a table of features has no times; give --training-packets in place of --training-time";
                return Err(capture.fault(reason));
            }
            let graph = if content == Content::Features { &mut no_brick } else { &mut graph };
            let outcome = self.pass(session, (graph, &mut *source), sink, (clock, &maker), &*bar);
            clock = outcome.clock.next_capture();
            sink.next_capture();
            used.push(sink.seen().min(sink.packets()) - used.iter().sum::<u64>());
            let stopped = session.is_stopped() || self.stop_after.is_some_and(|n| sink.seen() >= n);
            let ended = stopped || outcome.fault.is_some() || sink.is_done();
            last = Some(Outcome { stopped, ..outcome });
            if ended {
                break;
            }
        }
        last.ok_or_else(|| Error::refused("no capture was given"))
    }

    /// Refuses tables of features where a state is wanted or given: they need none, and leave none.
    fn check_content(&self, capture: &Series, content: Content) -> Result<(), Error> {
        let options = [("--state", &self.state), ("--state-out", &self.state_out)];
        match options.iter().find(|(_, given)| given.is_some() && content == Content::Features) {
            Some((option, _)) => {
                let reason =
                    format!("a table of features has nothing to do with a state; leave {option} out");
                Err(capture.fault(reason))
            }
            None => Ok(()),
        }
    }

    /// Feeds a capture until its end or until the trainer has enough; time goes on from `clock`.
    fn pass(
        &self,
        session: &Session,
        (graph, source): (&mut Graph, &mut dyn Source),
        sink: &mut TrainSink,
        (clock, supply): (Clock, Supply<'_>),
        bar: &dyn Gauge,
    ) -> Outcome {
        let (done, enough) = (sink.seen(), sink.enough());
        let options = self.workers.options(session, Some(supply));
        let mut options = Options { clock, stop: &enough, ..options };
        // The trainer may take its time for the feature map, also when it is to end: its checkpoint is worth it.
        options.watchdog.iter_mut().for_each(|watchdog| watchdog.hurry = None);
        legonf_runtime::run(graph, source, sink, options, &mut |progress, packets| {
            bar.update(progress, done + packets);
            enough.fetch_or(session.is_stopped(), Ordering::Relaxed);
        })
    }

    fn bundle(
        &self,
        schema: Schema,
        learning: &Learning,
        identity: checkpoint::Identity,
        used: &[u64],
    ) -> Result<Bundle, Error> {
        let mut captures = identity.origins;
        captures.truncate(used.len());
        captures.iter_mut().zip(used).for_each(|(capture, packets)| capture.packets = *packets);
        let (rows, skipped) = learning.progress();
        let legonf = env!("CARGO_PKG_VERSION").into();
        let provenance = Provenance { legonf, captures, rows, skipped, ..Provenance::default() };
        let model = learning.model()?;
        Ok(Bundle { model, schema, calibration: None, provenance })
    }
}
