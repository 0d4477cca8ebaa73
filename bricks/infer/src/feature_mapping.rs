//! The feature mapping brick: features in the order in which the autoencoders read them.

use legonf_core::{Batch, Brick, BrickError, Column, Columns, Descriptor, State};
use legonf_models::kitnet::KitNet;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Name of the kind.
pub(crate) const KIND: &str = "feature-mapping";

/// Configuration of [`FeatureMapping`]: it has no option, the map is the model's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureMappingConfig {}

/// Gathers features by the map of a KitNET (LEGO Table I, "feature mapping").
#[derive(Clone, Debug)]
pub struct FeatureMapping {
    model: Arc<KitNet>,
}

impl FeatureMapping {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = KIND;

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: KIND,
        title: "feature mapping",
        reads: Columns::of(&[Column::Features]),
        writes: Columns::of(&[Column::Mapped]),
        state: State::Stateless,
    };

    /// A brick over the map of `model`.
    pub fn new(FeatureMappingConfig {}: FeatureMappingConfig, model: Arc<KitNet>) -> Self {
        Self { model }
    }
}

impl Brick for FeatureMapping {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        if !batch.features.is_empty() && batch.features.width() != self.model.features() {
            let (given, expected) = (batch.features.width(), self.model.features());
            let reason = format!("rows of {given} features for a model of {expected}: use its schema");
            return Err(BrickError { brick: KIND, reason });
        }
        self.model.gather(&batch.features, &mut batch.mapped);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{batch, model};

    #[test]
    fn features_come_in_the_order_of_the_map() {
        let mut brick = FeatureMapping::new(FeatureMappingConfig {}, model());
        let mut batch = batch(21);
        brick.process(&mut batch).unwrap();
        let order = model().feature_map().concat();
        for (index, features) in batch.features.iter().enumerate() {
            assert!(batch.mapped.row(index).eq(order.iter().map(|c| features[*c])), "row {index}");
        }
    }

    #[test]
    fn an_empty_batch_gives_no_row() {
        let mut batch = Batch::default();
        FeatureMapping::new(FeatureMappingConfig {}, model()).process(&mut batch).unwrap();
        assert!(batch.mapped.is_empty());
    }

    #[test]
    fn rows_of_another_schema_are_a_fault() {
        let mut batch = batch(1);
        batch.features.reset(1, 3);
        let fault = FeatureMapping::new(FeatureMappingConfig {}, model()).process(&mut batch).unwrap_err();
        assert!(fault.to_string().starts_with("feature-mapping: rows of 3 features"), "{fault}");
    }
}
