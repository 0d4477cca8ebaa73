//! The columns of networks.

use legonf_core::{ColumnSpec, Element};

/// Feature vectors, as an extractor or a table gives them.
pub(crate) const FEATURES: ColumnSpec = ColumnSpec::rows("features", Element::F64);
/// Features in the order in which the network takes them.
pub const MAPPED: ColumnSpec = ColumnSpec::rows("mapped", Element::F64Tiles);
/// Reconstruction errors (RMSE) of the autoencoders of an ensemble.
pub const ERRORS: ColumnSpec = ColumnSpec::rows("errors", Element::F64Tiles);
/// Anomaly scores.
pub const SCORES: ColumnSpec = ColumnSpec::scalar("scores", Element::F64);
