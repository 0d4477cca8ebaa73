//! Scores as comma-separated values.

use super::scored::{Results, Scored};
use super::{Lines, OutputFile, SinkError, text};
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Layout, Sink};
use std::path::Path;

/// Writes `seq,timestamp,score,verdict`, one line for each packet but those that were dropped before they were decided of.
///
/// `timestamp` is in seconds since the epoch with nine decimals, `score` the shortest decimal that reads back to
/// the same `f64` (`NaN`, `inf` and `-inf` where it is not finite), `verdict` the word of
/// [`Verdict::label`](legonf_core::Verdict::label).
#[derive(Debug)]
pub struct ScoresCsv {
    out: Box<dyn Lines>,
    lines: Vec<u8>,
    results: Results,
}

impl ScoresCsv {
    /// Creates the file and writes the header; `-` is standard output.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        Self::over(Box::new(OutputFile::create(path)?))
    }

    /// As [`create`](Self::create), over an open output.
    ///
    /// # Errors
    /// When the header cannot be written.
    pub fn over(mut out: Box<dyn Lines>) -> Result<Self, SinkError> {
        out.begin_with(b"seq,timestamp,score,verdict\n")?;
        Ok(Self { out, lines: Vec::new(), results: Results::default() })
    }

    /// Where the lines go.
    pub fn output(&mut self) -> &mut dyn Lines {
        &mut *self.out
    }

    fn push(&mut self, row: Scored) {
        text::push_integer(&mut self.lines, row.seq);
        self.lines.push(b',');
        text::push_time(&mut self.lines, row.timestamp);
        self.lines.push(b',');
        text::push_f64(&mut self.lines, row.score);
        self.lines.push(b',');
        self.lines.extend_from_slice(row.verdict.label().as_bytes());
        self.lines.push(b'\n');
    }
}

impl Sink for ScoresCsv {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.lines.clear();
        let rows = self.results.of(batch, || self.out.name())?;
        for row in rows.filter(|row| !row.disposition.is_unseen()) {
            self.push(row);
        }
        Ok(self.out.put(&self.lines)?)
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(Results::columns())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.results = Results::bind(layout)?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        Ok(self.out.flush()?)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(self.out.finish()?)
    }
}
