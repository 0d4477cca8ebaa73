//! Mean distance from the mean, in standard deviations.

use super::Scale;

/// Scores a row by the mean of |x − mean| / standard deviation over its features.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanZ {
    /// Mean and standard deviation of each feature.
    pub scale: Scale,
}

impl MeanZ {
    pub(crate) fn fit(rows: &[&[f64]]) -> Self {
        Self { scale: Scale::of(rows) }
    }

    #[inline(always)]
    pub(crate) fn score<const W: usize>(&self, x: &[[f64; W]]) -> [f64; W] {
        let mut sums = [0.0; W];
        for (feature, cells) in x.iter().enumerate() {
            let z = self.scale.lanes(feature, cells);
            for lane in 0..W {
                sums[lane] += z[lane].abs();
            }
        }
        sums.map(|sum| sum / x.len() as f64)
    }

    pub(crate) fn shares(&self, row: &[f64]) -> Vec<f64> {
        self.scale.apply(row).into_iter().map(f64::abs).collect()
    }
}
