//! What is decided about an item.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The decision on one item: the number of one of the labels that its column declares
/// ([`ColumnSpec::labels`](crate::ColumnSpec)), or [`REJECTED`](Self::REJECTED).
///
/// A value, never an error. A score against a threshold has three labels ([`ColumnSpec::of_scores`](crate::ColumnSpec::of_scores)),
/// a class has one label for each class.
///
/// ```
/// use legonf_core::{ColumnSpec, Verdict};
///
/// let verdicts = ColumnSpec::of_scores("verdicts");
/// assert_eq!(Verdict::ANOMALOUS.label(&verdicts.labels), "anomalous");
/// assert_eq!(Verdict::WARMING_UP.label(&verdicts.labels), "warming_up");
/// assert_eq!(Verdict::of(0), Verdict::BENIGN);
/// assert_eq!(Verdict::REJECTED.label(&verdicts.labels), "rejected");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Verdict(u16);

impl Verdict {
    /// The largest number of labels that a column of verdicts may have.
    pub const MOST: usize = u16::MAX as usize;
    /// The score is at or below the threshold: the first label of a decision on scores.
    pub const BENIGN: Self = Self(0);
    /// The score is above the threshold: the second label of a decision on scores.
    pub const ANOMALOUS: Self = Self(1);
    /// There is a score, but the statistics behind it have not settled, so it is not compared with the threshold: the third label
    /// of a decision on scores.
    pub const WARMING_UP: Self = Self(2);
    /// Nothing was decided, as where the score is not a finite number. Counted as rejected, whatever the labels.
    pub const REJECTED: Self = Self(u16::MAX);
    /// The word for [`REJECTED`](Self::REJECTED) in results and in graph files.
    pub const REJECTED_LABEL: &'static str = "rejected";

    /// The verdict of the label at this place.
    ///
    /// # Panics
    /// If `label` is not below [`MOST`](Self::MOST).
    pub const fn of(label: usize) -> Self {
        assert!(label < Self::MOST, "a label of a column");
        Self(label as u16)
    }

    /// The place of its label among `count` labels; `count` itself for [`REJECTED`](Self::REJECTED) and for any number that is no
    /// label.
    #[inline]
    pub fn place(self, count: usize) -> usize {
        usize::from(self.0).min(count)
    }

    /// Its label, as written to results, among those that its column declares; `rejected` if it has none.
    pub fn label<'a>(self, labels: &'a [Cow<'static, str>]) -> &'a str {
        labels.get(usize::from(self.0)).map_or(Self::REJECTED_LABEL, |label| label)
    }
}

/// Nothing decided.
impl Default for Verdict {
    fn default() -> Self {
        Self::REJECTED
    }
}

/// The place of the label.
impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::REJECTED => f.write_str(Self::REJECTED_LABEL),
            Self(label) => write!(f, "label {label}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_one_of_the_labels_of_its_column_or_none() {
        let labels = ["web".into(), "mail".into(), "unknown".into()];
        let words = [0, 1, 2].map(|place| Verdict::of(place).label(&labels));
        assert_eq!(words, ["web", "mail", "unknown"]);
        assert_eq!(Verdict::default().label(&labels), "rejected");
        // What is no label of this column was not decided by it.
        assert_eq!(Verdict::of(3).label(&labels), "rejected");
        let places = [Verdict::BENIGN, Verdict::of(2), Verdict::of(3), Verdict::REJECTED];
        assert_eq!(places.map(|verdict| verdict.place(labels.len())), [0, 2, 3, 3]);
    }
}
