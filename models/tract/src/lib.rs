//! The generic ONNX engine, over tract.
//!
//! A [`TractEngine`] runs any ONNX network whose inputs and outputs have the rows of a batch as their first dimension, of the types
//! that columns hold ([`TractEngine::open`]). A network that scores rows of features ([`TractEngine::new`]) takes one input, `f32`
//! or `f64` \[batch, features\]. It gives one score for each row, \[batch\] or \[batch, 1\], or reconstructs each row,
//! \[batch, features\]; the score is then the RMSE between the row and its reconstruction. The batch size is fixed in the plan,
//! which lets tract optimise for it; a smaller batch is filled up with copies of its last row.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod columns;
mod double;
mod engine;
mod plan;

pub use engine::{LoadError, TractEngine};
pub use plan::MAX_TENSOR_BYTES;
