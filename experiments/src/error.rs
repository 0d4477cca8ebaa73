//! Why an experiment cannot be run, or failed.

use crate::replicas::MOST;
use legonf_controller::ControllerError;
use legonf_core::{BindError, BrickError, Fault, LayoutError};
use legonf_datasets::DatasetError;
use legonf_decide::DecideError;
use legonf_engine::Error;
use legonf_extract::{ExtractError, StateError};
use legonf_models::kitnet::{ConfigError, Defect, TrainError};
use legonf_runtime::RunFault;
use legonf_splitter::SplitError;

/// What went wrong, in one line.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// The traffic cannot be split so.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// An extractor cannot be built.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// State cannot be moved.
    #[error(transparent)]
    State(#[from] StateError),
    /// A run fails, a file cannot be read or written, or what was asked for cannot be.
    #[error(transparent)]
    Engine(#[from] Error),
    /// Traffic cannot be generated.
    #[error(transparent)]
    Traffic(#[from] DatasetError),
    /// A network cannot be trained so.
    #[error(transparent)]
    Training(#[from] ConfigError),
    /// Training came to no network.
    #[error(transparent)]
    Trained(#[from] TrainError),
    /// A network is not one that legonf's own engine runs.
    #[error(transparent)]
    Network(#[from] Defect),
    /// There is no threshold.
    #[error(transparent)]
    Decide(#[from] DecideError),
    /// A policy is wrong.
    #[error(transparent)]
    Controller(#[from] ControllerError),
    /// A brick failed.
    #[error(transparent)]
    Brick(#[from] BrickError),
    /// Bricks do not fit together.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A column is not there.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A source or a sink failed.
    #[error(transparent)]
    End(#[from] Fault),
    /// The system refused something.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// A run has ended early.
    #[error(transparent)]
    Run(#[from] RunFault),
    /// A number of replicas that cannot be.
    #[error("replicas = {0}: expected 1 to {MOST}")]
    Replicas(usize),
    /// Slots could not be moved.
    #[error("{0}")]
    Order(String),
    /// The system has no further thread.
    #[error("a run cannot be started: {0}")]
    Thread(std::io::Error),
    /// A run panicked: a defect of legonf.
    #[error("a run panicked; please report this with the capture")]
    Panicked,
    /// The model's network is not a KitNET for the schema.
    #[error(
        "the model takes {model} features, and the schema \"{schema}\" has {features}: use the schema's model"
    )]
    Features {
        /// Features that the model takes.
        model: usize,
        /// The schema.
        schema: String,
        /// Its features.
        features: usize,
    },
    /// A split has lost packets.
    #[error("{split}: {scored} scores for {received} packets")]
    Missing {
        /// Name of the split.
        split: String,
        /// Scores that it gave.
        scored: u64,
        /// Packets that came.
        received: u64,
    },
    /// A split that must not change anything did.
    #[error(
        "{split}: {packets} scores are not the single instance's; the first is packet {seq}: {found:?}, not {expected:?}"
    )]
    Deviation {
        /// Name of the split.
        split: String,
        /// How many scores differ.
        packets: u64,
        /// The first packet whose score differs.
        seq: u64,
        /// Its score.
        found: f64,
        /// Its score at the single instance.
        expected: f64,
    },
}
