//! Times on the command line.

use crate::invalid::Invalid;
use std::time::Duration;

/// What a time looks like.
const EXPECTED: Invalid = Invalid::Value("a time above 0 such as 30s, 5m or 1h30m");

/// A time above 0: a number of seconds, a number with a unit, as in `30s` or `1.5h`, or whole numbers with units, as in `1h30m`.
/// It is less than a stream can last, of which nanoseconds are counted.
pub fn time(text: &str) -> Result<Duration, Invalid> {
    let time =
        seconds(text, 1.0).or_else(|| with_unit(text)).or_else(|| humantime::parse_duration(text).ok());
    let most = Duration::from_nanos(u64::MAX);
    time.filter(|time| !time.is_zero() && *time < most).ok_or(EXPECTED)
}

fn with_unit(text: &str) -> Option<Duration> {
    let units = [('s', 1.0), ('m', 60.0), ('h', 3_600.0), ('d', 86_400.0)];
    units.into_iter().find_map(|(unit, factor)| seconds(text.strip_suffix(unit)?, factor))
}

fn seconds(number: &str, factor: f64) -> Option<Duration> {
    let digits = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = number.parse().ok().filter(|_| digits)?;
    Duration::try_from_secs_f64(number * factor).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_have_units() {
        let seconds = Duration::from_secs;
        for (text, expected) in [
            ("30", seconds(30)),
            ("1.5", Duration::from_millis(1500)),
            ("1.5m", seconds(90)),
            ("0.5s", Duration::from_millis(500)),
            ("30s", seconds(30)),
            ("500ms", Duration::from_millis(500)),
            ("5m", seconds(300)),
            ("1h30m", seconds(5400)),
            ("1h 30m", seconds(5400)),
            ("2d", seconds(2 * 86_400)),
        ] {
            assert_eq!(time(text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "0",
            "0s",
            "-1",
            "-1s",
            "inf",
            "NaN",
            "1e300",
            "soon",
            "5 parsecs",
            "m",
            "99999999999999999999h",
        ] {
            let error = time(text).unwrap_err().to_string();
            assert_eq!(error, "expected a time above 0 such as 30s, 5m or 1h30m", "{text}");
        }
    }
}
