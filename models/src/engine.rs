//! What runs a model that is not a KitNET.

use legonf_core::Rows;

/// An engine failed, or its model gave something else than scores.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EngineError(
    /// What went wrong, in one line.
    pub String,
);

/// Runs a network on rows of features.
pub trait Engine: Send {
    /// Scores every row: `scores` becomes one value for each row of `features`.
    ///
    /// # Errors
    /// When the engine fails or the rows have another width than the model's input.
    fn score(&mut self, features: &Rows, scores: &mut Vec<f64>) -> Result<(), EngineError>;

    /// Runs the network once on zeros, so that the first rows do not wait for memory. Scores are the same afterwards.
    ///
    /// # Errors
    /// When the engine fails.
    fn warm(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}
