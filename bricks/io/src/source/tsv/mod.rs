//! Kitsune's table of headers: one row of 19 columns for each packet, as tshark exports them
//! (`tshark -T fields -E separator=/t -E occurrence=f`), in this order or, with a line of column names, in any, and with
//! others between them.

mod cell;
mod names;
mod row;

pub(super) use cell::shown;
pub(super) use names::is_column;

use super::input::{Input, Line};
use super::reader::Decode;
use crate::error::{RowError, SourceErrorKind};
use legonf_core::Batch;
use row::{COLUMNS, Row};

/// Number of columns.
pub(super) const WIDTH: usize = COLUMNS.len();

/// Decoder of a table.
pub(crate) struct Tsv {
    /// Lines read so far.
    lines: u64,
    /// Which column each cell of a row is of; [`WIDTH`] for one of no use.
    places: Vec<usize>,
}

impl Default for Tsv {
    fn default() -> Self {
        Self { lines: 0, places: (0..WIDTH).collect() }
    }
}

impl Decode for Tsv {
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
            if self.lines == 1 && names::are_in(text) {
                self.places = names::places(text).map_err(|reason| self.fault(reason))?;
                continue;
            }
            let (cells, found) = self.split(text);
            let expected = self.places.len();
            if found < expected && !ended {
                return Err(super::pcap::cut_off(seq, offset));
            }
            if found != expected {
                return Err(self.fault(RowError::Width { expected, found }));
            }
            let headers = Row(cells).headers(seq).map_err(|reason| self.fault(reason))?;
            batch.headers.push(headers);
            return Ok(true);
        }
    }
}

impl Tsv {
    /// A fault in the line just read.
    #[cold]
    fn fault(&self, reason: RowError) -> SourceErrorKind {
        SourceErrorKind::Row { line: self.lines, reason }
    }

    /// The cells of a row by column, and how many there are in all.
    fn split<'a>(&self, line: &'a [u8]) -> ([&'a [u8]; WIDTH], usize) {
        let (mut cells, mut found) = ([&[][..]; WIDTH], 0);
        for cell in line.split(|b| *b == b'\t') {
            let column = self.places.get(found).copied().unwrap_or(WIDTH);
            if let Some(slot) = cells.get_mut(column) {
                *slot = cell;
            }
            found += 1;
        }
        (cells, found)
    }
}
