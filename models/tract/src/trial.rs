//! Whether a network does what an engine needs of it, found out by running it.

use crate::TractEngine;
use legonf_core::Rows;
use legonf_models::{Engine, EngineError};

/// Rows at the head of the trial that are run alone, too.
const ALONE: usize = 3;

impl TractEngine {
    /// Runs rows alone and in full batches: each must get one score, the same bits whatever rows are beside it, and a
    /// finite one at least for some.
    ///
    /// # Errors
    /// Says which of it does not hold, or why the network does not run.
    pub fn try_out(&mut self) -> Result<(), EngineError> {
        let count = self.batch() + ALONE;
        let (all, mut together) = (rows(self.features(), 0, count), Vec::new());
        self.score(&all, &mut together)?;
        if together.len() != count {
            return Err(EngineError(format!("{} scores for {count} rows", together.len())));
        }
        if together.iter().all(|score| !score.is_finite()) {
            return Err(EngineError(format!("{} for every row that was tried", together[0])));
        }
        for (index, score) in together.iter().enumerate().take(ALONE) {
            let mut alone = Vec::new();
            self.score(&rows(self.features(), index, 1), &mut alone)?;
            if alone.len() != 1 || alone[0].to_bits() != score.to_bits() {
                let reason =
                    format!("a row scores {score} beside others and {alone:?} alone: the network mixes rows");
                return Err(EngineError(reason));
            }
        }
        Ok(())
    }
}

/// `count` rows from number `first` on, of small numbers that differ.
fn rows(features: usize, first: usize, count: usize) -> Rows {
    let mut rows = Rows::default();
    rows.reset(count, features);
    for (index, cell) in rows.as_mut_slice().iter_mut().enumerate() {
        let (row, column) = (first + index / features, index % features);
        *cell = ((row * 31 + column * 17) % 97) as f64 / 8.0;
    }
    rows
}
