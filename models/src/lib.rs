//! KitNET: training, execution and the model bundle.
//!
//! [`kitnet`] trains and runs the network. A [`Bundle`] is a model as one ONNX file with everything that is
//! needed to use it. [`Engine`] is what any other network is run by. Nothing here knows of packets.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bundle;
mod engine;
mod error;
mod file;
pub mod kitnet;

pub use bundle::{
    AutoencoderSummary, Bundle, Calibration, CaptureProvenance, Check, Content, Description, Foreign,
    HeldOut, MAX_NODES, MAX_PARTS, MAX_STRUCTURE_BYTES, Meaning, Model, Provenance, take_in,
};
pub use engine::{Engine, EngineError, Output, Port, Signature};
pub use error::ModelError;
pub use file::{MAX_FILE_BYTES, read_bounded, write_atomic};
