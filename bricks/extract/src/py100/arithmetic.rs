//! The two functions whose last bit matters: decay factors and squares.

use crate::Arithmetic;
use crate::damp::{LAMBDAS, RATES};
use crate::math::{exp2_fast_lanes, pow2_lanes, square_pow_lanes};
use multiversion::multiversion;

/// One value per decay rate.
pub(super) type Lanes = [f64; RATES];

/// Number of gaps whose factors are kept.
const KEPT: usize = 1 << KEPT_BITS;
const KEPT_BITS: u32 = 10;

/// The factors 2^(-λ·gap) of one gap.
#[derive(Clone, Copy, Debug)]
struct Row {
    gap: f64,
    factors: Lanes,
}

/// Computes factors and squares, and remembers the factors of the gaps seen last: all streams that were touched by
/// the same two packets decay over the same gap.
#[derive(Clone, Debug)]
pub(super) struct Calculator {
    arithmetic: Arithmetic,
    rows: Box<[Row]>,
}

impl Calculator {
    /// A calculator in `arithmetic`.
    pub(super) fn new(arithmetic: Arithmetic) -> Self {
        Self { arithmetic, rows: vec![Row { gap: 0.0, factors: [1.0; RATES] }; KEPT].into() }
    }

    /// 2^(-λ·gap) for every rate.
    #[inline]
    pub(super) fn factors(&mut self, gap: f64) -> &Lanes {
        let hash = gap.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - KEPT_BITS);
        let row = &mut self.rows[hash as usize];
        if row.gap != gap {
            let factors = match self.arithmetic {
                Arithmetic::Reference => factors_reference(gap),
                Arithmetic::Fast => factors_fast(gap),
            };
            *row = Row { gap, factors };
        }
        &row.factors
    }

    /// The square of each value.
    #[inline]
    pub(super) fn squares(&self, values: &Lanes) -> Lanes {
        match self.arithmetic {
            Arithmetic::Reference => squares_reference(values),
            Arithmetic::Fast => values.map(|x| x * x),
        }
    }

    /// The square of one value.
    #[inline]
    pub(super) fn square(&self, value: f64) -> f64 {
        match self.arithmetic {
            Arithmetic::Reference => square_reference(value),
            Arithmetic::Fast => value * value,
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.rows)
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn factors_reference(gap: f64) -> Lanes {
    pow2_lanes(LAMBDAS.map(|lambda| -lambda * gap))
}

#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn factors_fast(gap: f64) -> Lanes {
    exp2_fast_lanes(LAMBDAS.map(|lambda| -lambda * gap))
}

#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn squares_reference(values: &Lanes) -> Lanes {
    square_pow_lanes(*values)
}

#[multiversion(targets("x86_64+avx512f+avx512vl+fma", "x86_64+avx2+fma"))]
fn square_reference(value: f64) -> f64 {
    let [square] = square_pow_lanes([value]);
    square
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::{pow2, square_pow};

    #[test]
    fn remembered_factors_are_those_of_the_gap() {
        let mut calculator = Calculator::new(Arithmetic::Reference);
        for i in (0..5000).chain(0..5000) {
            let gap = f64::from(i) * 0.37;
            assert_eq!(*calculator.factors(gap), LAMBDAS.map(|l| pow2(-l * gap)), "{gap}");
        }
        assert_eq!(*calculator.factors(0.0), [1.0; RATES]);
    }

    #[test]
    fn squares_are_the_reference_s() {
        let calculator = Calculator::new(Arithmetic::Reference);
        let values = [1376.7398567326766, 0.1, 0.0, 77.77, 1e-200];
        assert_eq!(calculator.squares(&values), values.map(square_pow));
        assert_eq!(calculator.square(values[0]).to_bits(), 0x413c_ebf4_a213_e91a);
    }
}
