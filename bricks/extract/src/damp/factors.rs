//! The decay factors that a run of packets needs, evaluated together.

use super::{LAMBDAS, RATES};
use crate::Arithmetic;
use crate::math::{exp2_fast_lanes, pow2_lanes};
use multiversion::multiversion;

/// Which factor of [`Factors`]; [`ONE`](Self::ONE) stands for no decay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Factor(u32);

impl Factor {
    /// No decay: 1 at every rate.
    pub(crate) const ONE: Self = Self(0);
}

/// Factors 2^(-λ·gap) for every rate, one row of [`RATES`] per gap.
#[derive(Clone, Debug)]
pub(crate) struct Factors {
    arithmetic: Arithmetic,
    /// Exponents until evaluated, then factors. Row 0 is that of [`Factor::ONE`].
    rows: Box<[[f64; RATES]]>,
    /// The gap of each row.
    gaps: Box<[f64]>,
    /// Rows in use.
    len: usize,
    /// The first row of the present packet.
    packet: usize,
}

impl Factors {
    /// With room for `gaps` gaps.
    pub(crate) fn new(arithmetic: Arithmetic, gaps: usize) -> Self {
        let (rows, gaps) = (vec![[1.0; RATES]; gaps + 1].into(), vec![0.0; gaps + 1].into());
        Self { arithmetic, rows, gaps, len: 1, packet: 1 }
    }

    /// Forgets every gap.
    pub(crate) fn clear(&mut self) {
        (self.len, self.packet) = (1, 1);
    }

    /// Starts a packet: its gaps share rows where they are equal.
    #[inline]
    pub(crate) fn next_packet(&mut self) {
        self.packet = self.len;
    }

    /// Asks for the factors of a gap in seconds; a gap of zero or less is no decay.
    ///
    /// # Panics
    /// If there is no room for another gap.
    #[inline]
    pub(crate) fn push(&mut self, gap: f64) -> Factor {
        if gap <= 0.0 {
            return Factor::ONE;
        }
        let known = self.gaps[self.packet..self.len].iter().position(|&g| g == gap);
        Factor(match known {
            Some(at) => self.packet + at,
            None => self.add(gap),
        } as u32)
    }

    #[inline]
    fn add(&mut self, gap: f64) -> usize {
        let row = self.len;
        for (exponent, lambda) in self.rows[row].iter_mut().zip(LAMBDAS) {
            *exponent = -lambda * gap;
        }
        self.gaps[row] = gap;
        self.len += 1;
        row
    }

    /// Turns every exponent that was pushed since [`clear`](Self::clear) into its factor.
    pub(crate) fn evaluate(&mut self) {
        powers(self.rows[1..self.len].as_flattened_mut(), self.arithmetic == Arithmetic::Fast);
    }

    /// The factors of a gap, once evaluated.
    #[inline(always)]
    pub(crate) fn get(&self, factor: Factor) -> &[f64; RATES] {
        &self.rows[factor.0 as usize]
    }
}

/// Replaces every y by 2^y: with the bits of the reference's `pow(2, y)`, or fast.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
fn powers(exponents: &mut [f64], fast: bool) {
    let (lanes, rest) = exponents.as_chunks_mut::<8>();
    for lane in lanes {
        *lane = if fast { exp2_fast_lanes(*lane) } else { pow2_lanes(*lane) };
    }
    let mut last = [0.0; 8];
    last[..rest.len()].copy_from_slice(rest);
    last = if fast { exp2_fast_lanes(last) } else { pow2_lanes(last) };
    rest.copy_from_slice(&last[..rest.len()]);
}
