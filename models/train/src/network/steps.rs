//! Statistics and sequences as steps, so that a network decides on thresholds as trees do.

/// Steps of a column at most: half of them by rows, half by values.
const STEPS: usize = 16;

/// Piecewise linear encoding of columns (Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning", 2022): each
/// step says how much of its range lies below the value, 0 to 1. The ranges of a column join at quantiles, so that heavy tails and
/// rare values have no greater weight than others.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Steps {
    /// The column of each step.
    pub(crate) columns: Vec<u32>,
    /// Where the step begins.
    pub(crate) low: Vec<f32>,
    /// How far it reaches; above 0.
    pub(crate) width: Vec<f32>,
}

impl Steps {
    /// Learns the steps of rows of `width` cells. A column with one value has none.
    pub(crate) fn learn(rows: &[f32], width: usize) -> Self {
        let mut steps = Self::default();
        for column in 0..width {
            let mut values: Vec<f32> = rows.iter().skip(column).step_by(width).copied().collect();
            edges(&mut values).windows(2).for_each(|pair| steps.push(column, pair[0], pair[1] - pair[0]));
        }
        if steps.len() == 0 {
            // Layers have an input at least.
            steps.push(0, 0.0, 1.0);
        }
        steps
    }

    fn push(&mut self, column: usize, low: f32, width: f32) {
        self.columns.push(column as u32);
        self.low.push(low);
        self.width.push(width);
    }

    /// Whether these are steps of rows of `width` cells.
    pub(crate) fn fit(&self, width: usize) -> bool {
        let count = self.len();
        let in_rows = self.columns.iter().all(|column| (*column as usize) < width);
        count > 0
            && in_rows
            && self.low.len() == count
            && self.width.iter().filter(|width| **width > 0.0).count() == count
    }

    /// Steps of a row.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Adds the steps of a row to `out`.
    pub(crate) fn of(&self, row: &[f32], out: &mut Vec<f32>) {
        let steps = self.columns.iter().zip(&self.low).zip(&self.width);
        out.extend(
            steps.map(|((column, low), width)| ((row[*column as usize] - low) / width).clamp(0.0, 1.0)),
        );
    }
}

/// Where the steps of a column join: at quantiles of its rows and at quantiles of its values, of which rare ones count as much as others.
fn edges(values: &mut Vec<f32>) -> Vec<f32> {
    values.sort_unstable_by(f32::total_cmp);
    let mut edges = quantiles(values).collect::<Vec<_>>();
    values.dedup();
    edges.extend(quantiles(values));
    edges.sort_unstable_by(f32::total_cmp);
    // Neighbours whose difference is lost in single precision are one value.
    edges.dedup_by(|next, edge| *next - *edge <= 0.0);
    edges
}

/// The least value, the greatest, and those that divide what is between them into equal parts.
fn quantiles(sorted: &[f32]) -> impl Iterator<Item = f32> {
    let parts = STEPS / 2;
    let last = sorted.len().saturating_sub(1);
    (0..=parts).filter_map(move |part| sorted.get((part * last + parts / 2) / parts).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(steps: &Steps, row: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        steps.of(row, &mut out);
        out
    }

    #[test]
    fn values_are_told_apart_by_their_rank_however_far_apart_they_are() {
        let rows: Vec<f32> =
            (0..=160).flat_map(|at| [if at == 160 { 1e6 } else { at as f32 }, 3.0]).collect();
        let steps = Steps::learn(&rows, 2);
        assert_eq!((steps.len(), steps.columns[7]), (8, 0));
        assert_eq!(of(&steps, &[-5.0, 9.0]), [0.0; 8]);
        assert_eq!(of(&steps, &[1e9, 9.0]), [1.0; 8]);
        assert_eq!(of(&steps, &[25.0, 3.0])[..3], [1.0, 0.25, 0.0]);
    }

    #[test]
    fn rare_values_have_steps_of_their_own() {
        let rows: Vec<f32> = (0..1000).map(|at| if at < 990 { 0.0 } else { at as f32 }).collect();
        let steps = Steps::learn(&rows, 1);
        assert!(steps.len() >= 8 && steps.low[1] >= 990.0, "{steps:?}");
    }

    #[test]
    fn a_column_of_few_values_has_as_few_steps() {
        let rows = [0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 4.0, 1.0];
        let steps = Steps::learn(&rows, 1);
        assert_eq!((steps.low, steps.width), (vec![0.0, 1.0], vec![1.0, 3.0]));
        assert_eq!(of(&Steps::learn(&[2.0; 9], 3), &[2.0, 0.0, 0.0]), [1.0]);
    }

    #[test]
    fn steps_of_other_rows_are_known() {
        let steps = Steps::learn(&[0.0, 1.0, 5.0, 1.0, 2.0, 7.0], 3);
        assert!(steps.fit(3) && !steps.fit(2));
        assert!(!Steps { low: vec![0.0], ..steps.clone() }.fit(3));
        assert!(!Steps { width: vec![0.0; steps.len()], ..steps }.fit(3) && !Steps::default().fit(3));
    }
}
