//! Values of single cells.

use chrono::DateTime;
use legonf_core::{Mac, Timestamp};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Longest part of a cell that is shown in a message.
const SHOWN: usize = 40;

/// A cell as shown in messages.
pub(in crate::source) fn shown(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(&cell[..cell.len().min(SHOWN)]);
    format!("{text:?}{}", if cell.len() > SHOWN { "…" } else { "" })
}

/// Seconds since the epoch as a decimal number. Digits after the ninth decimal are dropped.
pub(super) fn time(cell: &[u8]) -> Option<Timestamp> {
    let (negative, digits) = cell.strip_prefix(b"-").map_or((false, cell), |rest| (true, rest));
    let point = digits.iter().position(|b| *b == b'.');
    let (whole, decimals) = point.map_or((digits, &[][..]), |at| (&digits[..at], &digits[at + 1..]));
    if whole.is_empty() || !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = i64::try_from(number(whole)?).ok()?;
    let nanos = (0..9).fold(0, |sum, i| sum * 10 + decimals.get(i).map_or(0, |d| i64::from(d - b'0')));
    let total = seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?;
    Some(Timestamp::from_nanos(if negative { -total } else { total }))
}

/// A date with time and time zone, as ISO 8601 and RFC 3339 have it: `2026-11-28T03:13:31.5Z`.
#[cold]
pub(super) fn date(cell: &[u8]) -> Option<Timestamp> {
    let date = DateTime::parse_from_rfc3339(std::str::from_utf8(cell).ok()?).ok()?;
    date.timestamp_nanos_opt().map(Timestamp::from_nanos)
}

/// Whether a cell has a date, in whatever form: with a month's name, or numbers and a time of day.
pub(super) fn is_date(cell: &[u8]) -> bool {
    let lower = cell.to_ascii_lowercase();
    let names = |months: &[u8; 36]| months.chunks(3).any(|month| lower.windows(3).any(|part| part == month));
    let times = cell.iter().filter(|b| **b == b':').count() >= 2;
    times || names(b"janfebmaraprmayjunjulaugsepoctnovdec")
}

/// A decimal number.
pub(super) fn number(cell: &[u8]) -> Option<u64> {
    if cell.is_empty() {
        return None;
    }
    cell.iter().try_fold(0_u64, |sum, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// Six bytes in hexadecimal with colons between.
pub(super) fn mac(cell: &[u8]) -> Option<Mac> {
    let cell: &[u8; 17] = cell.try_into().ok()?;
    let mut mac = [0; 6];
    for (i, byte) in mac.iter_mut().enumerate() {
        if i < 5 && cell[i * 3 + 2] != b':' {
            return None;
        }
        *byte = hex(cell[i * 3])? << 4 | hex(cell[i * 3 + 1])?;
    }
    Some(Mac(mac))
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// An IPv4 address.
pub(super) fn ipv4(cell: &[u8]) -> Option<Ipv4Addr> {
    std::str::from_utf8(cell).ok()?.parse().ok()
}

/// An IPv6 address.
pub(super) fn ipv6(cell: &[u8]) -> Option<Ipv6Addr> {
    std::str::from_utf8(cell).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(cell: &str) -> Option<i64> {
        time(cell.as_bytes()).map(Timestamp::as_nanos)
    }

    #[test]
    fn times_are_exact() {
        assert_eq!(nanos("1540446382.933899000"), Some(1_540_446_382_933_899_000));
        assert_eq!(nanos("1540446382"), Some(1_540_446_382_000_000_000));
        assert_eq!(nanos("0.1"), Some(100_000_000));
        assert_eq!(nanos("1."), Some(1_000_000_000));
        assert_eq!(nanos("0.0000000019"), Some(1));
        assert_eq!(nanos("-1.5"), Some(-1_500_000_000));
        for wrong in ["", "-", ".5", "1e9", "1.5x", "1.-5", "nan", "9223372037", "99999999999999999999"] {
            assert_eq!(nanos(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn dates_with_a_time_zone_are_times() {
        let nanos = |cell: &str| date(cell.as_bytes()).map(Timestamp::as_nanos);
        assert_eq!(nanos("1970-01-01T00:00:01.5Z"), Some(1_500_000_000));
        assert_eq!(nanos("2018-10-25 07:46:22.933899000+02:00"), Some(1_540_446_382_933_899_000));
        for other in [
            "2026-11-28T03:13:31",
            "Nov 28, 2026 03:13:31.5 UTC",
            "28/11/2026 03:13:31",
            "3000-01-01T00:00:00Z",
        ] {
            assert!(nanos(other).is_none() && is_date(other.as_bytes()), "{other}");
        }
        assert!(!is_date(b"1e9") && !is_date(b"") && !is_date(b"10.0.0.1"));
    }

    #[test]
    fn numbers_and_addresses() {
        assert_eq!(number(b"65535"), Some(65_535));
        assert_eq!(number(b"18446744073709551616"), None);
        assert_eq!(number(b"+1"), None);
        assert_eq!(mac(b"00:1a:Ff:80:00:09"), Some(Mac([0, 0x1a, 0xff, 0x80, 0, 9])));
        assert_eq!(mac(b"00-1a-ff-80-00-09"), None);
        assert_eq!(mac(b"00:1a:ff:80:00"), None);
        assert_eq!(ipv4(b"192.168.1.1"), Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!(ipv4(b"192.168.1"), None);
        assert_eq!(ipv6(b"fe80::1"), Some("fe80::1".parse().unwrap()));
        assert_eq!(ipv6(b"\xff"), None);
    }

    #[test]
    fn long_and_binary_cells_are_shown_short() {
        assert_eq!(shown(b"a\x00b"), "\"a\\0b\"");
        assert!(shown(&[b'x'; 100]).len() < 50);
    }
}
