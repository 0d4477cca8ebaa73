//! Why a classifier cannot be trained.

use legonf_models::ModelError;
use std::path::Path;

/// What went wrong, in one line that names it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A file cannot be read, written or used.
    #[error("{file}: {reason}")]
    File {
        /// Its name.
        file: String,
        /// What is wrong with it, and the remedy.
        reason: String,
    },
    /// The samples do not make a classifier.
    #[error("{0}")]
    Samples(String),
    /// An option is out of its range.
    #[error("{option} = {found}: expected {expected}")]
    Option {
        /// The option.
        option: &'static str,
        /// What was given.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The classifier cannot be written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Networks were wanted, and this build has none.
    #[error(
        "this build of legonf trains no networks: build it with `--features train`, or give --networks 0 for a forest alone"
    )]
    Unbuilt,
    /// The library that trains failed.
    #[cfg(feature = "networks")]
    #[error("training failed: {0}")]
    Candle(#[from] candle_core::Error),
    /// The caller has stopped the training.
    #[error("stopped")]
    Stopped,
}

impl TrainError {
    /// What is wrong with a file.
    pub fn file(path: &Path, reason: impl ToString) -> Self {
        Self::File { file: path.display().to_string(), reason: reason.to_string() }
    }
}
