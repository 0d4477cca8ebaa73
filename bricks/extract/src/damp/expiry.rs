//! When a stream's damped weight falls to one: the order in which streams are evicted.

use super::{LAMBDAS, SLOWEST};

/// Units of an expiry per second.
const SCALE: f64 = (1u64 << 28) as f64;

/// The time at which a stream of weight `weight` at time `time` (seconds) has decayed to weight 1 at the
/// slowest rate, in units of 2^-28 s.
///
/// At any moment the stream with the least damped weight is the one that expires first. The expiry of a stream
/// never falls as packets are added: each adds more than the rounding takes, up to weights of 10^10.
pub(crate) fn expiry(time: f64, weight: f64) -> i64 {
    expiry_of_one(time).saturating_add(floor(log2(weight.max(1.0)) / LAMBDAS[SLOWEST] * SCALE))
}

/// [`expiry`] of weight 1.
#[inline]
pub(crate) fn expiry_of_one(time: f64) -> i64 {
    floor(time * SCALE)
}

/// The greatest integer that is not greater, without a call into the C library.
#[inline(always)]
fn floor(x: f64) -> i64 {
    let integer = x as i64;
    integer.saturating_sub(i64::from(integer as f64 > x))
}

/// log2 of a finite number from 1 on, to 1e-15, from basic operations only: the same bits everywhere.
fn log2(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let mut exponent = (x.to_bits() >> 52) as i32 - 1023;
    let mut m = f64::from_bits(x.to_bits() & MANTISSA | 1f64.to_bits());
    if m > std::f64::consts::SQRT_2 {
        m *= 0.5;
        exponent += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let series = (0..10).rev().fold(0.0, |sum, k| sum * square + 1.0 / f64::from(2 * k + 1));
    f64::from(exponent) + series * s * (2.0 * std::f64::consts::LOG2_E)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn weight_one_expires_now() {
        assert_eq!(expiry(3.0, 1.0), 3 << 28);
        assert_eq!(expiry(-3.0, 1.0), -3 << 28);
        assert_eq!((expiry_of_one(3.0), expiry_of_one(-3.0)), (3 << 28, -3 << 28));
        assert_eq!(expiry(0.0, 2.0), 100 << 28);
    }

    proptest! {
        #[test]
        fn log2_is_close(x in 1.0..1e12f64) {
            prop_assert!((log2(x) - x.log2()).abs() < 1e-14 * x.log2().max(1.0));
        }

        #[test]
        fn floor_is_floor(x in -1e18..1e18f64, small in -1e3..1e3f64) {
            prop_assert_eq!((floor(x), floor(small)), (x.floor() as i64, small.floor() as i64));
        }

        #[test]
        fn a_packet_never_lowers_it(time in 0.0..4e9f64, gap in 0.0..1e4f64, weight in 1.0..1e9f64) {
            let later = time + gap;
            let grown = weight * (-0.01 * (later - time)).exp2() + 1.0;
            prop_assert!(expiry(later, grown) >= expiry(time, weight));
        }
    }
}
