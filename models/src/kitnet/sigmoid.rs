//! The exponential function and, by it, the logistic function as training computes it, with the same bits on every
//! instruction set.
//!
//! Only IEEE 754 basic operations and fused multiply-add are used, so that a compiler may run several
//! values in the lanes of one register and no result depends on a system's mathematical library. Difference to a
//! correctly rounding library: [`exp`] at most 1 ulp, [`sigmoid`] at most 2 ulp.

const LOG2_E: f64 = std::f64::consts::LOG2_E;
const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Adding this rounds to an integer and leaves that integer plus the exponent bias in the lowest bits.
const ROUND: f64 = 6_755_399_441_055_744.0 + 1023.0;
/// Arguments beyond ±`LIMIT` are taken as ±`LIMIT`: the result stays a normal number.
const LIMIT: f64 = 708.0;
/// (eʳ − 1 − r) / r² on |r| ≤ ln 2 / 2: interpolation at Chebyshev nodes, relative error of eʳ below 2⁻⁵⁵.
const Q: [f64; 10] = [
    0.500_000_000_000_000_1,
    0.166_666_666_666_666_69,
    0.041_666_666_666_624_13,
    0.008_333_333_333_330_062,
    0.001_388_888_891_721_371_7,
    0.000_198_412_698_630_536_18,
    2.480_152_129_595_437_6e-5,
    2.755_726_845_999_706_4e-6,
    2.762_008_844_540_974_6e-7,
    2.510_038_549_551_032e-8,
];

/// eˣ for `x` within ±708; beyond, the value at the nearer end. NaN gives NaN.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    let x = if x > LIMIT { LIMIT } else { x };
    let x = if x < -LIMIT { -LIMIT } else { x };
    let shifted = x.mul_add(LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let mut q = Q[9];
    for c in Q[..9].iter().rev() {
        q = q.mul_add(r, *c);
    }
    let scale = f64::from_bits(shifted.to_bits() << 52);
    (1.0 + q.mul_add(r * r, r)) * scale
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

/// [`sigmoid`] of every value, in place.
#[inline(always)]
pub(crate) fn sigmoid_in_place(values: &mut [f64]) {
    for value in values {
        *value = sigmoid(*value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Error in units of the last place of `exact`, which libm gives to within one of them.
    fn ulps(value: f64, exact: f64) -> u64 {
        value.to_bits().abs_diff(exact.to_bits())
    }

    fn arguments() -> impl Iterator<Item = f64> {
        let coarse = (-70_000..=70_000).map(|i| f64::from(i) * 0.010_007);
        let fine = (-200_000..=200_000).map(|i| f64::from(i) * 1.000_003e-5);
        let tiny = (0..2000).map(|i| f64::from(i).exp2().recip());
        coarse.chain(fine).chain(tiny)
    }

    #[test]
    fn errors_are_within_the_stated_bounds() {
        let exp_error = arguments().map(|x| ulps(exp(x), x.exp())).max();
        let sigmoid_error = arguments().map(|x| ulps(sigmoid(x), 1.0 / (1.0 + (-x).exp()))).max();
        assert!(exp_error <= Some(1), "exp: {exp_error:?} ulp");
        assert!(sigmoid_error <= Some(2), "sigmoid: {sigmoid_error:?} ulp");
    }

    #[test]
    fn extremes_saturate_and_nan_stays() {
        for x in [709.0, 1e300, f64::INFINITY] {
            assert_eq!(sigmoid(x), 1.0);
            assert!(sigmoid(-x) < 1e-300);
        }
        assert!(exp(f64::NAN).is_nan() && sigmoid(f64::NAN).is_nan());
        assert_eq!((exp(0.0), sigmoid(0.0)), (1.0, 0.5));
    }
}
