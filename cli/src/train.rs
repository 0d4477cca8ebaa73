//! `legonf train kitsune`: learns a model offline from benign traffic.

pub mod classifier;

use crate::Style;
use crate::failure::{Failure, show};
use crate::inputs::{Filter, filtered_out};
use crate::invalid::Invalid;
use crate::summary;
use crate::warming::States;
use crate::workers::Workers;
use clap::Args;
use legonf_engine::arguments::time;
use legonf_engine::{Drift, Span, Trained, Training};
use legonf_models::detectors::Method;
use legonf_models::kitnet::TrainConfig;
use legonf_output::one_line;
use std::path::PathBuf;
use std::time::Duration;

/// Trains KitNET, or a simpler detector (--detector), on the damped statistics of benign captures, in the order given; no time passes between two captures
/// (kitsune-115-clean; the published schemas follow the time stamps).
///
/// The first packets (--feature-mapping-packets, plus one as in the reference) decide which features an autoencoder takes; the next
/// ones train the ensemble: 50000 or more, and until 6 half-lives of the slowest statistic have passed (600 s of packet time, for a
/// decay of 0.01). --training-packets or --training-time say otherwise. Over less than 5 half-lives the model knows only
/// statistics that have not settled, which the summary says. A quarter as many packets, or as long a time, after these are scored and
/// not learnt from, to see whether the scores drift. Later packets are not read. Keep what is not learnt from for `legonf calibrate`.
///
/// What Kitsune does not see: a host that sends no faster and to no more peers than it does anyway. Of the testbed's attack it finds 96%
/// of the packets, of one in 3 of them 91%, of one in 10 8%, of one in 30 none.
#[derive(Args)]
pub struct Arguments {
    /// Benign captures (pcap, pcapng or Kitsune's TSV) or tables of features (Kitsune's or N-BaIoT's CSV, or what
    /// `legonf features` wrote), plain, gzip or zstd; `-` is standard input. A folder stands for the captures in it, in the order of
    /// their first packets.
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    #[command(flatten)]
    filter: Filter,
    /// Where the model goes (one ONNX file).
    #[arg(long = "out", short, alias = "output", value_name = "FILE")]
    output: PathBuf,
    /// Feature schema: kitsune-115-clean, or kitsune-115 and kitsune-py-100, which reproduce what was published.
    #[arg(long, default_value = legonf_extract::DEFAULT_SCHEMA)]
    schema: String,
    /// What is trained, on the same packets: `kitnet`, or a simpler detector over the same features. `ensemble` joins `log-pca`,
    /// `ecod` and `hbos` by how improbable the score of each is among benign ones; `pca`, `isolation-forest`, `mean-z`, `box-plot` and
    /// `nearest-neighbour` stand alone. `legonf compare` shows what each finds in a capture with labels.
    #[arg(long, default_value = "kitnet", value_name = "NAME", value_parser = detector)]
    detector: Detector,
    /// Packets that decide the feature map.
    #[arg(long, default_value_t = 5000, value_name = "N")]
    feature_mapping_packets: u64,
    /// Packets that train the ensemble, whatever time they take.
    #[arg(long, value_name = "N", conflicts_with = "training_time")]
    training_packets: Option<u64>,
    /// Train on what comes in so much packet time from the first packet on, such as 30m, 1h30m or 600s.
    #[arg(long, value_name = "TIME", value_parser = time)]
    training_time: Option<Duration>,
    /// The most features that one autoencoder takes.
    #[arg(long, default_value_t = 10, value_name = "N")]
    max_autoencoder_size: usize,
    /// Step of the stochastic gradient descent.
    #[arg(long, default_value_t = 0.1, value_name = "RATE")]
    learning_rate: f64,
    /// Hidden units of an autoencoder for each of its features.
    #[arg(long, default_value_t = 0.75, value_name = "RATIO")]
    hidden_ratio: f64,
    /// Seed of the initial weights, or of a detector's sample.
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
    #[command(flatten)]
    states: States,
}

/// What `--detector` names; none of KitNET.
#[derive(Clone, Copy)]
struct Detector(Option<Method>);

fn detector(text: &str) -> Result<Detector, Invalid> {
    if text == "kitnet" {
        return Ok(Detector(None));
    }
    let expected =
        "kitnet, ensemble, pca, log-pca, ecod, hbos, isolation-forest, mean-z, box-plot or nearest-neighbour";
    text.parse().map(|method| Detector(Some(method))).map_err(|_| Invalid::Value(expected))
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    style.check_results([&*arguments.output].into_iter().chain(arguments.states.state_out.as_deref()))?;
    let trained = arguments.given().run(&style.session())?;
    show(&trained, text, style)
}

impl Arguments {
    /// What the engine takes.
    fn given(&self) -> Training {
        Training {
            captures: self.filter.of(&self.captures),
            output: self.output.clone(),
            schema: self.schema.clone(),
            config: self.config(),
            detector: self.detector.0,
            span: self.span(),
            resume: self.resume,
            checkpoint_every: self.checkpoint_every,
            stop_after: self.stop_after,
            workers: self.workers.given(),
            state: self.states.state.clone(),
            state_out: self.states.state_out.clone(),
        }
    }

    fn span(&self) -> Span {
        match (self.training_packets, self.training_time) {
            (Some(_), _) => Span::Packets,
            (None, Some(time)) => Span::Time(time),
            (None, None) => Span::Settled,
        }
    }

    fn config(&self) -> TrainConfig {
        let defaults = TrainConfig::default();
        TrainConfig {
            feature_mapping_packets: self.feature_mapping_packets,
            training_packets: self.training_packets.unwrap_or(defaults.training_packets),
            max_autoencoder_size: self.max_autoencoder_size,
            learning_rate: self.learning_rate,
            hidden_ratio: self.hidden_ratio,
            seed: self.seed,
            ..defaults
        }
    }
}

fn text(trained: &Trained) -> String {
    let Trained { model, schema, features, packets, skipped, .. } = trained;
    let passed = if *skipped == 0 { String::new() } else { format!(" ({skipped} more were rejected)") };
    let span = trained.seconds.map_or_else(String::new, |seconds| format!(" of {seconds:.1} s"));
    format!(
        "trained {model}: {} over {features} features of {schema}, from {packets} packets{span}{passed}{}\n\
         {}{}{}{}{}next: legonf calibrate {model} OTHER_BENIGN_CAPTURE\n      or, with what follows in the same captures, --skip {packets}\n",
        what(trained),
        trained.last_training_rmse.map_or_else(String::new, |rmse| format!(", last training RMSE {rmse:.6}")),
        filtered_out(trained.filtered_out),
        short(trained),
        drift(trained.drift.as_ref()),
        trained.clock.iter().map(summary::clock::text).collect::<String>(),
        state(trained.state.as_deref()),
    )
}

/// What was trained.
fn what(trained: &Trained) -> String {
    match trained.detector {
        Some(method) => format!("detector {method}"),
        None => format!("{} autoencoders", trained.autoencoders),
    }
}

/// Where the state is.
fn state(state: Option<&str>) -> String {
    state.map_or_else(String::new, |state| format!("state behind the last of them: {}\n", one_line(state)))
}

/// A warning where the training is too short for the schema.
fn short(trained: &Trained) -> String {
    let Some((seconds, least)) = trained.seconds.zip(trained.shorter_than_seconds) else {
        return String::new();
    };
    format!(
        "warning     {seconds:.1} s of training are less than the {least} s that the slowest statistics need, so scores will rise as these settle: \
         train on a longer capture (--training-time)\n"
    )
}

/// What became of the scores after the training.
fn drift(drift: Option<&Drift>) -> String {
    let Some(Drift { packets, before, after, drifts }) = drift else {
        return "drift       not checked: too few packets come after those of the training\n".into();
    };
    let levels = format!(
        "9 of 10 of the {packets} packets after the training score below {after:.4}, of its last quarter below {before:.4}"
    );
    if !drifts {
        return format!("drift       none: {levels}\n");
    }
    let way = if after > before { "rise" } else { "fall" };
    format!(
        "drift       the scores {way}: {levels}; train for longer, on traffic as varied as that to come\n"
    )
}
