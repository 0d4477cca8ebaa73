//! Captures, tables and labels, opened for a session.

use crate::{Error, Session};
use legonf_core::{Fault, Schema, Source};
use legonf_io::labels::{LabelError, LabelFileError, Labels};
use legonf_io::{Content, SourceError, SourceErrorKind, Stop};
use legonf_models::CaptureProvenance;
use std::path::Path;

/// Opens a capture or a table of headers; `-` is standard input. The session's stop flag ends the wait for what comes through a
/// pipe.
///
/// # Errors
/// If it cannot be read or is of no known format.
pub fn open(session: &Session, path: &Path, limit: Option<u64>) -> Result<Box<dyn Source>, Error> {
    Ok(legonf_io::open_with(path, &session.input(limit))?)
}

/// Opens a capture, or a table with the features of `schema`; `-` is standard input.
///
/// # Errors
/// As [`open`].
pub fn open_any(
    session: &Session,
    path: &Path,
    limit: Option<u64>,
    schema: &Schema,
) -> Result<(Content, Box<dyn Source>), Error> {
    Ok(legonf_io::open_any(path, &session.input(limit), schema)?)
}

/// Opens a label file as a capture is opened.
pub(crate) fn labels(session: &Session, path: &Path) -> Result<Labels, Error> {
    Labels::open_until(path, Stop::on(session.stop)).map_err(label_error)
}

/// What it means that labels could not be read.
pub(crate) fn label_error(error: LabelError) -> Error {
    if is_stopped(&error) { Error::Interrupted(error.to_string()) } else { Error::Labels(error) }
}

/// What it means that a sink could not go on, its labels among it.
pub(crate) fn sink_error(fault: Fault) -> Error {
    match fault.get_ref().downcast_ref() {
        Some(error) if is_stopped(error) => Error::Interrupted(error.to_string()),
        _ => fault.into(),
    }
}

fn is_stopped(error: &LabelError) -> bool {
    matches!(error, LabelError::File { kind: LabelFileError::Read(SourceErrorKind::Stopped), .. })
}

/// Name and SHA-256 of a capture; standard input, pipes and devices have no digest, since they cannot be read twice.
///
/// # Errors
/// If it is a folder or cannot be read.
pub fn origin(path: &Path) -> Result<CaptureProvenance, Error> {
    if path == Path::new("-") {
        return Ok(CaptureProvenance { name: "-".into(), ..CaptureProvenance::default() });
    }
    let fault = |kind| Error::from(SourceError::new(path.display().to_string(), 0, kind));
    let found = std::fs::metadata(path).map_err(|error| fault(error.into()))?;
    if found.is_dir() {
        return Err(fault(SourceErrorKind::Directory));
    }
    if !found.is_file() {
        return Ok(CaptureProvenance { name: file_name(path), ..CaptureProvenance::default() });
    }
    CaptureProvenance::of_file(path, 0).map_err(|error| fault(error.into()))
}

/// The name of a file without its folders; `-` for standard input.
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "-".into(), |name| name.to_string_lossy().into_owned())
}
