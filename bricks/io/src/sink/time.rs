//! Packet time as a calendar date.

use legonf_core::Timestamp;

/// `YYYY-MM-DDThh:mm:ss.uuuuuu+0000`: UTC, cut to microseconds, as Suricata writes it.
pub(super) fn iso8601(time: Timestamp) -> String {
    let micros = time.as_nanos().div_euclid(1_000);
    let (second, micro) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (day, second) = (second.div_euclid(86_400), second.rem_euclid(86_400));
    let (year, month, day) = civil(day);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}+0000")
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

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(iso8601(Timestamp::new(seconds, nanos)), expected);
        }
        assert!(iso8601(Timestamp::from_nanos(i64::MIN)).starts_with("1677-09-21T00:12:43."));
        assert!(iso8601(Timestamp::from_nanos(i64::MAX)).starts_with("2262-04-11T23:47:16."));
    }
}
