//! NumPy's array file, format 1.0.

use super::Format;
use crate::sink::{OutputFile, SinkError, npy_header};
use legonf_core::{Rows, Schema};
use std::path::Path;

/// Length of the header: constant, so that the row count can be put in at the end, and a multiple of 64 as NumPy
/// aligns it. The largest shape takes 107 of its bytes.
const HEADER: usize = 128;

pub(super) struct Npy {
    out: OutputFile,
    width: usize,
    rows: u64,
    bytes: Vec<u8>,
}

impl Npy {
    pub fn create(path: &Path, schema: &Schema) -> Result<Self, SinkError> {
        let mut out = OutputFile::create_regular(path)?;
        let width = schema.len();
        out.put(&header(0, width))?;
        Ok(Self { out, width, rows: 0, bytes: Vec::new() })
    }
}

impl Format for Npy {
    fn put(&mut self, rows: &Rows) -> Result<(), SinkError> {
        let cells = rows.as_slice();
        self.bytes.resize(size_of_val(cells), 0);
        for (bytes, cell) in self.bytes.as_chunks_mut().0.iter_mut().zip(cells) {
            *bytes = cell.to_le_bytes();
        }
        self.out.put(&self.bytes)?;
        self.rows += rows.len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.out.patch(0, &header(self.rows, self.width))?;
        self.out.finish()
    }
}

fn header(rows: u64, width: usize) -> Vec<u8> {
    let kind = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    npy_header(&kind, HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_header_fits() {
        let text = String::from_utf8(header(u64::MAX, usize::MAX)[10..].to_vec()).unwrap();
        assert!(text.trim_end().ends_with("(18446744073709551615, 18446744073709551615), }"), "{text}");
        assert!(text.ends_with(" \n"));
        assert_eq!(header(u64::MAX, usize::MAX).len(), HEADER);
    }
}
