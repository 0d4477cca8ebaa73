//! Rows that lie side by side, for bricks that compute many of them at once.

use crate::Rows;
use std::ops::Range;

/// Rows of a tile.
pub const LANES: usize = 8;

/// A matrix of `f64` in tiles of [`LANES`] rows: in a tile, column after column, and each column's cells of all its rows
/// side by side, as vector instructions take them. It keeps its memory between uses.
#[derive(Clone, Debug, Default)]
pub struct Tiles {
    width: usize,
    len: usize,
    /// The columns of the tiles, and behind them those of larger matrices before.
    columns: Vec<[f64; LANES]>,
}

impl Tiles {
    /// Makes this a matrix of `len` rows of `width` columns. Cells hold what they held before, so the caller writes every
    /// one; what the last tile holds behind the last row is nobody's.
    pub fn reset(&mut self, len: usize, width: usize) {
        (self.len, self.width) = (if width == 0 { 0 } else { len }, width);
        let columns = self.extent();
        if self.columns.len() < columns {
            self.columns.resize(columns, [0.0; LANES]);
        }
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

    /// The columns of all tiles, [`width`](Self::width) of each tile, one tile after the other.
    pub fn columns(&self) -> &[[f64; LANES]] {
        &self.columns[..self.extent()]
    }

    /// The columns of all tiles, to be written.
    pub fn columns_mut(&mut self) -> &mut [[f64; LANES]] {
        let extent = self.extent();
        &mut self.columns[..extent]
    }

    /// The cells of row `index`, in order.
    ///
    /// # Panics
    /// If `index` is out of range.
    pub fn row(&self, index: usize) -> impl ExactSizeIterator<Item = f64> {
        let (columns, lane) = self.place(index);
        self.columns[columns].iter().map(move |column| column[lane])
    }

    /// The cells of row `index`, to be written.
    ///
    /// # Panics
    /// If `index` is out of range.
    pub fn row_mut(&mut self, index: usize) -> impl ExactSizeIterator<Item = &mut f64> {
        let (columns, lane) = self.place(index);
        self.columns[columns].iter_mut().map(move |column| &mut column[lane])
    }

    /// Copies some rows into another matrix; those that are not there are left out.
    pub fn gather(&self, rows: &[usize], to: &mut Self) {
        let present = || rows.iter().filter(|row| **row < self.len);
        to.reset(present().count(), self.width);
        for (place, row) in present().enumerate() {
            to.copy(place, self, *row);
        }
    }

    /// Lets a row go, and the last one take its place.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn swap_remove(&mut self, row: usize) {
        let ((columns, lane), (last_columns, last_lane)) = (self.place(row), self.place(self.len - 1));
        for (to, from) in columns.zip(last_columns) {
            self.columns[to][lane] = self.columns[from][last_lane];
        }
        self.len -= 1;
    }

    /// Copies the rows of `part` to the places `rows` of this matrix, which gets `len` rows of that width if it has others.
    ///
    /// # Panics
    /// If a place is not below `len`.
    pub fn scatter(&mut self, part: &Self, rows: &[usize], len: usize) {
        if self.width != part.width || self.len != len {
            self.reset(len, part.width);
        }
        for (row, place) in rows.iter().zip(0..part.len) {
            self.copy(*row, part, place);
        }
    }

    fn copy(&mut self, to: usize, from: &Self, row: usize) {
        self.row_mut(to).zip(from.row(row)).for_each(|(to, cell)| *to = cell);
    }

    /// The columns of the tile that a row is in, and its lane there.
    fn place(&self, row: usize) -> (Range<usize>, usize) {
        assert!(row < self.len, "row {row} of {}", self.len);
        let start = row / LANES * self.width;
        (start..start + self.width, row % LANES)
    }

    /// Columns of all tiles.
    fn extent(&self) -> usize {
        self.len.div_ceil(LANES) * self.width
    }
}

impl From<&Rows> for Tiles {
    fn from(rows: &Rows) -> Self {
        let mut tiles = Self::default();
        tiles.reset(rows.len(), rows.width());
        for (index, row) in rows.iter().enumerate() {
            tiles.row_mut(index).zip(row).for_each(|(to, cell)| *to = *cell);
        }
        tiles
    }
}

impl PartialEq for Tiles {
    fn eq(&self, other: &Self) -> bool {
        let shape = |tiles: &Self| (tiles.width, tiles.len);
        shape(self) == shape(other) && (0..self.len).all(|row| self.row(row).eq(other.row(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row r holds r + 0.0, r + 0.1, ….
    fn tiles(len: usize, width: usize) -> Tiles {
        let row = |r: usize| (0..width).map(|c| r as f64 + c as f64 * 0.1).collect::<Vec<_>>();
        let rows: Vec<_> = (0..len).map(row).collect();
        Tiles::from(&Rows::of(rows.iter().map(Vec::as_slice)))
    }

    #[test]
    fn columns_of_a_tile_lie_side_by_side() {
        let tiles = tiles(11, 3);
        assert_eq!(tiles.columns().len(), 6);
        assert_eq!(tiles.columns()[1], std::array::from_fn(|row| row as f64 + 0.1));
        assert_eq!(tiles.columns()[3][..3], [8.0, 9.0, 10.0]);
        assert_eq!(tiles.row(10).collect::<Vec<_>>(), [10.0, 10.1, 10.2]);
    }

    #[test]
    fn some_rows_go_out_and_come_back() {
        let all = tiles(20, 2);
        let (mut part, mut back) = (Tiles::default(), Tiles::default());
        all.gather(&[0, 9, 30, 17], &mut part);
        assert_eq!(part.len(), 3);
        back.scatter(&part, &[18, 1, 8], 20);
        assert_eq!((back.len(), back.row(8).next(), back.row(18).next()), (20, Some(17.0), Some(0.0)));
        assert!(back.row(1).eq(all.row(9)));
    }

    #[test]
    fn equal_rows_are_equal_whatever_lies_behind_them() {
        let (mut long, short) = (tiles(16, 2), tiles(9, 2));
        assert_ne!(long, short);
        let before = long.columns().as_ptr();
        long.reset(9, 2);
        assert_eq!((&long, long.columns().as_ptr()), (&short, before));
        long.row_mut(8).for_each(|cell| *cell = 0.0);
        assert_ne!(long, short);
    }

    #[test]
    fn rows_without_columns_are_none() {
        let mut tiles = tiles(4, 1);
        tiles.reset(4, 0);
        assert!(tiles.is_empty() && tiles.columns().is_empty());
    }
}
