//! Reconstruction by principal components.

use super::Scale;
use super::eigen::eigenvectors;
use super::kernel::{PANEL, Panels, fma};
use super::logarithm::{exponential, logarithm};

/// The part of the variance that the components hold at least: of features, and of their logarithms.
const VARIANCE: f64 = 0.95;
const LOG_VARIANCE: f64 = 0.9;

/// Scores a row by the root of the mean squared difference between its standardised features and their reconstruction from the
/// first components; of the features, or of their logarithms, since the statistics of traffic have heavy tails. The
/// components are orthonormal, so that the square is the one of the features less that of their coefficients.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// Mean and standard deviation of each feature.
    pub scale: Scale,
    /// The components: one value for each feature.
    pub components: Vec<Vec<f64>>,
    /// Whether logarithms stand in the place of features.
    pub logarithmic: bool,
    /// The components as they are multiplied with features.
    forward: Panels,
}

impl Pca {
    /// A projection onto components.
    pub fn new(scale: Scale, components: Vec<Vec<f64>>, logarithmic: bool) -> Self {
        let width = scale.mean.len();
        let forward = Panels::new(components.len(), width, |unit, input| components[unit][input]);
        Self { scale, components, logarithmic, forward }
    }

    /// Of rows, without the features that are not `used`.
    pub(crate) fn fit(rows: &[&[f64]], used: &[bool]) -> Self {
        Self::of(rows, used, false)
    }

    /// The same of the logarithms of the features.
    pub(crate) fn fit_logarithms(rows: &[&[f64]], used: &[bool]) -> Self {
        let logarithms: Vec<Vec<f64>> =
            rows.iter().map(|row| row.iter().copied().map(logarithm).collect()).collect();
        Self::of(&logarithms.iter().map(Vec::as_slice).collect::<Vec<_>>(), used, true)
    }

    fn of(rows: &[&[f64]], used: &[bool], logarithmic: bool) -> Self {
        let mut scale = Scale::of(rows);
        let unused = scale.inverse.iter_mut().zip(used).filter(|(_, used)| !**used);
        unused.for_each(|(inverse, _)| *inverse = 0.0);
        let width = scale.mean.len();
        let found = eigenvectors(covariance(rows, &scale), width);
        let all: f64 = found.iter().map(|(value, _)| value.max(0.0)).sum();
        let part = if logarithmic { LOG_VARIANCE } else { VARIANCE };
        let mut held = 0.0;
        let needed = found.into_iter().take_while(|(value, _)| {
            let more = held < part * all;
            held += value.max(0.0);
            more
        });
        Self::new(scale, needed.map(|(_, vector)| vector).collect(), logarithmic)
    }

    #[inline(always)]
    pub(crate) fn score<const W: usize>(&self, x: &[[f64; W]], z: &mut [[f64; W]]) -> [f64; W] {
        let mut squares = [0.0; W];
        for (feature, (z, cells)) in z.iter_mut().zip(x).enumerate() {
            let cells = if self.logarithmic { cells.map(logarithm) } else { *cells };
            *z = self.scale.lanes(feature, &cells);
            squares = fma(z, z, &squares);
        }
        let z = &z[..x.len()];
        for panel in 0..self.components.len().div_ceil(PANEL) {
            for y in &self.forward.sums(panel, z) {
                squares = fma(&y.map(|y| -y), y, &squares);
            }
        }
        squares.map(|sum| (sum.max(0.0) / x.len() as f64).sqrt())
    }

    /// The row as the components put it together again.
    pub(crate) fn reconstruct(&self, row: &[f64]) -> Vec<f64> {
        let z = self.reconstruct_scaled(&self.scaled(row));
        let of = self.scale.mean.iter().zip(&self.scale.inverse);
        let values = z.iter().zip(of).map(|(z, (mean, inverse))| {
            // Of a feature that is not looked at, nothing but the mean is expected.
            let offset = if *inverse > 0.0 { z / inverse } else { 0.0 };
            if self.logarithmic { exponential(offset + mean) } else { offset + mean }
        });
        values.collect()
    }

    fn scaled(&self, row: &[f64]) -> Vec<f64> {
        let value = |cell: &f64| if self.logarithmic { logarithm(*cell) } else { *cell };
        self.scale.apply(&row.iter().map(value).collect::<Vec<_>>())
    }

    fn reconstruct_scaled(&self, z: &[f64]) -> Vec<f64> {
        let mut back = vec![0.0; z.len()];
        for component in &self.components {
            let y: f64 = component.iter().zip(z).map(|(c, z)| c * z).sum();
            back.iter_mut().zip(component).for_each(|(back, c)| *back += c * y);
        }
        back
    }

    pub(crate) fn shares(&self, row: &[f64]) -> Vec<f64> {
        let z = self.scaled(row);
        self.reconstruct_scaled(&z).iter().zip(&z).map(|(back, z)| (z - back) * (z - back)).collect()
    }
}

/// The covariance of standardised features.
fn covariance(rows: &[&[f64]], scale: &Scale) -> Vec<f64> {
    let n = scale.mean.len();
    let mut sums = vec![0.0; n * n];
    for row in rows {
        let z = scale.apply(row);
        for (p, a) in z.iter().enumerate() {
            let sums = &mut sums[p * n + p..(p + 1) * n];
            sums.iter_mut().zip(&z[p..]).for_each(|(sum, b)| *sum += a * b);
        }
    }
    let cell = |at: usize| sums[(at / n).min(at % n) * n + (at / n).max(at % n)] / rows.len() as f64;
    (0..n * n).map(cell).collect()
}
