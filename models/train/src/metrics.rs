//! How right a classifier is.

use serde::{Deserialize, Serialize};

/// How often which class was taken for which.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confusion {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Samples by their class (rows) and the class that they were taken for (columns).
    pub counts: Vec<Vec<u64>>,
}

/// Precision and recall, each 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Of what was taken for the class, the share that is of it.
    pub precision: f64,
    /// Of what is of the class, the share that was taken for it.
    pub recall: f64,
}

impl Quality {
    /// The mean of several.
    pub fn mean(all: &[Self]) -> Self {
        let count = all.len().max(1) as f64;
        let mean = |value: fn(&Self) -> f64| all.iter().map(value).sum::<f64>() / count;
        Self { precision: mean(|q| q.precision), recall: mean(|q| q.recall) }
    }
}

impl Confusion {
    /// Counts the most probable class of each row of `probabilities`.
    pub fn of(classes: &[String], labels: &[usize], probabilities: &[f32]) -> Self {
        let mut counts = vec![vec![0; classes.len()]; classes.len()];
        for (label, row) in labels.iter().zip(probabilities.chunks_exact(classes.len())) {
            counts[*label][most(row)] += 1;
        }
        Self { classes: classes.to_vec(), counts }
    }

    /// Precision and recall of a class. What nothing was taken for has a precision of 0.
    pub fn of_class(&self, class: usize) -> Quality {
        let right = self.counts[class][class] as f64;
        let share = |all: u64| if all == 0 { 0.0 } else { right / all as f64 };
        let taken = self.counts.iter().map(|row| row[class]).sum();
        Quality { precision: share(taken), recall: share(self.counts[class].iter().sum()) }
    }

    /// Precision and recall, averaged over the classes.
    pub fn macro_average(&self) -> Quality {
        Quality::mean(&(0..self.classes.len()).map(|class| self.of_class(class)).collect::<Vec<_>>())
    }

    /// The share of samples whose class was told.
    pub fn accuracy(&self) -> f64 {
        let all: u64 = self.counts.iter().flatten().sum();
        let right: u64 = (0..self.classes.len()).map(|class| self.counts[class][class]).sum();
        if all == 0 { 0.0 } else { right as f64 / all as f64 }
    }

    /// The mistakes that are made most often: class, taken for, samples.
    pub fn mistakes(&self, most: usize) -> Vec<(usize, usize, u64)> {
        let count = self.classes.len();
        let pairs = (0..count).flat_map(|class| (0..count).map(move |taken| (class, taken)));
        let mut found: Vec<_> = pairs
            .filter(|(class, taken)| class != taken)
            .map(|(class, taken)| (class, taken, self.counts[class][taken]))
            .filter(|(.., count)| *count > 0)
            .collect();
        found.sort_by_key(|(class, taken, count)| (std::cmp::Reverse(*count), *class, *taken));
        found.truncate(most);
        found
    }
}

/// The place of the greatest value; of equal ones the first.
pub(crate) fn most(row: &[f32]) -> usize {
    let greater = |best: usize, at: usize| if row[at] > row[best] { at } else { best };
    (1..row.len()).fold(0, greater)
}

/// The confidence that keeps a share of the right answers: below it a row is of no known class.
///
/// Of samples whose class was told the confidence of the most probable class is looked at. Without any, it is 0.
pub fn confidence(labels: &[usize], probabilities: &[f32], classes: usize, kept: f64) -> f64 {
    let rows = labels.iter().zip(probabilities.chunks_exact(classes));
    let mut right: Vec<f32> =
        rows.filter(|(label, row)| most(row) == **label).map(|(label, row)| row[*label]).collect();
    right.sort_unstable_by(f32::total_cmp);
    let lost = ((1.0 - kept) * right.len() as f64).floor() as usize;
    right.get(lost).map_or(0.0, |confidence| f64::from(*confidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_and_recall_are_of_the_counts() {
        let classes = ["a", "b"].map(String::from);
        let rows = [0.9, 0.1, 0.4, 0.6, 0.2, 0.8, 0.3, 0.7];
        let confusion = Confusion::of(&classes, &[0, 0, 1, 1], &rows);
        assert_eq!(confusion.counts, [[1, 1], [0, 2]]);
        assert_eq!(confusion.of_class(0), Quality { precision: 1.0, recall: 0.5 });
        assert_eq!(confusion.macro_average().recall, 0.75);
        assert_eq!((confusion.accuracy(), confusion.mistakes(3)), (0.75, vec![(0, 1, 1)]));
        let none = Confusion::of(&classes, &[0], &[0.1, 0.9]);
        assert_eq!(none.of_class(0), Quality::default());
    }

    #[test]
    fn the_confidence_keeps_the_share_of_right_answers() {
        let rows: Vec<f32> =
            (0..100).flat_map(|at| [0.5 + at as f32 / 200.0, 0.5 - at as f32 / 200.0]).collect();
        let found = confidence(&[0; 100], &rows, 2, 0.95);
        assert!((found - 0.525).abs() < 1e-6, "{found}");
        assert_eq!(confidence(&[1; 100], &rows[2..], 2, 0.95), 0.0);
    }
}
