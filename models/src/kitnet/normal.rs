//! Normalisation by the extremes of training: (x − min) / range.

use super::Autoencoder;
use super::real::Real;

/// Normalises columns of numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Normal {
    columns: Vec<Column>,
}

/// What normalises one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Column {
    min: f64,
    /// 1 / range, rounded.
    inverse: f64,
}

impl Normal {
    /// The columns of these autoencoders, one after the other.
    pub(crate) fn of(autoencoders: &[Autoencoder]) -> Self {
        let columns = autoencoders.iter().flat_map(|a| (0..a.visible()).map(move |v| Column::of(a, v)));
        Self { columns: columns.collect() }
    }

    /// Every column in order.
    #[inline(always)]
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }
}

impl Column {
    /// That of an input of an autoencoder.
    #[inline(always)]
    pub(crate) fn of(a: &Autoencoder, v: usize) -> Self {
        Self { min: a.norm_min[v], inverse: 1.0 / a.range(v) }
    }

    /// (x − min) / range, by the rounded inverse: within 1.5 ulp of the quotient.
    #[inline(always)]
    pub(crate) fn apply<T: Real>(self, x: f64) -> T {
        T::of((x - self.min) * self.inverse)
    }
}
