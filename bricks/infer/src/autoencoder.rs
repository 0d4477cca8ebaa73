//! The autoencoder brick: KitNET's ensemble and output layer over mapped features.

use crate::{ERRORS, MAPPED, SCORES};
use legonf_core::{
    BATCH, Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Handle, Layout, State, Tiles,
};
use legonf_models::kitnet::{KitNet, Precision, Scratch};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
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
    mapped: Handle<Tiles>,
    errors: Handle<Tiles>,
    scores: Handle<Vec<f64>>,
}

impl Autoencoder {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = KIND;

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: KIND,
        title: "unsupervised network",
        reads: Cow::Borrowed(&[MAPPED]),
        writes: Cow::Borrowed(&[ERRORS, SCORES]),
        state: State::Stateless,
    };

    /// A brick that runs `model`.
    pub fn new(AutoencoderConfig { precision }: AutoencoderConfig, model: Arc<KitNet>) -> Self {
        let (mapped, errors, scores) = Default::default();
        Self { model, precision, scratch: Scratch::default(), mapped, errors, scores }
    }

    fn reads(&self) -> ColumnSpec {
        MAPPED.of_width(self.model.mapped_width())
    }

    fn fills(&self) -> [ColumnSpec; 2] {
        [ERRORS.of_width(self.model.ensemble().len()), SCORES]
    }
}

impl Brick for Autoencoder {
    fn descriptor(&self) -> Descriptor {
        let (reads, writes) = (vec![self.reads()].into(), self.fills().to_vec().into());
        Descriptor { reads, writes, ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        let [errors, scores] = self.fills();
        self.mapped = layout.handle(&self.reads())?;
        self.errors = layout.handle(&errors)?;
        self.scores = layout.handle(&scores)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let (mapped, errors, scores) = batch.columns.get_three(self.mapped, self.errors, self.scores);
        if !mapped.is_empty() && mapped.width() != self.model.mapped_width() {
            let (given, expected) = (mapped.width(), self.model.mapped_width());
            let reason = format!("rows of {given} mapped features for a model of {expected}");
            return Err(BrickError { brick: KIND, reason });
        }
        self.model.score_rows_in(self.precision, mapped, &mut self.scratch, errors, scores);
        Ok(())
    }

    fn warm(&mut self) -> Result<(), BrickError> {
        let (mut zeros, mut errors, mut scores) = (Tiles::default(), Tiles::default(), Vec::new());
        zeros.reset(BATCH, self.model.mapped_width());
        self.model.score_rows_in(self.precision, &zeros, &mut self.scratch, &mut errors, &mut scores);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{batch, features, model};
    use crate::{FeatureMapping, FeatureMappingConfig};

    /// A batch of so many rows through a network, and the scores of it.
    fn run(config: AutoencoderConfig, rows: usize) -> (Autoencoder, Batch) {
        let mut mapping = FeatureMapping::new(FeatureMappingConfig {}, model());
        let mut network = Autoencoder::new(config, model());
        let mut batch = batch(rows, &mut [&mut mapping, &mut network]);
        mapping.process(&mut batch).unwrap();
        network.process(&mut batch).unwrap();
        (network, batch)
    }

    #[test]
    fn scores_are_those_of_the_model() {
        let (network, batch) = run(AutoencoderConfig::default(), 21);
        let expected: Vec<f64> = features(21).iter().map(|row| model().score(row)).collect();
        assert_eq!(batch.columns.get(network.scores), &expected);
        let errors = batch.columns.get(network.errors);
        assert_eq!((errors.len(), errors.width()), (21, model().ensemble().len()));
    }

    #[test]
    fn single_precision_is_a_matter_of_configuration() {
        let config: AutoencoderConfig = toml::from_str("precision = \"f32\"").unwrap();
        let (network, double) = run(AutoencoderConfig::default(), 21);
        let (_, single) = run(config, 21);
        let [double, single] = [&double, &single].map(|batch| batch.columns.get(network.scores));
        assert_ne!(double, single);
        for (double, single) in double.iter().zip(single) {
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
            let mut mapping = FeatureMapping::new(FeatureMappingConfig {}, model());
            let mut batch = batch(21, &mut [&mut mapping, brick]);
            mapping.process(&mut batch).unwrap();
            brick.process(&mut batch).unwrap();
            batch.columns.get(brick.scores).clone()
        });
        assert_eq!(scores[0], scores[1]);
    }

    #[test]
    fn an_empty_batch_gives_no_score() {
        let (network, batch) = run(AutoencoderConfig::default(), 0);
        assert!(batch.columns.get(network.scores).is_empty() && batch.columns.get(network.errors).is_empty());
    }

    #[test]
    fn rows_of_another_width_are_a_fault() {
        let mut network = Autoencoder::new(AutoencoderConfig::default(), model());
        let mut batch = Batch::new(&Layout::binding(&mut [&mut network]).unwrap());
        batch.columns.get_mut(network.mapped).reset(2, 1);
        let fault = network.process(&mut batch).unwrap_err();
        assert!(fault.to_string().starts_with("autoencoder: rows of 1 mapped"), "{fault}");
    }
}
