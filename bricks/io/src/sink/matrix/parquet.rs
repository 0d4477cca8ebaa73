//! Parquet with one column for each feature.

use super::Format;
use crate::sink::SinkError;
use crate::sink::parquet_file::{Column, ParquetFile, properties, write_column};
use legonf_core::{Rows, Schema};
use parquet::basic::Type as Physical;
use parquet::data_type::DoubleType;
use parquet::file::properties::EnabledStatistics;
use std::path::Path;

/// Bytes of one row group in memory.
const GROUP: usize = 32 << 20;

pub(super) struct Parquet {
    file: ParquetFile,
    width: usize,
    /// Rows that wait for their row group, row after row.
    cells: Vec<f64>,
    column: Vec<f64>,
}

impl Parquet {
    pub fn create(path: &Path, schema: &Schema) -> Result<Self, SinkError> {
        let columns: Vec<Column<'_>> =
            schema.features.iter().map(|f| (f.name.as_str(), Physical::DOUBLE, None)).collect();
        let properties = properties().set_statistics_enabled(EnabledStatistics::None);
        let file = ParquetFile::create(path, &columns, properties)?;
        Ok(Self { file, width: schema.len().max(1), cells: Vec::new(), column: Vec::new() })
    }

    fn drain(&mut self) -> Result<(), SinkError> {
        if self.cells.is_empty() {
            return Ok(());
        }
        let (width, cells, column) = (self.width, &self.cells, &mut self.column);
        self.file.row_group(|group| {
            for feature in 0..width {
                column.clear();
                column.extend(cells.iter().skip(feature).step_by(width));
                write_column::<DoubleType>(group, column)?;
            }
            Ok(())
        })?;
        self.cells.clear();
        Ok(())
    }
}

impl Format for Parquet {
    fn put(&mut self, rows: &Rows) -> Result<(), SinkError> {
        self.cells.extend(rows.as_slice());
        if self.cells.len() * size_of::<f64>() < GROUP { Ok(()) } else { self.drain() }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.drain()?;
        self.file.finish()
    }
}
