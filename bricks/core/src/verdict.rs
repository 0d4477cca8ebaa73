//! What is decided of a packet.

use serde::{Deserialize, Serialize};

/// The decision on one packet. A value, never an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The score is at or below the threshold.
    #[default]
    Benign,
    /// The score is above the threshold.
    Anomalous,
    /// The score is not a finite number, so nothing was decided. Counted as rejected.
    Rejected,
}

impl Verdict {
    /// The word written to results.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Benign => "benign",
            Self::Anomalous => "anomalous",
            Self::Rejected => "rejected",
        }
    }
}
