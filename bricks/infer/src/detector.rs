//! The detector brick: a detector that is no network, over features.

use crate::SCORES;
use crate::columns::FEATURES;
use legonf_core::{
    BATCH, Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Handle, Layout, Rows, State,
};
use legonf_models::detectors::{self, Scratch};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// Name of the kind.
const KIND: &str = "detector";

/// Configuration of [`Detector`]: it has no option, all is in the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorConfig {}

/// Scores features by PCA, ECOD, HBOS or another detector of `legonf_models`, or by an ensemble of them.
#[derive(Clone, Debug)]
pub struct Detector {
    model: Arc<detectors::Detector>,
    scratch: Scratch,
    features: Handle<Rows>,
    scores: Handle<Vec<f64>>,
}

impl Detector {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = KIND;

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: KIND,
        title: "detector",
        reads: Cow::Borrowed(&[FEATURES]),
        writes: Cow::Borrowed(&[SCORES]),
        state: State::Stateless,
    };

    /// A brick that scores by `model`.
    pub fn new(DetectorConfig {}: DetectorConfig, model: Arc<detectors::Detector>) -> Self {
        let (features, scores) = Default::default();
        Self { model, scratch: Scratch::default(), features, scores }
    }

    fn reads(&self) -> ColumnSpec {
        FEATURES.of_width(self.model.features())
    }
}

impl Brick for Detector {
    fn descriptor(&self) -> Descriptor {
        Descriptor { reads: vec![self.reads()].into(), ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.features = layout.handle(&self.reads())?;
        self.scores = layout.handle(&SCORES)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let (features, scores) = batch.columns.get_two(self.features, self.scores);
        if !features.is_empty() && features.width() != self.model.features() {
            let (given, expected) = (features.width(), self.model.features());
            let reason = format!("rows of {given} features for a model of {expected}: use its schema");
            return Err(BrickError { brick: KIND, reason });
        }
        self.model.score_rows(features, &mut self.scratch, scores);
        Ok(())
    }

    fn warm(&mut self) -> Result<(), BrickError> {
        let (mut zeros, mut scores) = (Rows::default(), Vec::new());
        zeros.reset(BATCH, self.model.features());
        self.model.score_rows(&zeros, &mut self.scratch, &mut scores);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{batch, features};
    use legonf_models::detectors::{Method, Trainer};

    fn model() -> Arc<detectors::Detector> {
        let rows = features(100);
        let mut trainer = Trainer::new(rows.width(), 1);
        rows.iter().for_each(|row| assert!(trainer.train(row, 0)));
        Arc::new(trainer.finish(Method::Ensemble).unwrap().detector)
    }

    #[test]
    fn scores_are_those_of_the_model() {
        for rows in [0, 21] {
            let mut brick = Detector::new(DetectorConfig {}, model());
            brick.warm().unwrap();
            let mut batch = batch(rows, &mut [&mut brick]);
            brick.process(&mut batch).unwrap();
            let expected: Vec<f64> = features(rows).iter().map(|row| model().score(row)).collect();
            assert_eq!(batch.columns.get(brick.scores), &expected);
        }
    }

    #[test]
    fn rows_of_another_schema_are_a_fault() {
        let mut brick = Detector::new(DetectorConfig {}, model());
        let mut batch = batch(1, &mut [&mut brick]);
        batch.columns.get_mut(brick.features).reset(1, 3);
        let fault = brick.process(&mut batch).unwrap_err();
        assert!(fault.to_string().starts_with("detector: rows of 3 features"), "{fault}");
    }
}
