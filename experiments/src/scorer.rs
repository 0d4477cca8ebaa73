//! Scores of feature rows, a batch at a time.

use legonf_core::{BATCH, Rows, Tiles};
use legonf_models::kitnet::{KitNet, Scratch};
use std::sync::Arc;

/// A KitNET and the memory that it works in.
pub struct Scorer {
    network: Arc<KitNet>,
    rows: Rows,
    filled: usize,
    mapped: Tiles,
    errors: Tiles,
    scratch: Scratch,
    scores: Vec<f64>,
}

impl Scorer {
    /// A scorer over a network.
    pub fn new(network: Arc<KitNet>) -> Self {
        let mut rows = Rows::default();
        rows.reset(BATCH, network.features());
        let (mapped, errors, scratch) = (Tiles::default(), Tiles::default(), Scratch::default());
        Self { network, rows, filled: 0, mapped, errors, scratch, scores: Vec::new() }
    }

    /// Takes a row; `each` gets the scores of a batch once that is full.
    ///
    /// # Panics
    /// If the row is not as wide as the network's features.
    pub fn push(&mut self, row: &[f64], each: impl FnMut(f64)) {
        self.rows.row_mut(self.filled).copy_from_slice(row);
        self.filled += 1;
        if self.filled == BATCH {
            self.flush(each);
        }
    }

    /// Scores the rows that are left.
    pub fn flush(&mut self, each: impl FnMut(f64)) {
        self.rows.reset(self.filled, self.network.features());
        self.network.gather(&self.rows, &mut self.mapped);
        self.network.score_rows(&self.mapped, &mut self.scratch, &mut self.errors, &mut self.scores);
        self.scores.iter().copied().for_each(each);
        self.filled = 0;
        self.rows.reset(BATCH, self.network.features());
    }
}
