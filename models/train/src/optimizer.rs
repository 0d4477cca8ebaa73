//! Steps along gradients.

use crate::network::Weights;
use crate::options::Optimizer;
use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};

const MOMENTUM: f64 = 0.9;
const SQUARES: f64 = 0.999;
const EPSILON: f64 = 1e-8;
/// Share of a weight that a full step of Adam takes away from it.
const DECAY: f64 = 0.01;

/// Moments of the gradients so far, for each weight of a network.
pub(crate) struct Moments {
    optimizer: Optimizer,
    pub(crate) steps: u64,
    pub(crate) first: Vec<Tensor>,
    /// Of squares; none without Adam.
    pub(crate) second: Vec<Tensor>,
}

impl Moments {
    pub(crate) fn new(optimizer: Optimizer, weights: &Weights) -> Result<Self> {
        let zeros = || weights.named.iter().map(|weight| weight.var.zeros_like()).collect::<Result<Vec<_>>>();
        let second = if optimizer == Optimizer::Adam { zeros()? } else { Vec::new() };
        Ok(Self { optimizer, steps: 0, first: zeros()?, second })
    }

    /// One step of at most `rate` for every weight that is learnt.
    pub(crate) fn step(&mut self, weights: &Weights, gradients: &GradStore, rate: f64) -> Result<()> {
        self.steps += 1;
        for (at, weight) in weights.named.iter().enumerate() {
            let Some(gradient) = gradients.get(&weight.var).filter(|_| weight.learnt) else { continue };
            // A gradient still holds all that it was computed from.
            let gradient = &gradient.detach();
            let old = weight.var.as_detached_tensor();
            let new = match self.optimizer {
                Optimizer::Sgd => {
                    self.first[at] = ((&self.first[at] * MOMENTUM)? + gradient)?;
                    (old - (&self.first[at] * rate)?)?
                }
                Optimizer::Adam => ((old * (1.0 - DECAY * rate))? - self.adaptive(at, gradient, rate)?)?,
            };
            weight.var.set(&new)?;
        }
        Ok(())
    }

    fn adaptive(&mut self, at: usize, gradient: &Tensor, rate: f64) -> Result<Tensor> {
        self.first[at] = ((&self.first[at] * MOMENTUM)? + (gradient * (1.0 - MOMENTUM))?)?;
        self.second[at] = ((&self.second[at] * SQUARES)? + (gradient.sqr()? * (1.0 - SQUARES))?)?;
        let steps = self.steps.min(1 << 30) as i32;
        let mean = (&self.first[at] / (1.0 - MOMENTUM.powi(steps)))?;
        let square = (&self.second[at] / (1.0 - SQUARES.powi(steps)))?;
        (mean * rate)? / (square.sqrt()? + EPSILON)?
    }
}

/// The part of the greatest rate at a step: it rises over the first twentieth of the steps and falls to zero as a cosine does.
pub(crate) fn schedule(step: u64, steps: u64) -> f64 {
    let (at, all) = (step as f64 + 1.0, steps as f64 + 1.0);
    let rise = (all / 20.0).max(1.0);
    (at / rise).min(1.0) * 0.5 * (1.0 + (std::f64::consts::PI * at / all).cos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{D, Device};

    #[test]
    fn both_find_the_least_of_a_parabola() {
        for optimizer in [Optimizer::Sgd, Optimizer::Adam] {
            let mut weights = Weights::new(&Device::Cpu, 1);
            let var = weights.uniform("w".into(), &[1, 3], 1).unwrap();
            let mut moments = Moments::new(optimizer, &weights).unwrap();
            for step in 0..400 {
                let loss = (var.as_tensor() - 0.25)
                    .unwrap()
                    .sqr()
                    .unwrap()
                    .sum(D::Minus1)
                    .unwrap()
                    .sum_all()
                    .unwrap();
                moments.step(&weights, &loss.backward().unwrap(), 0.05 * schedule(step, 400)).unwrap();
            }
            let found = var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(found.iter().all(|w| (w - 0.25).abs() < 0.01), "{optimizer:?} {found:?}");
        }
    }

    #[test]
    fn the_rate_rises_and_falls() {
        let all: Vec<f64> = (0..100).map(|step| schedule(step, 100)).collect();
        let most = (0..100).max_by(|a, b| all[*a].total_cmp(&all[*b])).unwrap();
        assert!((3..8).contains(&most) && all[0] < 0.3 && all[99] < 0.01, "{most} {all:?}");
    }
}
