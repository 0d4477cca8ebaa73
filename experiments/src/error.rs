//! Why an experiment cannot be run, or failed.

use legonf_extract::{ExtractError, StateError};
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
    /// More parts than the merge can tell apart.
    #[error("the plan has {0} routes: expected 16 at most over all shards")]
    Routes(usize),
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
