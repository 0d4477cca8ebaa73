//! How far a score is from what it should be.

/// The difference of two scores. They are equal only if all their bits are: of two bit patterns of one value it is the least number.
pub(crate) fn deviation(found: f64, expected: f64) -> f64 {
    if found.to_bits() == expected.to_bits() { 0.0 } else { (found - expected).abs().max(f64::MIN_POSITIVE) }
}
