//! The brick *feature quantization* (LEGO, Table I): headers in, feature vectors out.

use crate::{Arithmetic, ExtractError, Extractor, Limits, build};
use legonf_core::{Batch, Brick, BrickError, Column, Columns, Descriptor, Schema, State};
use serde::{Deserialize, Serialize};

/// What to extract and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name of the schema, one of [`SCHEMAS`](crate::SCHEMAS). Default `kitsune-115`.
    pub schema: String,
    /// `reference` or `fast`. Default `reference`.
    pub arithmetic: Arithmetic,
    /// Bounds of the state.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self { schema: "kitsune-115".into(), arithmetic: Arithmetic::default(), limits: Limits::default() }
    }
}

/// Fills the features of each packet from its headers.
///
/// Stateful: a packet's features depend on the packets before it. Malformed packets have features like any other,
/// of the identity that was read.
pub struct FeatureQuantization {
    extractor: Box<dyn Extractor>,
}

impl FeatureQuantization {
    /// Name of the kind.
    pub const KIND: &'static str = "feature-quantization";

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: Self::KIND,
        title: "feature quantization",
        reads: Columns::of(&[Column::Headers]),
        writes: Columns::of(&[Column::Features]),
        state: State::Stateful,
    };

    /// The brick with empty state.
    ///
    /// # Errors
    /// If the schema is unknown or a limit is out of range.
    pub fn new(config: &Config) -> Result<Self, ExtractError> {
        Ok(Self { extractor: build(&config.schema, config.arithmetic, config.limits)? })
    }

    /// The columns of the feature vectors.
    pub fn schema(&self) -> &Schema {
        self.extractor.schema()
    }

    /// Bytes that the streams take now, and at most.
    pub fn state_bytes(&self) -> (usize, usize) {
        (self.extractor.state_bytes(), self.extractor.max_state_bytes())
    }
}

impl Brick for FeatureQuantization {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.extractor.extract(&batch.headers, &mut batch.features);
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.extractor.counters()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Headers;

    #[test]
    fn fills_a_row_per_packet() {
        let mut brick = FeatureQuantization::new(&Config::default()).unwrap();
        let headers = vec![Headers { wire_len: 60, ..Headers::default() }; 3];
        let mut batch = Batch { headers, ..Batch::default() };
        brick.process(&mut batch).unwrap();
        assert_eq!((batch.features.len(), batch.features.width()), (3, brick.schema().len()));
        assert_eq!(batch.features.row(2)[..2], [3.0, 60.0]);
        assert!(brick.counters().iter().all(|(name, count)| name.starts_with("evicted-") && *count == 0));
        let (now, most) = brick.state_bytes();
        assert!(0 < now && now < most);
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let error = toml::from_str::<Config>("schema = 'kitsune-115'\nrate = 3").unwrap_err();
        assert!(error.to_string().contains("rate"), "{error}");
        let config: Config = toml::from_str("arithmetic = 'fast'\n[limits]\nsockets_per_slot = 7").unwrap();
        assert_eq!((config.arithmetic, config.limits.sockets_per_slot), (Arithmetic::Fast, 7));
    }
}
