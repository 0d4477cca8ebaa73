//! Packet time.

use std::fmt;

/// Capture time of a packet: nanoseconds since the Unix epoch.
///
/// Offline, this is the only clock there is: two replays of one capture see the same times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const NANOS: i64 = 1_000_000_000;

impl Timestamp {
    /// A time from whole nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A time from whole seconds since the epoch and the nanoseconds after them.
    ///
    /// Saturates at the ends of the representable range (the years 1677 and 2262).
    pub const fn new(seconds: i64, nanos: u32) -> Self {
        Self(seconds.saturating_mul(NANOS).saturating_add(nanos as i64))
    }

    /// Whole nanoseconds since the epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch as the nearest `f64`.
    ///
    /// The sum is rounded once in effect: a quotient `n / 10^9` that is not exact lies at least
    /// `1 / (10^9 * 2^23)` away from every midpoint between two doubles near 1.7e9, which is more than the
    /// rounding error of the division. So the result is the double nearest to the decimal time stamp, as
    /// both reference implementations read it.
    #[inline]
    pub fn as_secs_f64(self) -> f64 {
        let (seconds, nanos) = match self.0 {
            // In fewer instructions.
            0.. => {
                let (nanos, all) = (NANOS.cast_unsigned(), self.0.cast_unsigned());
                ((all / nanos).cast_signed(), (all % nanos).cast_signed())
            }
            _ => (self.0.div_euclid(NANOS), self.0.rem_euclid(NANOS)),
        };
        seconds as f64 + nanos as f64 / 1e9
    }
}

/// Seconds with nine decimals, as tshark prints `frame.time_epoch`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, abs) = if self.0 < 0 { ("-", self.0.unsigned_abs()) } else { ("", self.0 as u64) };
        write!(f, "{sign}{}.{:09}", abs / NANOS as u64, abs % NANOS as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_the_nearest_double() {
        for (text, seconds, nanos) in [
            ("1540448619.846155", 1_540_448_619, 846_155_000),
            ("1700000001.064656001", 1_700_000_001, 64_656_001),
            ("0.000000001", 0, 1),
        ] {
            let expected: f64 = text.parse().unwrap();
            assert_eq!(Timestamp::new(seconds, nanos).as_secs_f64().to_bits(), expected.to_bits(), "{text}");
        }
    }

    #[test]
    fn display_keeps_every_digit() {
        assert_eq!(Timestamp::new(1_700_000_001, 64_656_001).to_string(), "1700000001.064656001");
        assert_eq!(Timestamp::from_nanos(-1_500_000_000).to_string(), "-1.500000000");
    }
}
