//! A logarithm of features that takes no time.

/// The bits of 1.0.
const ONE: i64 = 1023 << 52;
/// What an exponent counts among the bits of a number.
const UNIT: f64 = (1_u64 << 52) as f64;

/// log2(1 + |x|) with the sign of `x`, linear between the powers of two: exponent and fraction of 1 + |x|, read as one number. It
/// rises with `x`, and is off the logarithm by .09 at most.
#[inline(always)]
pub(crate) fn logarithm(x: f64) -> f64 {
    let bits = (1.0 + x.abs()).to_bits() as i64;
    ((bits - ONE) as f64 / UNIT).copysign(x)
}

/// The number whose [`logarithm`] this is.
pub(crate) fn exponential(logarithm: f64) -> f64 {
    let (whole, part) = (logarithm.abs().floor(), logarithm.abs().fract());
    (whole.exp2() * (1.0 + part) - 1.0).copysign(logarithm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_exact_and_others_near() {
        for (x, expected) in [(0.0, 0.0), (1.0, 1.0), (-3.0, -2.0), (7.0, 3.0), (2.0, 1.5), (1023.0, 10.0)] {
            assert_eq!(logarithm(x), expected, "{x}");
            assert_eq!(exponential(expected), x, "{expected}");
        }
        let mut before = f64::NEG_INFINITY;
        for x in (-4000..4000).map(|i| f64::from(i).powi(3) * 0.37) {
            let found = logarithm(x);
            assert!((found.abs() - x.abs().ln_1p() / 2_f64.ln()).abs() < 0.09, "{x}: {found}");
            assert!(found >= before && (exponential(found) - x).abs() <= 1e-9 * x.abs(), "{x}: {found}");
            before = found;
        }
    }
}
