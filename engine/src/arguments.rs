//! Values of arguments that several commands take, read from text.

use std::time::Duration;

/// What a value should have been.
#[derive(Debug, thiserror::Error)]
#[error("expected {0}")]
pub struct Expected(pub &'static str);

/// A number above 0.
///
/// # Errors
/// If it is none.
pub fn positive(text: &str) -> Result<f64, Expected> {
    let number = text.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
    number.ok_or(Expected("a number above 0"))
}

/// A time above 0: a number of seconds, a number with a unit, as in `30s` or `1.5h`, or whole numbers with units, as in `1h30m`.
/// It is less than a stream can last, of which nanoseconds are counted.
///
/// # Errors
/// If it is none.
pub fn time(text: &str) -> Result<Duration, Expected> {
    let time =
        seconds(text, 1.0).or_else(|| with_unit(text)).or_else(|| humantime::parse_duration(text).ok());
    let most = Duration::from_nanos(u64::MAX);
    let time = time.filter(|time| !time.is_zero() && *time < most);
    time.ok_or(Expected("a time above 0 such as 30s, 5m or 1h30m"))
}

/// A share of samples that is held out: from 0.01 to 0.5.
///
/// # Errors
/// If it is none.
pub fn share(text: &str) -> Result<f64, Expected> {
    let share = text.parse().ok().filter(|share| (0.01..=0.5).contains(share));
    share.ok_or(Expected("a number from 0.01 to 0.5"))
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

/// Packets a second, with `k`, `M` or `G` and `pps` behind it or not.
///
/// # Errors
/// If it is no such rate, or not above 0.
pub fn rate(text: &str) -> Result<f64, Expected> {
    let digits = text.strip_suffix("pps").unwrap_or(text);
    let units = [("k", 1e3), ("M", 1e6), ("G", 1e9)];
    let unit = units.iter().find_map(|(unit, factor)| Some((digits.strip_suffix(unit)?, *factor)));
    let (digits, factor) = unit.unwrap_or((digits, 1.0));
    let rate = digits.parse::<f64>().ok().map(|number| number * factor);
    let rate = rate.filter(|r| r.is_finite() && *r > 0.0);
    rate.ok_or(Expected("a rate such as 5Mpps, 300k or 1e6"))
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

    #[test]
    fn rates_have_units() {
        for (text, expected) in [("5Mpps", 5e6), ("300k", 3e5), ("1e6", 1e6), ("7pps", 7.0), ("1.5G", 1.5e9)]
        {
            assert_eq!(rate(text).unwrap(), expected);
        }
        for text in ["", "fast", "-1M", "0", "inf", "NaNpps"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
