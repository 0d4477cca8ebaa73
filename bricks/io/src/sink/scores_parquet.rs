//! Scores as Parquet.

use super::SinkError;
use super::parquet_file::{Column, ParquetFile, properties, write_column};
use super::scored::{Results, Scored};
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Layout, Sink, Verdict};
use parquet::basic::{Encoding, LogicalType, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use std::path::Path;

/// Rows of one row group: about 4 MB in memory.
const ROWS: usize = 64 * 1024;

/// Writes the columns `seq` (u64), `timestamp` (nanoseconds, UTC), `score` (f64) and `verdict` (string).
///
/// The file can be read only after `finish`: its index is at its end.
#[derive(Debug)]
pub struct ScoresParquet {
    file: ParquetFile,
    words: [ByteArray; 3],
    seqs: Vec<i64>,
    timestamps: Vec<i64>,
    scores: Vec<f64>,
    verdicts: Vec<ByteArray>,
    results: Results,
}

impl ScoresParquet {
    /// Creates the file.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        let columns: [Column<'_>; 4] = [
            ("seq", Physical::INT64, Some(LogicalType::integer(64, false))),
            ("timestamp", Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
            ("score", Physical::DOUBLE, None),
            ("verdict", Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ];
        Ok(Self {
            file: ParquetFile::create(path, &columns, encodings())?,
            words: [Verdict::Benign, Verdict::Anomalous, Verdict::Rejected].map(|v| v.label().into()),
            seqs: Vec::with_capacity(ROWS),
            timestamps: Vec::with_capacity(ROWS),
            scores: Vec::with_capacity(ROWS),
            verdicts: Vec::with_capacity(ROWS),
            results: Results::default(),
        })
    }

    fn push(&mut self, row: Scored) -> Result<(), SinkError> {
        // The bits of a u64 are stored in a signed column, which the logical type says.
        self.seqs.push(row.seq as i64);
        self.timestamps.push(row.timestamp.as_nanos());
        self.scores.push(row.score);
        let [benign, anomalous, rejected] = &self.words;
        self.verdicts.push(match row.verdict {
            Verdict::Benign => benign.clone(),
            Verdict::Anomalous => anomalous.clone(),
            Verdict::Rejected => rejected.clone(),
        });
        if self.seqs.len() < ROWS { Ok(()) } else { self.drain() }
    }

    fn drain(&mut self) -> Result<(), SinkError> {
        if self.seqs.is_empty() {
            return Ok(());
        }
        self.file.row_group(|group| {
            write_column::<Int64Type>(group, &self.seqs)?;
            write_column::<Int64Type>(group, &self.timestamps)?;
            write_column::<DoubleType>(group, &self.scores)?;
            write_column::<ByteArrayType>(group, &self.verdicts)
        })?;
        self.seqs.clear();
        self.timestamps.clear();
        self.scores.clear();
        self.verdicts.clear();
        Ok(())
    }
}

impl Sink for ScoresParquet {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let rows = self.results.of(batch, || self.file.name())?;
        for row in rows.filter(|row| !row.disposition.is_unseen()) {
            self.push(row)?;
        }
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(Results::columns())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.results = Results::bind(layout)?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.drain()?;
        Ok(self.file.finish()?)
    }
}

/// Integers that grow steadily as differences, words by a dictionary, statistics for each row group.
fn encodings() -> WriterPropertiesBuilder {
    properties()
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_encoding("seq".into(), Encoding::DELTA_BINARY_PACKED)
        .set_column_encoding("timestamp".into(), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled("verdict".into(), true)
}
