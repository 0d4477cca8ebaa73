//! Empirical cumulative distributions.

use super::bins::{Bins, CELLS, Filled};

/// Scores a row by the sum over its features of −ln of the smaller of its two tail probabilities among the rows of training (Li et
/// al., "ECOD"), which are known at the edges of [`Bins`].
#[derive(Clone, Debug, PartialEq)]
pub struct Ecod {
    /// What each cell of each feature adds.
    pub table: Vec<[f64; CELLS]>,
}

impl Ecod {
    pub(crate) fn fit(bins: &Bins, columns: &[Vec<f64>]) -> Self {
        let table = |(feature, column): (usize, &Vec<f64>)| cells(&bins.fill(feature, column, false));
        Self { table: columns.iter().enumerate().map(table).collect() }
    }
}

/// A row counts itself, as where a distribution is taken of the rows of training and the one in question.
fn cells(filled: &Filled) -> [f64; CELLS] {
    let all = (filled.count + 1) as f64;
    std::array::from_fn(|cell| {
        let up_to = filled.below.get(cell).copied().unwrap_or(filled.count);
        let before = if cell == 0 { 0 } else { filled.below[cell - 1] };
        let left = (up_to + 1) as f64 / all;
        let right = (filled.count - before + 1) as f64 / all;
        -left.min(right).min(1.0).ln() + 0.0
    })
}
