//! Big-endian reads.

/// The 16-bit number at `at`, if it was captured.
#[inline(always)]
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b))
}

/// The 32-bit number at `at`, if it was captured.
#[inline(always)]
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

/// The first `len` bytes, or all if there are fewer.
#[inline(always)]
pub(crate) fn at_most(bytes: &[u8], len: usize) -> &[u8] {
    &bytes[..len.min(bytes.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stay_within_bounds() {
        let bytes = [1, 2, 3, 4];
        assert_eq!((be16(&bytes, 2), be16(&bytes, 3), be16(&bytes, 9)), (Some(0x0304), None, None));
        assert_eq!((be32(&bytes, 0), be32(&bytes, 1)), (Some(0x0102_0304), None));
        assert_eq!((at_most(&bytes, 2), at_most(&bytes, 9)), (&[1, 2][..], &bytes[..]));
    }
}
