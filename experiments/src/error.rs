//! Why an experiment cannot be run, or failed.

use crate::replicas::MOST;
use legonf_core::BrickError;
use legonf_extract::{ExtractError, StateError};
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
    /// A brick fails.
    #[error(transparent)]
    Brick(#[from] BrickError),
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
