//! A base-2 exponential of few operations.

use crate::damp::{QUICKER, Quick};
use crate::vector::Vector;

/// Coefficients of r to r^11 of 2^r, a near-minimax polynomial for |r| <= 1/2 (relative error 2^-56).
const POLY: [f64; 11] = [
    f64::from_bits(0x3fe6_2e42_fefa_39ef),
    f64::from_bits(0x3fce_bfbd_ff82_c598),
    f64::from_bits(0x3fac_6b08_d704_a0c2),
    f64::from_bits(0x3f83_b2ab_6fba_1dda),
    f64::from_bits(0x3f55_d87f_e78a_5276),
    f64::from_bits(0x3f24_3091_3096_fd9f),
    f64::from_bits(0x3eef_fcbf_c670_dcd4),
    f64::from_bits(0x3eb6_2bfd_4777_3353),
    f64::from_bits(0x3e7b_524f_ae62_7834),
    f64::from_bits(0x3e3e_6063_f721_7bc6),
    f64::from_bits(0x3dfe_9d3f_e395_2179),
];

/// 1.5 * 2^52: adding it rounds to an integer that then stands in the low bits.
const SHIFT: f64 = 6_755_399_441_055_744.0;

/// 2^y of every lane, within one unit in the last place (2^-52 relative) where the result is a normal number and
/// within the smallest subnormal elsewhere. NaN gives NaN.
///
/// The bits are the same on every instruction set, but they are not [`pow2`](super::pow2)'s.
#[inline(always)]
pub fn exp2_fast_lanes<const N: usize>(y: [f64; N]) -> [f64; N] {
    // Not `map`: a closure called from the library would be compiled without the caller's instruction set.
    let mut result = y;
    for lane in &mut result {
        let y = lane.clamp(-1080.0, 1030.0);
        let shifted = y + SHIFT;
        let k = shifted.to_bits() as i64 - SHIFT.to_bits() as i64;
        let r = y - (shifted - SHIFT);
        let half = k >> 1;
        *lane = (polynomial(r) * power(half)) * power(k - half);
    }
    result
}

/// What [`exp2_fast_lanes`] of four numbers needs, four times: in memory, where an instruction takes it as an operand.
#[derive(Clone, Debug)]
pub(crate) struct Exp2 {
    poly: [Quick; 11],
    shift: Quick,
    one: Quick,
}

impl Exp2 {
    /// The numbers.
    pub(crate) fn new() -> Self {
        let four = |x: f64| [x; QUICKER];
        Self { poly: POLY.map(four), shift: four(SHIFT), one: four(1.0) }
    }

    /// 2^y of every number, bit for bit [`exp2_fast_lanes`], if all are less than 1020 in size: then no result leaves
    /// the normal numbers, and times a power of two is exact.
    #[inline(always)]
    pub(crate) fn of<V: Vector>(&self, y: V) -> V {
        let [c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11] = &self.poly;
        let shifted = y + V::load(&self.shift);
        let r = y - (shifted - V::load(&self.shift));
        let pair = |high: &Quick, low: &Quick| r.mul_add(V::load(high), V::load(low));
        let r2 = r * r;
        let r4 = r2 * r2;
        let low = pair(c4, c3).mul_add(r2, pair(c2, c1));
        let middle = pair(c8, c7).mul_add(r2, pair(c6, c5));
        let high = r2.mul_add(V::load(c11), pair(c10, c9));
        r.mul_add(high.mul_add(r4, middle).mul_add(r4, low), V::load(&self.one)).scale(shifted)
    }
}

/// 2^r by Estrin's scheme.
#[inline(always)]
fn polynomial(r: f64) -> f64 {
    let [c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11] = POLY;
    let r2 = r * r;
    let r4 = r2 * r2;
    let low = r.mul_add(c4, c3).mul_add(r2, r.mul_add(c2, c1));
    let middle = r.mul_add(c8, c7).mul_add(r2, r.mul_add(c6, c5));
    let high = c11.mul_add(r2, r.mul_add(c10, c9));
    r.mul_add(high.mul_add(r4, middle).mul_add(r4, low), 1.0)
}

/// 2^k for k in -1022..=1023.
#[inline(always)]
fn power(k: i64) -> f64 {
    f64::from_bits((k.wrapping_add(1023) as u64) << 52)
}
