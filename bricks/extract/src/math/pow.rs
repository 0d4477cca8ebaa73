//! `pow(2, y)` and `pow(x, 2)` as glibc computes them where there are fused multiply-adds.

use super::tables::{
    EXP_POLY, EXP_TABLE, INV_LN2_N, LN2_HI, LN2_LO, LOG_POLY, LOG_TABLE, NEG_LN2_HI_N, NEG_LN2_LO_N, SHIFT,
};
use crate::damp::{QUICKER, Quick};
use crate::vector::Vector;

/// ln 2 as the logarithm's last step leaves it: nearest double and remainder.
const LOG_OF_2: (f64, f64) = (f64::from_bits(0x3fe6_2e42_fefa_39ef), f64::from_bits(0x3c7a_bc9e_3b39_8000));

/// From here on the scale 2^(k/128) leaves the range of normal numbers, or soon will.
const LARGE: f64 = 512.0;
/// From here on the result is zero or infinite.
const HUGE: f64 = 1024.0;

/// `pow(2.0, y)`, bit for bit glibc's. NaN gives NaN.
#[inline(always)]
pub fn pow2(y: f64) -> f64 {
    let (hi, lo) = log2_times(y);
    if hi.abs() < LARGE { exp(hi, lo) } else { exp_large(hi, lo) }
}

/// `pow(2.0, y)` of every lane, bit for bit [`pow2`].
#[inline(always)]
pub fn pow2_lanes<const N: usize>(y: [f64; N]) -> [f64; N] {
    let mut result = y;
    let mut regular = true;
    for lane in &mut result {
        let (hi, lo) = log2_times(*lane);
        regular &= hi.abs() < LARGE;
        *lane = exp(hi, lo);
    }
    if !regular {
        for (lane, &y) in result.iter_mut().zip(&y) {
            let (hi, lo) = log2_times(y);
            if !matches!(hi.abs(), size if size < LARGE) {
                *lane = exp_large(hi, lo);
            }
        }
    }
    result
}

/// What `pow(2.0, y)` of four numbers needs, four times: in memory, where an instruction takes it as an operand.
#[derive(Clone, Debug)]
pub(crate) struct Pow2 {
    log_of_2: [Quick; 2],
    inverse: Quick,
    shift: Quick,
    log_parts: [Quick; 2],
    poly: [Quick; 4],
}

impl Pow2 {
    /// The numbers.
    pub(crate) fn new() -> Self {
        let four = |x: f64| [x; QUICKER];
        Self {
            log_of_2: [four(LOG_OF_2.0), four(LOG_OF_2.1)],
            inverse: four(INV_LN2_N),
            shift: four(SHIFT),
            log_parts: [four(NEG_LN2_HI_N), four(NEG_LN2_LO_N)],
            poly: EXP_POLY.map(four),
        }
    }

    /// `pow(2.0, y)` of every number, bit for bit [`pow2`], if all are less than 738 in size.
    #[inline(always)]
    pub(crate) fn of<V: Vector>(&self, y: V) -> V {
        let [ln2, ln2_lo] = &self.log_of_2;
        let [log_hi, log_lo] = &self.log_parts;
        let [c2, c3, c4, c5] = &self.poly;
        let hi = y * V::load(ln2);
        let lo = y.mul_add(V::load(ln2_lo), y.mul_sub(V::load(ln2), hi));
        let shifted = hi.mul_add(V::load(&self.inverse), V::load(&self.shift));
        let kd = shifted - V::load(&self.shift);
        let r = kd.mul_add(V::load(log_lo), kd.mul_add(V::load(log_hi), hi)) + lo;
        let [tail, scale] = shifted.look_up(&EXP_TABLE, 45);
        let r2 = r * r;
        let head = r2.mul_add(r.mul_add(V::load(c3), V::load(c2)), tail + r);
        let rest = (r2 * r2).mul_add(r.mul_add(V::load(c5), V::load(c4)), head);
        scale.mul_add(rest, scale)
    }
}

/// `pow(x, 2.0)`, bit for bit glibc's: mostly but not always `x * x`. NaN gives NaN.
#[inline(always)]
pub fn square_pow(x: f64) -> f64 {
    let square = x * x;
    if is_square_certain(x, square) { square } else { square_by_log(x) }
}

/// `pow(x, 2.0)` of every lane, bit for bit [`square_pow`].
#[inline(always)]
pub fn square_pow_lanes<const N: usize>(x: [f64; N]) -> [f64; N] {
    let mut result = x;
    let mut certain = true;
    for lane in &mut result {
        let square = *lane * *lane;
        certain &= is_square_certain(*lane, square);
        *lane = square;
    }
    if !certain {
        for (lane, &x) in result.iter_mut().zip(&x) {
            if !is_square_certain(x, *lane) {
                *lane = square_by_log(x);
            }
        }
    }
    result
}

/// Whether `pow` must give the nearest double to the square of `x`.
///
/// Before its last rounding `pow` is off by less than 0.04 ulp. So it rounds to `square` wherever the exact
/// square is more than that away from the midpoint to a neighbour: here, within 4/9 of an ulp of `square`.
#[inline(always)]
fn is_square_certain(x: f64, square: f64) -> bool {
    const NORMAL: std::ops::Range<f64> = 1e-270..1e300;
    let error = x.mul_add(x, -square);
    let nudged = error.mul_add(1.125, square);
    (NORMAL.contains(&square) & (nudged == square)) | (x == 0.0)
}

/// `pow(x, 2.0)` the long way.
#[inline(always)]
fn square_by_log(x: f64) -> f64 {
    let x = x.abs();
    if x == 0.0 || !x.is_finite() {
        return x * x;
    }
    let (hi, lo) = log(x);
    let (hi, lo) = times(2.0, hi, lo);
    if hi.abs() < LARGE { exp(hi, lo) } else { exp_large(hi, lo) }
}

/// `y` ln 2 in two parts.
#[inline(always)]
fn log2_times(y: f64) -> (f64, f64) {
    times(y, LOG_OF_2.0, LOG_OF_2.1)
}

/// `y * (hi + lo)` in two parts.
#[inline(always)]
fn times(y: f64, hi: f64, lo: f64) -> (f64, f64) {
    let product = y * hi;
    let rest = y.mul_add(hi, -product);
    (product, y.mul_add(lo, rest))
}

/// ln x in two parts, for positive finite `x`.
#[inline(always)]
fn log(x: f64) -> (f64, f64) {
    const LOWEST: u64 = 0x3fe6_9555_0000_0000;
    let subnormal = x < f64::MIN_POSITIVE;
    let scaled = if subnormal { x * 4_503_599_627_370_496.0 } else { x };
    let bits = scaled.to_bits().wrapping_sub(if subnormal { 52 << 52 } else { 0 });
    let offset = bits.wrapping_sub(LOWEST);
    let z = f64::from_bits(bits.wrapping_sub(offset & (0xfff << 52)));
    let k = ((offset as i64) >> 52) as f64;
    let [inverse, log_hi, log_lo] = LOG_TABLE[(offset >> 45) as usize % 128].map(f64::from_bits);
    log_sum(z.mul_add(inverse, -1.0), k.mul_add(LN2_HI, log_hi), k.mul_add(LN2_LO, log_lo))
}

/// `base + base_lo + ln(1 + r)` in two parts.
#[inline(always)]
fn log_sum(r: f64, base: f64, base_lo: f64) -> (f64, f64) {
    let [a0, a1, a2, a3, a4, a5, a6] = LOG_POLY;
    let sum = base + r;
    let sum_lo = base - sum + r;
    let ar = a0 * r;
    let ar2 = r * ar;
    let ar3 = r * ar2;
    let hi = sum + ar2;
    let ar2_lo = ar.mul_add(r, -ar2);
    let hi_lo = sum - hi + ar2;
    let tail = r.mul_add(a6, a5).mul_add(ar2, r.mul_add(a4, a3)).mul_add(ar2, r.mul_add(a2, a1));
    let lo = ar3.mul_add(tail, base_lo + sum_lo + ar2_lo + hi_lo);
    let result = hi + lo;
    (result, hi - result + lo)
}

/// What the end of `exp` needs: `exp(x) = scale * (1 + rest)`.
struct Reduced {
    /// Bits of the scale 2^(k/128), if that is a normal number.
    scale: u64,
    /// The rest.
    rest: f64,
    /// Whether k is negative.
    negative: bool,
}

/// Divides `hi + lo` by ln 2/128 and evaluates the remainder.
#[inline(always)]
fn reduce(hi: f64, lo: f64) -> Reduced {
    let [c2, c3, c4, c5] = EXP_POLY;
    let shifted = INV_LN2_N.mul_add(hi, SHIFT);
    let k = shifted.to_bits();
    let kd = shifted - SHIFT;
    let r = kd.mul_add(NEG_LN2_LO_N, kd.mul_add(NEG_LN2_HI_N, hi)) + lo;
    let [tail, bits] = EXP_TABLE[k as usize % 128];
    let r2 = r * r;
    let head = r2.mul_add(r.mul_add(c3, c2), f64::from_bits(tail) + r);
    let rest = (r2 * r2).mul_add(r.mul_add(c5, c4), head);
    Reduced { scale: bits.wrapping_add(k << 45), rest, negative: k & 0x8000_0000 != 0 }
}

/// `exp(hi + lo)` for `|hi|` below [`LARGE`]; for any other argument something.
#[inline(always)]
fn exp(hi: f64, lo: f64) -> f64 {
    let reduced = reduce(hi, lo);
    let scale = f64::from_bits(reduced.scale);
    scale.mul_add(reduced.rest, scale)
}

/// `exp(hi + lo)` for `|hi|` from [`LARGE`] on and for NaN.
#[cold]
fn exp_large(hi: f64, lo: f64) -> f64 {
    if hi.is_nan() {
        return hi;
    }
    if hi.abs() >= HUGE {
        return if hi > 0.0 { f64::INFINITY } else { 0.0 };
    }
    let reduced = reduce(hi, lo);
    if reduced.negative { exp_small(&reduced) } else { exp_big(&reduced) }
}

/// The end of `exp` where the scale may exceed the largest number.
fn exp_big(reduced: &Reduced) -> f64 {
    const UP: f64 = f64::from_bits((1023 + 1009) << 52);
    let scale = f64::from_bits(reduced.scale.wrapping_sub(1009 << 52));
    UP * scale.mul_add(reduced.rest, scale)
}

/// The end of `exp` where the result may be subnormal: rounds to that precision first, so as to round once.
fn exp_small(reduced: &Reduced) -> f64 {
    let scale = f64::from_bits(reduced.scale.wrapping_add(1022 << 52));
    let product = scale * reduced.rest;
    let mut y = scale + product;
    if y < 1.0 {
        let lo = scale - y + product;
        let hi = 1.0 + y;
        y = 1.0 - hi + y + lo + hi - 1.0;
    }
    f64::MIN_POSITIVE * y
}
