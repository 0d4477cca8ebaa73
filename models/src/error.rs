//! The errors of model files.

use crate::kitnet::Defect;
use std::io;
use std::path::Path;

/// Why a model file cannot be read or written: one line that names the file and the part.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("{file}: cannot be written: {source}")]
    Write {
        /// The file.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is larger than any of its kind.
    #[error("{file}: larger than {limit} bytes, the most that is read of such a file")]
    TooLarge {
        /// The file.
        file: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file is not ONNX.
    #[error("{file}: not an ONNX model, or cut short: {reason}")]
    NotOnnx {
        /// The file.
        file: String,
        /// What the decoder found.
        reason: String,
    },
    /// A part is missing or wrong.
    #[error("{file}: {defect}")]
    Invalid {
        /// The file.
        file: String,
        /// The part and what is wrong with it.
        defect: Defect,
    },
}

impl ModelError {
    /// The static name of the kind, for counters and exit codes.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Read { .. } => "model-read",
            Self::Write { .. } => "model-write",
            Self::TooLarge { .. } => "model-too-large",
            Self::NotOnnx { .. } => "model-not-onnx",
            Self::Invalid { .. } => "model-invalid",
        }
    }

    pub(crate) fn invalid(file: &str, defect: Defect) -> Self {
        Self::Invalid { file: file.to_owned(), defect }
    }
}

/// A path as messages show it.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
