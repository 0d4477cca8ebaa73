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
    range: f64,
    /// 1 / range, rounded.
    inverse: f64,
}

impl Normal {
    /// The columns of these autoencoders, one after the other.
    pub(crate) fn of(autoencoders: &[Autoencoder]) -> Self {
        let column = |a: &Autoencoder, v: usize| {
            let range = a.range(v);
            Column { min: a.norm_min[v], range, inverse: 1.0 / range }
        };
        let columns = autoencoders.iter().flat_map(|a| (0..a.visible()).map(move |v| column(a, v)));
        Self { columns: columns.collect() }
    }

    /// Every column in order.
    #[inline(always)]
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }
}

impl Column {
    /// (x − min) / range; in single precision by the inverse, which is exact enough there.
    #[inline(always)]
    pub(crate) fn apply<T: Real>(self, x: f64) -> T {
        T::quotient(x - self.min, self.range, self.inverse)
    }
}
