//! Sizes on the command line.

use crate::invalid::Invalid;

/// A number of bytes with K, M or G behind it for powers of 1,024.
pub fn size(text: &str) -> Result<u64, Invalid> {
    let units = [('K', 10), ('M', 20), ('G', 30)];
    let unit = units.iter().find(|(letter, _)| text.to_ascii_uppercase().ends_with(*letter));
    let (digits, shift) = unit.map_or((text, 0), |(_, shift)| (&text[..text.len() - 1], *shift));
    let bytes = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes > 0).ok_or(Invalid::Value("a size such as 500000, 64K, 32M or 1G"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("500", 500), ("64K", 65_536), ("32m", 32 << 20), ("1G", 1 << 30)] {
            assert_eq!(size(text).unwrap(), bytes);
        }
        for text in ["", "K", "0", "-1", "1.5M", "64KB", "99999999999G", "1é"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
