//! Distances beyond the whiskers of box plots.

use super::sample_quantile;

/// Whiskers end so many interquartile ranges beyond the quartiles.
const WHISKER: f64 = 1.5;

/// Scores a row by the mean, over its features, of the distance beyond the whiskers in interquartile ranges. The range of a feature
/// whose quartiles are equal is 1.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxPlot {
    /// Lower whisker of each feature.
    pub low: Vec<f64>,
    /// Upper whisker of each feature.
    pub high: Vec<f64>,
    /// 1 / interquartile range of each feature.
    pub inverse: Vec<f64>,
}

impl BoxPlot {
    /// Of features whose values are sorted.
    pub(crate) fn fit(columns: &[Vec<f64>]) -> Self {
        let mut fitted = Self { low: Vec::new(), high: Vec::new(), inverse: Vec::new() };
        for column in columns {
            let (first, third) = (sample_quantile(column, 0.25), sample_quantile(column, 0.75));
            let inverse = 1.0 / (third - first);
            let (range, inverse) = if inverse.is_finite() { (third - first, inverse) } else { (0.0, 1.0) };
            fitted.low.push(first - WHISKER * range);
            fitted.high.push(third + WHISKER * range);
            fitted.inverse.push(inverse);
        }
        fitted
    }

    #[inline(always)]
    fn beyond(&self, feature: usize, cell: f64) -> f64 {
        let distance = (self.low[feature] - cell).max(cell - self.high[feature]);
        distance.max(0.0) * self.inverse[feature]
    }

    #[inline(always)]
    pub(crate) fn score<const W: usize>(&self, x: &[[f64; W]]) -> [f64; W] {
        let mut sums = [0.0; W];
        for (feature, cells) in x.iter().enumerate() {
            for lane in 0..W {
                sums[lane] += self.beyond(feature, cells[lane]);
            }
        }
        sums.map(|sum| sum / x.len() as f64)
    }

    pub(crate) fn shares(&self, row: &[f64]) -> Vec<f64> {
        row.iter().enumerate().map(|(feature, cell)| self.beyond(feature, *cell)).collect()
    }
}
