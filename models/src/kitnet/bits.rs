//! `Vec<f64>` in serialized form as the bits of its numbers, so that nothing is rounded and infinities survive.

use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|v| v.to_bits()))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let bits = Vec::<u64>::deserialize(deserializer)?;
    Ok(bits.into_iter().map(f64::from_bits).collect())
}
