//! Comma-separated values with the features' names in the first line.

use super::Format;
use crate::sink::{OutputFile, SinkError, text};
use legonf_core::{Rows, Schema};
use std::path::Path;

pub(super) struct Csv {
    out: OutputFile,
    lines: Vec<u8>,
}

impl Csv {
    pub fn create(path: &Path, schema: &Schema) -> Result<Self, SinkError> {
        let mut csv = Self { out: OutputFile::create(path)?, lines: Vec::new() };
        csv.line(&schema.features, |to, feature| text::push_field(to, &feature.name));
        csv.out.put(&csv.lines)?;
        Ok(csv)
    }

    fn line<T>(&mut self, cells: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
        for (i, cell) in cells.iter().enumerate() {
            if i > 0 {
                self.lines.push(b',');
            }
            push(&mut self.lines, cell);
        }
        self.lines.push(b'\n');
    }
}

impl Format for Csv {
    fn put(&mut self, rows: &Rows) -> Result<(), SinkError> {
        self.lines.clear();
        for row in rows.iter() {
            self.line(row, |to, value| text::push_f64(to, *value));
        }
        self.out.put(&self.lines)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.out.finish()
    }
}
