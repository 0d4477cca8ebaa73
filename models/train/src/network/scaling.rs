//! Statistics and sequences on one scale.

use serde::{Deserialize, Serialize};

/// A column whose greatest value is so many times its median is squashed.
const HEAVY: f32 = 20.0;

/// How each column of structured features is brought to a scale on which a network learns: `x / (x + c)` where a few values are much
/// greater than most, then less its mean, over its deviation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scaling {
    /// What `x` is multiplied with in the divisor: 1 where the column is squashed, else 0.
    pub(crate) squash: Vec<f32>,
    /// `c`, or 1.
    pub(crate) plus: Vec<f32>,
    pub(crate) mean: Vec<f32>,
    pub(crate) deviation: Vec<f32>,
}

impl Scaling {
    /// Learns the scale of rows of `width` cells.
    pub(crate) fn learn(rows: &[f32], width: usize) -> Self {
        let mut scaling = Self::default();
        for column in 0..width {
            let mut values: Vec<f32> = rows.iter().skip(column).step_by(width).copied().collect();
            let plus = heavy(&mut values);
            let (squash, plus) = plus.map_or((0.0, 1.0), |plus| (1.0, plus));
            let squashed = values.iter().map(|x| f64::from(x / (squash * x + plus)));
            let count = values.len().max(1) as f64;
            let mean = squashed.clone().sum::<f64>() / count;
            let variance = squashed.map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
            scaling.squash.push(squash);
            scaling.plus.push(plus);
            scaling.mean.push(mean as f32);
            scaling.deviation.push(if variance > 1e-12 { variance.sqrt() as f32 } else { 1.0 });
        }
        scaling
    }

    /// Its parts by name.
    pub(crate) fn parts(&self) -> [(&'static str, &[f32]); 4] {
        [("squash", &self.squash), ("plus", &self.plus), ("mean", &self.mean), ("deviation", &self.deviation)]
    }

    /// Brings rows to the scale.
    pub(crate) fn apply(&self, rows: &mut [f32]) {
        let width = self.plus.len().max(1);
        for row in rows.chunks_exact_mut(width) {
            for (column, x) in row.iter_mut().enumerate() {
                let squashed = *x / (self.squash[column] * *x + self.plus[column]);
                *x = (squashed - self.mean[column]) / self.deviation[column];
            }
        }
    }
}

/// The median of the values above zero, where none is below zero and one is far above it.
fn heavy(values: &mut [f32]) -> Option<f32> {
    values.sort_unstable_by(f32::total_cmp);
    let (first, last) = (*values.first()?, *values.last()?);
    let above = &values[values.partition_point(|value| *value <= 0.0)..];
    let median = *above.get(above.len() / 2)?;
    (first >= 0.0 && last > HEAVY * median).then_some(median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_come_to_one_scale_and_heavy_tails_are_squashed() {
        let mut rows: Vec<f32> =
            (0..100).flat_map(|at| [at as f32, if at == 7 { 1e6 } else { 1.0 }, 3.0]).collect();
        let scaling = Scaling::learn(&rows, 3);
        assert_eq!(scaling.squash, [0.0, 1.0, 0.0]);
        scaling.apply(&mut rows);
        assert!(rows.iter().all(|cell| cell.abs() < 11.0), "{rows:?}");
        let mean = rows.iter().step_by(3).sum::<f32>() / 100.0;
        assert!(mean.abs() < 1e-5);
        assert!(rows.iter().skip(2).step_by(3).all(|cell| *cell == 0.0));
    }
}
