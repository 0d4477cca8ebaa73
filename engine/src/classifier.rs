//! Classifiers: networks and trees that learn from labelled flows which class a flow is of.

mod audit;
mod curve;
mod flows;
mod sources;
mod training;

pub use audit::{Audit, Audited, CaptureOfClass, Duplicates, Finding};
pub use sources::LabelledFlows;
pub use training::{ClassQuality, ClassifierTraining, TrainedClassifier};
