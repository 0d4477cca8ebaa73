//! Features gathered into the order in which the ensemble reads them, rows side by side.

use super::transpose::{self, Run, TOGETHER, TileRows};
use legonf_core::{LANES, Rows, Tiles};

/// Rows of a batch that are written one by one; more of them are as fast as a whole tile.
const FEW: usize = 2;

/// Where features go.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gather {
    /// A feature and its place among the mapped ones, in the order of features: processors foresee reading in order.
    moves: Vec<(usize, usize)>,
    /// Those of features that follow each other, each once, and the others.
    runs: Vec<Run>,
    lone: Vec<(usize, usize)>,
}

impl Gather {
    /// Mapped column i is feature `columns[i]`.
    pub(crate) fn new(columns: &[usize]) -> Self {
        let mut moves: Vec<_> = columns.iter().enumerate().map(|(place, column)| (*column, place)).collect();
        moves.sort_unstable();
        let (mut runs, mut lone, mut left) = (Vec::new(), Vec::new(), &moves[..]);
        while let [next @ (first, _), rest @ ..] = left {
            let run = left.first_chunk::<TOGETHER>();
            match run.filter(|run| run.iter().zip(*first..).all(|((feature, _), wanted)| *feature == wanted))
            {
                Some(run) => {
                    runs.push(Run { first: *first, places: run.map(|(_, place)| place) });
                    left = &left[TOGETHER..];
                }
                None => {
                    lone.push(*next);
                    left = rest;
                }
            }
        }
        Self { moves, runs, lone }
    }

    /// Number of mapped features.
    pub(crate) fn width(&self) -> usize {
        self.moves.len()
    }

    /// Fills `mapped` with the features of every row.
    pub(crate) fn run(&self, features: &Rows, mapped: &mut Tiles) {
        mapped.reset(features.len(), self.width());
        if self.moves.is_empty() || features.is_empty() {
            return;
        }
        let width = features.width();
        let tiles = mapped.columns_mut().chunks_exact_mut(self.width());
        for (rows, tile) in features.as_slice().chunks(LANES * width).zip(tiles) {
            if rows.len() > FEW * width {
                self.tile(&TileRows::new(rows, width), tile);
            } else {
                rows.chunks_exact(width).enumerate().for_each(|(lane, row)| self.row(row, lane, tile));
            }
        }
    }

    fn tile(&self, rows: &TileRows<'_>, tile: &mut [[f64; LANES]]) {
        transpose::copy(&self.runs, rows, tile);
        self.lone.iter().for_each(|(feature, place)| tile[*place] = rows.column(*feature));
    }

    fn row(&self, row: &[f64], lane: usize, tile: &mut [[f64; LANES]]) {
        for (feature, place) in &self.moves {
            tile[*place][lane] = row[*feature];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_every_tile_is_gathered() {
        let rows: Vec<[f64; 11]> =
            (0..19).map(|r| std::array::from_fn(|c| f64::from(r * 100) + c as f64)).collect();
        let mut mapped = Tiles::default();
        for columns in [vec![4, 0, 2, 10, 1, 3, 9, 7, 6, 8], vec![3, 1], vec![5, 6, 5, 7, 8, 4], vec![]] {
            for count in 0..=rows.len() {
                Gather::new(&columns).run(&Rows::of(rows[..count].iter().map(|row| &row[..])), &mut mapped);
                let expected: Vec<Vec<f64>> =
                    rows[..count].iter().map(|row| columns.iter().map(|c| row[*c]).collect()).collect();
                let found: Vec<Vec<f64>> = (0..mapped.len()).map(|row| mapped.row(row).collect()).collect();
                assert_eq!(
                    found,
                    if columns.is_empty() { vec![] } else { expected },
                    "{count} rows of {columns:?}"
                );
            }
        }
    }
}
