//! KitNET: training, execution and the model bundle.
//!
//! [`kitnet`] trains and runs the network. A [`Bundle`] is a model in one ONNX file, with everything that is
//! needed to use it. An [`Engine`] runs any other network. Nothing here knows of packets.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bundle;
mod engine;
mod error;
mod file;
pub mod kitnet;

pub use bundle::{
    AutoencoderSummary, Bundle, CalibratedOn, Calibration, CaptureProvenance, Check, Description, Foreign,
    HeldOut, MAX_NODES, MAX_PARTS, MAX_STRUCTURE_BYTES, Meaning, Model, OnnxFile, Provenance, Wanted,
    take_in,
};
pub use engine::{Engine, EngineError, Output, Port, Signature};
pub use error::ModelError;
pub use file::{MAX_FILE_BYTES, read_bounded, write_atomic};
