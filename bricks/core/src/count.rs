//! Numbers with their nouns.

use std::fmt;

/// A number with what it counts, in the singular for one: `1 packet`, `2 packets`.
pub fn count(number: u64, noun: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "{number} {noun}{}", if number == 1 { "" } else { "s" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        let words = [0, 1, 2].map(|number| count(number, "packet").to_string());
        assert_eq!(words, ["0 packets", "1 packet", "2 packets"]);
    }
}
