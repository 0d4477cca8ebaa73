//! The decay factors that a run of packets needs, evaluated together.

use super::{Powers, QUICKER, Quick};
use crate::vector::Vector;

/// Rows: a power of two, so that no index needs a check.
const ROWS: usize = 512;

/// What the number of a row counts: it is its offset in bytes.
const STEP: u32 = size_of::<Damp>() as u32;

/// Which factors of [`Factors`]; [`ONE`](Self::ONE) stands for no decay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Factor(u32);

impl Factor {
    /// No decay: 1 at every rate.
    pub(crate) const ONE: Self = Self(0);

    #[inline(always)]
    fn row(self) -> usize {
        (self.0 / STEP) as usize % ROWS
    }
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
#[repr(C, align(64))]
pub(crate) struct Damp {
    /// At the quicker rates.
    pub(crate) quick: Quick,
    /// At the slowest one three times, and 1; until they are evaluated, the gap.
    pub(crate) slow: Quick,
}

/// Factors 2^(-λ·gap) for every rate, a row of them for each gap.
#[derive(Clone, Debug)]
pub(crate) struct Factors {
    powers: Powers,
    /// Row 0 is that of [`Factor::ONE`].
    rows: [Damp; ROWS],
    /// Where the next row begins.
    end: u32,
}

impl Factors {
    /// The most gaps between two calls of [`clear`](Self::clear).
    pub(crate) const MOST: usize = ROWS - 1;

    /// None yet.
    pub(crate) fn new() -> Self {
        let row = Damp { quick: [1.0; QUICKER], slow: [0.0; QUICKER] };
        Self { powers: Powers::new(), rows: [row; ROWS], end: STEP }
    }

    /// Forgets every gap.
    pub(crate) fn clear(&mut self) {
        (self.rows[0].slow[0], self.end) = (0.0, STEP);
    }

    /// Takes the gaps of a packet; [`Asking::done`] ends that.
    #[inline(always)]
    pub(crate) fn ask(&mut self) -> Asking<'_> {
        Asking { rows: &mut self.rows, next: self.end, end: &mut self.end }
    }

    /// Turns every gap that was pushed since [`clear`](Self::clear) into its factors.
    #[inline(always)]
    pub(crate) fn evaluate<V: Vector>(&mut self) {
        let many = ((self.end / STEP) as usize).next_multiple_of(QUICKER).min(ROWS);
        for [a, b, c, d] in self.rows[..many].as_chunks_mut().0 {
            let mut slow = [a.slow[0], b.slow[0], c.slow[0], d.slow[0]];
            let quick = [&mut a.quick, &mut b.quick, &mut c.quick, &mut d.quick];
            self.powers.evaluate::<V>(quick, &mut slow);
            for (row, factor) in [a, b, c, d].into_iter().zip(slow) {
                V::splat(factor).with_fourth(V::splat(1.0)).store(&mut row.slow);
            }
        }
    }

    /// The factors of a gap, once evaluated.
    #[inline(always)]
    pub(crate) fn get(&self, factor: Factor) -> &Damp {
        &self.rows[factor.row()]
    }
}

/// Takes gaps in, while the number of rows is in a register.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    rows: &'a mut [Damp; ROWS],
    next: u32,
    end: &'a mut u32,
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
        let (bits, next) = (gap.to_bits(), Factor(self.next));
        self.rows[next.row()].slow[0] = gap;
        let mut factor = next;
        for other in known {
            factor = if other.bits == bits { other.factor } else { factor };
        }
        self.next += STEP * u32::from(factor == next);
        Gap { bits, factor }
    }

    /// Ends it.
    #[inline(always)]
    pub(crate) fn done(self) {
        *self.end = self.next;
    }
}
