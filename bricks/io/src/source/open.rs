//! Opening a capture.

use super::detect::{Format, format, is_settled};
use super::features::{Csv, Npy, Table, recognize};
use super::input::Input;
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::pipe::{Stop, Waiter};
use super::reader::{Decode, Reader};
use super::tsv::Tsv;
use crate::error::{SourceError, SourceErrorKind};
use legonf_core::{Schema, Source};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// How a capture is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceOptions {
    /// Ends after this many packets. Default: none, the whole capture is read.
    pub limit: Option<u64>,
    /// Ends the wait for a pipe's first bytes. Where there is one, the source [is idle](Source::is_idle) now and then while
    /// nothing comes; without one it waits.
    #[serde(skip)]
    pub stop: Stop,
}

/// Enough of a file to recognize it.
const HEAD: usize = 4096;

/// Opens a capture: pcap, pcapng or Kitsune's TSV, as it is or compressed with gzip or zstd, recognized by its
/// content. `-` is standard input.
///
/// # Errors
/// If there is no such file, it may not be read, is empty, or is something else; the error says what.
pub fn open(path: &Path) -> Result<Box<dyn Source>, SourceError> {
    open_with(path, &SourceOptions::default())
}

/// [`open`] with options.
///
/// # Errors
/// As for [`open`].
pub fn open_with(path: &Path, options: &SourceOptions) -> Result<Box<dyn Source>, SourceError> {
    let name = display_name(path);
    let built = open_input(path, options.stop).and_then(|input| build(&name, input, options));
    built.map_err(|kind| SourceError::new(name, 0, kind))
}

/// What a source fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Packets, or headers: a capture.
    Packets,
    /// Features: a table of them, without packets.
    Features,
}

/// Opens a capture as [`open_with`] does, or a table with the features of `schema`: Kitsune's published CSV files,
/// N-BaIoT's (as `kitsune-115`), and the CSV and NumPy files of [`Matrix`](crate::sink::Matrix).
///
/// Of such a table the source fills the features, and the headers with the number of each row; the time stamp of
/// every row is 0. Columns go by their names, in any order; without names by their place, with or
/// without a row number before them.
///
/// # Errors
/// As for [`open`], and if the columns are not those of the schema.
pub fn open_any(
    path: &Path,
    options: &SourceOptions,
    schema: &Schema,
) -> Result<(Content, Box<dyn Source>), SourceError> {
    let name = display_name(path);
    let built = open_input(path, options.stop).and_then(|input| build_any(&name, input, options, schema));
    built.map_err(|kind| SourceError::new(name, 0, kind))
}

/// [`open_any`] over any stream of bytes, as [`from_reader`] is [`open_with`] over one.
///
/// # Errors
/// As for [`open_any`].
pub fn any_from_reader(
    name: impl Into<String>,
    bytes: Box<dyn std::io::Read + Send>,
    total_bytes: Option<u64>,
    options: &SourceOptions,
    schema: &Schema,
) -> Result<(Content, Box<dyn Source>), SourceError> {
    let name = name.into();
    let built = Input::new(bytes, total_bytes).and_then(|input| build_any(&name, input, options, schema));
    built.map_err(|kind| SourceError::new(name, 0, kind))
}

pub(super) fn build_any(
    name: &str,
    mut input: Input,
    options: &SourceOptions,
    schema: &Schema,
) -> Result<(Content, Box<dyn Source>), SourceErrorKind> {
    let source = match recognize(input.head(HEAD, is_settled)?, schema.len()) {
        None => return Ok((Content::Packets, build(name, input, options)?)),
        Some(Table::Csv) => reader(name, input, Csv::new(schema), options),
        Some(Table::Npy) => {
            let decoder = Npy::new(&mut input, schema)?;
            reader(name, input, decoder, options)
        }
    };
    Ok((Content::Features, source))
}

/// A source over any stream of bytes: `name` stands for it in messages, `total_bytes` is its length for
/// [`Source::progress`], where that is known.
///
/// # Errors
/// As for [`open`].
pub fn from_reader(
    name: impl Into<String>,
    bytes: Box<dyn std::io::Read + Send>,
    total_bytes: Option<u64>,
    options: &SourceOptions,
) -> Result<Box<dyn Source>, SourceError> {
    let name = name.into();
    let built = Input::new(bytes, total_bytes).and_then(|input| build(&name, input, options));
    built.map_err(|kind| SourceError::new(name, 0, kind))
}

pub(super) fn build(
    name: &str,
    mut input: Input,
    options: &SourceOptions,
) -> Result<Box<dyn Source>, SourceErrorKind> {
    match format(input.head(HEAD, is_settled)?)? {
        Format::Pcap(variant) => {
            let decoder = Pcap::new(&mut input, variant)?;
            Ok(reader(name, input, decoder, options))
        }
        Format::Pcapng => Ok(reader(name, input, Pcapng::default(), options)),
        Format::Tsv => Ok(reader(name, input, Tsv::default(), options)),
    }
}

fn reader(
    name: &str,
    input: Input,
    decoder: impl Decode + 'static,
    options: &SourceOptions,
) -> Box<dyn Source> {
    Box::new(Reader::new(name, input, decoder, options.limit))
}

/// The file's bytes. `-` is standard input.
///
/// A named pipe is opened at once, whether something writes to it or not; then its first bytes are waited for.
pub(crate) fn open_input(path: &Path, stop: Stop) -> Result<Input, SourceErrorKind> {
    let standard = is_standard_input(path);
    let file = if standard {
        File::from(std::io::stdin().as_fd().try_clone_to_owned()?)
    } else {
        File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?
    };
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(SourceErrorKind::Directory);
    }
    if found.is_file() {
        return Input::new(Box::new(file), (!standard).then_some(found.len()));
    }
    let (pipe, waiter) = Waiter::new(file, stop);
    Input::over(Box::new(pipe), None, Some(waiter))
}

pub(crate) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What a path is called in messages.
pub(crate) fn display_name(path: &Path) -> String {
    if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(path: &Path) -> String {
        open(path).err().unwrap().to_string()
    }

    #[test]
    fn what_is_no_file_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.pcap");
        assert_eq!(message(&missing), format!("{}: no such file", missing.display()));
        let expected = format!("{}: this is a directory, expected a capture file", dir.path().display());
        assert_eq!(message(dir.path()), expected);
    }

    #[test]
    fn options_refuse_unknown_fields() {
        assert_eq!(serde_json::from_str::<SourceOptions>("{}").unwrap(), SourceOptions::default());
        assert!(serde_json::from_str::<SourceOptions>(r#"{"limits": 3}"#).is_err());
    }
}
