//! Comparing bytes side by side. Unsafe code, see ARCHITECTURE.md.
#![allow(unsafe_code)]

/// Which of sixteen bytes are `byte`, a bit for each.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
pub(crate) fn equal_bytes(words: &[u64; 2], byte: u8) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    // SAFETY: every x86-64 processor has SSE2; the sixteen bytes that are read are those of the words.
    let mask = unsafe {
        let equal = _mm_cmpeq_epi8(_mm_loadu_si128(words.as_ptr().cast()), _mm_set1_epi8(byte.cast_signed()));
        _mm_movemask_epi8(equal)
    };
    mask.cast_unsigned()
}

/// Which of sixteen bytes are `byte`, a bit for each.
#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn equal_bytes(words: &[u64; 2], byte: u8) -> u32 {
    let bytes = words.map(u64::to_le_bytes);
    bytes.as_flattened().iter().enumerate().fold(0, |set, (at, other)| set | u32::from(*other == byte) << at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_are_compared_one_by_one(words in prop::array::uniform2(0..1u64 << 20), byte in 0..3u8) {
            let bytes = words.map(u64::to_le_bytes);
            let expected = bytes.as_flattened().iter().map(|other| *other == byte);
            prop_assert!((0..16).map(|at| equal_bytes(&words, byte) >> at & 1 == 1).eq(expected));
        }
    }
}
