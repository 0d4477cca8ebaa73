//! Layers of networks, and the weights that they are made of.

use super::ops::{EPSILON, Statistics, moments, normalize_and_rectify};
use crate::random::Random;
use candle_core::{Device, Result, Tensor, Var};

/// Share of a batch's statistics in the running ones.
const RUNNING: f32 = 0.1;

/// Weights of a network by name, in the order in which they were made.
pub(crate) struct Weights {
    pub(crate) device: Device,
    random: Random,
    pub(crate) named: Vec<Weight>,
}

pub(crate) struct Weight {
    pub(crate) name: String,
    pub(crate) var: Var,
    /// Whether it is learnt by its gradient.
    pub(crate) learnt: bool,
}

impl Weights {
    pub(crate) fn new(device: &Device, seed: u64) -> Self {
        Self { device: device.clone(), random: Random::new(seed), named: Vec::new() }
    }

    fn add(&mut self, name: String, cells: Vec<f32>, shape: &[usize], learnt: bool) -> Result<Var> {
        let var = Var::from_vec(cells, shape, &self.device)?;
        self.named.push(Weight { name, var: var.clone(), learnt });
        Ok(var)
    }

    /// Uniform numbers whose variance is `2 / inputs`.
    pub(crate) fn uniform(&mut self, name: String, shape: &[usize], inputs: usize) -> Result<Var> {
        let bound = (6.0 / inputs as f64).sqrt();
        let cells =
            (0..shape.iter().product()).map(|_| ((2.0 * self.random.unit() - 1.0) * bound) as f32).collect();
        self.add(name, cells, shape, true)
    }

    /// Numbers that are learnt, from these on.
    pub(crate) fn learnt(&mut self, name: String, cells: Vec<f32>, shape: &[usize]) -> Result<Var> {
        self.add(name, cells, shape, true)
    }

    fn constant(&mut self, name: String, value: f32, width: usize, learnt: bool) -> Result<Var> {
        self.add(name, vec![value; width], &[width], learnt)
    }
}

/// Normalization over the batch, where there is any, then the greater of zero and what is there.
pub(crate) struct Activation {
    pub(crate) gain: Var,
    pub(crate) offset: Var,
    pub(crate) running: Option<Running>,
}

/// Means and variances over the batches so far.
pub(crate) struct Running {
    pub(crate) mean: Var,
    pub(crate) variance: Var,
}

impl Activation {
    pub(crate) fn new(weights: &mut Weights, name: &str, width: usize, normalized: bool) -> Result<Self> {
        let gain = weights.constant(format!("{name}.gain"), 1.0, width, normalized)?;
        let offset = weights.constant(format!("{name}.offset"), 0.0, width, true)?;
        let running = if normalized {
            let mean = weights.constant(format!("{name}.mean"), 0.0, width, false)?;
            let variance = weights.constant(format!("{name}.variance"), 1.0, width, false)?;
            Some(Running { mean, variance })
        } else {
            None
        };
        Ok(Self { gain, offset, running })
    }

    fn forward(&self, rows: &Tensor, training: bool) -> Result<Tensor> {
        let statistics = match &self.running {
            None => {
                let width = self.offset.elem_count();
                Statistics { mean: vec![0.0; width], scale: vec![1.0; width], of_batch: false }
            }
            Some(running) if training => running.observe(rows)?,
            Some(running) => running.statistics()?,
        };
        normalize_and_rectify(rows, &self.gain, &self.offset, statistics)
    }
}

fn scales(variance: &[f32]) -> Vec<f32> {
    variance.iter().map(|variance| 1.0 / (variance + EPSILON).sqrt()).collect()
}

impl Running {
    /// The statistics of a batch, which become part of the running ones.
    fn observe(&self, rows: &Tensor) -> Result<Statistics> {
        let (mean, variance) = moments(rows)?;
        for (running, seen) in [(&self.mean, &mean), (&self.variance, &variance)] {
            let old = running.to_vec1::<f32>()?;
            let new: Vec<f32> =
                old.iter().zip(seen).map(|(old, seen)| old + RUNNING * (seen - old)).collect();
            running.set(&Tensor::from_vec(new, old.len(), running.device())?)?;
        }
        Ok(Statistics { mean, scale: scales(&variance), of_batch: true })
    }

    fn statistics(&self) -> Result<Statistics> {
        let scale = scales(&self.variance.to_vec1::<f32>()?);
        Ok(Statistics { mean: self.mean.to_vec1::<f32>()?, scale, of_batch: false })
    }
}

/// Where the kernel of a convolution reads for each place of its output; `u32::MAX` stands for the padding.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    pub(crate) places: Vec<u32>,
    /// Places of the output.
    pub(crate) outputs: usize,
    /// Places that each reads.
    pub(crate) size: usize,
}

impl Windows {
    /// Along a line, with as much padding on both sides.
    pub(crate) fn line(length: usize, kernel: usize, stride: usize, padding: usize) -> Self {
        let outputs = (length + 2 * padding - kernel) / stride + 1;
        let place = |at: usize| match at.checked_sub(padding) {
            Some(at) if at < length => at as u32,
            _ => u32::MAX,
        };
        let places = (0..outputs).flat_map(|out| (0..kernel).map(move |k| place(out * stride + k)));
        Self { places: places.collect(), outputs, size: kernel }
    }

    /// Three by three in a square, with padding so that the output is as large.
    pub(crate) fn square(side: usize) -> Self {
        let line = Self::line(side, 3, 1, 1);
        let rows = line.places.chunks_exact(3);
        let join = |down: u32, across: u32| match (down, across) {
            (u32::MAX, _) | (_, u32::MAX) => u32::MAX,
            (down, across) => down * side as u32 + across,
        };
        let places = rows.clone().flat_map(|down| {
            rows.clone().flat_map(move |across| {
                down.iter().flat_map(move |d| across.iter().map(move |a| join(*d, *a)))
            })
        });
        Self { places: places.collect(), outputs: side * side, size: 9 }
    }

    /// Squares of two by two in a square, side by side; an odd last row or column is left out.
    pub(crate) fn halves(side: usize) -> Self {
        let half = side / 2;
        let corner = |out: usize| ((out / half) * 2 * side + (out % half) * 2) as u32;
        let places = (0..half * half)
            .flat_map(|out| [0, 1, side as u32, side as u32 + 1].map(|step| corner(out) + step));
        Self { places: places.collect(), outputs: half * half, size: 4 }
    }
}

/// A convolution, with what follows it.
pub(crate) struct Convolution {
    /// \[places of the kernel × channels in, channels out\].
    pub(crate) weight: Var,
    pub(crate) activation: Activation,
    pub(crate) windows: Windows,
    index: Tensor,
}

impl Convolution {
    pub(crate) fn new(
        weights: &mut Weights,
        name: &str,
        windows: Windows,
        (inputs, outputs): (usize, usize),
        normalized: bool,
    ) -> Result<Self> {
        let rows = windows.size * inputs;
        let weight = weights.uniform(format!("{name}.weight"), &[rows, outputs], rows)?;
        let activation = Activation::new(weights, name, outputs, normalized)?;
        let index = Tensor::from_slice(&windows.places, windows.places.len(), &weights.device)?;
        Ok(Self { weight, activation, windows, index })
    }

    /// \[rows, positions, channels in\] to \[rows, positions, channels out\].
    pub(crate) fn forward(&self, cells: &Tensor, training: bool) -> Result<Tensor> {
        self.of_windows(&cells.index_select(&self.index, 1)?, cells.dim(0)?, training)
    }

    /// The same of cells that lie window by window.
    pub(crate) fn of_windows(&self, cells: &Tensor, rows: usize, training: bool) -> Result<Tensor> {
        let (inputs, outputs) = self.weight.dims2()?;
        let windows = cells.reshape((rows * self.windows.outputs, inputs))?;
        let out = self.activation.forward(&windows.matmul(&self.weight)?, training)?;
        out.reshape((rows, self.windows.outputs, outputs))
    }
}

/// A dense layer, rectified and perhaps normalized.
pub(crate) struct Dense {
    /// \[in, out\].
    pub(crate) weight: Var,
    pub(crate) activation: Activation,
}

impl Dense {
    pub(crate) fn new(
        weights: &mut Weights,
        name: &str,
        (inputs, outputs): (usize, usize),
        normalized: bool,
    ) -> Result<Self> {
        let weight = weights.uniform(format!("{name}.weight"), &[inputs, outputs], inputs)?;
        Ok(Self { weight, activation: Activation::new(weights, name, outputs, normalized)? })
    }

    pub(crate) fn forward(&self, rows: &Tensor, training: bool) -> Result<Tensor> {
        self.activation.forward(&rows.matmul(&self.weight)?, training)
    }
}

/// The last layer: a value for each class.
pub(crate) struct Classes {
    /// \[in, classes\].
    pub(crate) weight: Var,
    pub(crate) offset: Var,
}

impl Classes {
    pub(crate) fn new(weights: &mut Weights, (inputs, outputs): (usize, usize)) -> Result<Self> {
        let weight = weights.uniform("classes.weight".into(), &[inputs, outputs], 2 * inputs)?;
        Ok(Self { weight, offset: weights.constant("classes.offset".into(), 0.0, outputs, true)? })
    }

    pub(crate) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        rows.matmul(&self.weight)?.broadcast_add(&self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_read_where_a_convolution_does() {
        let line = Windows::line(5, 3, 2, 1);
        let none = u32::MAX;
        assert_eq!((line.outputs, line.places), (3, vec![none, 0, 1, 1, 2, 3, 3, 4, none]));
        let square = Windows::square(3);
        assert_eq!(square.places[..9], [none, none, none, none, 0, 1, none, 3, 4]);
        assert_eq!(square.places[36..45], [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Windows::halves(5).places, [0, 1, 5, 6, 2, 3, 7, 8, 10, 11, 15, 16, 12, 13, 17, 18]);
    }
}
