//! Tables of records: named columns of numbers, times and words, which a data frame opens in one call.

mod conn_log;
mod csv;
mod npy;
mod parquet;

use super::SinkError;
use super::file::display;
use std::path::Path;

/// What a column of records holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers from 0.
    Number,
    /// Nanoseconds since 1970, UTC.
    Time,
    /// Words of ASCII, of at most so many bytes.
    Word(usize),
}

/// A column of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// The value of a record in one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Number(u64),
    /// Nanoseconds since 1970.
    Time(i64),
    /// A word.
    Word(String),
}

/// Writes records to a `.csv`, `.parquet`, `.npy` or `.log` file, in bounded memory.
///
/// - `.csv`: the names of the columns, then a line for each record; times are whole nanoseconds.
/// - `.parquet`: unsigned numbers, timestamps and strings.
/// - `.log`: Zeek's `conn.log`, of flow records alone.
/// - `.npy`: NumPy's structured array, which `pandas.DataFrame(numpy.load(FILE))` takes; words are bytes of fixed length.
pub struct Records {
    writer: Box<dyn Format>,
    rows: u64,
}

/// One of the file formats.
trait Format: Send {
    /// Appends a record, which has a value of the right kind for each column.
    fn put(&mut self, record: &[Value]) -> Result<(), SinkError>;
    /// Completes the file.
    fn finish(&mut self) -> Result<(), SinkError>;
}

impl Records {
    /// Creates the file in the format of its extension.
    ///
    /// # Errors
    /// [`SinkError::UnknownRecords`] for another extension, or when the file cannot be created.
    pub fn create(path: &Path, fields: &'static [Field]) -> Result<Self, SinkError> {
        let writer: Box<dyn Format> = match path.extension().and_then(|e| e.to_str()) {
            Some("npy") => Box::new(npy::Npy::create(path, fields)?),
            Some("csv") => Box::new(csv::Csv::create(path, fields)?),
            Some("parquet") => Box::new(parquet::Parquet::create(path, fields)?),
            Some("log") if conn_log::ConnLog::fits(fields) => {
                Box::new(conn_log::ConnLog::create(path, fields)?)
            }
            _ => return Err(SinkError::UnknownRecords { path: display(path) }),
        };
        Ok(Self { writer, rows: 0 })
    }

    /// Appends a record: a value for each column, of its kind.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&mut self, record: &[Value]) -> Result<(), SinkError> {
        self.rows += 1;
        self.writer.put(record)
    }

    /// Records written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Completes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(&mut self) -> Result<(), SinkError> {
        self.writer.finish()
    }
}
