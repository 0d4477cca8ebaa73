//! Detectors beside KitNET over the same features: statistics of benign rows, and scores of how unlike them a row is.
//!
//! A [`Trainer`] takes rows one by one and keeps a bounded, seeded sample of them, from which all detectors are made. A [`Detector`] is
//! one of them, or an ensemble whose members' scores are made comparable by their [tails](Tail). A row with a value that is not
//! finite is passed over in training, and its score is NaN. A feature that was constant in training keeps its own unit, as in
//! scikit-learn's `StandardScaler`. Scores have the same bits on every instruction set and for every batch size.

mod bins;
mod box_plot;
mod detector;
mod ecod;
mod eigen;
mod explain;
mod forest;
mod hbos;
mod kernel;
mod logarithm;
mod mean_z;
mod method;
mod nearest;
mod pca;
mod sample;
mod scale;
mod tail;
#[cfg(test)]
mod tests;
mod trainer;

pub use bins::{Bins, CELLS, EDGES};
pub use box_plot::BoxPlot;
pub use detector::{Detector, Member};
pub use ecod::Ecod;
pub use explain::DetectorExplainer;
pub(crate) use forest::depth as forest_depth;
pub use forest::{Forest, TREES};
pub use hbos::Hbos;
pub use kernel::Scratch;
pub use mean_z::MeanZ;
pub use method::{Method, UnknownMethod};
pub use nearest::{CORESET, Nearest};
pub use pca::Pca;
pub use sample::MOST_ROWS;
pub use scale::Scale;
pub(crate) use tail::value as tail_value;
pub use tail::{KNOTS, Tail};
pub use trainer::{DetectorConfig, FEWEST_ROWS, Fitted, TrainError, Trainer};

/// The value at a rank from 0 to 1 of sorted values, interpolated between neighbours.
///
/// # Panics
/// If there is none.
pub(crate) fn sample_quantile(sorted: &[f64], rank: f64) -> f64 {
    let at = rank * (sorted.len() - 1) as f64;
    let (low, part) = (at.floor() as usize, at.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * part
}
