//! Sources and sinks: captures and tables in, scores, alerts, packets and matrices out.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod columns;
mod error;
pub mod labels;
pub mod linktype;
pub mod sink;
pub mod source;

pub use columns::{FEATURES, SCORES, VERDICTS};
pub use error::{RowError, SourceError, SourceErrorKind};
pub use source::{
    Content, Filter, Filtered, Positions, SourceOptions, Stop, open, open_all, open_any, open_with,
};
