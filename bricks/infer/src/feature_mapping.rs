//! The feature mapping brick: features in the order in which the autoencoders read them.

use crate::MAPPED;
use crate::columns::FEATURES;
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Handle, Layout, Rows, State, Tiles,
};
use legonf_models::kitnet::KitNet;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
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
    features: Handle<Rows>,
    mapped: Handle<Tiles>,
}

impl FeatureMapping {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = KIND;

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: KIND,
        title: "feature mapping",
        reads: Cow::Borrowed(&[FEATURES]),
        writes: Cow::Borrowed(&[MAPPED]),
        state: State::Stateless,
    };

    /// A brick over the map of `model`.
    pub fn new(FeatureMappingConfig {}: FeatureMappingConfig, model: Arc<KitNet>) -> Self {
        let (features, mapped) = Default::default();
        Self { model, features, mapped }
    }

    fn columns(&self) -> [ColumnSpec; 2] {
        [FEATURES.of_width(self.model.features()), MAPPED.of_width(self.model.mapped_width())]
    }
}

impl Brick for FeatureMapping {
    fn descriptor(&self) -> Descriptor {
        let [features, mapped] = self.columns();
        Descriptor { reads: vec![features].into(), writes: vec![mapped].into(), ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        let [features, mapped] = self.columns();
        self.features = layout.handle(&features)?;
        self.mapped = layout.handle(&mapped)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let (features, mapped) = batch.columns.get_two(self.features, self.mapped);
        if !features.is_empty() && features.width() != self.model.features() {
            let (given, expected) = (features.width(), self.model.features());
            let reason = format!("rows of {given} features for a model of {expected}: use its schema");
            return Err(BrickError { brick: KIND, reason });
        }
        self.model.gather(features, mapped);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{batch, features, model};

    fn brick() -> FeatureMapping {
        FeatureMapping::new(FeatureMappingConfig {}, model())
    }

    #[test]
    fn features_come_in_the_order_of_the_map() {
        let mut brick = brick();
        let mut batch = batch(21, &mut [&mut brick]);
        brick.process(&mut batch).unwrap();
        let order = model().feature_map().concat();
        let mapped = batch.columns.get(brick.mapped);
        for (index, features) in features(21).iter().enumerate() {
            assert!(mapped.row(index).eq(order.iter().map(|c| features[*c])), "row {index}");
        }
    }

    #[test]
    fn an_empty_batch_gives_no_row() {
        let mut brick = brick();
        let mut batch = batch(0, &mut [&mut brick]);
        brick.process(&mut batch).unwrap();
        assert!(batch.columns.get(brick.mapped).is_empty());
    }

    #[test]
    fn rows_of_another_schema_are_a_fault() {
        let mut brick = brick();
        let mut batch = batch(1, &mut [&mut brick]);
        batch.columns.get_mut(brick.features).reset(1, 3);
        let fault = brick.process(&mut batch).unwrap_err();
        assert!(fault.to_string().starts_with("feature-mapping: rows of 3 features"), "{fault}");
    }
}
