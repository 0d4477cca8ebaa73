//! `legonf train kitsune`: learns a model offline from benign traffic.

mod checkpoint;
mod sink;

use crate::failure::{Failure, print, print_json};
use crate::input;
use crate::progress::Bar;
use crate::summary::clock::ClockReport;
use crate::supply::Maker;
use crate::workers::Workers;
use crate::{Style, interrupt, kitsune};
use checkpoint::Checkpoint;
use clap::Args;
use legonf_catalog::Context;
use legonf_core::{Clock, ColumnSpec, Schema, count};
use legonf_extract::{Arithmetic, FEATURES};
use legonf_io::{Content, SourceError, SourceErrorKind};
use legonf_models::kitnet::{TrainConfig, Trainer};
use legonf_models::{Bundle, Model, Provenance};
use legonf_runtime::{Graph, Options, Outcome, RunFault};
use serde::Serialize;
use sink::TrainSink;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Trains KitNET on the damped statistics of benign captures, in the order given; no time passes between two captures
/// (kitsune-115-clean; the published schemas follow the time stamps).
///
/// The first packets (--feature-mapping-packets, plus one as in the reference) decide which features an autoencoder
/// takes; the next ones (--training-packets) train the ensemble. Later packets are not read: keep them for
/// `legonf calibrate`.
#[derive(Args)]
pub struct Arguments {
    /// Benign captures (pcap, pcapng or Kitsune's TSV) or tables of features (Kitsune's or N-BaIoT's CSV, or what
    /// `legonf features` wrote), plain, gzip or zstd; `-` is standard input.
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// Where the model goes (one ONNX file).
    #[arg(long, short, value_name = "MODEL")]
    output: PathBuf,
    /// Feature schema: kitsune-115-clean, or kitsune-115 and kitsune-py-100, which reproduce what was published.
    #[arg(long, default_value = legonf_extract::DEFAULT_SCHEMA)]
    schema: String,
    /// `reference` gives the bits of the reference implementation, `fast` is quicker within a stated tolerance.
    #[arg(long, default_value = "reference")]
    arithmetic: Arithmetic,
    /// Packets that decide the feature map.
    #[arg(long, default_value_t = 5000, value_name = "N")]
    feature_mapping_packets: u64,
    /// Packets that train the ensemble.
    #[arg(long, default_value_t = 50000, value_name = "N")]
    training_packets: u64,
    /// The most features that one autoencoder takes.
    #[arg(long, default_value_t = 10, value_name = "N")]
    max_autoencoder_size: usize,
    /// Step of the stochastic gradient descent.
    #[arg(long, default_value_t = 0.1, value_name = "RATE")]
    learning_rate: f64,
    /// Hidden units of an autoencoder for each of its features.
    #[arg(long, default_value_t = 0.75, value_name = "RATIO")]
    hidden_ratio: f64,
    /// Seed of the initial weights.
    #[arg(long, default_value_t = 1234)]
    seed: u32,
    /// Go on from the checkpoint beside the model (MODEL.checkpoint), with the same captures and options. Captures that are too
    /// short or damaged leave none.
    #[arg(long)]
    resume: bool,
    /// Packets between two checkpoints.
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint_every: u64,
    /// End after N packets with a checkpoint, as Ctrl-C does, to train in portions.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    stop_after: Option<u64>,
    #[command(flatten)]
    workers: Workers,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    model: String,
    schema: &'a str,
    packets: u64,
    /// Packets that were passed over: of a link type that is not parsed, or with features that are no finite numbers.
    skipped: u64,
    autoencoders: usize,
    last_training_rmse: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<ClockReport>,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    style.check_results([&*arguments.output])?;
    arguments.check_checkpoint(style)?;
    let schema = legonf_extract::schema_by_name(&arguments.schema)?;
    let config = arguments.config(schema.len());
    config.validate()?;
    let origins = arguments.captures.iter().map(|c| input::origin(c)).collect::<Result<Vec<_>, _>>()?;
    let identity =
        checkpoint::Identity { schema: schema.hash().to_string(), arithmetic: arguments.arithmetic, origins };
    let mut sink = arguments.start(&config, identity)?;
    let mut used = Vec::new();
    let fed = arguments.feed(&schema, &mut sink, &mut used, style);
    if let Err(Failure::Fault(_)) = &fed {
        sink.discard_checkpoint();
    }
    let outcome = fed?;
    let clock = ClockReport::of(&sink.clock(), &arguments.schema);
    let checkpoint = sink.checkpoint_path().to_owned();
    if !sink.is_done() {
        return Err(unfinished(arguments, &mut sink, outcome));
    }
    let last_training_rmse = sink.last_rmse();
    let (trainer, identity) = sink.into_parts();
    let bundle = arguments.bundle(schema, trainer, identity, &used)?;
    bundle.save(&arguments.output)?;
    // The model is complete; what is left of the checkpoint is of no more use.
    let _ = std::fs::remove_file(checkpoint);
    arguments.report(&bundle, last_training_rmse, clock, style)
}

/// The failure of a run that ended before the last training packet.
fn unfinished(arguments: &Arguments, sink: &mut TrainSink, outcome: Outcome) -> Failure {
    match outcome.fault {
        Some(fault) if is_of_the_capture(&fault) => {
            sink.discard_checkpoint();
            Failure::fault(format!("{fault}; training needs whole captures, so nothing is kept"))
        }
        Some(fault) => Failure::fault(format!("{fault}; {}", keep(arguments, sink))),
        None if outcome.stopped => Failure::Interrupted(keep(arguments, sink)),
        None => {
            sink.discard_checkpoint();
            too_short(arguments, sink)
        }
    }
}

/// Writes a checkpoint, and says what it holds.
fn keep(arguments: &Arguments, sink: &mut TrainSink) -> String {
    match sink.save_checkpoint() {
        Ok(()) => format!(
            "checkpoint {} holds {} of {}; go on with --resume",
            sink.checkpoint_path().display(),
            sink.packets(),
            count(arguments.needed(), "packet"),
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

/// The failure where the captures end before training does. No longer list of captures can go on from a checkpoint of these.
fn too_short(arguments: &Arguments, sink: &TrainSink) -> Failure {
    let (needed, have) = (arguments.needed(), sink.packets());
    let missing = needed.saturating_sub(have - sink.skipped());
    let names: Vec<_> = arguments.captures.iter().map(|c| c.display().to_string()).collect();
    Failure::fault(format!(
        "{}: too short: training needs {} ({} + 1 for the feature map, {} for the ensemble), and {have} came: \
         {missing} {} missing; give more captures or lower --feature-mapping-packets or --training-packets",
        names.join(", "),
        count(needed, "packet"),
        arguments.feature_mapping_packets,
        arguments.training_packets,
        if missing == 1 { "is" } else { "are" },
    ))
}

impl Arguments {
    fn config(&self, features: usize) -> TrainConfig {
        TrainConfig {
            features,
            feature_mapping_packets: self.feature_mapping_packets,
            training_packets: self.training_packets,
            max_autoencoder_size: self.max_autoencoder_size,
            learning_rate: self.learning_rate,
            hidden_ratio: self.hidden_ratio,
            seed: self.seed,
        }
    }

    /// Packets that training takes in all.
    fn needed(&self) -> u64 {
        self.feature_mapping_packets + 1 + self.training_packets
    }

    fn checkpoint_path(&self) -> PathBuf {
        let mut name = self.output.as_os_str().to_owned();
        name.push(".checkpoint");
        name.into()
    }

    /// Refuses to begin anew over the checkpoint of a run that was broken off.
    fn check_checkpoint(&self, style: Style) -> Result<(), Failure> {
        let path = self.checkpoint_path();
        let found = std::fs::metadata(&path).is_ok_and(|found| found.len() > 0);
        if self.resume || style.force || !found {
            return Ok(());
        }
        let reason = "is the checkpoint of a training that was broken off";
        let remedy = "go on with --resume, or begin anew with --force";
        Err(Failure::fault(format!("{}: {reason}; {remedy}", path.display())))
    }

    /// A new trainer, or the one of the checkpoint.
    fn start(&self, config: &TrainConfig, identity: checkpoint::Identity) -> Result<TrainSink, Failure> {
        let path = self.checkpoint_path();
        let trainer = if self.resume {
            Checkpoint::load(&path, &identity)?.trainer(config, &path)?
        } else {
            Trainer::new(config.clone())?
        };
        Ok(TrainSink::new(trainer, identity, path, self.checkpoint_every, self.resume))
    }

    /// Feeds the captures one after the other until the trainer has enough.
    fn feed(
        &self,
        schema: &Schema,
        sink: &mut TrainSink,
        used: &mut Vec<u64>,
        style: Style,
    ) -> Result<Outcome, Failure> {
        let stop = interrupt::install();
        let enough = sink.enough();
        let spec = kitsune::extraction(&self.schema, self.arithmetic);
        let mut graph = Graph::assemble(&spec, &[ColumnSpec::PACKETS], &[FEATURES], |b| {
            legonf_catalog::build(&b.kind, &b.config, &Context::default())
        })?;
        self.workers.check(&mut graph)?;
        let mut no_brick = Graph::pass_through(&spec.name, &[FEATURES.of_width(schema.len())])?;
        let maker = Maker { spec: &spec, network: None };
        let make = |id: &str| maker.make(id);
        let bar = Bar::new("training", Some(self.needed()), style.quiet);
        let (mut last, mut clock): (Option<Outcome>, _) = (None, Clock::default());
        for capture in &self.captures {
            let done = sink.seen();
            let limit = self.stop_after.map(|n| n.saturating_sub(done));
            let (content, mut source) = match (input::open_any(capture, limit, schema), &mut last) {
                (Ok(opened), _) => opened,
                // What the captures before this one taught is kept.
                (Err(Failure::Interrupted(_)), Some(outcome)) => {
                    outcome.stopped = true;
                    break;
                }
                (Err(failure), _) => return Err(failure),
            };
            let graph = if content == Content::Features { &mut no_brick } else { &mut graph };
            let mut options = Options { clock, ..self.workers.options(&enough, Some(&make)) };
            // The trainer may take its time for the feature map, also when it is to end: its checkpoint is worth it.
            options.watchdog.iter_mut().for_each(|watchdog| watchdog.hurry = None);
            let outcome =
                legonf_runtime::run(graph, &mut *source, sink, options, &mut |progress, packets| {
                    bar.update(progress, done + packets);
                    enough.fetch_or(stop.load(Ordering::Relaxed), Ordering::Relaxed);
                });
            clock = outcome.clock.next_capture();
            sink.next_capture();
            used.push(sink.seen().min(sink.packets()) - used.iter().sum::<u64>());
            let stopped = stop.load(Ordering::Relaxed) || self.stop_after.is_some_and(|n| sink.seen() >= n);
            let ended = stopped || outcome.fault.is_some() || sink.is_done();
            last = Some(Outcome { stopped, ..outcome });
            if ended {
                break;
            }
        }
        bar.clear();
        last.ok_or_else(|| Failure::fault("no capture was given"))
    }

    fn bundle(
        &self,
        schema: Schema,
        trainer: Trainer,
        identity: checkpoint::Identity,
        used: &[u64],
    ) -> Result<Bundle, Failure> {
        let mut captures = identity.origins;
        captures.truncate(used.len());
        captures.iter_mut().zip(used).for_each(|(capture, packets)| capture.packets = *packets);
        let skipped = trainer.progress().skipped;
        let legonf = env!("CARGO_PKG_VERSION").into();
        let provenance =
            Provenance { legonf, captures, rows: self.needed(), skipped, ..Provenance::default() };
        let training = trainer.config().clone();
        let model = Model::KitNet { network: trainer.finish()?.into(), training };
        Ok(Bundle { model, schema, arithmetic: self.arithmetic.to_string(), calibration: None, provenance })
    }

    fn report(
        &self,
        bundle: &Bundle,
        last_training_rmse: f64,
        clock: Option<ClockReport>,
        style: Style,
    ) -> Result<(), Failure> {
        let model = self.output.display().to_string();
        let autoencoders = bundle.describe().ensemble.len();
        let skipped = bundle.provenance.skipped;
        let passed = if skipped == 0 { String::new() } else { format!(" ({skipped} more were rejected)") };
        if style.json {
            return print_json(&Report {
                model,
                schema: &self.schema,
                packets: self.needed(),
                skipped,
                autoencoders,
                last_training_rmse,
                clock,
            });
        }
        if style.quiet {
            return Ok(());
        }
        print(&format!(
            "trained {model}: {autoencoders} autoencoders over {} features of {}, from {} packets{passed}, last training RMSE {last_training_rmse:.6}\n\
             {}next: legonf calibrate {model} BENIGN_CAPTURE\n",
            bundle.schema.len(),
            self.schema,
            self.needed(),
            clock.iter().map(ClockReport::text).collect::<String>(),
        ))
    }
}
