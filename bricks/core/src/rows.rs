//! Rows of cells that keep their memory.

/// A row-major matrix of one element type that keeps its memory between uses.
#[derive(Clone, Debug, Default)]
pub struct Rows<T = f64> {
    width: usize,
    len: usize,
    /// The cells, and behind them those of larger matrices before: writing zeros for each batch would cost as
    /// much as some bricks do.
    data: Vec<T>,
}

impl<T: Copy + Default> Rows<T> {
    /// Makes this a matrix of `len` rows of `width` cells. Cells hold what they held before, so the caller
    /// writes every one.
    pub fn reset(&mut self, len: usize, width: usize) {
        (self.len, self.width) = (if width == 0 { 0 } else { len }, width);
        if self.data.len() < len * width {
            self.data.resize(len * width, T::default());
        }
    }

    /// Appends a row of `width` cells, which hold what they held before. A matrix that has rows keeps its width.
    ///
    /// # Panics
    /// If it has rows of another width.
    pub fn append(&mut self, width: usize) -> &mut [T] {
        assert!(self.len == 0 || self.width == width, "rows of one width");
        self.reset(self.len + 1, width);
        self.row_mut(self.len - 1)
    }

    /// A matrix of these rows.
    ///
    /// # Panics
    /// If they are not all as wide as the first.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a [T]>) -> Self
    where
        T: 'a,
    {
        let (mut width, mut len, mut data) = (0, 0, Vec::new());
        for row in rows {
            width = if len == 0 { row.len() } else { width };
            assert_eq!(row.len(), width, "rows of one width");
            data.extend_from_slice(row);
            len += 1;
        }
        Self { width, len, data }
    }

    /// Number of cells of a row.
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
    pub fn row(&self, index: usize) -> &[T] {
        &self.as_slice()[index * self.width..][..self.width]
    }

    /// Row `index`, to be written.
    ///
    /// # Panics
    /// If `index` is out of range.
    pub fn row_mut(&mut self, index: usize) -> &mut [T] {
        let width = self.width;
        &mut self.as_mut_slice()[index * width..][..width]
    }

    /// The rows in order.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, T> {
        self.as_slice().chunks_exact(self.width.max(1))
    }

    /// The rows in order, to be written.
    pub fn iter_mut(&mut self) -> std::slice::ChunksExactMut<'_, T> {
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

    /// Lets a row go, and the last one take its place.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn swap_remove(&mut self, row: usize) {
        let width = self.width;
        assert!(row < self.len, "row {row} of {}", self.len);
        self.len -= 1;
        let last = self.len * width;
        self.data.copy_within(last..last + width, row * width);
    }

    /// All cells, row after row.
    pub fn as_slice(&self) -> &[T] {
        &self.data[..self.len * self.width]
    }

    /// All cells, row after row, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.data[..self.len * self.width]
    }
}

impl<T: Copy + Default + PartialEq> PartialEq for Rows<T> {
    fn eq(&self, other: &Self) -> bool {
        self.width == other.width && self.as_slice() == other.as_slice()
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
