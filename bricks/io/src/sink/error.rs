//! Why a result could not be written.

use legonf_core::Fault;
use std::io;

/// A fault of a sink, in one line that names the file, the cause and what is left on the disk.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The output could not be created.
    #[error("cannot create {path}: {}", reason(source))]
    Create {
        /// The file as the caller named it.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes could not be written, or could not be brought to the disk.
    #[error("cannot write {path}: {}{}", reason(source), kept(partial.as_deref()))]
    Write {
        /// The file as the caller named it.
        path: String,
        /// The name under which what was written before is kept, for regular files.
        partial: Option<String>,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody reads the pipe any more; command-line tools end quietly on this.
    #[error("cannot write {path}: the reader of the pipe has gone away")]
    ClosedPipe {
        /// The output as the caller named it.
        path: String,
    },
    /// More was written after a fault or after the end.
    #[error("cannot write {path}: it is {state}")]
    Ended {
        /// The file as the caller named it.
        path: String,
        /// Why it takes no more.
        state: &'static str,
    },
    /// The extension names no known format.
    #[error("cannot write {path}: its extension must be .npy, .csv or .parquet")]
    UnknownFormat {
        /// The file as the caller named it.
        path: String,
    },
    /// The extension names no format of records.
    #[error("cannot write {path}: its extension must be .csv, .parquet, .npy or .log")]
    UnknownRecords {
        /// The file as the caller named it.
        path: String,
    },
    /// The extension names no format of a table.
    #[error("cannot write {path}: its extension must be .json, .csv, .parquet or .log")]
    UnknownTable {
        /// The file as the caller named it.
        path: String,
    },
    /// The output is a pipe or a device, and the format needs a file.
    #[error(
        "cannot write {path}: the row count goes into the header of a .npy file at the end, so it must be a regular file; use .csv"
    )]
    NotRegular {
        /// The output as the caller named it.
        path: String,
    },
    /// A batch lacks a column, or its rows have another width than the schema.
    #[error(
        "cannot write {path}: expected {expected} {what} and got {found}; the graph and the sink do not fit together"
    )]
    Mismatch {
        /// The file as the caller named it.
        path: String,
        /// What was counted.
        what: String,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The Parquet encoder failed.
    #[error("cannot write {path}: {reason}")]
    Parquet {
        /// The file as the caller named it.
        path: String,
        /// What the encoder said.
        reason: String,
    },
    /// A plot could not be drawn.
    #[error("cannot draw {path}: {reason}")]
    Drawing {
        /// The file as the caller named it.
        path: String,
        /// What the drawing library said.
        reason: String,
    },
}

impl SinkError {
    /// A short name for the kind of fault, also used as the metric's name.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Write { .. } => "write",
            Self::ClosedPipe { .. } => "closed-pipe",
            Self::Ended { .. } => "ended",
            Self::UnknownFormat { .. } | Self::UnknownRecords { .. } | Self::UnknownTable { .. } => {
                "unknown-format"
            }
            Self::NotRegular { .. } => "not-regular",
            Self::Mismatch { .. } => "mismatch",
            Self::Parquet { .. } => "parquet",
            Self::Drawing { .. } => "drawing",
        }
    }

    /// Whether the reader of a pipe has gone away.
    pub const fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::ClosedPipe { .. })
    }
}

impl From<SinkError> for Fault {
    fn from(error: SinkError) -> Self {
        Self::new(error)
    }
}

/// Whether a fault of a sink means that the reader of a pipe has gone away.
pub fn is_closed_pipe(fault: &Fault) -> bool {
    fault.get_ref().downcast_ref::<SinkError>().is_some_and(SinkError::is_closed_pipe)
}

pub(super) fn reason(error: &io::Error) -> String {
    use io::ErrorKind as K;
    match error.kind() {
        K::StorageFull => "the disk is full".into(),
        K::QuotaExceeded => "the disk quota is used up".into(),
        K::FileTooLarge => "the file would exceed the largest size allowed".into(),
        K::ReadOnlyFilesystem => "the file system is read-only".into(),
        K::PermissionDenied => "permission denied".into(),
        K::NotFound => "its folder does not exist".into(),
        K::NotADirectory => "its folder is not a folder".into(),
        K::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    }
}

fn kept(partial: Option<&str>) -> String {
    partial.map_or(String::new(), |name| format!("; what was written before is kept in {name}"))
}
