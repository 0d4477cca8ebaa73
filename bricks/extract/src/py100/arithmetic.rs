//! The two functions whose last bit matters: decay factors and squares.

use crate::Arithmetic;
use crate::damp::{LAMBDAS, Powers, QUICKER, Quick, RATES};
use crate::math::{exp2_fast_lanes, pow2_lanes, square_pow};
use crate::vector::{self, Vector, Work};
use multiversion::multiversion;

/// Lanes of a whole number of vectors.
pub(super) const LANES: usize = 8;
/// One value per decay rate. The lanes behind those of the rates repeat the last one, so that what holds for the
/// rates holds for all lanes.
pub(super) type Lanes = [f64; LANES];
/// One value per decay rate, as they are kept.
pub(super) type Rates = [f64; RATES];

/// Number of gaps whose factors are kept.
const KEPT: usize = 1 << KEPT_BITS;
const KEPT_BITS: u32 = 10;

/// Gaps whose factors are worked out together.
pub(super) const RUN: usize = 32;

/// The factors of a run of gaps.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Those of all rates but the slowest.
    quick: [Quick; RUN],
    /// Those of the slowest rate.
    slow: [f64; RUN],
}

impl Run {
    /// Room for a run.
    pub(super) const EMPTY: Self = Self { quick: [[1.0; QUICKER]; RUN], slow: [1.0; RUN] };

    /// The factors of a gap of the run.
    #[inline(always)]
    pub(super) fn get(&self, at: usize) -> Lanes {
        let ([a, b, c, d], e) = (self.quick[at % RUN], self.slow[at % RUN]);
        widen([a, b, c, d, e])
    }
}

/// The factors 2^(-λ·gap) of one gap.
#[derive(Clone, Copy, Debug)]
struct Row {
    gap: f64,
    factors: Rates,
}

/// Computes factors and squares, and remembers the factors of the gaps seen last: all streams that were touched by
/// the same two packets decay over the same gap.
#[derive(Clone, Debug)]
pub(super) struct Calculator {
    arithmetic: Arithmetic,
    /// The decay rates, negative. Not a constant, of which the compiler would treat each lane in its own way.
    rates: Rates,
    powers: Powers,
    rows: Box<[Row; KEPT]>,
}

impl Calculator {
    /// A calculator in `arithmetic`.
    pub(super) fn new(arithmetic: Arithmetic) -> Self {
        let rates = LAMBDAS.map(|lambda| -lambda);
        let rows = Box::new([Row { gap: 0.0, factors: [1.0; RATES] }; KEPT]);
        Self { arithmetic, rates, powers: Powers::new(arithmetic), rows }
    }

    /// 2^(-λ·gap) for every rate.
    #[inline(always)]
    pub(super) fn factors(&mut self, gap: f64) -> Lanes {
        let hash = gap.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - KEPT_BITS);
        let row = &mut self.rows[hash as usize % KEPT];
        if row.gap != gap {
            *row = Row { gap, factors: factors(self.arithmetic, &self.rates, gap) };
        }
        widen(row.factors)
    }

    /// The factors of the first `many` gaps, which are not remembered.
    #[inline(always)]
    pub(super) fn run(&self, gaps: &[f64; RUN], many: usize, run: &mut Run) {
        vector::dispatch(Evaluate { powers: &self.powers, gaps, many, run });
    }

    /// The same of gaps that are likely to have been seen lately.
    #[inline(always)]
    pub(super) fn short_run(&mut self, gaps: &[f64; RUN], many: usize, run: &mut Run) {
        for (at, &gap) in gaps.iter().take(many).enumerate() {
            let [a, b, c, d, e, ..] = if gap > 0.0 { self.factors(gap) } else { [1.0; LANES] };
            (run.quick[at], run.slow[at]) = ([a, b, c, d], e);
        }
    }

    /// The square of each value.
    #[inline(always)]
    pub(super) fn squares(&self, values: &Lanes) -> Lanes {
        let mut squares = [0.0; LANES];
        let mut certain = true;
        for lane in 0..LANES {
            squares[lane] = values[lane] * values[lane];
            certain &= is_certain(values[lane], squares[lane]);
        }
        if self.arithmetic == Arithmetic::Reference && !certain {
            correct(values, &mut squares);
        }
        squares
    }

    /// The square of one value.
    #[inline(always)]
    pub(super) fn square(&self, value: f64) -> f64 {
        let square = value * value;
        if self.arithmetic == Arithmetic::Fast || is_certain(value, square) {
            square
        } else {
            square_reference(value)
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.rows)
    }
}

/// The factors of one gap, one per rate.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
fn factors(arithmetic: Arithmetic, rates: &Rates, gap: f64) -> Rates {
    let mut exponents = *rates;
    for exponent in &mut exponents {
        *exponent *= gap;
    }
    match arithmetic {
        Arithmetic::Reference => pow2_lanes(exponents),
        Arithmetic::Fast => exp2_fast_lanes(exponents),
    }
}

/// Evaluates the factors of the first gaps of a run.
struct Evaluate<'a> {
    powers: &'a Powers,
    gaps: &'a [f64; RUN],
    many: usize,
    run: &'a mut Run,
}

impl Work for Evaluate<'_> {
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { powers, gaps, many, run: Run { quick, slow } } = self;
        *slow = *gaps;
        let rows = quick.as_chunks_mut::<QUICKER>().0.iter_mut().zip(slow.as_chunks_mut().0);
        for (quick, slow) in rows.take(many.div_ceil(QUICKER)) {
            powers.evaluate::<V>(quick.each_mut(), slow);
        }
    }
}

/// All lanes from those of the rates.
#[inline(always)]
pub(super) fn widen([a, b, c, d, e]: Rates) -> Lanes {
    [a, b, c, d, e, e, e, e]
}

/// The lanes of the rates.
#[inline(always)]
pub(super) fn narrow([a, b, c, d, e, ..]: Lanes) -> Rates {
    [a, b, c, d, e]
}

/// Whether `pow(x, 2)` must be `square`, the double that is nearest to it.
///
/// glibc states that `exp` at the end of its `pow` is off by less than 0.009 ulp before its rounding, and the
/// logarithm by 1.3 · 2^-68 of itself, which for the range here adds 0.004 ulp. So `pow` rounds to the nearest double
/// wherever the exact square is more than 1/64 ulp away from the midpoint to a neighbour.
#[inline(always)]
fn is_certain(x: f64, square: f64) -> bool {
    const MODERATE: std::ops::Range<f64> = 1e-40..1e40;
    const NUDGE: f64 = 1.0323;
    const _: () = assert!(NUDGE > 1.0 / (1.0 - 2.0 / 64.0));
    let error = x.mul_add(x, -square);
    let nudged = error.mul_add(NUDGE, square);
    (MODERATE.contains(&square) & (nudged == square)) | (x == 0.0)
}

/// `pow(value, 2)`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
fn square_reference(value: f64) -> f64 {
    square_pow(value)
}

/// Replaces the squares that are not certain.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
fn correct(values: &Lanes, squares: &mut Lanes) {
    for lane in 0..RATES {
        if !is_certain(values[lane], squares[lane]) {
            squares[lane] = square_pow(values[lane]);
        }
    }
    let last = squares[RATES - 1];
    squares[RATES..].fill(last);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::pow2;

    #[test]
    fn remembered_factors_are_those_of_the_gap() {
        let mut calculator = Calculator::new(Arithmetic::Reference);
        for i in (0..5000).chain(0..5000) {
            let gap = f64::from(i) * 0.37;
            assert_eq!(calculator.factors(gap), widen(LAMBDAS.map(|l| pow2(-l * gap))), "{gap}");
        }
        assert_eq!(calculator.factors(0.0), [1.0; LANES]);
    }

    #[test]
    fn a_run_has_the_factors_of_its_gaps() {
        for arithmetic in [Arithmetic::Reference, Arithmetic::Fast] {
            let mut calculator = Calculator::new(arithmetic);
            let (mut gaps, mut run) = ([0.0; RUN], Run::EMPTY);
            for many in 0..=RUN {
                gaps[..many].fill_with(|| f64::from(many as u32) * 0.731);
                gaps[many / 2] = 300.0;
                calculator.run(&gaps, many, &mut run);
                assert!((0..many).all(|at| run.get(at) == calculator.factors(gaps[at])));
            }
        }
    }

    #[test]
    fn squares_are_the_reference_s() {
        let calculator = Calculator::new(Arithmetic::Reference);
        let values = widen([1376.7398567326766, 0.1, 0.0, 77.77, 1e-200]);
        assert_eq!(calculator.squares(&values), values.map(square_pow));
        assert_eq!(calculator.square(values[0]).to_bits(), 0x413c_ebf4_a213_e91a);
    }

    #[test]
    fn certain_squares_are_the_reference_s_close_to_midpoints_too() {
        let (mut word, mut close) = (1_u64, 0);
        for _ in 0..3_000_000 {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let exponent = 1023 - 60 + (word >> 52) % 120;
            let x = f64::from_bits(word >> 12 | exponent << 52);
            let square = x * x;
            let error = x.mul_add(x, -square).abs() / (square * f64::EPSILON);
            if is_certain(x, square) && error > 0.2 {
                close += u32::from(x.mul_add(x, -square).mul_add(1.125, square) != square);
                assert_eq!(square.to_bits(), square_pow(x).to_bits(), "{x:e}");
            }
        }
        assert!(close > 100_000, "{close}");
    }
}
