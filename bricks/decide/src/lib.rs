//! Decision bricks: thresholds, calibration, evaluation against labels.
//!
//! [`SampleResultQuantization`] turns anomaly scores into verdicts (LEGO Table I). Its threshold comes from
//! [`calibrate`], which reads held-out benign scores. [`evaluate`] compares verdicts with the labels of labelled traffic.
//! [`Incidents`] gathers the alerts of a source into what it did. [`Classification`] turns a network's outputs into classes.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod calibrate;
mod classification;
mod error;
pub mod evaluate;
mod hosts;
mod incidents;
mod numeric;
mod sample_result_quantization;

pub use classification::{CLASSES, CONFIDENCE, Classification, ClassificationConfig, Numbers, UNKNOWN};
pub use error::DecideError;
pub use hosts::{Host, HostReport, Hosts, Shares};
pub use incidents::{IncidentCounts, IncidentOptions, Incidents, Seen};
pub use sample_result_quantization::{Config, SampleResultQuantization, VERDICTS};
