//! Scalars as a column.

use super::{Damaged, Storage, Typed, Value, owned, put, same, same_mut, take};
use crate::Element;
use std::ops::Range;

impl<T: Value> Storage for Vec<T> {
    fn filled(&self) -> usize {
        self.len()
    }

    fn cells(&self) -> usize {
        1
    }

    fn size(&self) -> usize {
        size_of_val(self.as_slice())
    }

    fn clear(&mut self) {
        self.clear();
    }

    fn fill(&mut self, len: usize, _: usize) {
        self.clear();
        self.resize(len, T::default());
    }

    fn gather(&self, places: &[usize], to: &mut dyn Storage) {
        let to: &mut Self = same_mut(to);
        to.clear();
        to.extend(places.iter().filter_map(|place| self.get(*place)));
    }

    fn scatter(&mut self, part: &dyn Storage, places: &[usize], len: usize) {
        self.resize(len, T::default());
        for (place, value) in places.iter().zip(same::<Self>(part)) {
            self[*place] = *value;
        }
    }

    fn reshape(&mut self, len: usize, _: usize) {
        self.resize(len, T::default());
    }

    fn copy_cells(&mut self, row: usize, cells: &[Range<usize>], from: &dyn Storage, other: usize) {
        if !cells.is_empty() {
            self[row] = same::<Self>(from)[other];
        }
    }

    fn take_cells(&self, row: usize, cells: &[Range<usize>], to: &mut dyn Storage, at: usize) {
        if !cells.is_empty() {
            same_mut::<Self>(to)[at] = self[row];
        }
    }

    fn put_cells(&mut self, row: usize, cells: &[Range<usize>], from: &dyn Storage, at: usize) {
        self.copy_cells(row, cells, from, at);
    }

    fn put_row(&mut self, row: usize, _: usize, from: &dyn Storage, other: usize) {
        self[row] = same::<Self>(from)[other];
    }

    fn swap_remove(&mut self, row: usize) {
        self.swap_remove(row);
    }

    fn encode(&self, to: &mut Vec<u8>) {
        put(&self.len(), to);
        T::put_all(self, to);
    }

    fn decode(&mut self, from: &mut &[u8]) -> Result<(), Damaged> {
        let count: usize = take(from).inspect_err(|_| self.clear())?;
        if count > from.len() / T::LEAST {
            self.clear();
            return Err(Damaged);
        }
        // What is there is replaced, so it need not be cleared first.
        self.resize(count, T::default());
        T::take_all(self, from).inspect_err(|_| self.clear())
    }

    owned!();
}

impl<T: Value> Typed for Vec<T> {
    const ELEMENT: Element = T::ELEMENT;
    const SCALAR: bool = true;
}
