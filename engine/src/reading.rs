//! Small files, read whole: never more of them than a stated number of bytes, whatever is behind the name.

use crate::Error;
use legonf_models::read_bounded;
use std::path::Path;

/// Bytes of a graph file at most.
pub const GRAPH: u64 = 4 << 20;
/// Bytes of a policy, a file of state groups or a file of costs at most.
pub const TABLE: u64 = 4 << 20;
/// Bytes of a plan or a report (JSON) at most.
pub const DOCUMENT: u64 = 64 << 20;
/// Bytes of an event log at most.
pub const EVENTS: u64 = 256 << 20;
/// Bytes of a training checkpoint at most.
pub const CHECKPOINT: u64 = 512 << 20;

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// A fault that names the file: it cannot be read, or is larger.
pub fn bytes(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    Ok(read_bounded(path, limit)?)
}

/// Reads a file of at most `limit` bytes of text.
///
/// # Errors
/// A fault that names the file: it cannot be read, is larger, or is no text.
pub fn text(path: &Path, limit: u64) -> Result<String, Error> {
    let no_text = |_| Error::file(path, "not a text in UTF-8");
    String::from_utf8(bytes(path, limit)?).map_err(no_text)
}

/// Reads a file of at most `limit` bytes of text, and what it says.
///
/// # Errors
/// As [`text`]; and what `parse` finds, with the name of the file.
pub fn parsed<T, E>(path: &Path, limit: u64, parse: impl Fn(&str) -> Result<T, E>) -> Result<T, Error>
where
    E: std::fmt::Display,
{
    parse(&text(path, limit)?).map_err(|error| Error::file(path, error.to_string()))
}
