//! Incremental correlation of features (KitNET's `corClust`, Kitsune §IV-D).

use super::{bits, dispatch};
use serde::{Deserialize, Serialize};

/// Running sums from which the correlation distance of every pair of features is computed.
///
/// The means include the row being added, as in the reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Correlation {
    rows: u64,
    #[serde(with = "bits")]
    sums: Vec<f64>,
    #[serde(with = "bits")]
    squared_residuals: Vec<f64>,
    #[serde(with = "bits")]
    products: Vec<f64>,
    #[serde(skip)]
    residuals: Vec<f64>,
}

impl Correlation {
    pub(crate) fn new(features: usize) -> Self {
        Self {
            rows: 0,
            sums: vec![0.0; features],
            squared_residuals: vec![0.0; features],
            products: vec![0.0; features * features],
            residuals: vec![0.0; features],
        }
    }

    /// Whether the sums belong to `rows` rows of `features` columns.
    pub(crate) fn fits(&self, features: usize, rows: u64) -> bool {
        self.rows == rows
            && self.sums.len() == features
            && self.squared_residuals.len() == features
            && self.products.len() == features * features
    }

    /// Adds one row.
    pub(crate) fn update(&mut self, row: &[f64]) {
        self.rows += 1;
        let count = self.rows as f64;
        self.residuals.resize(row.len(), 0.0);
        for (i, x) in row.iter().enumerate() {
            self.sums[i] += x;
            let residual = x - self.sums[i] / count;
            self.residuals[i] = residual;
            self.squared_residuals[i] += residual * residual;
        }
        dispatch::add_products(&mut self.products, &self.residuals);
    }

    /// The correlation distance 1 − ρ of every pair, row after row; negative ones become 0. A feature
    /// that never varied is at distance 1 from every other.
    pub(crate) fn distances(&self) -> Vec<f64> {
        let roots: Vec<f64> = self.squared_residuals.iter().map(|s| s.sqrt()).collect();
        let pairs = roots.iter().flat_map(|a| roots.iter().map(move |b| a * b));
        self.products.iter().zip(pairs).map(|(product, scale)| distance(*product, scale)).collect()
    }
}

/// Adds a bᵀ to `products`, where a = b = `residuals`. Not fused, as in the reference.
#[inline(always)]
pub(crate) fn add_products(products: &mut [f64], residuals: &[f64]) {
    for (products, a) in products.chunks_exact_mut(residuals.len()).zip(residuals) {
        for (product, b) in products.iter_mut().zip(residuals) {
            *product += a * b;
        }
    }
}

fn distance(product: f64, scale: f64) -> f64 {
    let scale = if scale == 0.0 { 1e-100 } else { scale };
    let distance = 1.0 - product / scale;
    if distance < 0.0 { 0.0 } else { distance }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportional_features_are_close_and_constant_ones_far() {
        let mut correlation = Correlation::new(3);
        for i in 0..10 {
            let x = f64::from(i * i % 7);
            correlation.update(&[x, 2.0 * x, 5.0]);
        }
        let distances = correlation.distances();
        assert!(distances[1] < 1e-15, "{distances:?}");
        assert_eq!((distances[2], distances[5]), (1.0, 1.0));
        assert!(correlation.fits(3, 10) && !correlation.fits(3, 9));
    }
}
