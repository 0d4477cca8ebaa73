//! KitNET: training, execution and the model bundle.
//!
//! [`kitnet`] trains and runs the network. [`Engine`] is what any other network is run by. Nothing here knows of packets.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod engine;
pub mod kitnet;

pub use engine::{Engine, EngineError};
