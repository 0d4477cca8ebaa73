//! Numbers as text, without an allocation for each.

use legonf_core::Timestamp;
use std::fmt;
use std::io::Write;

/// Appends formatted text.
pub(super) fn push(to: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    to.write_fmt(text).expect("a vector takes every byte");
}

/// Appends an integer.
pub(super) fn push_integer(to: &mut Vec<u8>, value: u64) {
    push_digits::<0>(to, value);
}

/// Appends a time as its [`Display`](fmt::Display) shows it: seconds with nine decimals.
pub(super) fn push_time(to: &mut Vec<u8>, time: Timestamp) {
    let nanos = time.as_nanos();
    if nanos < 0 {
        to.push(b'-');
    }
    push_digits::<0>(to, nanos.unsigned_abs() / 1_000_000_000);
    to.push(b'.');
    push_digits::<9>(to, nanos.unsigned_abs() % 1_000_000_000);
}

/// Appends the digits of a number, at least so many and at least one.
fn push_digits<const LEAST: usize>(to: &mut Vec<u8>, mut value: u64) {
    let (mut digits, mut first) = ([b'0'; 20], 20);
    while value > 0 {
        first -= 1;
        digits[first] += (value % 10) as u8;
        value /= 10;
    }
    to.extend_from_slice(&digits[first.min(20 - LEAST.max(1))..]);
}

/// Appends the shortest decimal that reads back to the same bits; `NaN`, `inf` or `-inf` if not finite.
pub(super) fn push_f64(to: &mut Vec<u8>, value: f64) {
    to.extend_from_slice(zmij::Buffer::new().format(value).as_bytes());
}

/// Appends a field of comma-separated values, quoted where it must be (RFC 4180).
pub(super) fn push_field(to: &mut Vec<u8>, field: &str) {
    if field.contains(['"', ',', '\n', '\r']) {
        push(to, format_args!("\"{}\"", field.replace('"', "\"\"")));
    } else {
        to.extend_from_slice(field.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64) -> String {
        let mut bytes = Vec::new();
        push_f64(&mut bytes, value);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn numbers_are_short_and_standard() {
        for (value, expected) in [
            (0.1, "0.1"),
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e300, "1e+300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let mut bytes = Vec::new();
        for field in ["HH_L0.1_pcc", "a,b", "say \"x\""] {
            push_field(&mut bytes, field);
            bytes.push(b'|');
        }
        assert_eq!(bytes, b"HH_L0.1_pcc|\"a,b\"|\"say \"\"x\"\"\"|");
    }

    #[test]
    fn integers_and_times_are_as_they_are_shown() {
        for value in [0, 1, 9, 10, 99, 1_000_000_000, u64::MAX] {
            let mut bytes = Vec::new();
            push_integer(&mut bytes, value);
            assert_eq!(String::from_utf8(bytes).unwrap(), value.to_string());
        }
        for nanos in [0, 1, -1, 999_999_999, 1_000_000_000, -1_500_000_000, i64::MAX, i64::MIN] {
            let (mut bytes, time) = (Vec::new(), Timestamp::from_nanos(nanos));
            push_time(&mut bytes, time);
            assert_eq!(String::from_utf8(bytes).unwrap(), time.to_string());
        }
    }

    proptest! {
        #[test]
        fn every_bit_pattern_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            let read: f64 = text(value).parse().unwrap();
            prop_assert!(read.to_bits() == bits || (read.is_nan() && value.is_nan()));
        }
    }
}
