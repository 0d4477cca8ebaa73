//! Comma-separated features.

use super::columns::{Column, of_first_line};
use super::{is_rejected, push};
use crate::FEATURES;
use crate::error::SourceErrorKind;
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
    fn first_line(&mut self, text: &[u8]) -> Result<bool, String> {
        let cells: Vec<_> = text.split(|b| *b == b',').collect();
        let (columns, names) = of_first_line(&cells, &self.schema)?;
        self.columns = columns;
        Ok(names)
    }

    /// Reads the cells of a line into the row.
    fn read(&mut self, text: &[u8]) -> Result<(), String> {
        let mut cells = text.split(|b| *b == b',');
        for place in 0..self.columns.len() {
            let cell = unquoted(cells.next().unwrap_or_default()).trim_ascii();
            let read = match self.columns[place] {
                Column::Feature(feature) => value(cell).map(|value| self.row[feature] = value),
                Column::Index => self.check_index(cell),
            };
            read.map_err(|reason| self.at(place, reason))?;
        }
        self.check_finite()
    }

    /// Refuses a row in which a number is missing, unless all are.
    fn check_finite(&self) -> Result<(), String> {
        let is_nan = |column: &Column| matches!(column, Column::Feature(f) if self.row[*f].is_nan());
        match self.columns.iter().position(is_nan) {
            Some(place) if !is_rejected(&self.row) => {
                Err(self.at(place, "\"NaN\" is not a finite number".into()))
            }
            _ => Ok(()),
        }
    }

    fn at(&self, place: usize, reason: String) -> String {
        format!("column {}{}: {reason}", place + 1, self.name(place))
    }

    fn name(&self, place: usize) -> String {
        match self.columns[place] {
            Column::Feature(feature) => format!(" ({})", self.schema.features[feature].name),
            Column::Index => String::new(),
        }
    }

    /// Rows are numbered without a gap, from any number.
    fn check_index(&mut self, cell: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(cell).unwrap_or_default();
        let index: u64 = text.parse().map_err(|_| format!("{} is not the number of a row", shown(cell)))?;
        let expected = self.next_index.unwrap_or(index);
        if index != expected {
            return Err(format!("row number {index} is out of order, expected {expected}"));
        }
        self.next_index = Some(index.saturating_add(1));
        Ok(())
    }

    #[cold]
    fn fault(&self, reason: String) -> SourceErrorKind {
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
                Line::TooLong => return Err(self.fault("it is longer than any row".into())),
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
                return Err(self.fault(format!("expected {expected} columns, found {found}")));
            }
            self.read(text).map_err(|reason| self.fault(reason))?;
            push(batch, self.features, seq, &self.row);
            return Ok(true);
        }
    }
}

/// A finite number, or NaN.
fn value(cell: &[u8]) -> Result<f64, String> {
    let value = std::str::from_utf8(cell).ok().and_then(|text| text.parse::<f64>().ok());
    let value = value.filter(|value| !value.is_infinite());
    value.ok_or_else(|| format!("{} is not a finite number", shown(cell)))
}
