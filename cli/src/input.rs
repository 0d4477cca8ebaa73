//! Captures as the commands take them.

use crate::failure::Failure;
use legonf_core::{Schema, Source};
use legonf_io::{Content, SourceOptions};
use legonf_models::CaptureProvenance;
use std::path::Path;

/// Opens a capture or a table of headers; `-` is standard input.
pub fn open(path: &Path, limit: Option<u64>) -> Result<Box<dyn Source>, Failure> {
    Ok(legonf_io::open_with(path, &SourceOptions { limit })?)
}

/// Opens a capture, or a table with the features of `schema`; `-` is standard input.
pub fn open_any(
    path: &Path,
    limit: Option<u64>,
    schema: &Schema,
) -> Result<(Content, Box<dyn Source>), Failure> {
    Ok(legonf_io::open_any(path, &SourceOptions { limit }, schema)?)
}

/// Name and SHA-256 of a capture; standard input has no digest, since it cannot be read twice.
pub fn origin(path: &Path) -> Result<CaptureProvenance, Failure> {
    if path == Path::new("-") {
        return Ok(CaptureProvenance { name: "-".into(), ..CaptureProvenance::default() });
    }
    CaptureProvenance::of_file(path, 0).map_err(|e| Failure::fault(format!("{}: {e}", path.display())))
}
