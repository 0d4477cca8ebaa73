//! The two functions whose last bit matters: decay factors and squares.

use crate::damp::{LAMBDAS, Powers, QUICKER, Quick, RATES};
use crate::math::{pow2_lanes, square_pow};
use crate::vector::Vector;
use multiversion::multiversion;
use std::ops::{Add, Mul};

/// Lanes of a whole number of vectors.
pub(super) const LANES: usize = 8;
/// One value per decay rate. The lanes behind those of the rates repeat the last one, so that what holds for the
/// rates holds for all lanes.
pub(super) type Lanes = [f64; LANES];
/// One value per decay rate, as they are kept.
pub(super) type Rates = [f64; RATES];

/// One value per decay rate, as vectors have them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rated<V> {
    /// At all rates but the slowest, and at that.
    pub(super) quick: V,
    pub(super) slow: f64,
}

impl<V: Vector> Rated<V> {
    /// From those of all rates but the slowest, and of that.
    #[inline(always)]
    pub(super) fn new(quick: &Quick, slow: f64) -> Self {
        Self { quick: V::load(quick), slow }
    }

    /// From memory.
    #[inline(always)]
    pub(super) fn of([a, b, c, d, slow]: &Rates) -> Self {
        Self { quick: V::load(&[*a, *b, *c, *d]), slow: *slow }
    }

    /// The same value at every rate.
    #[inline(always)]
    pub(super) fn splat(x: f64) -> Self {
        Self { quick: V::splat(x), slow: x }
    }

    /// To memory.
    #[inline(always)]
    pub(super) fn rates(self) -> Rates {
        let mut quick = [0.0; QUICKER];
        self.quick.store(&mut quick);
        let [a, b, c, d] = quick;
        [a, b, c, d, self.slow]
    }
}

impl<V: Vector> Add for Rated<V> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self { quick: self.quick + other.quick, slow: self.slow + other.slow }
    }
}

impl<V: Vector> Mul for Rated<V> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self { quick: self.quick * other.quick, slow: self.slow * other.slow }
    }
}

/// Number of gaps whose factors are kept.
const KEPT: usize = 1 << KEPT_BITS;
const KEPT_BITS: u32 = 10;

/// The factors of so few gaps are likely to be remembered.
pub(super) const FEW: usize = 6;

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

    /// Those of the first gaps: at all rates but the slowest, and at that.
    #[inline(always)]
    pub(super) fn factors(&self, many: usize) -> impl Iterator<Item = (&Quick, &f64)> {
        self.quick.iter().zip(&self.slow).take(many)
    }
}

/// The factors 2^(-λ·gap) of one gap.
#[derive(Clone, Copy, Debug)]
struct Row {
    gap: f64,
    slow: f64,
    quick: Quick,
}

impl Row {
    /// No gap.
    const ONE: Self = Self { gap: 0.0, slow: 1.0, quick: [1.0; QUICKER] };
}

/// Computes factors and squares, and remembers the factors of the gaps seen last: all streams that were touched by
/// the same two packets decay over the same gap.
#[derive(Clone, Debug)]
pub(super) struct Calculator {
    /// The decay rates, negative. Not a constant, of which the compiler would treat each lane in its own way.
    rates: Rates,
    powers: Powers,
    rows: Box<[Row; KEPT]>,
}

impl Calculator {
    /// A calculator that remembers nothing yet.
    pub(super) fn new() -> Self {
        let rates = LAMBDAS.map(|lambda| -lambda);
        Self { rates, powers: Powers::new(), rows: Box::new([Row::ONE; KEPT]) }
    }

    /// 2^(-λ·gap) for every rate.
    #[inline(always)]
    pub(super) fn factors(&mut self, gap: f64) -> Lanes {
        let Row { quick: [a, b, c, d], slow, .. } = *self.row(gap);
        widen([a, b, c, d, slow])
    }

    /// The remembered factors of a gap, worked out if they are not.
    #[inline(always)]
    fn row(&mut self, gap: f64) -> &Row {
        let row = &mut self.rows[place(gap)];
        if row.gap != gap {
            let [a, b, c, d, slow] = factors(&self.rates, gap);
            *row = Row { gap, slow, quick: [a, b, c, d] };
        }
        row
    }

    /// The factors of the first `many` gaps: of a few from memory, of more worked out and not remembered.
    #[inline(always)]
    pub(super) fn run<V: Vector>(&mut self, gaps: &[f64; RUN], many: usize, run: &mut Run) {
        if many <= FEW {
            return self.recall(gaps, many, run);
        }
        let Run { quick, slow } = run;
        let rows = quick.as_chunks_mut::<QUICKER>().0.iter_mut();
        let rows = rows.zip(slow.as_chunks_mut::<QUICKER>().0).zip(gaps.as_chunks::<QUICKER>().0);
        for ((quick, slow), gaps) in rows.take(many.div_ceil(QUICKER)) {
            *slow = *gaps;
            self.powers.evaluate::<V>(quick.each_mut(), slow);
        }
    }

    /// [`run`](Self::run) of gaps that are likely to have been seen lately.
    #[inline(always)]
    fn recall(&mut self, gaps: &[f64; RUN], many: usize, run: &mut Run) {
        for (at, &gap) in gaps.iter().enumerate().take(many) {
            let row = self.row(gap);
            (run.quick[at], run.slow[at]) = (row.quick, row.slow);
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
        if !certain {
            correct(values, &mut squares);
        }
        squares
    }

    /// The square of one value.
    #[inline(always)]
    pub(super) fn square(&self, value: f64) -> f64 {
        let square = value * value;
        if is_certain(value, square) { square } else { square_reference(value) }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.rows)
    }
}

/// The factors of one gap, one per rate.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx2+fma", "x86_64+avx2+fma"))]
fn factors(rates: &Rates, gap: f64) -> Rates {
    let mut exponents = *rates;
    for exponent in &mut exponents {
        *exponent *= gap;
    }
    pow2_lanes(exponents)
}

/// Where the factors of a gap are remembered.
#[inline(always)]
fn place(gap: f64) -> usize {
    (gap.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - KEPT_BITS)) as usize
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
    use crate::vector::{Work, dispatch};

    #[test]
    fn remembered_factors_are_those_of_the_gap() {
        let mut calculator = Calculator::new();
        for i in (0..5000).chain(0..5000) {
            let gap = f64::from(i) * 0.37;
            assert_eq!(calculator.factors(gap), widen(LAMBDAS.map(|l| pow2(-l * gap))), "{gap}");
        }
        assert_eq!(calculator.factors(0.0), [1.0; LANES]);
    }

    /// The factors of a run, by the widest vectors.
    struct Factors<'a>(&'a mut Calculator, &'a [f64; RUN], usize, &'a mut Run);

    impl Work for Factors<'_> {
        fn run<V: Vector>(self) {
            self.0.run::<V>(self.1, self.2, self.3);
        }
    }

    #[test]
    fn a_run_has_the_factors_of_its_gaps() {
        let (mut known, mut plain) = (Calculator::new(), Calculator::new());
        let (mut gaps, mut run) = ([0.0; RUN], Run::EMPTY);
        for many in 0..=RUN {
            (0..RUN).for_each(|at| gaps[at] = f64::from((many * at % 37) as u32) * 0.731);
            gaps[many / 2] = 300.0;
            dispatch(Factors(&mut known, &gaps, many, &mut run));
            for (([a, b, c, d], e), gap) in run.factors(many).zip(gaps) {
                assert_eq!(widen([*a, *b, *c, *d, *e]), plain.factors(gap), "{gap}");
            }
        }
    }

    #[test]
    fn squares_are_the_reference_s() {
        let calculator = Calculator::new();
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
