//! KitNET and simpler detectors: training, execution and the model bundle.
//!
//! [`kitnet`] trains and runs the network, [`detectors`] what is simpler. A [`Bundle`] is a model in one ONNX file, with everything that is
//! needed to use it. An [`Engine`] runs any other network. Nothing here knows of packets.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bundle;
pub mod detectors;
mod engine;
mod error;
mod feedforward;
mod file;
pub mod kitnet;
pub mod onnx;
mod trial;

pub use bundle::{
    AutoencoderSummary, Bundle, CLASSIFIER_PORTS, CalibratedOn, Calibration, CaptureProvenance, Check,
    ClassifierBundle, Description, Foreign, HeldOut, MAX_NODES, MAX_PARTS, MAX_STRUCTURE_BYTES, Meaning,
    Model, ModelCard, OnnxFile, Provenance, Wanted, take_in,
};
pub use engine::{Engine, EngineError, Output, Port, Signature};
pub use error::ModelError;
pub use feedforward::{BranchRows, FeedForward};
pub use file::{MAX_FILE_BYTES, read_bounded, write_atomic};
pub use trial::try_out;
