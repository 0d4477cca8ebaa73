//! What executing a row takes, to be set beside what a processor can do.

use super::dispatch::{ROWS_F32, ROWS_F64};
use super::logistic::{OPERATIONS_F32, OPERATIONS_F64};
use super::{Autoencoder, KitNet, Precision};

/// Operations and bytes of one row in a large batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Floating-point operations, a fused multiply-add counting two; comparisons and conversions count nothing.
    pub operations: u64,
    /// Those of them that are divisions: one for each logistic function.
    pub divisions: u64,
    /// Bytes of weights and biases, which are read once for all rows of a tile.
    pub weight_bytes: f64,
}

impl KitNet {
    /// What executing a row in this precision takes.
    pub fn effort(&self, precision: Precision) -> Effort {
        let (logistic, normalisation, size, rows) = match precision {
            Precision::F64 => (OPERATIONS_F64, 2, size_of::<f64>(), ROWS_F64),
            Precision::F32 => (OPERATIONS_F32, 2, size_of::<f32>(), ROWS_F32),
        };
        let (mut operations, mut divisions, mut weights) = (0, 0, 0);
        for a in self.ensemble().iter().chain([self.output()]) {
            let (visible, hidden) = (a.visible() as u64, a.hidden() as u64);
            operations +=
                4 * visible * hidden + (visible + hidden) * logistic + visible * normalisation + errors(a);
            divisions += visible + hidden;
            weights += 2 * visible * hidden + visible + hidden;
        }
        Effort { operations, divisions, weight_bytes: weights as f64 * size as f64 / rows as f64 }
    }
}

/// A difference, its square and its sum for each input; a mean and a root.
fn errors(autoencoder: &Autoencoder) -> u64 {
    3 * autoencoder.visible() as u64 + 2
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::small;
    use super::*;

    #[test]
    fn single_precision_takes_less() {
        let model = small().0;
        let [double, single] = [Precision::F64, Precision::F32].map(|precision| model.effort(precision));
        let products: usize =
            model.ensemble().iter().chain([model.output()]).map(|a| 4 * a.visible() * a.hidden()).sum();
        assert!(single.operations > products as u64 && double.operations > single.operations);
        assert!((double.weight_bytes / single.weight_bytes - 4.0).abs() < 1e-12);
    }
}
