//! The unit of work: up to [`BATCH`] packets and what is known of them so far.

use crate::{Column, Columns, Headers, Packets, Tiles, Verdict};
use std::mem::swap;

/// The number of packets in a full batch.
pub const BATCH: usize = 256;

/// The largest number of packets in a batch for replicas of a keyed brick, which divide it among themselves.
pub const LARGEST_BATCH: usize = 8 * BATCH;

/// Rows that a network engine with fixed shapes computes at once, which takes as long for fewer: a quarter of a full batch, so that one
/// which is not full takes less time, and a full one hardly more.
pub const ENGINE_ROWS: usize = BATCH / 4;

/// A row-major matrix of `f64` that keeps its memory between uses.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    width: usize,
    len: usize,
    /// The cells, and behind them those of larger matrices before: writing zeros for each batch would cost as
    /// much as some bricks do.
    data: Vec<f64>,
}

impl Rows {
    /// Makes this a matrix of `len` rows of `width` columns. Cells hold what they held before, so the caller
    /// writes every one.
    pub fn reset(&mut self, len: usize, width: usize) {
        (self.len, self.width) = (if width == 0 { 0 } else { len }, width);
        if self.data.len() < len * width {
            self.data.resize(len * width, 0.0);
        }
    }

    /// A matrix of these rows.
    ///
    /// # Panics
    /// If they are not all as wide as the first.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a [f64]>) -> Self {
        let (mut width, mut len, mut data) = (0, 0, Vec::new());
        for row in rows {
            width = if len == 0 { row.len() } else { width };
            assert_eq!(row.len(), width, "rows of one width");
            data.extend_from_slice(row);
            len += 1;
        }
        Self { width, len, data }
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Row `index`.
    ///
    /// # Panics
    /// If `index` is out of range.
    pub fn row(&self, index: usize) -> &[f64] {
        &self.as_slice()[index * self.width..][..self.width]
    }

    /// Row `index`, to be written.
    ///
    /// # Panics
    /// If `index` is out of range.
    pub fn row_mut(&mut self, index: usize) -> &mut [f64] {
        let width = self.width;
        &mut self.as_mut_slice()[index * width..][..width]
    }

    /// The rows in order.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, f64> {
        self.as_slice().chunks_exact(self.width.max(1))
    }

    /// The rows in order, to be written.
    pub fn iter_mut(&mut self) -> std::slice::ChunksExactMut<'_, f64> {
        let width = self.width.max(1);
        self.as_mut_slice().chunks_exact_mut(width)
    }

    /// Copies some rows into another matrix; those that are not there are left out.
    pub fn gather(&self, rows: &[usize], to: &mut Self) {
        let present = || rows.iter().filter(|row| **row < self.len);
        to.reset(present().count(), self.width);
        for (row, into) in present().zip(to.iter_mut()) {
            into.copy_from_slice(self.row(*row));
        }
    }

    /// Copies the rows of `part` to the places `rows` of this matrix, which gets `len` rows of that width if it has others.
    ///
    /// # Panics
    /// If a place is not below `len`.
    pub fn scatter(&mut self, part: &Self, rows: &[usize], len: usize) {
        if self.width != part.width || self.len != len {
            self.reset(len, part.width);
        }
        for (row, from) in rows.iter().zip(part.iter()) {
            self.row_mut(*row).copy_from_slice(from);
        }
    }

    /// All cells, row after row.
    pub fn as_slice(&self) -> &[f64] {
        &self.data[..self.len * self.width]
    }

    /// All cells, row after row, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [f64] {
        &mut self.data[..self.len * self.width]
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Self) -> bool {
        self.width == other.width && self.as_slice() == other.as_slice()
    }
}

/// Up to [`BATCH`] packets in arrival order, in columns.
///
/// A source fills `packets` (or, where the input has no bytes, `headers`, and where it has no packets, `headers` that
/// hold only the number of each row, and `features`); each brick reads the columns that its
/// [`Descriptor`](crate::Descriptor) names and fills others. Batches come from a pool and keep their memory.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Raw packets. Empty where the source has only headers (Kitsune's TSV).
    pub packets: Packets,
    /// Parsed headers, one for each packet.
    pub headers: Vec<Headers>,
    /// Feature vectors, in the order of the schema.
    pub features: Rows,
    /// Features gathered into the order in which the network takes them.
    pub mapped: Tiles,
    /// Reconstruction errors (RMSE) of the autoencoders of an ensemble.
    pub errors: Tiles,
    /// Anomaly scores.
    pub scores: Vec<f64>,
    /// Verdicts.
    pub verdicts: Vec<Verdict>,
}

impl Batch {
    /// Forgets the contents of every column and keeps the memory.
    pub fn clear(&mut self) {
        self.packets.clear();
        self.headers.clear();
        self.features.reset(0, 0);
        self.mapped.reset(0, 0);
        self.errors.reset(0, 0);
        self.scores.clear();
        self.verdicts.clear();
    }

    /// Exchanges some columns, with their memory, for those of another batch.
    pub fn exchange(&mut self, other: &mut Self, columns: Columns) {
        for column in columns.iter() {
            match column {
                Column::Packets => swap(&mut self.packets, &mut other.packets),
                Column::Headers => swap(&mut self.headers, &mut other.headers),
                Column::Features => swap(&mut self.features, &mut other.features),
                Column::Mapped => swap(&mut self.mapped, &mut other.mapped),
                Column::Errors => swap(&mut self.errors, &mut other.errors),
                Column::Scores => swap(&mut self.scores, &mut other.scores),
                Column::Verdicts => swap(&mut self.verdicts, &mut other.verdicts),
            }
        }
    }

    /// Number of packets for which a column holds a value.
    pub fn filled(&self, column: Column) -> usize {
        match column {
            Column::Packets => self.packets.len(),
            Column::Headers => self.headers.len(),
            Column::Features => self.features.len(),
            Column::Mapped => self.mapped.len(),
            Column::Errors => self.errors.len(),
            Column::Scores => self.scores.len(),
            Column::Verdicts => self.verdicts.len(),
        }
    }

    /// Number of packets in the batch.
    pub fn len(&self) -> usize {
        self.packets.len().max(self.headers.len()).max(self.features.len())
    }

    /// Whether the batch holds no packet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_rows_go_out_and_come_back() {
        let rows = Rows::of([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]].iter().map(|row| &row[..]));
        let (mut part, mut back) = (Rows::default(), Rows::default());
        rows.gather(&[0, 2, 9], &mut part);
        assert_eq!(part.as_slice(), [1.0, 2.0, 5.0, 6.0]);
        back.scatter(&part, &[2, 0], 3);
        assert_eq!((back.row(2), back.row(0), back.len()), (&[1.0, 2.0][..], &[5.0, 6.0][..], 3));
    }

    #[test]
    fn rows_keep_their_memory() {
        let mut rows = Rows::default();
        rows.reset(3, 2);
        rows.row_mut(2)[1] = 7.0;
        assert_eq!((rows.len(), rows.width(), rows.row(2)[1]), (3, 2, 7.0));
        let before = rows.as_slice().as_ptr();
        rows.reset(1, 2);
        rows.reset(3, 2);
        assert_eq!(rows.as_slice().as_ptr(), before);
    }
}
