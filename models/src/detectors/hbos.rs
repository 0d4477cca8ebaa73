//! Histograms.

use super::bins::{BARS, Bins, CELLS, Filled};

/// What is added to each density, so that its logarithm is finite.
const LEAST: f64 = 0.1;

/// Scores a row by the sum over its features of −log2 of the density in a histogram of ten bars of the feature's values, scaled to
/// the range from 0 to 1, or of their logarithms (Goldstein and Dengel, "HBOS"). A value within half a bar of the extremes is in the bar beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hbos {
    /// What each cell of each feature adds.
    pub table: Vec<[f64; CELLS]>,
}

impl Hbos {
    pub(crate) fn fit(bins: &Bins, columns: &[Vec<f64>], logarithmic: bool) -> Self {
        let table = |(feature, column): (usize, &Vec<f64>)| {
            let filled = bins.fill(feature, column, logarithmic);
            cells(&bins.edges[feature], &filled)
        };
        Self { table: columns.iter().enumerate().map(table).collect() }
    }
}

fn cells(edges: &[f32], filled: &Filled) -> [f64; CELLS] {
    let bar = |cell: usize| if cell == 0 { 0 } else { filled.bars.bar(edges[cell - 1]) };
    // The number of the bar that counts: half a bar beyond an end is in the bar beside it. None beyond that.
    let counted = |cell: usize| match (bar(cell), filled.bars.only()) {
        (_, Some(only)) => (cell > 0 && f64::from(edges[cell - 1]) == only).then_some(0),
        (0, None) => None,
        (beyond, None) if beyond == BARS + 3 => None,
        (bar, None) => Some((bar - 1).clamp(1, BARS) - 1),
    };
    let mut counts = [0; BARS];
    for cell in 0..CELLS {
        let before = if cell == 0 { 0 } else { filled.below[cell - 1] };
        let up_to = filled.below.get(cell).copied().unwrap_or(filled.count);
        if let Some(bar) = counted(cell) {
            counts[bar] += up_to - before;
        }
    }
    let rarity = |count: usize| -((count * BARS) as f64 / filled.count as f64 + LEAST).log2();
    let rarest = counts.into_iter().map(rarity).fold(f64::MIN, f64::max);
    std::array::from_fn(|cell| counted(cell).map_or(rarest, |bar| rarity(counts[bar])))
}
