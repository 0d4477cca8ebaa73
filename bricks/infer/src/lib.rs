//! Bricks that run neural networks and simpler detectors: rows of features in, scores or other outputs out.
//!
//! The models come from `legonf-models`; a brick holds one and the memory to run it. All bricks here are
//! stateless: what they answer for a packet depends on nothing but that packet's features.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod autoencoder;
mod columns;
mod detector;
mod feature_mapping;
mod onnx;

pub use autoencoder::{Autoencoder, AutoencoderConfig};
pub use columns::{ERRORS, MAPPED, SCORES};
pub use detector::{Detector, DetectorConfig};
pub use feature_mapping::{FeatureMapping, FeatureMappingConfig};
pub use onnx::{Onnx, OnnxConfig};

#[cfg(test)]
mod fixture;
