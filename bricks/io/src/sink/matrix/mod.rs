//! Feature matrices: one row for each packet, one column for each feature.

mod csv;
mod npy;
mod parquet;

use super::SinkError;
use super::file::display;
use crate::FEATURES;
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Handle, Layout, Rows, Schema, Sink};
use std::fmt;
use std::path::Path;

/// Writes feature vectors to a `.npy`, `.csv` or `.parquet` file, in bounded memory.
///
/// - `.npy`: NumPy format 1.0, `float64`, C order; `numpy.load` opens it.
/// - `.csv`: the features' names, then the shortest decimals that read back to the same bits.
/// - `.parquet`: one `DOUBLE` column for each feature.
pub struct Matrix {
    name: String,
    width: usize,
    rows: u64,
    features: Handle<Rows>,
    writer: Box<dyn Format>,
}

/// One of the file formats.
trait Format: Send {
    /// Appends rows of the schema's width.
    fn put(&mut self, rows: &Rows) -> Result<(), SinkError>;
    /// Completes the file.
    fn finish(&mut self) -> Result<(), SinkError>;
}

impl Matrix {
    /// Creates the file in the format of its extension.
    ///
    /// # Errors
    /// [`SinkError::UnknownFormat`] for another extension, or when the file cannot be created.
    pub fn create(path: &Path, schema: &Schema) -> Result<Self, SinkError> {
        let writer: Box<dyn Format> = match path.extension().and_then(|e| e.to_str()) {
            Some("npy") => Box::new(npy::Npy::create(path, schema)?),
            Some("csv") => Box::new(csv::Csv::create(path, schema)?),
            Some("parquet") => Box::new(parquet::Parquet::create(path, schema)?),
            _ => return Err(SinkError::UnknownFormat { path: display(path) }),
        };
        let (name, width, features) = (display(path), schema.len(), Handle::default());
        Ok(Self { name, width, rows: 0, features, writer })
    }

    /// Appends feature vectors.
    ///
    /// # Errors
    /// [`SinkError::Mismatch`] when they are not as wide as the schema, or when they cannot be written.
    pub fn write_rows(&mut self, rows: &Rows) -> Result<(), SinkError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.expect("features", self.width, rows.width())?;
        self.writer.put(rows)?;
        self.rows += rows.len() as u64;
        Ok(())
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn expect(&self, what: &'static str, expected: usize, found: usize) -> Result<(), SinkError> {
        let path = || self.name.clone();
        if expected == found {
            Ok(())
        } else {
            Err(SinkError::Mismatch { path: path(), what: what.to_owned(), expected, found })
        }
    }
}

impl Sink for Matrix {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let features = batch.columns.get(self.features);
        self.expect("feature vectors", batch.len(), features.len())?;
        Ok(self.write_rows(features)?)
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![FEATURES.of_width(self.width)])
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.features = layout.handle(&FEATURES.of_width(self.width))?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(self.writer.finish()?)
    }
}

impl fmt::Debug for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matrix").field("name", &self.name).field("rows", &self.rows).finish_non_exhaustive()
    }
}
