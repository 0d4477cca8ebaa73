//! The brick *feature quantization* (LEGO, Table I): headers in, feature vectors out.

use crate::{Arithmetic, ExtractError, Extractor, Limits, Shard, StateError, build_shards};
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
    /// Shards to compute, of `sources`, `channels` and `sockets`. Default all.
    pub shards: Vec<Shard>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            schema: "kitsune-115".into(),
            arithmetic: Arithmetic::default(),
            limits: Limits::default(),
            shards: Shard::ALL.into(),
        }
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
    /// If the schema is unknown, a limit is out of range, or the shards are none or not the schema's.
    pub fn new(config: &Config) -> Result<Self, ExtractError> {
        let Config { schema, arithmetic, limits, shards } = config;
        Ok(Self { extractor: build_shards(schema, *arithmetic, *limits, shards)? })
    }

    /// The columns of the feature vectors.
    pub fn schema(&self) -> &Schema {
        self.extractor.schema()
    }

    /// See [`Extractor::export`].
    ///
    /// # Errors
    /// As it says there.
    pub fn export(&mut self, shard: Shard, slots: &[u16]) -> Result<Vec<u8>, StateError> {
        self.extractor.export(shard, slots)
    }

    /// See [`Extractor::import`].
    ///
    /// # Errors
    /// As it says there.
    pub fn import(&mut self, state: &[u8]) -> Result<(), StateError> {
        self.extractor.import(state)
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

    fn state_size(&self) -> u64 {
        self.extractor.state_bytes() as u64
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
