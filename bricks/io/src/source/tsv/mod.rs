//! Kitsune's table of headers: one row of 19 columns for each packet, as tshark exports them
//! (`tshark -T fields -E separator=/t -E occurrence=f`), with or without a line of column names.

mod cell;
mod row;

pub(super) use cell::shown;

use super::detect::unquoted;
use super::input::{Input, Line};
use super::reader::Decode;
use crate::error::SourceErrorKind;
use legonf_core::Batch;
use row::{COLUMNS, Row};

/// Number of columns.
const WIDTH: usize = COLUMNS.len();

/// Decoder of a table.
#[derive(Default)]
pub(crate) struct Tsv {
    /// Lines read so far.
    lines: u64,
}

impl Decode for Tsv {
    fn decode(&mut self, input: &mut Input, seq: u64, batch: &mut Batch) -> Result<bool, SourceErrorKind> {
        loop {
            let offset = input.offset();
            self.lines += 1;
            let (text, ended) = match input.line()? {
                Line::End => return Ok(false),
                Line::TooLong => return Err(self.fault("it is longer than any row".into())),
                Line::Text { text, ended } => (text, ended),
            };
            let (cells, found) = split(text);
            if found < WIDTH && !ended {
                return Err(super::pcap::cut_off(seq, offset));
            }
            if found != WIDTH {
                return Err(self.fault(format!("expected {WIDTH} columns, found {found}")));
            }
            if self.lines == 1 && unquoted(cells[0]) == COLUMNS[0].as_bytes() {
                self.check_names(&cells)?;
                continue;
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
    fn fault(&self, reason: String) -> SourceErrorKind {
        SourceErrorKind::Row { line: self.lines, reason }
    }

    /// Checks the line of column names.
    fn check_names(&self, cells: &[&[u8]; WIDTH]) -> Result<(), SourceErrorKind> {
        let wrong = (0..WIDTH).find(|i| unquoted(cells[*i]) != COLUMNS[*i].as_bytes());
        wrong.map_or(Ok(()), |i| {
            let name = shown(cells[i]);
            Err(self.fault(format!("column {} is named {name}, expected {}", i + 1, COLUMNS[i])))
        })
    }
}

/// The cells of a row, and how many there are.
fn split(line: &[u8]) -> ([&[u8]; WIDTH], usize) {
    let (mut cells, mut found) = ([&[][..]; WIDTH], 0);
    for cell in line.split(|b| *b == b'\t') {
        if let Some(slot) = cells.get_mut(found) {
            *slot = cell;
        }
        found += 1;
    }
    (cells, found)
}
