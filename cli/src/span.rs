//! Spans of time on a command line.

use crate::invalid::Invalid;
use std::time::Duration;

/// What a span looks like.
const EXPECTED: Invalid = Invalid::Value("a time such as 30s, 10m, 2h or 1d");

/// A time above 0: a number with s, m, h or d behind it, or of seconds.
pub fn span(text: &str) -> Result<Duration, Invalid> {
    let units = [('s', 1.0), ('m', 60.0), ('h', 3_600.0), ('d', 86_400.0)];
    let unit = units.into_iter().find(|(letter, _)| text.ends_with(*letter));
    let (digits, seconds) = unit.map_or((text, 1.0), |(_, seconds)| (&text[..text.len() - 1], seconds));
    let number: f64 = digits.parse().map_err(|_| EXPECTED)?;
    let span = Duration::try_from_secs_f64(number * seconds).ok().filter(|span| !span.is_zero());
    span.ok_or(EXPECTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units() {
        for (text, seconds) in
            [("30", 30.0), ("1.5s", 1.5), ("10m", 600.0), ("2h", 7_200.0), ("1d", 86_400.0)]
        {
            assert_eq!(span(text).unwrap().as_secs_f64(), seconds, "{text}");
        }
        for text in ["", "s", "0", "-1s", "soon", "1w", "inf", "NaN", "1é"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
