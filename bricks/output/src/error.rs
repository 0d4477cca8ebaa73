//! Why an output is refused.

use std::io;
use std::path::PathBuf;

/// Why an output is refused, in words that follow the output's name. It travels inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// A file with content stands there.
    #[error("it exists already; give another name, or --force to replace it")]
    Exists,
    /// A file came to stand there while the output was written.
    #[error("a file of this name has appeared meanwhile; it is left alone, and the result is in {}", .0.display())]
    Appeared(PathBuf),
    /// A socket takes no file.
    #[error("it is a socket; expected a file, a pipe or a device")]
    Socket,
    /// A symbolic link that leads nowhere.
    #[error("it is a link to {}, which does not exist; make that file, or remove the link", .0.display())]
    Dangling(PathBuf),
    /// What stands under the partial file's name is no file.
    #[error("{} is in the way: it is not a file of its own; remove it", .0.display())]
    InTheWay(PathBuf),
    /// Another run writes the partial file.
    #[error("{} is being written by another run", .0.display())]
    Busy(PathBuf),
    /// The partial file was removed or replaced.
    #[error("{} was taken away while it was written", .0.display())]
    TakenAway(PathBuf),
}

impl From<OutputError> for io::Error {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::Exists | OutputError::Appeared(_) => Self::new(io::ErrorKind::AlreadyExists, error),
            other => Self::other(other),
        }
    }
}
