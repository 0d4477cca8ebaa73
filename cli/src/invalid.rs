//! What is wrong with a value of the command line, or with a line of a file that the command reads itself.

use legonf_core::PlanSyntax;
use std::time::Duration;

/// Why a value is not what was expected.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// It is of another form or out of its range.
    #[error("expected {0}")]
    Value(&'static str),
    /// No layout.
    #[error("{0}; or one of the words fused and pipeline")]
    Layout(#[from] PlanSyntax),
    /// No option of an attack.
    #[error("'{0}': expected labels=FILE, start=SECONDS, speed=FACTOR or thin=N")]
    Option(String),
    /// An option of an attack is no number.
    #[error("{key} = '{value}': expected a number")]
    Number {
        /// The option.
        key: String,
        /// What was given.
        value: String,
    },
    /// A file without an event.
    #[error("holds no event; legonf run --events writes an event log")]
    NoEvent,
    /// No event in a line, counted from 1.
    #[error("line {line}: {error}; is this an event log of legonf run?")]
    Event {
        /// The line.
        line: usize,
        /// What the decoder found.
        error: serde_json::Error,
    },
}

/// A number above 0.
pub fn positive(text: &str) -> Result<f64, Invalid> {
    let number = text.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
    number.ok_or(Invalid::Value("a number above 0"))
}

/// A time above 0 in days, hours, minutes and seconds, the larger units first: `90s`, `1h30m`, `0.5s`.
pub fn time(text: &str) -> Result<Duration, Invalid> {
    let (mut left, mut seconds) = (text, 0.0);
    for (unit, factor) in [('d', 86_400.0), ('h', 3_600.0), ('m', 60.0), ('s', 1.0)] {
        let Some((number, rest)) = left.split_once(unit) else { continue };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let number = number.parse::<f64>().ok().filter(|_| digits);
        (left, seconds) = (rest, seconds + number.ok_or(TIME)? * factor);
    }
    let time = Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero() && left.is_empty());
    time.ok_or(TIME)
}

const TIME: Invalid = Invalid::Value("a time above 0 with its units, such as 30m, 1h30m or 600s");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in
            [("90s", 90.0), ("1h30m", 5_400.0), ("0.5s", 0.5), ("2d", 172_800.0), ("1d1s", 86_401.0)]
        {
            assert_eq!(time(text).unwrap(), Duration::from_secs_f64(seconds), "{text}");
        }
        for text in [
            "",
            "0s",
            "30",
            "-1s",
            "s",
            "m30",
            "30m1h",
            "1e3s",
            "infs",
            "30 m",
            "5x",
            "9999999999999999999999d",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
