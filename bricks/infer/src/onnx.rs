//! The ONNX brick: anyone's network over feature rows.

use crate::SCORES;
use crate::columns::FEATURES;
use legonf_core::{Batch, BindError, Brick, BrickError, Descriptor, Handle, Layout, Rows, State};
use legonf_models::Engine;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Name of the kind.
const KIND: &str = "onnx";

/// Configuration of [`Onnx`]: it has no option, the engine is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnnxConfig {}

/// Runs any network by an [`Engine`].
pub struct Onnx {
    engine: Box<dyn Engine>,
    features: Handle<Rows>,
    scores: Handle<Vec<f64>>,
}

impl Onnx {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = KIND;

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: KIND,
        title: "unsupervised network",
        reads: Cow::Borrowed(&[FEATURES]),
        writes: Cow::Borrowed(&[SCORES]),
        state: State::Stateless,
    };

    /// A brick that runs `engine`.
    pub fn new(OnnxConfig {}: OnnxConfig, engine: Box<dyn Engine>) -> Self {
        let (features, scores) = Default::default();
        Self { engine, features, scores }
    }
}

impl Brick for Onnx {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.features = layout.handle(&FEATURES)?;
        self.scores = layout.handle(&SCORES)?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let fault = |reason| BrickError { brick: KIND, reason };
        let (features, scores) = batch.columns.get_two(self.features, self.scores);
        self.engine.score(features, scores).map_err(|e| fault(e.to_string()))?;
        if features.len() != scores.len() {
            return Err(fault(format!("{} scores for {} rows", scores.len(), features.len())));
        }
        reject(features, scores);
        Ok(())
    }

    fn warm(&mut self) -> Result<(), BrickError> {
        self.engine.warm().map_err(|e| BrickError { brick: KIND, reason: e.to_string() })
    }
}

/// A row of NaN has no score, whatever a network makes of it: many turn NaN into a number.
fn reject(features: &Rows, scores: &mut [f64]) {
    for (row, score) in features.iter().zip(scores) {
        if row.iter().all(|cell| cell.is_nan()) {
            *score = f64::NAN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{batch, features};
    use legonf_models::EngineError;

    /// Sums each row; forgets rows past `limit`; refuses empty batches.
    struct Sum {
        limit: usize,
    }

    impl Engine for Sum {
        fn score(&mut self, features: &Rows, scores: &mut Vec<f64>) -> Result<(), EngineError> {
            scores.clear();
            scores.extend(features.iter().take(self.limit).map(|row| row.iter().sum::<f64>()));
            if features.is_empty() { Err(EngineError("no rows".into())) } else { Ok(()) }
        }

        fn warm(&mut self) -> Result<(), EngineError> {
            Err(EngineError("no memory".into()))
        }
    }

    fn run(limit: usize, rows: usize) -> Result<Vec<f64>, BrickError> {
        let mut brick = Onnx::new(OnnxConfig {}, Box::new(Sum { limit }));
        let mut batch = batch(rows, &mut [&mut brick]);
        brick.process(&mut batch)?;
        Ok(batch.columns.get(brick.scores).clone())
    }

    #[test]
    fn the_engine_scores_every_row() {
        let expected: Vec<f64> = features(5).iter().map(|row| row.iter().sum()).collect();
        assert_eq!(run(5, 5).unwrap(), expected);
    }

    #[test]
    fn rows_without_a_number_have_no_score() {
        struct Zero;
        impl Engine for Zero {
            fn score(&mut self, features: &Rows, scores: &mut Vec<f64>) -> Result<(), EngineError> {
                scores.clear();
                scores.resize(features.len(), 0.0);
                Ok(())
            }
        }
        let mut brick = Onnx::new(OnnxConfig {}, Box::new(Zero));
        let mut batch = batch(3, &mut [&mut brick]);
        let features = batch.columns.get_mut(brick.features);
        features.row_mut(1).fill(f64::NAN);
        features.row_mut(2)[0] = f64::NAN;
        brick.process(&mut batch).unwrap();
        let scores = batch.columns.get(brick.scores);
        assert_eq!(scores.iter().map(|score| score.is_nan()).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn faults_of_the_engine_name_the_brick() {
        assert_eq!(run(5, 0).unwrap_err().to_string(), "onnx: no rows");
        let mut cold = Onnx::new(OnnxConfig {}, Box::new(Sum { limit: 1 }));
        assert_eq!(cold.warm().unwrap_err().to_string(), "onnx: no memory");
        assert_eq!(run(2, 5).unwrap_err().to_string(), "onnx: 2 scores for 5 rows");
    }
}
