//! Scores as Parquet.

use super::parquet_file::{Column, ParquetFile, RowGroup, properties, write_column};
use super::result_columns::{Cell, ResultColumn};
use super::scored::identity;
use super::{ResultColumns, SinkError};
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Layout, Sink};
use parquet::basic::{Encoding, LogicalType, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use std::path::Path;

/// Rows of one row group: about 4 MB in memory.
const ROWS: usize = 64 * 1024;

/// Writes the columns `seq` (u64), `timestamp` (nanoseconds, UTC) and the results of a graph: numbers as f64, verdicts as strings.
///
/// The file can be read only after `finish`: its index is at its end.
#[derive(Debug)]
pub struct ScoresParquet {
    file: ParquetFile,
    seqs: Vec<i64>,
    timestamps: Vec<i64>,
    values: Vec<Buffer>,
    results: ResultColumns,
}

/// The values of a column that are not written yet.
#[derive(Debug)]
enum Buffer {
    Numbers(Vec<f64>),
    Words {
        /// Each word once: its copies share it.
        known: Vec<ByteArray>,
        words: Vec<ByteArray>,
    },
}

impl Buffer {
    fn of(column: &ResultColumn) -> Self {
        let Some(words) = column.words() else { return Self::Numbers(Vec::with_capacity(ROWS)) };
        Self::Words { known: words.map(ByteArray::from).collect(), words: Vec::with_capacity(ROWS) }
    }

    fn push(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Numbers(numbers), Cell::Number(number)) => numbers.push(number),
            (Self::Words { known, words }, Cell::Word(_, place)) => words.push(known[place].clone()),
            _ => unreachable!("a buffer is of the type of its column"),
        }
    }

    fn write(&mut self, group: &mut RowGroup<'_>) -> Result<(), ParquetError> {
        match self {
            Self::Numbers(numbers) => {
                write_column::<DoubleType>(group, numbers)?;
                numbers.clear();
            }
            Self::Words { words, .. } => {
                write_column::<ByteArrayType>(group, words)?;
                words.clear();
            }
        }
        Ok(())
    }
}

impl ScoresParquet {
    /// Creates the file.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path, results: ResultColumns) -> Result<Self, SinkError> {
        let mut columns: Vec<Column<'_>> = vec![
            ("seq", Physical::INT64, Some(LogicalType::integer(64, false))),
            ("timestamp", Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
        ];
        columns.extend(results.iter().map(|column| match column.words() {
            None => (column.heading(), Physical::DOUBLE, None),
            Some(_) => (column.heading(), Physical::BYTE_ARRAY, Some(LogicalType::String)),
        }));
        Ok(Self {
            file: ParquetFile::create(path, &columns, encodings(&results))?,
            seqs: Vec::with_capacity(ROWS),
            timestamps: Vec::with_capacity(ROWS),
            values: results.iter().map(Buffer::of).collect(),
            results,
        })
    }

    fn push(&mut self, batch: &Batch, packet: usize) -> Result<(), SinkError> {
        let (seq, timestamp) = identity(batch, packet);
        // The bits of a u64 are stored in a signed column, which the logical type says.
        self.seqs.push(seq as i64);
        self.timestamps.push(timestamp.as_nanos());
        for (column, values) in self.results.iter().zip(&mut self.values) {
            values.push(column.cell(batch, packet));
        }
        if self.seqs.len() < ROWS { Ok(()) } else { self.drain() }
    }

    fn drain(&mut self) -> Result<(), SinkError> {
        if self.seqs.is_empty() {
            return Ok(());
        }
        self.file.row_group(|group| {
            write_column::<Int64Type>(group, &self.seqs)?;
            write_column::<Int64Type>(group, &self.timestamps)?;
            self.values.iter_mut().try_for_each(|values| values.write(group))
        })?;
        self.seqs.clear();
        self.timestamps.clear();
        Ok(())
    }
}

impl Sink for ScoresParquet {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.results.check(batch, || self.file.name())?;
        for packet in 0..batch.len() {
            if self.results.has(batch, packet) {
                self.push(batch, packet)?;
            }
        }
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(self.results.specs())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.results.bind(layout)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.drain()?;
        Ok(self.file.finish()?)
    }
}

/// Integers that grow steadily as differences, words by a dictionary, statistics for each row group.
fn encodings(results: &ResultColumns) -> WriterPropertiesBuilder {
    let properties = properties()
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_encoding("seq".into(), Encoding::DELTA_BINARY_PACKED)
        .set_column_encoding("timestamp".into(), Encoding::DELTA_BINARY_PACKED);
    let words = results.iter().filter(|column| column.words().is_some());
    words.fold(properties, |properties, column| {
        properties.set_column_dictionary_enabled(column.heading().to_owned().into(), true)
    })
}
