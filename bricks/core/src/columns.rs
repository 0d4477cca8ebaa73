//! Columns by number: sets of them, and where a batch has them.

use std::fmt;
use std::marker::PhantomData;

/// A set of the columns of a [`Layout`](crate::Layout).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Columns(u64);

impl Columns {
    /// Columns that a graph has at most.
    pub const MOST: usize = u64::BITS as usize;
    /// No column.
    pub const NONE: Self = Self(0);
    /// Every column.
    pub const ALL: Self = Self(u64::MAX);
    /// Raw packets.
    pub const PACKETS: Self = Self(1);
    /// Parsed headers.
    pub const HEADERS: Self = Self(2);

    /// The set of one column, by its number in the layout.
    ///
    /// # Panics
    /// If the number is not below [`MOST`](Self::MOST).
    pub const fn one(index: usize) -> Self {
        assert!(index < Self::MOST, "a column of a layout");
        Self(1 << index)
    }

    /// Columns that are in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Columns that are in this set and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Columns that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every column of `other` is in the set.
    pub const fn holds(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The set as a number, with a bit for each column.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The set of such a number.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Whether the set holds nothing.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The numbers of the columns, in order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (next < u64::BITS).then_some(next as usize)
        })
    }
}

impl FromIterator<usize> for Columns {
    fn from_iter<I: IntoIterator<Item = usize>>(columns: I) -> Self {
        columns.into_iter().fold(Self::NONE, |all, index| all.union(Self::one(index)))
    }
}

impl fmt::Debug for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Where a batch has the values of a column, which are kept in an `S`. One that was not bound leads nowhere.
pub struct Handle<S> {
    index: u8,
    kept_in: PhantomData<fn() -> S>,
}

impl<S> Handle<S> {
    pub(crate) fn at(index: usize) -> Self {
        assert!(index < Columns::MOST, "a column of a layout");
        Self { index: index as u8, kept_in: PhantomData }
    }

    /// The number of the column in its layout.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// The column as a set.
    ///
    /// # Panics
    /// If it was not bound.
    pub const fn column(self) -> Columns {
        Columns::one(self.index())
    }
}

/// A handle that was not bound.
impl<S> Default for Handle<S> {
    fn default() -> Self {
        Self { index: u8::MAX, kept_in: PhantomData }
    }
}

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Handle<S> {}

impl<S> fmt::Debug for Handle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.index).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_sets_behave_as_sets() {
        let (a, b) = (Columns::from_iter([1, 5]), Columns::from_iter([5, 0, 63]));
        assert_eq!(a.union(b).iter().collect::<Vec<_>>(), [0, 1, 5, 63]);
        assert_eq!(a.without(b), Columns::HEADERS);
        assert_eq!(a.intersection(b), Columns::one(5));
        assert!(a.without(a).is_empty() && a.holds(Columns::HEADERS) && !a.holds(b));
        assert_eq!(Columns::ALL.iter().count(), Columns::MOST);
    }
}
