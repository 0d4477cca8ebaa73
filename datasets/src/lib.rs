//! Labelled captures: seeded generators, composites and a catalogue of public data sets.
//!
//! [`generate`] makes synthetic traffic, the same bytes for the same seed on every machine, fast enough to feed
//! benchmarks from memory. [`compose`] merges attacks of some captures into the benign traffic of another.
//! [`catalogue`] describes public data sets, and [`mod@fetch`] downloads their files.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod catalogue;
pub mod compose;
mod error;
pub mod fetch;
pub mod generate;

pub use error::DatasetError;
