//! Why a composite cannot be made.

use legonf_core::Fault;
use legonf_io::SourceError;
use legonf_io::labels::LabelError;

/// A fault in making a composite, in one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// A capture cannot be opened.
    #[error(transparent)]
    Open(#[from] SourceError),
    /// A capture cannot be read to its end.
    #[error(transparent)]
    Read(#[from] Fault),
    /// A label file cannot be read or does not fit its capture.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// The input has headers only.
    #[error("{file}: this is a table of headers, expected packets to rewrite: pcap or pcapng")]
    HeadersOnly {
        /// The file.
        file: String,
    },
    /// Nothing is left of a capture.
    #[error("{file}: no packet of it is {wanted}; expected at least one (are its labels right?)")]
    Nothing {
        /// The file.
        file: String,
        /// What was looked for.
        wanted: &'static str,
    },
    /// Standard input was named.
    #[error("standard input cannot be read twice, as a composite needs: expected the name of a file")]
    StandardInput,
    /// A pipe or a device was named.
    #[error("{file}: this is no regular file and cannot be read twice, as a composite needs")]
    Stream {
        /// The file.
        file: String,
    },
    /// A number is out of range.
    #[error("{key} = {value}: expected {expected}")]
    Range {
        /// The key.
        key: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        expected: &'static str,
    },
}

impl ComposeError {
    /// The kind's name, also that of its metric.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Read(_) => "read",
            Self::Labels(_) => "labels",
            Self::HeadersOnly { .. } => "headers-only",
            Self::Nothing { .. } => "nothing",
            Self::StandardInput => "standard-input",
            Self::Stream { .. } => "stream",
            Self::Range { .. } => "bad-configuration",
        }
    }
}
