//! Features by their mean and standard deviation.

/// What makes features comparable: (x − mean) · inverse.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// Mean of each feature.
    pub mean: Vec<f64>,
    /// 1 / standard deviation of each feature; 1 of a constant one.
    pub inverse: Vec<f64>,
}

impl Scale {
    /// That of rows: the standard deviation is that of the population.
    ///
    /// # Panics
    /// If there is no row.
    pub(crate) fn of(rows: &[&[f64]]) -> Self {
        let count = rows.len() as f64;
        let mut mean = vec![0.0; rows[0].len()];
        for row in rows {
            mean.iter_mut().zip(*row).for_each(|(sum, cell)| *sum += cell);
        }
        mean.iter_mut().for_each(|sum| *sum /= count);
        let mut squares = vec![0.0; mean.len()];
        for row in rows {
            let cells = row.iter().zip(&mean);
            squares
                .iter_mut()
                .zip(cells)
                .for_each(|(sum, (cell, mean))| *sum += (cell - mean) * (cell - mean));
        }
        let inverse = squares.iter().zip(&mean).map(|(sum, mean)| inverse(sum / count, *mean, count));
        Self { inverse: inverse.collect(), mean }
    }

    /// A row's features by this scale.
    pub(crate) fn apply(&self, row: &[f64]) -> Vec<f64> {
        let of = self.mean.iter().zip(&self.inverse);
        row.iter().zip(of).map(|(cell, (mean, inverse))| (cell - mean) * inverse).collect()
    }

    /// The same of rows in lanes.
    #[inline(always)]
    pub(crate) fn lanes<const W: usize>(&self, feature: usize, cells: &[f64; W]) -> [f64; W] {
        let (mean, inverse) = (self.mean[feature], self.inverse[feature]);
        cells.map(|cell| (cell - mean) * inverse)
    }

    /// The parts of which the first is not a finite number, if one is.
    pub(crate) fn is_finite(&self) -> bool {
        self.mean.iter().chain(&self.inverse).all(|value| value.is_finite())
    }
}

/// The inverse of a standard deviation, unless that is no more than the rounding of a constant feature, by the bound of scikit-learn.
fn inverse(variance: f64, mean: f64, count: f64) -> f64 {
    let rounding = count * f64::EPSILON * variance + (count * mean * f64::EPSILON).powi(2);
    let inverse = 1.0 / variance.sqrt();
    if variance <= rounding || !inverse.is_finite() { 1.0 } else { inverse }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_features_keep_their_unit() {
        let scale = Scale::of(&[&[1.0, 0.1, 7.0], &[3.0, 0.1, 7.0], &[5.0, 0.1, 7.0]]);
        assert_eq!(scale.inverse[1..], [1.0, 1.0]);
        let expected = 1.0 / (8.0_f64 / 3.0).sqrt();
        assert_eq!((scale.mean[0], scale.inverse[0]), (3.0, expected));
        assert_eq!(scale.apply(&[5.0, 0.1, 9.0])[2], 2.0);
    }
}
