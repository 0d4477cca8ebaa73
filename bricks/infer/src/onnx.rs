//! The ONNX brick: anyone's network over feature rows.

use legonf_core::{Batch, Brick, BrickError, Column, Columns, Descriptor, State};
use legonf_models::Engine;
use serde::{Deserialize, Serialize};

/// Name of the kind.
const KIND: &str = "onnx";

/// Configuration of [`Onnx`]: it has no option, the engine is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnnxConfig {}

/// Runs any network by an [`Engine`].
pub struct Onnx {
    engine: Box<dyn Engine>,
}

impl Onnx {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = KIND;

    /// What the graph needs to know of the brick.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: KIND,
        title: "unsupervised network",
        reads: Columns::of(&[Column::Features]),
        writes: Columns::of(&[Column::Scores]),
        state: State::Stateless,
    };

    /// A brick that runs `engine`.
    pub fn new(OnnxConfig {}: OnnxConfig, engine: Box<dyn Engine>) -> Self {
        Self { engine }
    }
}

impl Brick for Onnx {
    fn descriptor(&self) -> Descriptor {
        Self::DESCRIPTOR
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let fault = |reason| BrickError { brick: KIND, reason };
        self.engine.score(&batch.features, &mut batch.scores).map_err(|e| fault(e.to_string()))?;
        let (rows, scores) = (batch.features.len(), batch.scores.len());
        if rows != scores {
            return Err(fault(format!("{scores} scores for {rows} rows")));
        }
        reject(batch);
        Ok(())
    }

    fn warm(&mut self) -> Result<(), BrickError> {
        self.engine.warm().map_err(|e| BrickError { brick: KIND, reason: e.to_string() })
    }
}

/// A row of NaN has no score, whatever a network makes of it: many turn NaN into a number.
fn reject(batch: &mut Batch) {
    for (row, score) in batch.features.iter().zip(&mut batch.scores) {
        if row.iter().all(|cell| cell.is_nan()) {
            *score = f64::NAN;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::batch;
    use legonf_core::Rows;
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

    fn run(limit: usize, batch: &mut Batch) -> Result<(), BrickError> {
        Onnx::new(OnnxConfig {}, Box::new(Sum { limit })).process(batch)
    }

    #[test]
    fn the_engine_scores_every_row() {
        let mut batch = batch(5);
        run(5, &mut batch).unwrap();
        let expected: Vec<f64> = batch.features.iter().map(|row| row.iter().sum()).collect();
        assert_eq!(batch.scores, expected);
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
        let mut batch = batch(3);
        batch.features.row_mut(1).fill(f64::NAN);
        batch.features.row_mut(2)[0] = f64::NAN;
        Onnx::new(OnnxConfig {}, Box::new(Zero)).process(&mut batch).unwrap();
        assert_eq!(batch.scores.iter().map(|score| score.is_nan()).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn faults_of_the_engine_name_the_brick() {
        assert_eq!(run(5, &mut Batch::default()).unwrap_err().to_string(), "onnx: no rows");
        let mut cold = Onnx::new(OnnxConfig {}, Box::new(Sum { limit: 1 }));
        assert_eq!(cold.warm().unwrap_err().to_string(), "onnx: no memory");
        assert_eq!(run(2, &mut batch(5)).unwrap_err().to_string(), "onnx: 2 scores for 5 rows");
    }
}
