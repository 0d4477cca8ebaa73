//! What goes wrong when a capture is read.

use legonf_core::count;
use std::{fmt, io};

/// A capture that could not be read, or not to its end.
///
/// Shown as one line: the file, what is wrong with it and, where packets came before the fault, how many.
#[derive(Debug)]
pub struct SourceError {
    file: String,
    packets_delivered: u64,
    kind: Box<SourceErrorKind>,
}

impl SourceError {
    /// The error `kind` of `file`, after `packets_delivered` packets.
    pub fn new(file: impl Into<String>, packets_delivered: u64, kind: SourceErrorKind) -> Self {
        Self { file: file.into(), packets_delivered, kind: Box::new(kind) }
    }

    /// The file as the caller named it, or `standard input`.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Number of packets that the source delivered before this error.
    pub fn packets_delivered(&self) -> u64 {
        self.packets_delivered
    }

    /// What is wrong.
    pub fn kind(&self) -> &SourceErrorKind {
        &self.kind
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.kind)?;
        let verb = if self.packets_delivered == 1 { "was" } else { "were" };
        match self.packets_delivered {
            0 => Ok(()),
            n => write!(f, "; the {} before it {verb} read", count(n, "packet")),
        }
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.kind)
    }
}

/// The kinds of [`SourceError`]. Offsets count bytes of the capture after decompression.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceErrorKind {
    /// There is no file of that name.
    #[error("no such file")]
    NotFound,
    /// The file may not be read.
    #[error("no permission to read this file")]
    PermissionDenied,
    /// The path names a directory.
    #[error("this is a directory, expected a capture file")]
    Directory,
    /// There are headers of packets, and no bytes that a filter could be asked of.
    #[error("holds no packets' bytes, which a filter needs; leave --filter out")]
    NoBytes,
    /// The wait for the first bytes of a pipe was ended.
    #[error("nothing had come before it was stopped")]
    Stopped,
    /// The operating system could not open or read the file.
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    /// The file holds nothing.
    #[error("this file is empty, expected pcap, pcapng or Kitsune TSV")]
    Empty,
    /// The file is of another kind, which is named.
    #[error("this is {0}, expected pcap, pcapng or Kitsune TSV")]
    Foreign(&'static str),
    /// A variant of a capture format that is not read, with the remedy.
    #[error("{0}")]
    Unsupported(String),
    /// The packets have a link type that is not parsed.
    #[error("link type {number} ({name}) is not supported; supported: {}", crate::linktype::SUPPORTED)]
    LinkType {
        /// Its number in capture files.
        number: u32,
        /// Its usual name.
        name: &'static str,
    },
    /// The input ends where more has to follow.
    #[error("cut off inside {part} (byte {offset})")]
    CutOff {
        /// What is incomplete, such as `packet 12` or `the file header`.
        part: String,
        /// Where the incomplete part begins.
        offset: u64,
    },
    /// The compressed stream is damaged or ends early.
    #[error("damaged {compression} stream: {reason}")]
    Compressed {
        /// `gzip` or `zstd`.
        compression: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// A record contradicts its format.
    #[error("{part} is corrupt (byte {offset}): {reason}")]
    Corrupt {
        /// Which part, such as `packet 12`.
        part: String,
        /// Where it begins.
        offset: u64,
        /// The contradiction.
        reason: String,
    },
    /// A row of a table cannot be read.
    #[error("line {line}: {reason}")]
    Row {
        /// Line number, from 1.
        line: u64,
        /// What is wrong, with the name of the column.
        reason: RowError,
    },
}

/// What is wrong with a row of a table, or with the names of its columns.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// It has more bytes than any row.
    #[error("it is longer than any row")]
    TooLong,
    /// It has another number of columns than the table.
    #[error("expected {expected} columns, found {found}")]
    Width {
        /// Those of the table.
        expected: usize,
        /// Its own.
        found: usize,
    },
    /// A cell does not hold what its column does.
    #[error("column {column}: {cell} is not {expected}{remedy}")]
    Cell {
        /// Name of the column, or its number and name.
        column: String,
        /// The cell's text, quoted and cut short.
        cell: String,
        /// What it should be.
        expected: &'static str,
        /// What to do about it, with the punctuation before; nothing where that is plain.
        remedy: &'static str,
    },
    /// Rows are numbered, and this number is not the next one.
    #[error("column {column}: row number {found} is out of order, expected {expected}")]
    Order {
        /// Number of the column.
        column: String,
        /// The row's number.
        found: u64,
        /// The next one.
        expected: u64,
    },
    /// The columns are not those that the table should have: which, and the remedy.
    #[error("{0}")]
    Columns(String),
}

impl SourceErrorKind {
    /// Whether nothing is wrong, but bytes of a pipe have not come yet.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// A short fixed name, under which such errors can be counted.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::PermissionDenied => "permission-denied",
            Self::Directory => "directory",
            Self::NoBytes => "no-bytes",
            Self::Stopped => "stopped",
            Self::Io(_) => "io",
            Self::Empty => "empty",
            Self::Foreign(_) => "foreign",
            Self::Unsupported(_) => "unsupported",
            Self::LinkType { .. } => "link-type",
            Self::CutOff { .. } => "cut-off",
            Self::Compressed { .. } => "compressed",
            Self::Corrupt { .. } => "corrupt",
            Self::Row { .. } => "row",
        }
    }
}

/// Errors of the operating system by what the user can do about them.
impl From<io::Error> for SourceErrorKind {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            io::ErrorKind::IsADirectory => Self::Directory,
            _ => Self::Io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_off(packets: u64) -> String {
        let kind = SourceErrorKind::CutOff { part: format!("packet {packets}"), offset: 567 };
        SourceError::new("x.pcap", packets, kind).to_string()
    }

    #[test]
    fn one_line_says_file_fault_and_packets() {
        assert_eq!(cut_off(0), "x.pcap: cut off inside packet 0 (byte 567)");
        assert_eq!(cut_off(1), "x.pcap: cut off inside packet 1 (byte 567); the 1 packet before it was read");
        assert_eq!(
            cut_off(1234),
            "x.pcap: cut off inside packet 1234 (byte 567); the 1234 packets before it were read"
        );
    }

    #[test]
    fn operating_system_errors_are_told_apart() {
        let kind = |k: io::ErrorKind| SourceErrorKind::from(io::Error::from(k));
        assert!(matches!(kind(io::ErrorKind::NotFound), SourceErrorKind::NotFound));
        assert!(matches!(kind(io::ErrorKind::PermissionDenied), SourceErrorKind::PermissionDenied));
        assert!(matches!(kind(io::ErrorKind::IsADirectory), SourceErrorKind::Directory));
        assert!(matches!(kind(io::ErrorKind::TimedOut), SourceErrorKind::Io(_)));
    }
}
