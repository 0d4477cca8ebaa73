//! Byte order of a capture's headers.

/// Little- or big-endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    #[default]
    Little,
    Big,
}

impl Order {
    /// The 16-bit number at the start of `bytes`, 0 if they are fewer.
    #[inline]
    pub(crate) fn u16(self, bytes: &[u8]) -> u16 {
        let raw = bytes.first_chunk().map_or(0, |b| u16::from_le_bytes(*b));
        if self == Self::Big { raw.swap_bytes() } else { raw }
    }

    /// The 32-bit number at the start of `bytes`, 0 if they are fewer.
    #[inline]
    pub(crate) fn u32(self, bytes: &[u8]) -> u32 {
        let raw = bytes.first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        if self == Self::Big { raw.swap_bytes() } else { raw }
    }

    /// The 64-bit number at the start of `bytes`, 0 if they are fewer.
    #[inline]
    pub(crate) fn u64(self, bytes: &[u8]) -> u64 {
        let raw = bytes.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        if self == Self::Big { raw.swap_bytes() } else { raw }
    }
}

#[cfg(test)]
mod tests {
    use super::Order::{Big, Little};

    #[test]
    fn numbers_in_both_orders() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!((Little.u16(&bytes), Big.u16(&bytes)), (0x0201, 0x0102));
        assert_eq!((Little.u32(&bytes), Big.u32(&bytes)), (0x0403_0201, 0x0102_0304));
        assert_eq!((Little.u64(&bytes), Big.u64(&bytes)), (0x0807_0605_0403_0201, 0x0102_0304_0506_0708));
        assert_eq!(Big.u32(&bytes[..3]), 0);
    }
}
