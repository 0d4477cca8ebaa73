//! How far training is, and how well it goes.

use serde::{Deserialize, Serialize};

/// What a pass over the samples came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Number of the network, from 0.
    pub member: usize,
    /// Number of the pass, from 1.
    pub epoch: usize,
    /// Mean cross-entropy on what was learnt from, as it was before each step.
    pub training_loss: f64,
    /// Mean cross-entropy on the validation part.
    pub validation_loss: f64,
    /// Share of the validation part whose class was told.
    pub validation_accuracy: f64,
    /// Macro precision on the validation part.
    pub validation_precision: f64,
    /// Macro recall on the validation part.
    pub validation_recall: f64,
}

/// How far training is.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Samples that have been learnt from, over all networks and passes.
    pub done: u64,
    /// How many there are at most.
    pub all: u64,
}
