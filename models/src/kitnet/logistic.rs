//! The logistic function σ(x) = 1 / (1 + e⁻ˣ) as the network is executed, with the same bits on every instruction set.
//!
//! With x = r − n ln 2 and e^r = (E + rO) / (E − rO), where E and O are polynomials in r², σ(x) is
//! (E + rO) / (E + rO + 2ⁿ (E − rO)): one division serves both quotients, and the polynomials are half as long as one for the
//! exponential function. E and O are interpolated at Chebyshev nodes.

use super::sigmoid::{LIMIT, LN_2_HIGH, LN_2_LOW, LOG2_E, ROUND};

/// Relative error of the quotient 2⁻⁵⁸. The factor 0.75 keeps E ± rO below 1, where they are rounded more finely.
const EVEN: [f64; 3] = [0.75, 0.75 * 0.111_108_100_715_222_22, 0.75 * 0.000_991_762_490_269_420_3];
const ODD: [f64; 3] = [0.75 * 0.5, 0.75 * 0.013_887_383_690_945_448, 0.75 * 3.304_371_526_644_029e-5];

/// Floating-point operations of [`logistic_f64`], a fused multiply-add counting two.
pub const OPERATIONS_F64: u64 = 23;

/// σ(x): the error is at most 1.7e-16 absolutely, and 3.6e-16 of the value. Arguments beyond ±708 count as ±708; NaN gives NaN.
#[inline(always)]
pub fn logistic_f64(x: f64) -> f64 {
    let x = if x > LIMIT { LIMIT } else { x };
    let x = if x < -LIMIT { -LIMIT } else { x };
    let shifted = x.mul_add(-LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(LN_2_LOW, n.mul_add(LN_2_HIGH, x));
    let s = r * r;
    let even = s.mul_add(s.mul_add(EVEN[2], EVEN[1]), EVEN[0]);
    let odd = s.mul_add(s.mul_add(ODD[2], ODD[1]), ODD[0]);
    let (plus, minus) = (r.mul_add(odd, even), (-r).mul_add(odd, even));
    let scale = f64::from_bits(shifted.to_bits() << 52);
    plus / scale.mul_add(minus, plus)
}

/// In single precision the argument is to base 2: what weights and biases are multiplied by, −log₂e, before they are rounded.
pub const FACTOR_F32: f64 = -std::f64::consts::LOG2_E;
/// Relative error of the quotient 2⁻³².
const EVEN_F32: [f32; 2] = [0.718_076_05, 0.034_492_757];
const ODD_F32: [f32; 2] = [0.248_866_2, 0.001_990_246];
/// Arguments beyond ± this are taken as ± this: the power of two stays a normal number.
const LIMIT_F32: f32 = 125.0;
/// Adding this rounds to an integer and leaves that integer plus the exponent bias in the lowest bits.
const ROUND_F32: f32 = 12_582_912.0 + 127.0;

/// Floating-point operations of [`logistic_f32`], a fused multiply-add counting two.
pub const OPERATIONS_F32: u64 = 15;

/// 1 / (1 + 2ᵗ), which is σ(x) for t = [`FACTOR_F32`] · x; r = t − n is exact. The error is at most 9e-8 absolutely, and 3e-7 of
/// the value. Arguments beyond ±125 count as ±125; NaN gives NaN.
#[inline(always)]
pub fn logistic_f32(t: f32) -> f32 {
    let t = if t > LIMIT_F32 { LIMIT_F32 } else { t };
    let t = if t < -LIMIT_F32 { -LIMIT_F32 } else { t };
    let shifted = t + ROUND_F32;
    let r = t - (shifted - ROUND_F32);
    let s = r * r;
    let (even, odd) = (s.mul_add(EVEN_F32[1], EVEN_F32[0]), s.mul_add(ODD_F32[1], ODD_F32[0]));
    let (plus, minus) = (r.mul_add(odd, even), (-r).mul_add(odd, even));
    let power = f32::from_bits(shifted.to_bits() << 23);
    minus / power.mul_add(plus, minus)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the system's library: off by up to 1.7e-16, and by up to 2.7e-16 of the value.
    fn expected(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn errors_are_within_the_stated_bounds() {
        for i in -700_000..=700_000 {
            for x in [f64::from(i) * 0.001_000_7, f64::from(i) * 1.000_03e-5, f64::from(i) * 1.000_03e-8] {
                let (value, expected) = (logistic_f64(x), expected(x));
                let error = (value - expected).abs();
                assert!(
                    error <= 3.4e-16 && error <= 6.3e-16 * expected,
                    "{x}: {value:e}, expected {expected:e}"
                );
            }
        }
    }

    #[test]
    fn errors_in_single_precision_are_within_the_stated_bounds() {
        for i in -1_250_000..=1_250_000_i32 {
            for t in [i as f32 * 1e-4, i as f32 * 1e-6] {
                let (value, expected) = (f64::from(logistic_f32(t)), expected(f64::from(t) / FACTOR_F32));
                let error = (value - expected).abs();
                assert!(error <= 9e-8 && error <= 3e-7 * expected, "{t}: {value:e}, expected {expected:e}");
            }
        }
    }

    #[test]
    fn extremes_saturate_and_nan_stays() {
        for x in [709.0, 1e300, f64::INFINITY] {
            assert_eq!(logistic_f64(x), 1.0);
            assert!(logistic_f64(-x) < 1e-300);
            assert_eq!(logistic_f32(-x as f32), 1.0);
            assert!(logistic_f32(x as f32) < 1e-37);
        }
        assert!(logistic_f64(f64::NAN).is_nan() && logistic_f32(f32::NAN).is_nan());
        assert_eq!((logistic_f64(0.0), logistic_f32(0.0)), (0.5, 0.5));
    }
}
