//! Damped sums of a stream, at every rate (kitsune-115.md §3).

use crate::damp::{RATES, SLOWEST};

/// Weights, sums and sums of squares, [`RATES`] of each.
pub(crate) type Sums = [f64; 3 * RATES];

/// One number per rate.
pub(crate) type PerRate = [f64; RATES];

/// Multiplies by the decay factors.
#[inline(always)]
pub(crate) fn decay(sums: &mut Sums, factors: &PerRate) {
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum *= factors[i % RATES];
    }
}

/// Decays, then adds a value.
#[inline(always)]
pub(crate) fn insert(sums: &mut Sums, factors: &PerRate, value: f64) {
    let added = [1.0, value, value * value];
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = *sum * factors[i % RATES] + added[i / RATES];
    }
}

/// The sums of one value.
#[inline(always)]
pub(crate) fn first(value: f64) -> Sums {
    let added = [1.0, value, value * value];
    let mut sums = [0.0; 3 * RATES];
    for (i, sum) in sums.iter_mut().enumerate() {
        *sum = added[i / RATES];
    }
    sums
}

/// Weights, sums, or sums of squares: part 0, 1 or 2.
#[inline(always)]
pub(crate) fn part(sums: &Sums, part: usize) -> &PerRate {
    sums[part * RATES..(part + 1) * RATES].try_into().expect("sums have three parts of RATES each")
}

/// The weight at the slowest rate.
pub(crate) fn slowest(sums: &Sums) -> f64 {
    sums[SLOWEST]
}
