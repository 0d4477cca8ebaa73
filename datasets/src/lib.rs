//! Labelled captures: seeded generators, composites and the catalogue.
//!
//! [`generate`] makes synthetic traffic, the same bytes for the same seed on every machine, fast enough to feed
//! benchmarks from memory.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
pub mod generate;

pub use error::DatasetError;
