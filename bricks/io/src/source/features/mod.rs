//! Tables of features: rows that were extracted elsewhere, or by `legonf features`, in place of packets.
//!
//! Kitsune's published `*_dataset.csv`, N-BaIoT's CSV files, and the CSV and NumPy files that legonf writes. A row
//! stands for a packet, without its bytes, addresses or time.

mod columns;
mod csv;
mod npy;

pub(super) use csv::Csv;
pub(super) use npy::{MAGIC as NPY, Npy};

use super::detect::{has_commas, is_json, is_text};
use legonf_core::{Batch, Handle, Headers, Malformed, Rows};

/// The format of a table of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Comma-separated values, with or without names.
    Csv,
    /// NumPy's array file.
    Npy,
}

/// The fewest commas in the first line of a table of features; a file of labels has one.
const FEWEST_COMMAS: usize = 8;

/// Whether a file that begins with `head` is a table of so many features; of few, a table has fewer commas than text may have.
pub(super) fn recognize(head: &[u8], features: usize) -> Option<Table> {
    if head.starts_with(npy::MAGIC) {
        return Some(Table::Npy);
    }
    let line = head.split(|b| *b == b'\n').next().unwrap_or(head);
    let commas = line.iter().filter(|b| **b == b',').count();
    let text = is_text(line) && !is_json(line.trim_ascii_start()) && !has_commas(line);
    let plain = !line.contains(&b'\t') && text;
    let fewest = FEWEST_COMMAS.min(features.saturating_sub(1)).max(1);
    (plain && commas >= fewest).then_some(Table::Csv)
}

/// Appends row `seq`. A row has no time: its time stamp is 0. One of NaN alone stands for a packet that was rejected.
fn push(batch: &mut Batch, column: Handle<Rows>, seq: u64, row: &[f64]) {
    let features = batch.columns.get_mut(column);
    let at = features.len();
    features.reset(at + 1, row.len());
    features.row_mut(at).copy_from_slice(row);
    batch.timeless = true;
    let malformed = is_rejected(row).then_some(Malformed::LinkType);
    batch.headers.push(Headers { seq, malformed, ..Headers::default() });
}

/// Whether a row is that of a packet without features.
fn is_rejected(row: &[f64]) -> bool {
    row.iter().all(|value| value.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_told_from_other_text() {
        assert_eq!(recognize(b"\x93NUMPY\x01\x00", 115), Some(Table::Npy));
        assert_eq!(recognize(b"1,2,3,4,5,6,7,8,9\n1", 115), Some(Table::Csv));
        assert_eq!(recognize(b"a,b,c,d,e,f,g,h,i", 115), Some(Table::Csv));
        assert_eq!(recognize(b"a,b,c", 3), Some(Table::Csv));
        assert_eq!((recognize(b"a,b,c", 115), recognize(b"a", 1)), (None, None));
        for other in [
            &b"index,label\n0,1\n"[..],
            b"1.5\t1,2,3,4,5,6,7,8,9\n",
            b"{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9}",
            b"\x00,,,,,,,,,,,",
            b"",
        ] {
            assert_eq!(recognize(other, 115), None, "{other:?}");
        }
    }
}
