//! Scores as comma-separated values.

use super::result_columns::Cell;
use super::scored::identity;
use super::{Lines, OutputFile, ResultColumns, SinkError, text};
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Layout, Sink};
use std::path::Path;

/// Writes `seq,timestamp` and the results of a graph, one line for each packet: `seq,timestamp,score,verdict` for one that decides
/// on scores. Packets that were dropped before they were decided of have no line.
///
/// `timestamp` is in seconds since the epoch with nine decimals. A number is the shortest decimal that reads back to the same `f64`
/// (`NaN`, `inf` and `-inf` where it is not finite); a verdict is its label.
#[derive(Debug)]
pub struct ScoresCsv {
    out: Box<dyn Lines>,
    lines: Vec<u8>,
    results: ResultColumns,
}

impl ScoresCsv {
    /// Creates the file and writes the header; `-` is standard output.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path, results: ResultColumns) -> Result<Self, SinkError> {
        Self::over(Box::new(OutputFile::create(path)?), results)
    }

    /// As [`create`](Self::create), over an open output.
    ///
    /// # Errors
    /// When the header cannot be written.
    pub fn over(mut out: Box<dyn Lines>, results: ResultColumns) -> Result<Self, SinkError> {
        let headings = ["seq", "timestamp"].into_iter().chain(results.iter().map(|column| column.heading()));
        let header = headings.collect::<Vec<_>>().join(",") + "\n";
        out.begin_with(header.as_bytes())?;
        Ok(Self { out, lines: Vec::new(), results })
    }

    /// Where the lines go.
    pub fn output(&mut self) -> &mut dyn Lines {
        &mut *self.out
    }

    fn push(&mut self, batch: &Batch, packet: usize) {
        let Self { lines, results, .. } = self;
        let (seq, timestamp) = identity(batch, packet);
        text::push_integer(lines, seq);
        lines.push(b',');
        text::push_time(lines, timestamp);
        for column in results.iter() {
            lines.push(b',');
            match column.cell(batch, packet) {
                Cell::Number(number) => text::push_f64(lines, number),
                Cell::Word(word, _) => lines.extend_from_slice(word.as_bytes()),
            }
        }
        lines.push(b'\n');
    }
}

impl Sink for ScoresCsv {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.lines.clear();
        self.results.check(batch, || self.out.name())?;
        for packet in 0..batch.len() {
            if self.results.has(batch, packet) {
                self.push(batch, packet);
            }
        }
        Ok(self.out.put(&self.lines)?)
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(self.results.specs())
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.results.bind(layout)
    }

    fn flush(&mut self) -> Result<(), Fault> {
        Ok(self.out.flush()?)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(self.out.finish()?)
    }
}
