//! A bounded sample of a stream of rows, in their order.

use crate::kitnet::Mt19937;

/// The most rows that a training keeps.
pub const MOST_ROWS: usize = 1 << 16;

/// One random row of every block of as many rows; blocks grow to twice their size where the sample is full. So any part of the stream
/// has its share, up to [`MOST_ROWS`] rows every row is kept, and the same seed keeps the same rows.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    width: usize,
    cells: Vec<f64>,
    /// What the caller said of each row.
    marks: Vec<u64>,
    most: usize,
    block: u64,
    /// Rows of the block that has begun, and the one of them that is kept.
    begun: u64,
    kept: (Vec<f64>, u64),
    random: Random,
}

#[derive(Clone, Debug)]
struct Random(Box<Mt19937>);

impl Sample {
    /// A sample without a row, of at most `most` (an even number) of so many cells.
    pub(crate) fn new(width: usize, most: usize, seed: u32) -> Self {
        let (cells, marks, kept) = (Vec::new(), Vec::new(), (vec![0.0; width], 0));
        Self {
            width,
            cells,
            marks,
            most,
            block: 1,
            begun: 0,
            kept,
            random: Random(Mt19937::new(seed).into()),
        }
    }

    /// Takes the next row, and what is to be known of it.
    pub(crate) fn push(&mut self, row: &[f64], mark: u64) {
        self.begun += 1;
        if self.begun == 1 || self.random.0.below(self.begun as usize) == 0 {
            self.kept.0.copy_from_slice(row);
            self.kept.1 = mark;
        }
        if self.begun == self.block {
            self.close();
        }
    }

    /// Keeps the row of the block.
    fn close(&mut self) {
        if self.marks.len() == self.most {
            self.halve();
        }
        self.cells.extend_from_slice(&self.kept.0);
        self.marks.push(self.kept.1);
        self.begun = 0;
    }

    /// Makes one block of every two.
    fn halve(&mut self) {
        let pairs = self.marks.len() / 2;
        for pair in 0..pairs {
            let from = 2 * pair + self.random.0.below(2);
            self.cells.copy_within(from * self.width..(from + 1) * self.width, pair * self.width);
            self.marks[pair] = self.marks[from];
        }
        self.cells.truncate(pairs * self.width);
        self.marks.truncate(pairs);
        self.block *= 2;
    }

    /// The rows, one after the other.
    pub(crate) fn rows(&self) -> Vec<&[f64]> {
        self.cells.chunks_exact(self.width.max(1)).collect()
    }

    /// What was said of each row.
    pub(crate) fn marks(&self) -> &[u64] {
        &self.marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_long_stream_has_its_share() {
        let mut sample = Sample::new(1, 64, 7);
        (0..1000).for_each(|i| sample.push(&[i as f64], i));
        let marks = sample.marks();
        assert!(marks.len() > 32 && marks.len() <= 64 && marks.is_sorted());
        let early = marks.iter().filter(|mark| **mark < 500).count();
        assert!(early.abs_diff(marks.len() / 2) <= 2, "{early} of {}", marks.len());
        assert!(sample.rows().iter().zip(marks).all(|(row, mark)| row[0] == *mark as f64));
    }

    #[test]
    fn a_short_stream_is_kept_whole() {
        let mut sample = Sample::new(1, 64, 7);
        (0..64).for_each(|i| sample.push(&[0.0], i));
        assert!(sample.marks().iter().copied().eq(0..64));
    }
}
