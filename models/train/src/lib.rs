//! Training of classifiers, offline.
//!
//! [`Samples`] are flows with labels. They are divided by capture ([`split`](fn@split)), and [`train`](fn@train) makes a [`Classifier`] of them:
//! networks (feature `networks`) and a [`Forest`], which become one ONNX file. Nothing here knows of graphs, threads or captures.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

#[cfg(feature = "networks")]
mod base;
#[cfg(feature = "networks")]
mod checkpoint;
mod curve;
mod error;
mod export;
#[cfg(feature = "networks")]
mod fit;
mod forest;
pub mod idx;
mod metrics;
#[cfg(feature = "networks")]
mod network;
#[cfg(feature = "networks")]
mod optimizer;
mod options;
mod random;
mod samples;
mod split;
mod train;

pub use curve::{Epoch, Step};
pub use error::TrainError;

pub use forest::{Features, Forest};
pub use metrics::{Confusion, Quality, confidence};
pub use options::{Architecture, ClassWeights, Optimizer, Options};
pub use samples::{Flow, Samples};
pub use split::{Parts, Shares, Unit, split};
pub use train::{Classifier, Course, Trained, train};
