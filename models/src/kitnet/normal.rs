//! Normalisation by the extremes of training: (x − min) / range.

use super::Autoencoder;
use super::real::Real;

/// Columns that a [`Normal`] gives together.
pub(crate) const COLUMNS: usize = 4;

/// Normalises columns of numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Normal<T> {
    columns: Vec<Column<T>>,
}

/// What normalises one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Column<T> {
    min: T,
    range: T,
    /// 1 / range, rounded.
    inverse: T,
}

impl<T: Real> Normal<T> {
    /// The columns of these autoencoders, one after the other.
    pub(crate) fn of(autoencoders: &[Autoencoder]) -> Self {
        let column = |a: &Autoencoder, v: usize| Column {
            min: T::of(a.norm_min[v]),
            range: T::of(a.range(v)),
            inverse: T::of(1.0 / a.range(v)),
        };
        let columns = autoencoders.iter().flat_map(|a| (0..a.visible()).map(move |v| column(a, v)));
        Self { columns: columns.collect() }
    }

    /// Every column in order.
    #[inline(always)]
    pub(crate) fn columns(&self) -> &[Column<T>] {
        &self.columns
    }

    /// Whole groups of columns, from the first on.
    #[inline(always)]
    pub(crate) fn groups(&self) -> &[[Column<T>; COLUMNS]] {
        self.columns.as_chunks().0
    }

    /// The last [`COLUMNS`] columns, where there are so many.
    #[inline(always)]
    pub(crate) fn last_group(&self) -> Option<&[Column<T>; COLUMNS]> {
        self.columns.last_chunk()
    }
}

impl<T: Real> Column<T> {
    /// (x − min) / range with the bits of the division, but where a number is too small or too large for its remainder:
    /// the quotient by the rounded inverse is corrected by its exact remainder (Markstein, "Computation of elementary
    /// functions on the IBM RISC System/6000 processor", 1990).
    #[inline(always)]
    pub(crate) fn apply(self, x: T) -> T {
        let offset = x - self.min;
        let quotient = offset * self.inverse;
        let remainder = (-quotient).fma(self.range, offset);
        let corrected = remainder.fma(self.inverse, quotient);
        // What is infinite has no remainder.
        if corrected.is_nan() { quotient } else { corrected }
    }
}
