//! The logistic function as the network is executed, with the same bits on every instruction set.
//!
//! Arguments are to base 2, so that nothing is lost when they are taken apart: the weights and biases of the sums whose
//! function this is are multiplied by −log₂e beforehand, and σ(x) = 1 / (1 + 2ᵗ) for t = −x log₂e. With t = n + r and
//! 2^r = (E + rO) / (E − rO), where E and O are polynomials in r², that is (E − rO) / (E − rO + 2ⁿ (E + rO)): one division
//! serves both quotients, and the polynomials are half as long as one for the exponential function. E and O are interpolated at
//! Chebyshev nodes, and multiplied by a number by which their rounded coefficients are nearest to each other's quotients.

/// What weights and biases are multiplied by.
pub const FACTOR: f64 = -std::f64::consts::LOG2_E;

/// Relative error of the quotient 2⁻⁵⁸.
const EVEN: [f64; 3] = [0.730_419_684_350_775_5, 0.038_991_425_640_453_575, 0.000_167_217_602_161_030_9];
const ODD: [f64; 3] = [0.253_144_172_416_612_63, 0.003_378_074_991_564_292, 3.861_789_924_423_493e-6];
/// Arguments beyond ± this are taken as ± this: the power of two and the result stay normal numbers.
const LIMIT: f64 = 1021.0;
/// Adding this rounds to an integer and leaves that integer plus the exponent bias in the lowest bits.
const ROUND: f64 = 6_755_399_441_055_744.0 + 1023.0;

/// Floating-point operations of [`logistic_f64`], a fused multiply-add counting two.
pub const OPERATIONS_F64: u64 = 19;

/// 1 / (1 + 2ᵗ): the error is at most 1.7e-16 absolutely, and 3.6e-16 of the value. Arguments beyond ±1021 count as ±1021; NaN
/// gives NaN.
#[inline(always)]
pub fn logistic_f64(t: f64) -> f64 {
    let t = if t > LIMIT { LIMIT } else { t };
    let t = if t < -LIMIT { -LIMIT } else { t };
    let shifted = t + ROUND;
    let r = t - (shifted - ROUND);
    let s = r * r;
    let even = s.mul_add(s.mul_add(EVEN[2], EVEN[1]), EVEN[0]);
    let odd = s.mul_add(s.mul_add(ODD[2], ODD[1]), ODD[0]);
    let (plus, minus) = (r.mul_add(odd, even), (-r).mul_add(odd, even));
    let power = f64::from_bits(shifted.to_bits() << 52);
    minus / power.mul_add(plus, minus)
}

/// Relative error of the quotient 2⁻³².
const EVEN_F32: [f32; 2] = [0.718_076_05, 0.034_492_757];
const ODD_F32: [f32; 2] = [0.248_866_2, 0.001_990_246];
/// As [`LIMIT`] and [`ROUND`].
const LIMIT_F32: f32 = 125.0;
const ROUND_F32: f32 = 12_582_912.0 + 127.0;

/// Floating-point operations of [`logistic_f32`], a fused multiply-add counting two.
pub const OPERATIONS_F32: u64 = 15;

/// 1 / (1 + 2ᵗ): the error is at most 9e-8 absolutely, and 3e-7 of the value. Arguments beyond ±125 count as ±125; NaN gives NaN.
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
    fn expected(t: f64) -> f64 {
        1.0 / (1.0 + t.exp2())
    }

    #[test]
    fn errors_are_within_the_stated_bounds() {
        for i in -700_000..=700_000 {
            for t in [f64::from(i) * 0.001_450_7, f64::from(i) * 1.000_03e-5, f64::from(i) * 1.000_03e-8] {
                let (value, expected) = (logistic_f64(t), expected(t));
                let error = (value - expected).abs();
                assert!(
                    error <= 3.4e-16 && error <= 6.3e-16 * expected,
                    "{t}: {value:e}, expected {expected:e}"
                );
            }
        }
    }

    #[test]
    fn errors_in_single_precision_are_within_the_stated_bounds() {
        for i in -1_250_000..=1_250_000_i32 {
            for t in [i as f32 * 1e-4, i as f32 * 1e-6] {
                let (value, expected) = (f64::from(logistic_f32(t)), expected(f64::from(t)));
                let error = (value - expected).abs();
                assert!(error <= 9e-8 && error <= 3e-7 * expected, "{t}: {value:e}, expected {expected:e}");
            }
        }
    }

    #[test]
    fn extremes_saturate_and_nan_stays() {
        for t in [1022.0, 1e300, f64::INFINITY] {
            assert_eq!((logistic_f64(-t), logistic_f32(-t as f32)), (1.0, 1.0));
            assert!(logistic_f64(t).is_normal() && logistic_f64(t) < 1e-300);
            assert!(logistic_f32(t as f32).is_normal() && logistic_f32(t as f32) < 1e-37);
        }
        assert!(logistic_f64(f64::NAN).is_nan() && logistic_f32(f32::NAN).is_nan());
        assert_eq!((logistic_f64(0.0), logistic_f32(0.0)), (0.5, 0.5));
    }
}
