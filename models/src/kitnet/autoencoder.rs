//! One trained autoencoder with tied weights (Kitsune §IV-D).

use super::dispatch;
use super::mt19937::Mt19937;
use super::normal::Column;
use super::real::Real;

/// A part of a model that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct Defect {
    /// The part, such as `ensemble[3].weights`.
    pub key: String,
    /// What is wrong with it, in one line.
    pub reason: String,
}

impl Defect {
    /// A defect of the part `key`. Control characters, which come from a damaged file, are written as escapes, so that
    /// the message is one line.
    pub fn new(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { key: printable(key.into()), reason: printable(reason.into()) }
    }

    /// The same defect of a part within `outer`.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        Self { key: format!("{outer}.{}", self.key), ..self }
    }
}

fn printable(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// An autoencoder: `z = σ(σ(x̂W + b)Wᵀ + c)` over inputs normalised by the extremes seen in training.
#[derive(Clone, Debug, PartialEq)]
pub struct Autoencoder {
    /// W: visible × hidden, row after row.
    pub weights: Vec<f64>,
    /// b: one for each hidden unit.
    pub hidden_bias: Vec<f64>,
    /// c: one for each visible unit.
    pub visible_bias: Vec<f64>,
    /// The smallest value of each input in training.
    pub norm_min: Vec<f64>,
    /// The largest value of each input in training.
    pub norm_max: Vec<f64>,
}

impl Autoencoder {
    /// Number of inputs.
    pub fn visible(&self) -> usize {
        self.visible_bias.len()
    }

    /// Number of hidden units.
    pub fn hidden(&self) -> usize {
        self.hidden_bias.len()
    }

    /// Untrained: weights uniform in ±1/visible from `seed`, biases 0, no extremes seen.
    pub(crate) fn untrained(visible: usize, hidden_ratio: f64, seed: u32) -> Self {
        let hidden = hidden_units(visible, hidden_ratio);
        let bound = 1.0 / visible as f64;
        let mut random = Mt19937::new(seed);
        Self {
            weights: (0..visible * hidden).map(|_| random.uniform(-bound, bound)).collect(),
            hidden_bias: vec![0.0; hidden],
            visible_bias: vec![0.0; visible],
            norm_min: vec![f64::INFINITY; visible],
            norm_max: vec![f64::NEG_INFINITY; visible],
        }
    }

    /// Checks shapes, finiteness and that no minimum lies above its maximum.
    ///
    /// # Errors
    /// Names the first part that is wrong.
    pub fn validate(&self) -> Result<(), Defect> {
        self.check_shape()?;
        for (key, values) in self.parts() {
            check_finite(key, values)?;
        }
        match self.norm_min.iter().zip(&self.norm_max).position(|(min, max)| min > max) {
            Some(i) => Err(Defect::new(format!("norm_min[{i}]"), "lies above norm_max")),
            None => Ok(()),
        }
    }

    /// Checks the numbers of one in training: all finite but for the extremes of inputs that were not seen yet.
    pub(crate) fn check_trained(&self) -> Result<(), Defect> {
        for (key, values) in &self.parts()[..3] {
            check_finite(key, values)?;
        }
        let unseen = (f64::INFINITY, f64::NEG_INFINITY);
        let extremes = self.norm_min.iter().copied().zip(self.norm_max.iter().copied());
        let fits =
            |(min, max): (f64, f64)| (min, max) == unseen || min.is_finite() && max.is_finite() && min <= max;
        match extremes.map(fits).position(|fits| !fits) {
            Some(i) => Err(Defect::new(format!("norm_min[{i}]"), "is not finite, or lies above norm_max")),
            None => Ok(()),
        }
    }

    /// Checks the lengths of all parts against the numbers of units.
    pub(crate) fn check_shape(&self) -> Result<(), Defect> {
        let (visible, hidden) = (self.visible(), self.hidden());
        if visible == 0 || hidden == 0 {
            return Err(Defect::new("visible_bias", "an autoencoder needs visible and hidden units"));
        }
        let lens = [visible * hidden, hidden, visible, visible, visible];
        for ((key, values), len) in self.parts().into_iter().zip(lens) {
            if values.len() != len {
                return Err(Defect::new(key, format!("expected {len} values, found {}", values.len())));
            }
        }
        Ok(())
    }

    fn parts(&self) -> [(&'static str, &[f64]); 5] {
        [
            ("weights", &self.weights),
            ("hidden_bias", &self.hidden_bias),
            ("visible_bias", &self.visible_bias),
            ("norm_min", &self.norm_min),
            ("norm_max", &self.norm_max),
        ]
    }

    /// Divisor of the normalisation of input `v`; above 0 even for an input that never varied.
    pub(crate) fn range(&self, v: usize) -> f64 {
        self.norm_max[v] - self.norm_min[v] + 1e-16
    }

    /// Factor that makes a sum over the inputs a mean.
    pub(crate) fn mean_factor(&self) -> f64 {
        1.0 / self.visible() as f64
    }

    /// Normalised inputs and their reconstruction for one row, with the bits of the batch kernel.
    pub(crate) fn reconstruct(&self, inputs: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut x, mut y, mut z) =
            (vec![0.0; self.visible()], vec![0.0; self.hidden()], vec![0.0; self.visible()]);
        dispatch::reconstruct(self, inputs, [&mut x, &mut y, &mut z]);
        (x, z)
    }

    /// [`reconstruct`](Self::reconstruct) into memory for visible, hidden and visible units.
    #[inline(always)]
    pub(super) fn reconstruct_into(&self, inputs: &[f64], [x, y, z]: [&mut [f64]; 3]) {
        for (v, (x, input)) in x.iter_mut().zip(inputs).enumerate() {
            *x = Column::of(self, v).apply(*input);
        }
        y.iter_mut().zip(&self.hidden_bias).for_each(|(y, bias)| *y = f64::weight(*bias));
        for (weights, x) in self.weights.chunks_exact(y.len()).zip(x.iter()) {
            y.iter_mut().zip(weights).for_each(|(y, weight)| *y = f64::weight(*weight).mul_add(*x, *y));
        }
        y.iter_mut().for_each(|y| *y = y.logistic());
        for ((z, bias), weights) in
            z.iter_mut().zip(&self.visible_bias).zip(self.weights.chunks_exact(y.len()))
        {
            let terms = weights.iter().zip(y.iter());
            *z = terms.fold(f64::weight(*bias), |sum, (w, y)| f64::weight(*w).mul_add(*y, sum)).logistic();
        }
    }

    /// The RMSE between normalised inputs and their reconstruction, with the bits of the batch kernel.
    pub(crate) fn rmse(&self, x: &[f64], z: &[f64]) -> f64 {
        let sum = x.iter().zip(z).fold(0.0, |sum, (x, z)| {
            let deviation: f64 = x - z;
            deviation.mul_add(deviation, sum)
        });
        (sum * self.mean_factor()).sqrt()
    }
}

fn check_finite(key: &str, values: &[f64]) -> Result<(), Defect> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(Defect::new(format!("{key}[{i}]"), format!("{} is not a finite number", values[i]))),
        None => Ok(()),
    }
}

/// Hidden units of an autoencoder: the ratio of the visible ones, rounded up.
fn hidden_units(visible: usize, ratio: f64) -> usize {
    ((visible as f64 * ratio).ceil() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrained_weights_follow_the_seed() {
        let net = Autoencoder::untrained(10, 0.75, 1234);
        assert_eq!((net.visible(), net.hidden(), net.weights.len()), (10, 8, 80));
        // numpy.random.RandomState(1234).uniform(-0.1, 0.1)
        assert_eq!(net.weights[0], -0.1 + 0.2 * 0.191_519_450_378_892_3);
        assert!(net.weights.iter().all(|w| w.abs() <= 0.1));
    }

    #[test]
    fn defects_are_named() {
        let mut net = Autoencoder::untrained(3, 0.75, 1);
        assert_eq!(net.validate().unwrap_err().key, "norm_min[0]");
        net.norm_min = vec![0.0; 3];
        net.norm_max = vec![1.0; 3];
        assert_eq!(net.validate(), Ok(()));
        net.weights[4] = f64::NAN;
        assert_eq!(net.validate().unwrap_err().to_string(), "weights[4]: NaN is not a finite number");
        net.weights.pop();
        assert_eq!(net.validate().unwrap_err().key, "weights");
    }
}
