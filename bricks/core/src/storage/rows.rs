//! Rows as a column, cell by cell or in tiles.

use super::{Damaged, Storage, Typed, Value, owned, put, same, same_mut, take_shape};
use crate::prefetch::prefetch;
use crate::{Element, LANES, Rows, Tiles};
use std::ops::Range;

impl<T: Value> Storage for Rows<T> {
    fn filled(&self) -> usize {
        self.len()
    }

    fn cells(&self) -> usize {
        self.width()
    }

    fn size(&self) -> usize {
        size_of_val(self.as_slice())
    }

    fn clear(&mut self) {
        self.reset(0, 0);
    }

    fn fill(&mut self, len: usize, width: usize) {
        self.reset(len, width);
        self.as_mut_slice().fill(T::default());
    }

    fn gather(&self, places: &[usize], to: &mut dyn Storage) {
        Self::gather(self, places, same_mut(to));
    }

    fn scatter(&mut self, part: &dyn Storage, places: &[usize], len: usize) {
        Self::scatter(self, same(part), places, len);
    }

    fn reshape(&mut self, len: usize, width: usize) {
        if (self.len(), self.width()) != (len, width) {
            self.reset(len, width);
        }
    }

    fn copy_cells(&mut self, row: usize, cells: &[Range<usize>], from: &dyn Storage, other: usize) {
        let (row, from) = (self.row_mut(row), same::<Self>(from).row(other));
        cells.iter().for_each(|cells| row[cells.clone()].copy_from_slice(&from[cells.clone()]));
    }

    fn take_cells(&self, row: usize, cells: &[Range<usize>], to: &mut dyn Storage, mut at: usize) {
        let (row, to) = (self.row(row), same_mut::<Self>(to).as_mut_slice());
        for cells in cells {
            to[at..][..cells.len()].copy_from_slice(&row[cells.clone()]);
            at += cells.len();
        }
    }

    fn put_cells(&mut self, row: usize, cells: &[Range<usize>], from: &dyn Storage, mut at: usize) {
        let (row, from) = (self.row_mut(row), same::<Self>(from).as_slice());
        for cells in cells {
            row[cells.clone()].copy_from_slice(&from[at..][..cells.len()]);
            at += cells.len();
        }
    }

    fn put_row(&mut self, row: usize, at: usize, from: &dyn Storage, other: usize) {
        let from = same::<Self>(from).row(other);
        self.row_mut(row)[at..][..from.len()].copy_from_slice(from);
    }

    fn prefetch_row(&self, row: usize) {
        let width = self.width();
        self.as_slice().get(row * width..(row + 1) * width).into_iter().for_each(prefetch);
    }

    fn swap_remove(&mut self, row: usize) {
        Self::swap_remove(self, row);
    }

    fn encode(&self, to: &mut Vec<u8>) {
        put(&(self.len(), self.width()), to);
        T::put_all(self.as_slice(), to);
    }

    fn decode(&mut self, from: &mut &[u8]) -> Result<(), Damaged> {
        Storage::clear(self);
        let (len, width) = take_shape::<T>(from)?;
        self.reset(len, width);
        T::take_all(self.as_mut_slice(), from).inspect_err(|_| Storage::clear(self))
    }

    owned!();
}

impl<T: Value> Typed for Rows<T> {
    const ELEMENT: Element = T::ELEMENT;
    const SCALAR: bool = false;
}

impl Storage for Tiles {
    fn filled(&self) -> usize {
        self.len()
    }

    fn cells(&self) -> usize {
        self.width()
    }

    fn size(&self) -> usize {
        self.len() * self.width() * size_of::<f64>()
    }

    fn clear(&mut self) {
        self.reset(0, 0);
    }

    fn fill(&mut self, len: usize, width: usize) {
        self.reset(len, width);
        self.columns_mut().fill([0.0; LANES]);
    }

    fn gather(&self, places: &[usize], to: &mut dyn Storage) {
        Self::gather(self, places, same_mut(to));
    }

    fn scatter(&mut self, part: &dyn Storage, places: &[usize], len: usize) {
        Self::scatter(self, same(part), places, len);
    }

    fn reshape(&mut self, len: usize, width: usize) {
        if (self.len(), self.width()) != (len, width) {
            self.reset(len, width);
        }
    }

    fn copy_cells(&mut self, row: usize, cells: &[Range<usize>], from: &dyn Storage, other: usize) {
        let from = same::<Self>(from).row(other);
        for (at, (to, cell)) in self.row_mut(row).zip(from).enumerate() {
            if cells.iter().any(|cells| cells.contains(&at)) {
                *to = cell;
            }
        }
    }

    fn take_cells(&self, row: usize, cells: &[Range<usize>], to: &mut dyn Storage, at: usize) {
        let to: &mut Self = same_mut(to);
        let taken =
            self.row(row).enumerate().filter(|(place, _)| cells.iter().any(|cells| cells.contains(place)));
        for (at, (_, cell)) in (at..).zip(taken) {
            to.row_mut(at).for_each(|to| *to = cell);
        }
    }

    fn put_cells(&mut self, row: usize, cells: &[Range<usize>], from: &dyn Storage, at: usize) {
        let from: &Self = same(from);
        let mut cells_from = (at..).map(|at| from.row(at));
        for (place, to) in self.row_mut(row).enumerate() {
            if cells.iter().any(|cells| cells.contains(&place)) {
                cells_from.next().into_iter().flatten().for_each(|cell| *to = cell);
            }
        }
    }

    fn put_row(&mut self, row: usize, at: usize, from: &dyn Storage, other: usize) {
        let from: &Self = same(from);
        assert!(at + from.width() <= self.width(), "a row of {} cells at {at}", from.width());
        self.row_mut(row).skip(at).zip(from.row(other)).for_each(|(to, cell)| *to = cell);
    }

    fn swap_remove(&mut self, row: usize) {
        Self::swap_remove(self, row);
    }

    fn encode(&self, to: &mut Vec<u8>) {
        put(&(self.len(), self.width()), to);
        to.reserve(self.size());
        (0..self.len()).flat_map(|row| self.row(row)).for_each(|cell| to.extend(cell.to_le_bytes()));
    }

    fn decode(&mut self, from: &mut &[u8]) -> Result<(), Damaged> {
        Storage::clear(self);
        let (len, width) = take_shape::<f64>(from)?;
        self.reset(len, width);
        let (bytes, rest) = from.split_at(len * width * size_of::<f64>());
        let mut values = bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
        (0..len).for_each(|row| self.row_mut(row).zip(&mut values).for_each(|(cell, value)| *cell = value));
        *from = rest;
        Ok(())
    }

    owned!();
}

impl Typed for Tiles {
    const ELEMENT: Element = Element::F64Tiles;
    const SCALAR: bool = false;
}
