//! Reconstruction by principal components.

use super::Scale;
use super::eigen::eigenvectors;
use super::kernel::{PANEL, Panels, fma};

/// The part of the variance that the components hold at least.
const VARIANCE: f64 = 0.95;

/// Scores a row by the root of the mean squared difference between its standardised features and their reconstruction from the
/// first components.
#[derive(Clone, Debug, PartialEq)]
pub struct Pca {
    /// Mean and standard deviation of each feature.
    pub scale: Scale,
    /// The components: one value for each feature.
    pub components: Vec<Vec<f64>>,
    /// The components as they are multiplied with features, and with their coefficients.
    forward: Panels,
    back: Panels,
}

impl Pca {
    /// A projection onto components.
    pub fn new(scale: Scale, components: Vec<Vec<f64>>) -> Self {
        let width = scale.mean.len();
        let forward = Panels::new(components.len(), width, |unit, input| components[unit][input]);
        let back = Panels::new(width, components.len(), |unit, input| components[input][unit]);
        Self { scale, components, forward, back }
    }

    pub(crate) fn fit(rows: &[&[f64]]) -> Self {
        let scale = Scale::of(rows);
        let width = scale.mean.len();
        let found = eigenvectors(covariance(rows, &scale), width);
        let all: f64 = found.iter().map(|(value, _)| value.max(0.0)).sum();
        let mut held = 0.0;
        let needed = found.into_iter().take_while(|(value, _)| {
            let more = held < VARIANCE * all;
            held += value.max(0.0);
            more
        });
        Self::new(scale, needed.map(|(_, vector)| vector).collect())
    }

    #[inline(always)]
    pub(crate) fn score<const W: usize>(
        &self,
        x: &[[f64; W]],
        z: &mut [[f64; W]],
        y: &mut [[f64; W]],
    ) -> [f64; W] {
        for (feature, (z, cells)) in z.iter_mut().zip(x).enumerate() {
            *z = self.scale.lanes(feature, cells);
        }
        let (z, y) = (&z[..x.len()], &mut y[..self.components.len().next_multiple_of(PANEL)]);
        for (panel, y) in y.as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
            *y = self.forward.sums(panel, z);
        }
        let y = &y[..self.components.len()];
        let mut squares = [0.0; W];
        for (panel, z) in z.chunks(PANEL).enumerate() {
            let back = self.back.sums(panel, y);
            for (z, back) in z.iter().zip(&back) {
                let deviation: [f64; W] = std::array::from_fn(|lane| z[lane] - back[lane]);
                squares = fma(&deviation, &deviation, &squares);
            }
        }
        squares.map(|sum| (sum / x.len() as f64).sqrt())
    }

    /// The row as the components put it together again.
    pub(crate) fn reconstruct(&self, row: &[f64]) -> Vec<f64> {
        let z = self.reconstruct_scaled(&self.scale.apply(row));
        let of = self.scale.mean.iter().zip(&self.scale.inverse);
        z.iter().zip(of).map(|(z, (mean, inverse))| z / inverse + mean).collect()
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
        let z = self.scale.apply(row);
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
