//! The columns that sources here fill and sinks read, by the names that the bricks that own them give them.

use legonf_core::{ColumnSpec, Element};

/// Feature vectors, as a table of them gives them or an extractor.
pub const FEATURES: ColumnSpec = ColumnSpec::rows("features", Element::F64);
/// Anomaly scores.
pub const SCORES: ColumnSpec = ColumnSpec::scalar("scores", Element::F64);
/// Verdicts.
pub const VERDICTS: ColumnSpec = ColumnSpec::of_scores("verdicts");
