//! Training of one network.

use crate::metrics::{Confusion, Quality};
use crate::network::{Network, Rows, Steps, log_probabilities};
use crate::optimizer::{Moments, schedule};
use crate::options::Options;
use crate::random::Random;
use crate::{Epoch, Samples, TrainError};
use candle_core::{Device, Result as Made, Tensor};

/// A network in training.
pub(crate) struct Fit {
    pub(crate) member: usize,
    pub(crate) network: Network,
    pub(crate) moments: Moments,
    /// Passes that are over.
    pub(crate) epochs: usize,
    /// Passes since the least loss on the validation part.
    pub(crate) stale: usize,
    /// That loss, and the weights of then, in their order.
    pub(crate) best: Option<(f64, Vec<Tensor>)>,
}

/// What a network is trained with.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) options: &'a Options,
    pub(crate) training: &'a Samples,
    pub(crate) validation: &'a Samples,
}

impl Fit {
    /// A network with random weights. The steps of its features are those that are given, or learnt.
    pub(crate) fn new(parts: Parts<'_>, member: usize, steps: Option<&Steps>, device: &Device) -> Made<Self> {
        let Parts { options, training, .. } = parts;
        let seed = options.seed.wrapping_mul(1000).wrapping_add(member as u64);
        let network = Network::new(options.architecture, training, steps, seed, device)?;
        let moments = Moments::new(options.optimizer, &network.weights)?;
        Ok(Self { member, network, moments, epochs: 0, stale: 0, best: None })
    }

    /// Whether training has come to its end.
    pub(crate) fn is_over(&self, options: &Options) -> bool {
        self.epochs >= options.epochs || self.stale >= options.patience
    }

    /// One pass over the samples, and a look at the validation part.
    ///
    /// # Errors
    /// If candle fails, or `observe` says no.
    pub(crate) fn pass(
        &mut self,
        parts: Parts<'_>,
        observe: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Epoch, TrainError> {
        let Parts { options, training, .. } = parts;
        let weights = options.class_weights.of(&training.counts());
        let mut random =
            Random::of(options.seed.wrapping_mul(1000).wrapping_add(self.member as u64), self.epochs as u64);
        let mut order: Vec<usize> = (0..training.len()).collect();
        random.shuffle(&mut order);
        let batches: Vec<&[usize]> = order.chunks(options.batch).filter(|batch| batch.len() > 1).collect();
        let steps = (batches.len() * options.epochs) as u64;
        let mut loss = 0.0;
        for batch in &batches {
            let rate = options.learning_rate * schedule(self.moments.steps, steps);
            loss += self.learn(training, batch, &weights, rate, &mut random)? * batch.len() as f64;
            if !observe(batch.len()) {
                return Err(TrainError::Stopped);
            }
        }
        self.epochs += 1;
        Ok(self.look(parts, loss / training.len().max(1) as f64)?)
    }

    /// Learns from one batch; the mean cross-entropy before.
    fn learn(
        &mut self,
        samples: &Samples,
        batch: &[usize],
        weights: &[f32],
        rate: f64,
        random: &mut Random,
    ) -> Made<f64> {
        let values = self.network.forward(&Rows::of(samples, batch), Some(random))?;
        let labels: Vec<usize> = batch.iter().map(|row| samples.labels()[*row]).collect();
        let loss = cross_entropy(&values, &labels, weights)?;
        self.moments.step(&self.network.weights, &loss.backward()?, rate)?;
        loss.to_scalar::<f32>().map(f64::from)
    }

    /// How good the network is on the validation part; its weights are kept where it never was better.
    fn look(&mut self, parts: Parts<'_>, training_loss: f64) -> Made<Epoch> {
        let validation = parts.validation;
        let probabilities = self.network.probabilities(validation)?;
        let classes = validation.classes.len();
        let of_row = |(label, row): (&usize, &[f32])| -f64::from(row[*label].max(1e-9)).ln();
        let sum: f64 = validation.labels().iter().zip(probabilities.chunks_exact(classes)).map(of_row).sum();
        let loss = sum / validation.len().max(1) as f64;
        let confusion = Confusion::of(&validation.classes, validation.labels(), &probabilities);
        let better = self.best.as_ref().is_none_or(|(best, _)| loss < *best);
        self.stale = if better { 0 } else { self.stale + 1 };
        if better {
            let copies =
                self.network.weights.named.iter().map(|weight| weight.var.as_detached_tensor().copy());
            self.best = Some((loss, copies.collect::<Made<_>>()?));
        }
        let Quality { precision, recall } = confusion.macro_average();
        Ok(Epoch {
            member: self.member,
            epoch: self.epochs,
            training_loss,
            validation_loss: loss,
            validation_accuracy: confusion.accuracy(),
            validation_precision: precision,
            validation_recall: recall,
        })
    }

    /// The network with its best weights.
    pub(crate) fn finish(self) -> Made<Network> {
        if let Some((_, best)) = &self.best {
            self.network
                .weights
                .named
                .iter()
                .zip(best)
                .try_for_each(|(weight, best)| weight.var.set(best))?;
        }
        Ok(self.network)
    }
}

/// Part of the target that all classes share alike, so that networks do not become more certain than they are right.
const SMOOTHED: f32 = 0.1;

/// The mean cross-entropy of rows, each counting by its class.
fn cross_entropy(values: &Tensor, labels: &[usize], weights: &[f32]) -> Made<Tensor> {
    let (rows, classes) = values.dims2()?;
    let all: f32 = labels.iter().map(|label| weights[*label]).sum();
    let mut targets = vec![0.0f32; rows * classes];
    for (row, label) in targets.chunks_exact_mut(classes).zip(labels) {
        let weight = -weights[*label] / all;
        row.fill(weight * SMOOTHED / classes as f32);
        row[*label] += weight * (1.0 - SMOOTHED);
    }
    let targets = Tensor::from_vec(targets, (rows, classes), values.device())?;
    log_probabilities(values)?.mul(&targets)?.sum_all()
}
