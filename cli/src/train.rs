//! `legonf train kitsune`: learns a model offline from benign traffic.

use crate::Style;
use crate::failure::{Failure, show};
use crate::summary;
use crate::warming::States;
use crate::workers::Workers;
use clap::Args;
use legonf_engine::{Trained, Training};
use legonf_models::kitnet::TrainConfig;
use legonf_output::one_line;
use std::path::PathBuf;

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
    #[command(flatten)]
    states: States,
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
            captures: self.captures.clone(),
            output: self.output.clone(),
            schema: self.schema.clone(),
            config: self.config(),
            resume: self.resume,
            checkpoint_every: self.checkpoint_every,
            stop_after: self.stop_after,
            workers: self.workers.given(),
            state: self.states.state.clone(),
            state_out: self.states.state_out.clone(),
        }
    }

    fn config(&self) -> TrainConfig {
        TrainConfig {
            feature_mapping_packets: self.feature_mapping_packets,
            training_packets: self.training_packets,
            max_autoencoder_size: self.max_autoencoder_size,
            learning_rate: self.learning_rate,
            hidden_ratio: self.hidden_ratio,
            seed: self.seed,
            ..TrainConfig::default()
        }
    }
}

fn text(trained: &Trained) -> String {
    let Trained { model, schema, features, packets, skipped, autoencoders, last_training_rmse, .. } = trained;
    let passed = if *skipped == 0 { String::new() } else { format!(" ({skipped} more were rejected)") };
    format!(
        "trained {model}: {autoencoders} autoencoders over {features} features of {schema}, from {packets} packets{passed}, last training RMSE {last_training_rmse:.6}\n\
         {}{}next: legonf calibrate {model} BENIGN_CAPTURE\n",
        trained.clock.iter().map(summary::clock::text).collect::<String>(),
        trained
            .state
            .iter()
            .map(|state| format!("state behind the last of them: {}\n", one_line(state)))
            .collect::<String>(),
    )
}
