//! The networks that are trained here.

mod layers;
mod ops;
mod steps;

pub(crate) use layers::{Convolution, Weights};
pub(crate) use steps::Steps;

use crate::random::Random;
use crate::{Architecture, Samples};
use candle_core::{D, Device, Result, Tensor};
use layers::{Classes, Dense, Windows};
use legonf_extract::flow::{IMAGE_BYTES, STATISTICS};

/// Channels of the convolutions of [`Architecture::DeepNfv`], and units of its first fully connected layer.
const IMAGE_CHANNELS: [usize; 5] = [1, 32, 64, 128, 128];
const IMAGE_UNITS: usize = 512;
const SIDE: usize = 28;

/// Bytes that convolutions read; of those behind them there are statistics.
pub(crate) const READ: usize = 256;
/// Numbers that a byte is embedded as; they begin as its bits.
const EMBEDDED: usize = 8;
/// Kernel, stride, padding and channels of the convolutions over bytes.
pub(crate) const LINE: [(usize, usize, usize, usize); 3] = [(8, 4, 0, 32), (3, 2, 1, 64), (3, 2, 1, 96)];
/// Units of the dense layer behind them.
const UNITS: usize = 128;
/// Embedded bytes that the dense layer takes as they are: headers have their fields at fixed places.
pub(crate) const FIRST: usize = 32;
/// Share of these units that is left out of each step.
const LEFT_OUT: f64 = 0.3;

/// A network with its weights.
pub(crate) struct Network {
    pub(crate) architecture: Architecture,
    pub(crate) weights: Weights,
    pub(crate) body: Body,
    pub(crate) classes: Classes,
}

/// What is before the last layer.
pub(crate) enum Body {
    Image(Image),
    Line(Line),
}

pub(crate) struct Image {
    pub(crate) convolutions: Vec<Convolution>,
    pub(crate) dense: Dense,
}

pub(crate) struct Line {
    /// \[256, numbers of a byte\].
    pub(crate) embedding: candle_core::Var,
    pub(crate) convolutions: Vec<Convolution>,
    pub(crate) dense: Dense,
    pub(crate) steps: Steps,
    /// Statistics and sequence of a row, before they are steps.
    pub(crate) structured: usize,
}

/// Rows of a batch as a network takes them.
pub(crate) struct Rows {
    bytes: Vec<u8>,
    structured: Vec<f32>,
    count: usize,
}

impl Rows {
    pub(crate) fn of(samples: &Samples, rows: &[usize]) -> Self {
        let mut batch = Self { bytes: Vec::new(), structured: Vec::new(), count: rows.len() };
        for row in rows {
            batch.bytes.extend_from_slice(samples.bytes(*row));
            batch.structured.extend_from_slice(samples.statistics(*row));
            batch.structured.extend_from_slice(samples.sequence(*row));
        }
        batch
    }
}

impl Network {
    /// A network with random weights, for samples like these. Their statistics and sequences become the steps that are given, or
    /// such as are learnt from the samples.
    pub(crate) fn new(
        architecture: Architecture,
        samples: &Samples,
        steps: Option<&Steps>,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let mut weights = Weights::new(device, seed);
        let (body, width) = match architecture {
            Architecture::DeepNfv => (Body::Image(Image::new(&mut weights)?), IMAGE_UNITS),
            Architecture::Classifier => (Body::Line(Line::new(&mut weights, samples, steps)?), UNITS),
        };
        let classes = Classes::new(&mut weights, (width, samples.classes.len()))?;
        Ok(Self { architecture, weights, body, classes })
    }

    /// Values of the classes, \[rows, classes\]; `dropout` is there in training.
    pub(crate) fn forward(&self, rows: &Rows, dropout: Option<&mut Random>) -> Result<Tensor> {
        let device = &self.weights.device;
        match &self.body {
            Body::Image(image) => self.classes.forward(&image.forward(rows, device, dropout.is_some())?),
            Body::Line(line) => {
                let units = line.forward(rows, device, dropout.is_some())?;
                self.classes.forward(&leave_out(units, dropout)?)
            }
        }
    }

    /// Probabilities of the classes for every sample, row by row.
    pub(crate) fn probabilities(&self, samples: &Samples) -> Result<Vec<f32>> {
        let mut all = Vec::with_capacity(samples.len() * samples.classes.len());
        let rows: Vec<usize> = (0..samples.len()).collect();
        for batch in rows.chunks(256) {
            let values = self.forward(&Rows::of(samples, batch), None)?;
            all.extend(log_probabilities(&values)?.exp()?.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(all)
    }

    /// Numbers that are learnt.
    pub(crate) fn parameters(&self) -> usize {
        self.weights.named.iter().filter(|weight| weight.learnt).map(|weight| weight.var.elem_count()).sum()
    }
}

/// The logarithm of the softmax of rows.
pub(crate) fn log_probabilities(values: &Tensor) -> Result<Tensor> {
    let lower = values.broadcast_sub(&values.max_keepdim(D::Minus1)?)?;
    lower.broadcast_sub(&lower.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

/// Leaves out random units and raises the others, in training.
fn leave_out(units: Tensor, random: Option<&mut Random>) -> Result<Tensor> {
    let Some(random) = random else { return Ok(units) };
    let kept = (1.0 / (1.0 - LEFT_OUT)) as f32;
    let mask = (0..units.elem_count()).map(|_| if random.unit() < LEFT_OUT { 0.0 } else { kept });
    let mask = Tensor::from_vec(mask.collect::<Vec<f32>>(), units.shape(), units.device())?;
    units.mul(&mask)
}

impl Image {
    fn new(weights: &mut Weights) -> Result<Self> {
        let mut convolutions = Vec::new();
        let mut side = SIDE;
        for (at, channels) in IMAGE_CHANNELS.windows(2).enumerate() {
            let name = format!("convolution{at}");
            convolutions.push(Convolution::new(
                weights,
                &name,
                Windows::square(side),
                (channels[0], channels[1]),
                false,
            )?);
            side = if at + 2 < IMAGE_CHANNELS.len() { side / 2 } else { side };
        }
        let flat = side * side * IMAGE_CHANNELS[IMAGE_CHANNELS.len() - 1];
        Ok(Self { convolutions, dense: Dense::new(weights, "dense", (flat, IMAGE_UNITS), false)? })
    }

    fn forward(&self, rows: &Rows, device: &Device, training: bool) -> Result<Tensor> {
        let pixels: Vec<f32> = rows.bytes.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        let mut cells = Tensor::from_vec(pixels, (rows.count, IMAGE_BYTES, 1), device)?;
        let mut side = SIDE;
        for (at, convolution) in self.convolutions.iter().enumerate() {
            cells = convolution.forward(&cells, training)?;
            if at + 1 < self.convolutions.len() {
                cells = ops::greatest(&cells, &Windows::halves(side).places, 4)?;
                side /= 2;
            }
        }
        self.dense.forward(&cells.flatten_from(1)?, training)
    }
}

impl Line {
    fn new(weights: &mut Weights, samples: &Samples, steps: Option<&Steps>) -> Result<Self> {
        let bit = |byte: usize, bit: usize| if byte >> bit & 1 == 1 { 1.0 } else { -1.0 };
        let bits = (0..256).flat_map(|byte| (0..EMBEDDED).map(move |at| bit(byte, at))).collect();
        let embedding = weights.learnt("embedding".into(), bits, &[256, EMBEDDED])?;
        let (mut length, mut channels) = (READ, EMBEDDED);
        let mut convolutions = Vec::new();
        for (at, (kernel, stride, padding, outputs)) in LINE.into_iter().enumerate() {
            let windows = Windows::line(length, kernel, stride, padding);
            length = windows.outputs;
            convolutions.push(Convolution::new(
                weights,
                &format!("convolution{at}"),
                windows,
                (channels, outputs),
                true,
            )?);
            channels = outputs;
        }
        let structured = STATISTICS + samples.sequence_width;
        let learn = || {
            let all = Rows::of(samples, &(0..samples.len()).collect::<Vec<_>>());
            Steps::learn(&all.structured, structured)
        };
        let steps = steps.cloned().unwrap_or_else(learn);
        let seen = channels + FIRST * EMBEDDED;
        let dense = Dense::new(weights, "dense", (seen + steps.len(), UNITS), true)?;
        Ok(Self { embedding, convolutions, dense, steps, structured })
    }

    fn forward(&self, rows: &Rows, device: &Device, training: bool) -> Result<Tensor> {
        let mut cells = self.convolved(rows, device, training)?;
        for convolution in &self.convolutions[1..] {
            cells = convolution.forward(&cells, training)?;
        }
        let all: Vec<u32> = (0..cells.dim(1)? as u32).collect();
        let seen = ops::greatest(&cells, &all, all.len())?.flatten_from(1)?;
        let mut steps = Vec::with_capacity(rows.count * self.steps.len());
        rows.structured.chunks_exact(self.structured).for_each(|row| self.steps.of(row, &mut steps));
        let steps = Tensor::from_vec(steps, (rows.count, self.steps.len()), device)?;
        let first = rows.bytes.chunks_exact(IMAGE_BYTES).flat_map(|row| &row[..FIRST]);
        let first = self.embedded(first.map(|byte| u32::from(*byte)).collect(), device)?;
        let first = first.reshape((rows.count, FIRST * EMBEDDED))?;
        self.dense.forward(&Tensor::cat(&[seen, first, steps], 1)?, training)
    }

    /// The first convolution: its windows are taken of the bytes, before they are embedded.
    fn convolved(&self, rows: &Rows, device: &Device, training: bool) -> Result<Tensor> {
        let first = &self.convolutions[0];
        let places = &first.windows.places;
        let of_row =
            |row: &[u8]| places.iter().map(|place| u32::from(row[*place as usize])).collect::<Vec<_>>();
        let bytes = rows.bytes.chunks_exact(IMAGE_BYTES).flat_map(of_row).collect();
        first.of_windows(&self.embedded(bytes, device)?, rows.count, training)
    }

    fn embedded(&self, bytes: Vec<u32>, device: &Device) -> Result<Tensor> {
        let count = bytes.len();
        self.embedding.index_select(&Tensor::from_vec(bytes, count, device)?, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Flow;

    fn samples() -> Samples {
        let mut samples = Samples::new(vec!["a".into(), "b".into(), "c".into()], Vec::new(), 2);
        for row in 0..5u8 {
            samples.push(&Flow {
                bytes: &[row, 3, 200 + row],
                sequence: &[1.0, f32::from(row)],
                label: row.into(),
                group: 0,
            });
        }
        samples
    }

    #[test]
    fn networks_have_the_sizes_that_are_said_of_them() {
        let samples = samples();
        let network = |architecture| Network::new(architecture, &samples, None, 1, &Device::Cpu).unwrap();
        let (deep, line) = (network(Architecture::DeepNfv), network(Architecture::Classifier));
        assert!((800_000..1_000_000).contains(&deep.parameters()), "{}", deep.parameters());
        assert!((60_000..120_000).contains(&line.parameters()), "{}", line.parameters());
        assert_eq!(Architecture::of_name("deepnfv"), Some(Architecture::DeepNfv));
    }

    #[test]
    fn probabilities_of_a_row_sum_to_one_whatever_is_beside_it() {
        let samples = samples();
        for architecture in [Architecture::DeepNfv, Architecture::Classifier] {
            let network = Network::new(architecture, &samples, None, 1, &Device::Cpu).unwrap();
            let all = network.probabilities(&samples).unwrap();
            assert!(all.chunks_exact(3).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5), "{all:?}");
            let one = network.probabilities(&samples.subset(&[3])).unwrap();
            assert!(one.iter().zip(&all[9..12]).all(|(a, b)| (a - b).abs() < 1e-5), "{one:?} {all:?}");
        }
    }
}
