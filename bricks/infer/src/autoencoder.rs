//! The autoencoder brick: KitNET's ensemble and output layer over mapped features.

use legonf_core::{BATCH, Batch, Brick, BrickError, Column, Columns, Descriptor, State};
use legonf_models::kitnet::{KitNet, Precision, Scratch};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Name of the kind.
const KIND: &str = "autoencoder";

/// Configuration of [`Autoencoder`]; all else is in the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AutoencoderConfig {
    /// Numbers that the network is executed in: `f64` or `f32`. Default `f64`.
    pub precision: Precision,
}

/// Runs a KitNET: the errors of its ensemble and the anomaly score (LEGO Table I, "unsupervised network").
#[derive(Clone, Debug)]
pub struct Autoencoder {
    model: Arc<KitNet>,
    precision: Precision,
    scratch: Scratch,
}

impl Autoencoder {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = KIND;

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: KIND,
        title: "unsupervised network",
        reads: Columns::of(&[Column::Mapped]),
        writes: Columns::of(&[Column::Errors, Column::Scores]),
        state: State::Stateless,
    };

    /// A brick that runs `model`.
    pub fn new(AutoencoderConfig { precision }: AutoencoderConfig, model: Arc<KitNet>) -> Self {
        Self { model, precision, scratch: Scratch::default() }
    }
}

impl Brick for Autoencoder {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        if !batch.mapped.is_empty() && batch.mapped.width() != self.model.mapped_width() {
            let (given, expected) = (batch.mapped.width(), self.model.mapped_width());
            let reason = format!("rows of {given} mapped features for a model of {expected}");
            return Err(BrickError { brick: KIND, reason });
        }
        let Batch { mapped, errors, scores, .. } = batch;
        self.model.score_rows_in(self.precision, mapped, &mut self.scratch, errors, scores);
        Ok(())
    }

    fn warm(&mut self) -> Result<(), BrickError> {
        let mut zeros = Batch::default();
        zeros.mapped.reset(BATCH, self.model.mapped_width());
        self.process(&mut zeros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{batch, model};
    use crate::{FeatureMapping, FeatureMappingConfig};

    #[test]
    fn scores_are_those_of_the_model() {
        let mut batch = batch(21);
        FeatureMapping::new(FeatureMappingConfig {}, model()).process(&mut batch).unwrap();
        Autoencoder::new(AutoencoderConfig::default(), model()).process(&mut batch).unwrap();
        let expected: Vec<f64> = batch.features.iter().map(|row| model().score(row)).collect();
        assert_eq!(batch.scores, expected);
        assert_eq!((batch.errors.len(), batch.errors.width()), (21, model().ensemble().len()));
    }

    #[test]
    fn single_precision_is_a_matter_of_configuration() {
        let config: AutoencoderConfig = toml::from_str("precision = \"f32\"").unwrap();
        let (mut double, mut single) = (batch(21), batch(21));
        for (batch, config) in [(&mut double, AutoencoderConfig::default()), (&mut single, config)] {
            FeatureMapping::new(FeatureMappingConfig {}, model()).process(batch).unwrap();
            Autoencoder::new(config, model()).process(batch).unwrap();
        }
        assert_ne!(double.scores, single.scores);
        for (double, single) in double.scores.iter().zip(&single.scores) {
            assert!(
                (single - double).abs() <= Precision::F32_TOLERANCE * double,
                "{single}, in f64 {double}"
            );
        }
        let error = toml::from_str::<AutoencoderConfig>("precision = \"f16\"").unwrap_err().to_string();
        assert!(error.contains("f64"), "{error}");
    }

    #[test]
    fn a_warm_brick_gives_the_same_bits() {
        let [mut cold, mut warm] = [(); 2].map(|()| Autoencoder::new(AutoencoderConfig::default(), model()));
        warm.warm().unwrap();
        assert!(warm.counters().is_empty() && warm.state_size() == 0);
        let scores = [&mut cold, &mut warm].map(|brick| {
            let mut batch = batch(21);
            FeatureMapping::new(FeatureMappingConfig {}, model()).process(&mut batch).unwrap();
            brick.process(&mut batch).unwrap();
            batch.scores
        });
        assert_eq!(scores[0], scores[1]);
    }

    #[test]
    fn an_empty_batch_gives_no_score() {
        let mut batch = Batch::default();
        Autoencoder::new(AutoencoderConfig::default(), model()).process(&mut batch).unwrap();
        assert!(batch.scores.is_empty() && batch.errors.is_empty());
    }

    #[test]
    fn rows_of_another_width_are_a_fault() {
        let mut batch = Batch::default();
        batch.mapped.reset(2, 1);
        let fault = Autoencoder::new(AutoencoderConfig::default(), model()).process(&mut batch).unwrap_err();
        assert!(fault.to_string().starts_with("autoencoder: rows of 1 mapped"), "{fault}");
    }
}
