//! Why there is no answer.

use crate::{MAX_PROPOSAL, MAX_RUN};
use std::io;
use std::path::PathBuf;

/// Why a decision is not known.
#[derive(Debug, thiserror::Error)]
pub enum CoordinationError {
    /// Not the name of a run.
    #[error("run {0:?}: expected a name of up to {MAX_RUN} characters of a-z, 0-9 and -")]
    Run(String),
    /// A proposal of this many bytes.
    #[error("a proposal of {0} bytes: expected 1 to {MAX_PROPOSAL}")]
    Proposal(usize),
    /// There is no such folder.
    #[error("{}: not a folder, in which decisions are kept; make it first", .0.display())]
    NoFolder(PathBuf),
    /// A file cannot be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Endpoints or certificates of etcd are not as they should be.
    #[error("etcd: {what:?}: expected {expected}")]
    Place {
        /// The part that is wrong.
        what: String,
        /// What was expected.
        expected: &'static str,
    },
    /// Etcd gives no answer.
    #[error("etcd: {0}")]
    Etcd(String),
    /// Etcd is asked for, but not built in.
    #[error("this program is built without `etcd`; build it with --features etcd, or name a folder")]
    NotBuiltIn,
    /// What a file holds is no decision.
    #[error("{}: holds no decision; remove it if no process of this run is left", .0.display())]
    Damaged(PathBuf),
}

impl CoordinationError {
    /// What the system says of a file.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
