//! The Internet checksum under change (RFC 1624), which needs nothing but the bytes that change.

/// What a change of bytes adds to the ones' complement sum of 16-bit words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change(u64);

impl Change {
    /// Of `old` bytes that become `new` ones, of equal and even length, at an even offset of what is summed.
    pub(super) fn between(old: &[u8], new: &[u8]) -> Self {
        Self(words(old).map(|w| u64::from(!w)).sum::<u64>() + words(new).map(u64::from).sum::<u64>())
    }

    /// Both changes.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// The checksum after the change (equation 3).
    pub(super) fn applied(self, checksum: u16) -> u16 {
        !fold(u64::from(!checksum) + self.0)
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks_exact(2).map(|w| u16::from_be_bytes([w[0], w[1]]))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Writes `new` at `at` and tells what that changes; nothing if it lies outside of `bytes`.
pub(super) fn replace(bytes: &mut [u8], at: usize, new: &[u8]) -> Change {
    match bytes.get_mut(at..at + new.len()) {
        Some(old) if old != new => {
            let change = Change::between(old, new);
            old.copy_from_slice(new);
            change
        }
        _ => Change::default(),
    }
}

/// Corrects the checksum at `at` for a change of what it sums, if it was captured, and tells what that changes.
pub(super) fn correct(bytes: &mut [u8], at: usize, change: Change) -> Change {
    let Some(old) = bytes.get(at..).and_then(|b| b.first_chunk()) else { return Change::default() };
    replace(bytes, at, &change.applied(u16::from_be_bytes(*old)).to_be_bytes())
}

/// [`correct`] for UDP, in which 0 says that there is no checksum.
pub(super) fn correct_optional(bytes: &mut [u8], at: usize, change: Change) -> Change {
    let Some(old) = bytes.get(at..).and_then(|b| b.first_chunk()) else { return Change::default() };
    match u16::from_be_bytes(*old) {
        0 => Change::default(),
        old => {
            let new = change.applied(old);
            replace(bytes, at, &if new == 0 { 0xffff } else { new }.to_be_bytes())
        }
    }
}

/// Whether words that include their checksum sum up to what is valid.
#[cfg(test)]
pub(super) fn is_valid(parts: &[&[u8]]) -> bool {
    let mut bytes = parts.concat();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    fold(words(&bytes).map(u64::from).sum()) == 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 1624 §4.
    #[test]
    fn the_rfc_s_example() {
        assert_eq!(Change::between(&[0x55, 0x55], &[0x32, 0x85]).applied(0xdd2f), 0x0000);
    }

    #[test]
    fn what_was_not_captured_is_left() {
        let mut bytes = [1, 2, 3];
        assert_eq!(replace(&mut bytes, 2, &[9, 9]), Change::default());
        assert_eq!(correct(&mut bytes, 2, Change::between(&[0, 1], &[0, 2])), Change::default());
        assert_eq!(bytes, [1, 2, 3]);
    }

    #[test]
    fn udp_without_a_checksum_stays_so() {
        let change = Change::between(&[0, 1], &[0, 2]);
        let mut none = [0, 0];
        correct_optional(&mut none, 0, change);
        assert_eq!(none, [0, 0]);
        let mut zero = [0, 1];
        correct_optional(&mut zero, 0, change);
        assert_eq!(zero, [0xff, 0xff]);
    }
}
