//! Parquet files of required, flat columns, one row group at a time.

use super::{OutputFile, SinkError};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A column: its name, its physical and its logical type.
pub(super) type Column<'a> = (&'a str, Physical, Option<LogicalType>);

/// A Parquet file that appears under its name when it is complete.
///
/// Nothing in it depends on the time or the place of writing, so that equal rows give equal bytes.
pub(super) struct ParquetFile {
    name: String,
    writer: SerializedFileWriter<OutputFile>,
}

impl ParquetFile {
    pub fn create(
        path: &Path,
        columns: &[Column<'_>],
        properties: WriterPropertiesBuilder,
    ) -> Result<Self, SinkError> {
        let out = OutputFile::create(path)?;
        let name = out.name();
        let open = || {
            let properties = properties.set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?));
            SerializedFileWriter::new(out, Arc::new(message(columns)?), Arc::new(properties.build()))
        };
        let writer = open().map_err(|e| fault(&name, e))?;
        Ok(Self { name, writer })
    }

    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// Writes one row group; `fill` writes its columns in order, each with [`write_column`].
    pub fn row_group(
        &mut self,
        fill: impl FnOnce(&mut RowGroup<'_>) -> Result<(), ParquetError>,
    ) -> Result<(), SinkError> {
        let written = self.writer.next_row_group().and_then(|mut group| {
            fill(&mut group)?;
            group.close().map(|_| ())
        });
        written.map_err(|e| fault(&self.name, e))
    }

    /// Writes the footer and completes the file.
    pub fn finish(&mut self) -> Result<(), SinkError> {
        self.writer.finish().map_err(|e| fault(&self.name, e))?;
        self.writer.inner_mut().finish()
    }
}

impl fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetFile").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A row group that is being written.
pub(super) type RowGroup<'a> = SerializedRowGroupWriter<'a, OutputFile>;

/// Writes the next column of a row group.
pub(super) fn write_column<T: DataType>(
    group: &mut RowGroup<'_>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    let next = group.next_column()?;
    let mut column = next.ok_or_else(|| ParquetError::General("more columns than the schema has".into()))?;
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}

/// Properties to start from: no dictionaries, no statistics of pages.
pub(super) fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_dictionary_enabled(false).set_offset_index_disabled(true)
}

fn message(columns: &[Column<'_>]) -> Result<Type, ParquetError> {
    let field = |(name, physical, logical): &Column<'_>| {
        let builder = Type::primitive_type_builder(name, *physical);
        builder.with_repetition(Repetition::REQUIRED).with_logical_type(logical.clone()).build().map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<Result<_, _>>()?;
    Type::group_type_builder("legonf").with_fields(fields).build()
}

/// Takes the [`SinkError`] of [`OutputFile`] out of the encoder's wrapping.
fn fault(name: &str, error: ParquetError) -> SinkError {
    let other = |reason: String| SinkError::Parquet { path: name.to_owned(), reason };
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(io) => io.downcast::<SinkError>().unwrap_or_else(|e| other(e.to_string())),
            Err(inner) => other(inner.to_string()),
        },
        error => other(error.to_string()),
    }
}
