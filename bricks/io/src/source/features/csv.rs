//! Comma-separated features.

use super::columns::{Column, of_first_line};
use super::{is_rejected, push};
use crate::FEATURES;
use crate::error::{RowError, SourceErrorKind};
use crate::source::detect::unquoted;
use crate::source::input::{Input, Line};
use crate::source::reader::Decode;
use crate::source::tsv::shown;
use legonf_core::{Batch, BindError, Handle, Layout, Rows, Schema};

/// Decoder of comma-separated features.
pub(in crate::source) struct Csv {
    schema: Schema,
    columns: Vec<Column>,
    row: Vec<f64>,
    features: Handle<Rows>,
    /// Lines read so far.
    lines: u64,
    /// The row number that comes next, where rows are numbered.
    next_index: Option<u64>,
}

impl Csv {
    pub(in crate::source) fn new(schema: &Schema) -> Self {
        let row = vec![0.0; schema.len()];
        Self {
            schema: schema.clone(),
            columns: Vec::new(),
            row,
            features: Handle::default(),
            lines: 0,
            next_index: None,
        }
    }

    /// Finds the columns by the first line; `true` if it holds names.
    fn first_line(&mut self, text: &[u8]) -> Result<bool, RowError> {
        let cells: Vec<_> = text.split(|b| *b == b',').collect();
        let (columns, names) = of_first_line(&cells, &self.schema)?;
        self.columns = columns;
        Ok(names)
    }

    /// Reads the cells of a line into the row.
    fn read(&mut self, text: &[u8]) -> Result<(), RowError> {
        let mut cells = text.split(|b| *b == b',');
        for place in 0..self.columns.len() {
            let cell = unquoted(cells.next().unwrap_or_default()).trim_ascii();
            match self.columns[place] {
                Column::Feature(feature) => {
                    self.row[feature] = value(cell).ok_or_else(|| self.not_finite(place, cell))?;
                }
                Column::Index => self.check_index(place, cell)?,
            }
        }
        self.check_finite()
    }

    /// Refuses a row in which a number is missing, unless all are.
    fn check_finite(&self) -> Result<(), RowError> {
        let is_nan = |column: &Column| matches!(column, Column::Feature(f) if self.row[*f].is_nan());
        match self.columns.iter().position(is_nan) {
            Some(place) if !is_rejected(&self.row) => Err(self.not_finite(place, b"NaN")),
            _ => Ok(()),
        }
    }

    #[cold]
    fn not_finite(&self, place: usize, cell: &[u8]) -> RowError {
        self.wrong(place, cell, "a finite number")
    }

    #[cold]
    fn wrong(&self, place: usize, cell: &[u8], expected: &'static str) -> RowError {
        RowError::Cell { column: self.name(place), cell: shown(cell), expected, remedy: "" }
    }

    /// Number of a column, from 1, and the name of its feature.
    fn name(&self, place: usize) -> String {
        match self.columns[place] {
            Column::Feature(feature) => format!("{} ({})", place + 1, self.schema.features[feature].name),
            Column::Index => format!("{}", place + 1),
        }
    }

    /// Rows are numbered without a gap, from any number.
    fn check_index(&mut self, place: usize, cell: &[u8]) -> Result<(), RowError> {
        let text = std::str::from_utf8(cell).unwrap_or_default();
        let index: u64 = text.parse().map_err(|_| self.wrong(place, cell, "the number of a row"))?;
        let expected = self.next_index.unwrap_or(index);
        if index != expected {
            return Err(RowError::Order { column: self.name(place), found: index, expected });
        }
        self.next_index = Some(index.saturating_add(1));
        Ok(())
    }

    #[cold]
    fn fault(&self, reason: RowError) -> SourceErrorKind {
        SourceErrorKind::Row { line: self.lines, reason }
    }
}

impl Decode for Csv {
    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.features = layout.handle(&FEATURES.of_width(self.schema.len()))?;
        Ok(())
    }

    fn decode(&mut self, input: &mut Input, seq: u64, batch: &mut Batch) -> Result<bool, SourceErrorKind> {
        loop {
            let offset = input.offset();
            let line = input.line()?;
            self.lines += 1;
            let (text, ended) = match line {
                Line::End => return Ok(false),
                Line::TooLong => return Err(self.fault(RowError::TooLong)),
                Line::Text { text, ended } => (text, ended),
            };
            if self.lines == 1 && self.first_line(text).map_err(|reason| self.fault(reason))? {
                continue;
            }
            let (expected, found) = (self.columns.len(), 1 + text.iter().filter(|b| **b == b',').count());
            if found < expected && !ended {
                return Err(SourceErrorKind::CutOff { part: format!("row {seq}"), offset });
            }
            if found != expected {
                return Err(self.fault(RowError::Width { expected, found }));
            }
            self.read(text).map_err(|reason| self.fault(reason))?;
            push(batch, self.features, seq, &self.row);
            return Ok(true);
        }
    }
}

/// A finite number, or NaN.
fn value(cell: &[u8]) -> Option<f64> {
    let value = std::str::from_utf8(cell).ok()?.parse::<f64>().ok()?;
    (!value.is_infinite()).then_some(value)
}
