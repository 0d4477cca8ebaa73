//! Records as Parquet.

use super::{Field, Format, Kind, Value};
use crate::sink::SinkError;
use crate::sink::parquet_file::{Column, ParquetFile, properties, write_column};
use parquet::basic::{LogicalType, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::EnabledStatistics;
use std::path::Path;

/// Rows of a row group.
const ROWS: usize = 64 * 1024;

pub(super) struct Parquet {
    file: ParquetFile,
    columns: Vec<Buffer>,
    rows: usize,
}

/// The values of a column that are not written yet.
enum Buffer {
    Numbers(Vec<i64>),
    Words(Vec<ByteArray>),
}

impl Parquet {
    pub fn create(path: &Path, fields: &[Field]) -> Result<Self, SinkError> {
        let column = |field: &Field| -> Column<'_> {
            match field.kind {
                Kind::Number => (field.name, Physical::INT64, Some(LogicalType::integer(64, false))),
                Kind::Time => {
                    (field.name, Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS)))
                }
                Kind::Word(_) => (field.name, Physical::BYTE_ARRAY, Some(LogicalType::String)),
            }
        };
        let columns: Vec<_> = fields.iter().map(column).collect();
        let mut encodings = properties().set_statistics_enabled(EnabledStatistics::Chunk);
        for field in fields.iter().filter(|field| matches!(field.kind, Kind::Word(_))) {
            encodings = encodings.set_column_dictionary_enabled(field.name.into(), true);
        }
        let buffer = |field: &Field| match field.kind {
            Kind::Word(_) => Buffer::Words(Vec::new()),
            Kind::Number | Kind::Time => Buffer::Numbers(Vec::new()),
        };
        let file = ParquetFile::create(path, &columns, encodings)?;
        Ok(Self { file, columns: fields.iter().map(buffer).collect(), rows: 0 })
    }

    fn drain(&mut self) -> Result<(), SinkError> {
        if self.rows == 0 {
            return Ok(());
        }
        let columns = &mut self.columns;
        self.file.row_group(|group| {
            columns.iter_mut().try_for_each(|column| match column {
                Buffer::Numbers(numbers) => write_column::<Int64Type>(group, &std::mem::take(numbers)),
                Buffer::Words(words) => write_column::<ByteArrayType>(group, &std::mem::take(words)),
            })
        })?;
        self.rows = 0;
        Ok(())
    }
}

impl Format for Parquet {
    fn put(&mut self, record: &[Value]) -> Result<(), SinkError> {
        for (column, value) in self.columns.iter_mut().zip(record) {
            match (column, value) {
                // The bits of a u64 are stored in a signed column, which the logical type says.
                (Buffer::Numbers(numbers), Value::Number(number)) => numbers.push(number.cast_signed()),
                (Buffer::Numbers(numbers), Value::Time(nanos)) => numbers.push(*nanos),
                (Buffer::Words(words), Value::Word(word)) => words.push(word.as_str().into()),
                (Buffer::Numbers(numbers), Value::Word(_)) => numbers.push(0),
                (Buffer::Words(words), _) => words.push(ByteArray::from("")),
            }
        }
        self.rows += 1;
        if self.rows < ROWS { Ok(()) } else { self.drain() }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.drain()?;
        self.file.finish()
    }
}
