//! Times on the command line.

use crate::invalid::Invalid;
use std::time::Duration;

/// A time above 0: a number of seconds, or numbers with units, as in `30s`, `5m`, `1h30m` or `2d`.
pub fn time(text: &str) -> Result<Duration, Invalid> {
    let seconds = || Duration::try_from_secs_f64(text.parse().ok()?).ok();
    let time = seconds().or_else(|| humantime::parse_duration(text).ok());
    time.filter(|time| !time.is_zero()).ok_or(Invalid::Value("a time above 0 such as 30s, 5m or 1h30m"))
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
