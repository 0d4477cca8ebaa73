//! Captures as the commands take them.

use crate::failure::Failure;
use crate::interrupt;
use crate::scoring::file_name;
use legonf_core::{Fault, Schema, Source};
use legonf_io::labels::{LabelError, LabelFileError, Labels};
use legonf_io::{Content, SourceError, SourceErrorKind, SourceOptions, Stop};
use legonf_models::CaptureProvenance;
use std::path::Path;

/// Opens a capture or a table of headers; `-` is standard input. Ctrl-C ends the wait for what comes through a pipe.
pub fn open(path: &Path, limit: Option<u64>) -> Result<Box<dyn Source>, Failure> {
    legonf_io::open_with(path, &options(limit)).map_err(failure)
}

/// Opens a capture, or a table with the features of `schema`; `-` is standard input.
pub fn open_any(
    path: &Path,
    limit: Option<u64>,
    schema: &Schema,
) -> Result<(Content, Box<dyn Source>), Failure> {
    legonf_io::open_any(path, &options(limit), schema).map_err(failure)
}

/// Opens a label file as a capture is opened.
pub fn labels(path: &Path) -> Result<Labels, Failure> {
    Labels::open_until(path, Stop::on(interrupt::install())).map_err(label_failure)
}

/// The failure of labels that could not be read.
pub fn label_failure(error: LabelError) -> Failure {
    if is_stopped(&error) { Failure::Interrupted(error.to_string()) } else { error.into() }
}

/// The failure of a sink that could not go on, labels among it.
pub fn sink_failure(fault: Fault) -> Failure {
    match fault.get_ref().downcast_ref() {
        Some(error) if is_stopped(error) => Failure::Interrupted(error.to_string()),
        _ => fault.into(),
    }
}

fn is_stopped(error: &LabelError) -> bool {
    matches!(error, LabelError::File { kind: LabelFileError::Read(SourceErrorKind::Stopped), .. })
}

fn options(limit: Option<u64>) -> SourceOptions {
    SourceOptions { limit, stop: Stop::on(interrupt::install()) }
}

fn failure(error: SourceError) -> Failure {
    match error.kind() {
        SourceErrorKind::Stopped => Failure::Interrupted(error.to_string()),
        _ => error.into(),
    }
}

/// Name and SHA-256 of a capture; standard input, pipes and devices have no digest, since they cannot be read twice.
pub fn origin(path: &Path) -> Result<CaptureProvenance, Failure> {
    if path == Path::new("-") {
        return Ok(CaptureProvenance { name: "-".into(), ..CaptureProvenance::default() });
    }
    let fault = |kind| failure(SourceError::new(path.display().to_string(), 0, kind));
    let found = std::fs::metadata(path).map_err(|error| fault(error.into()))?;
    if found.is_dir() {
        return Err(fault(SourceErrorKind::Directory));
    }
    if !found.is_file() {
        return Ok(CaptureProvenance { name: file_name(path), ..CaptureProvenance::default() });
    }
    CaptureProvenance::of_file(path, 0).map_err(|error| fault(error.into()))
}
