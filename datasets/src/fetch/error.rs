//! What can go wrong with a download.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file was not fetched. What came before stays in `FILE.partial` and is resumed, unless the message says
/// otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The server answers with a status that trying again does not change.
    #[error("{url}: the server answers {status}{}", remedy(*.status))]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// This build does not download.
    #[cfg(not(feature = "download"))]
    #[error(
        "this build of legonf does not download (build it with `--features download`); run `curl --create-dirs -L -C - -o '{}' {url}`, then the same command again to check the file",
        file.display()
    )]
    ByHand {
        /// The address.
        url: String,
        /// Where the file is to be.
        file: PathBuf,
    },
    /// The request cannot be made: a wrong address, a redirect that leads nowhere, a certificate.
    #[error("{url}: {reason}")]
    Request {
        /// The address.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Every attempt failed.
    #[error(
        "{url}: {reason}; gave up after {attempts} attempts, {} has the first {bytes} bytes: run the same command again to go on",
        partial.display()
    )]
    GaveUp {
        /// The address.
        url: String,
        /// Why the last attempt failed.
        reason: String,
        /// Attempts in a row that brought nothing new.
        attempts: u32,
        /// The partial file.
        partial: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The server's file is not as long as the catalogue says.
    #[error("{url}: the server's file has {found} bytes, expected {expected}")]
    Size {
        /// The address.
        url: String,
        /// Bytes as the catalogue says.
        expected: u64,
        /// Bytes as the server says, or those that came before it was stopped.
        found: u64,
    },
    /// A file of unknown size is longer than is allowed.
    #[error(
        "{url}: more than {limit} bytes came, and neither the server nor the catalogue says how many there are: allow more with --max-size, if that is right"
    )]
    TooLong {
        /// The address.
        url: String,
        /// The most bytes that were allowed.
        limit: u64,
    },
    /// Nothing says where the file ends.
    #[error(
        "{url}: neither the server nor the catalogue says how long the file is, so that a broken download could not be told from a whole one"
    )]
    UnknownLength {
        /// The address.
        url: String,
    },
    /// The bytes that came are not the expected ones.
    #[error(
        "{url}: its SHA-256 is {found}, expected {expected}; {} is kept for a look, the next fetch starts anew",
        partial.display()
    )]
    Checksum {
        /// The address.
        url: String,
        /// Digest as the catalogue says.
        expected: String,
        /// Digest of what came.
        found: String,
        /// Where it lies.
        partial: PathBuf,
    },
    /// A file of the right name is there already, with other bytes.
    #[error("{}: {reason}; move it away to fetch the file", file.display())]
    Present {
        /// The file.
        file: PathBuf,
        /// How it differs.
        reason: String,
    },
    /// The disk is too small.
    #[error("{}: {available} bytes are free, {needed} more are needed", folder.display())]
    Space {
        /// The folder.
        folder: PathBuf,
        /// Bytes still to come.
        needed: u64,
        /// Bytes that this user may still write.
        available: u64,
    },
    /// Another process writes the same partial file.
    #[error("{}: another download is writing it", partial.display())]
    Busy {
        /// The partial file.
        partial: PathBuf,
    },
    /// Something else stands where the partial file is to be.
    #[error("{reason}")]
    InTheWay {
        /// What, where, and the remedy.
        reason: String,
    },
    /// A file or folder cannot be made, read, written or renamed.
    #[error("{}: {source}", file.display())]
    File {
        /// The file or folder.
        file: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The caller's stop flag was set.
    #[error("{} has the first {bytes} bytes: run the same command again to go on", partial.display())]
    Interrupted {
        /// The partial file.
        partial: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The caller's stop flag was set while a checksum was being computed.
    #[error("{} is not checked", file.display())]
    Unchecked {
        /// The file.
        file: PathBuf,
    },
}

impl FetchError {
    /// For `map_err`: the system's error on `file`.
    pub(crate) fn file(file: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::File { file: file.to_owned(), source }
    }

    /// The kind's name, also that of its metric.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Status { .. } => "http-status",
            #[cfg(not(feature = "download"))]
            Self::ByHand { .. } => "by-hand",
            Self::Request { .. } => "bad-request",
            Self::GaveUp { .. } => "gave-up",
            Self::Size { .. } => "wrong-size",
            Self::TooLong { .. } => "too-long",
            Self::UnknownLength { .. } => "unknown-length",
            Self::Checksum { .. } => "wrong-checksum",
            Self::Present { .. } => "present-and-different",
            Self::Space { .. } => "disk-full",
            Self::Busy { .. } => "busy",
            Self::InTheWay { .. } => "in-the-way",
            Self::File { .. } => "file",
            Self::Interrupted { .. } => "interrupted",
            Self::Unchecked { .. } => "unchecked",
        }
    }
}

fn remedy(status: u16) -> &'static str {
    match status {
        401 | 403 => ", it wants a login or a browser: fetch the file by hand",
        404 | 410 => ", the file has moved: look for it on the data set's page",
        _ => "",
    }
}
