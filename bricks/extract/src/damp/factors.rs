//! The decay factors that a run of packets needs, evaluated together.

use super::{LAMBDAS, QUICKER, Quick, SLOWEST};
use crate::Arithmetic;
use crate::math::{exp2_fast_lanes, pow2_vector};
use crate::vector::Vector;
use multiversion::multiversion;

/// The quicker rates as exponents of two.
const EXPONENTS: Quick = [-LAMBDAS[0], -LAMBDAS[1], -LAMBDAS[2], -LAMBDAS[3]];

/// Rows: a power of two, so that no index needs a check.
const ROWS: usize = 512;

/// Which factors of [`Factors`]; [`ONE`](Self::ONE) stands for no decay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Factor(u32);

impl Factor {
    /// No decay: 1 at every rate.
    pub(crate) const ONE: Self = Self(0);
}

/// A gap whose factors were asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    bits: u64,
    pub(crate) factor: Factor,
}

impl Gap {
    /// No gap.
    pub(crate) const NONE: Self = Self { bits: 0, factor: Factor::ONE };
}

/// The factors of a gap, at every rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Damp<'a> {
    /// At the quicker rates.
    pub(crate) quick: &'a Quick,
    /// At the slowest one.
    pub(crate) slow: f64,
}

/// Factors 2^(-λ·gap) for every rate, a row of them for each gap.
#[derive(Clone, Debug)]
pub(crate) struct Factors {
    arithmetic: Arithmetic,
    /// At the quicker rates. Row 0 is that of [`Factor::ONE`].
    quick: [Quick; ROWS],
    /// Gaps until they are evaluated, then factors at the slowest rate.
    slow: [f64; ROWS],
    /// Rows in use.
    len: usize,
}

impl Factors {
    /// The most gaps between two calls of [`clear`](Self::clear).
    pub(crate) const MOST: usize = ROWS - 1;

    /// None yet.
    pub(crate) fn new(arithmetic: Arithmetic) -> Self {
        Self { arithmetic, quick: [[1.0; QUICKER]; ROWS], slow: [0.0; ROWS], len: 1 }
    }

    /// Forgets every gap.
    pub(crate) fn clear(&mut self) {
        (self.slow[0], self.len) = (0.0, 1);
    }

    /// Takes the gaps of a packet; [`Asking::done`] ends that.
    #[inline(always)]
    pub(crate) fn ask(&mut self) -> Asking<'_> {
        Asking { rows: &mut self.slow, len: self.len, end: &mut self.len }
    }

    /// Turns every gap that was pushed since [`clear`](Self::clear) into its factors.
    #[inline(always)]
    pub(crate) fn evaluate<V: Vector>(&mut self) {
        let rows = self.len.next_multiple_of(QUICKER).min(ROWS);
        self.slow[self.len.min(rows)..rows].fill(0.0);
        powers::<V>(self.arithmetic, &mut self.quick[..rows], &mut self.slow[..rows]);
    }

    /// The factors of a gap, once evaluated.
    #[inline(always)]
    pub(crate) fn get(&self, factor: Factor) -> Damp<'_> {
        let row = factor.0 as usize % ROWS;
        Damp { quick: &self.quick[row], slow: self.slow[row] }
    }
}

/// Takes gaps in, while the number of rows is in a register.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    rows: &'a mut [f64; ROWS],
    len: usize,
    end: &'a mut usize,
}

impl Asking<'_> {
    /// Asks for the factors of a gap in seconds; a gap of zero or less, or NaN, is no decay. Where it equals one of those
    /// `known`, it has the same row: best if [`Gap::NONE`] is among them.
    ///
    /// Without a branch: whether gaps are equal depends on the traffic, and cannot be foreseen. Beyond
    /// [`Factors::MOST`] the factors are wrong.
    #[inline(always)]
    pub(crate) fn push<const N: usize>(&mut self, gap: f64, known: [Gap; N]) -> Gap {
        let gap = if gap > 0.0 { gap } else { 0.0 };
        let (bits, next) = (gap.to_bits(), self.len as u32);
        self.rows[self.len % ROWS] = gap;
        let mut row = next;
        for other in known {
            row = if other.bits == bits { other.factor.0 } else { row };
        }
        self.len += usize::from(row == next);
        Gap { bits, factor: Factor(row) }
    }

    /// Ends it.
    #[inline(always)]
    pub(crate) fn done(self) {
        *self.end = self.len;
    }
}

/// From gaps, which stand in `slow`, to factors: with the bits of the reference's `pow(2, y)`, or fast. Both slices have as
/// many rows, a multiple of [`QUICKER`].
#[inline(always)]
pub(crate) fn powers<V: Vector>(arithmetic: Arithmetic, quick: &mut [Quick], slow: &mut [f64]) {
    if arithmetic == Arithmetic::Fast {
        return fast_powers(quick, slow);
    }
    let (rates, rate) = (V::load(&EXPONENTS), V::splat(-LAMBDAS[SLOWEST]));
    for (quick, gaps) in quick.as_chunks_mut::<QUICKER>().0.iter_mut().zip(slow.as_chunks_mut().0) {
        for (factors, gap) in quick.iter_mut().zip(&*gaps) {
            pow2_vector(rates * V::splat(*gap)).store(factors);
        }
        pow2_vector(rate * V::load(gaps)).store(gaps);
    }
}

/// From gaps to factors, fast.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
fn fast_powers(quick: &mut [Quick], slow: &mut [f64]) {
    for (quick, gaps) in quick.as_chunks_mut::<QUICKER>().0.iter_mut().zip(slow.as_chunks_mut::<QUICKER>().0)
    {
        for (factors, gap) in quick.iter_mut().zip(&*gaps) {
            let mut y = EXPONENTS;
            for y in &mut y {
                *y *= gap;
            }
            *factors = exp2_fast_lanes(y);
        }
        for gap in gaps.iter_mut() {
            *gap *= -LAMBDAS[SLOWEST];
        }
        *gaps = exp2_fast_lanes(*gaps);
    }
}
