//! Packet time.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Capture time of a packet: nanoseconds since the Unix epoch.
///
/// Offline, this is the only clock there is: two replays of one capture see the same times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

    /// Seconds since the epoch as the nearest `f64`: what a correct reader makes of the decimal time stamp, as both
    /// reference implementations read it.
    #[inline]
    pub fn as_secs_f64(self) -> f64 {
        let seconds = seconds(self.0.unsigned_abs());
        if self.0 < 0 { -seconds } else { seconds }
    }

    /// `YYYY-MM-DDThh:mm:ss.uuuuuu+0000`: UTC, cut to microseconds, as Suricata writes it.
    pub fn iso8601(self) -> String {
        let micros = self.0.div_euclid(1_000);
        let (second, micro) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        let (day, second) = (second.div_euclid(86_400), second.rem_euclid(86_400));
        let (year, month, day) = civil(day);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}+0000")
    }

    /// The time that [`iso8601`](Self::iso8601) writes; none of other text, and of days that no month has.
    pub fn from_iso8601(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix("+0000")?.split_once('T')?;
        let [year, month, day] = numbers(date, '-')?;
        let (time, micros) = time.split_once('.')?;
        let [hour, minute, second] = numbers(time, ':')?;
        let micros = Some(micros).filter(|digits| digits.len() == 6)?.parse::<u32>().ok()?;
        let days = days(year, month, day);
        let fits = civil(days) == (year, month, day) && hour < 24 && minute < 60 && second < 60;
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        fits.then(|| Self::new(seconds, micros * 1_000))
    }
}

/// Three numbers of up to four digits with something between them.
fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let number = |text: &str| {
        let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    let all: Option<Vec<i64>> = text.split(between).map(number).collect();
    all?.try_into().ok()
}

/// Days from 1970-01-01 to a day of the Gregorian calendar; of one that is none, to another.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The `f64` that is nearest to `all / 10^9`.
///
/// Below 2^53 the number is a double itself, and a division rounds once. From there on, seconds `s` are more than 2^23.
/// `s + n / 10^9` is rounded twice, but to the same end: doubles near it are 2^-29 apart or more, so a quotient that is
/// no midpoint between two lies at least `2^-30 / 5^9 > 2^-51` away from each, and the division errs by 2^-54 at most.
#[inline]
fn seconds(all: u64) -> f64 {
    const UNIT: u64 = NANOS.cast_unsigned();
    if all < 1 << 53 {
        return all as f64 / 1e9;
    }
    (all / UNIT) as f64 + (all % UNIT) as f64 / 1e9
}

/// Year, month and day of the Gregorian calendar for a number of days since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years are counted from March, so that the leap day is the last of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
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
    use proptest::prelude::*;

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

    /// Numbers of every size.
    fn nanos() -> impl Strategy<Value = i64> {
        (any::<i64>(), 0..63_u32).prop_map(|(nanos, shift)| nanos >> shift)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn seconds_are_the_decimal_time_stamp_rounded_once(nanos in nanos()) {
            let time = Timestamp::from_nanos(nanos);
            prop_assert_eq!(time.as_secs_f64(), time.to_string().parse::<f64>().unwrap());
        }
    }

    #[test]
    fn seconds_are_right_at_the_ends_and_where_the_way_changes() {
        let edges = [i64::MIN, i64::MIN + 1, i64::MAX, 0, -1, 1_533_333_000, -1_533_333_000];
        let change = (-3..=3).flat_map(|by| [(1 << 53) + by, -(1 << 53) + by]);
        for time in edges.into_iter().chain(change).map(Timestamp::from_nanos) {
            assert_eq!(time.as_secs_f64(), time.to_string().parse::<f64>().unwrap(), "{time}");
        }
        assert_eq!(Timestamp::new(1, 533_333_000).as_secs_f64(), 1.533333);
    }

    #[test]
    fn display_keeps_every_digit() {
        assert_eq!(Timestamp::new(1_700_000_001, 64_656_001).to_string(), "1700000001.064656001");
        assert_eq!(Timestamp::from_nanos(-1_500_000_000).to_string(), "-1.500000000");
    }

    #[test]
    fn calendar() {
        for (seconds, nanos, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000+0000"),
            (951_782_400, 0, "2000-02-29T00:00:00.000000+0000"),
            (1_540_448_619, 846_155_999, "2018-10-25T06:23:39.846155+0000"),
            (4_107_542_399, 999_999_999, "2100-02-28T23:59:59.999999+0000"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000+0000"),
            (-1, 500_000_000, "1969-12-31T23:59:59.500000+0000"),
        ] {
            assert_eq!(Timestamp::new(seconds, nanos).iso8601(), expected);
            let micros = Timestamp::new(seconds, nanos / 1_000 * 1_000);
            assert_eq!(Timestamp::from_iso8601(expected), Some(micros));
        }
        for text in [
            "",
            "2018-10-25T06:23:39.846155Z",
            "2018-02-30T06:23:39.846155+0000",
            "2018-13-01T06:23:39.846155+0000",
            "2018-10-25T24:23:39.846155+0000",
            "2018-10-25T06:23:39.84615+0000",
            "2018-10-25T06:23:39.84é5+0000",
            "99999-10-25T06:23:39.846155+0000",
            "2018-10-25-01T06:23:39.846155+0000",
        ] {
            assert_eq!(Timestamp::from_iso8601(text), None, "{text}");
        }
        assert!(Timestamp::from_nanos(i64::MIN).iso8601().starts_with("1677-09-21T00:12:43."));
        assert!(Timestamp::from_nanos(i64::MAX).iso8601().starts_with("2262-04-11T23:47:16."));
    }
}
