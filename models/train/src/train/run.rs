//! Networks, trained one after another.

use super::Course;
use crate::base::Base;
use crate::checkpoint::Checkpoint;
use crate::fit::{Fit, Parts};
use crate::network::{Network, Steps};
use crate::{Architecture, Epoch, Step, TrainError};
use candle_core::Device;
use legonf_extract::flow::STATISTICS;
use std::path::Path;

/// What training is done on.
#[cfg(feature = "cuda")]
fn device() -> Result<Device, TrainError> {
    Ok(Device::cuda_if_available(0)?)
}

/// What training is done on.
#[cfg(not(feature = "cuda"))]
fn device() -> Result<Device, TrainError> {
    Ok(Device::Cpu)
}

/// Trains the networks of a classifier.
pub(super) fn networks(
    parts: Parts<'_>,
    course: Course<'_>,
    observe: &mut dyn FnMut(Step, Option<&Epoch>) -> bool,
) -> Result<(Vec<Network>, Vec<Epoch>), TrainError> {
    let mut run = Run::new(parts, course)?;
    while run.networks.len() < parts.options.members {
        run.member(observe)?;
    }
    Ok((run.networks, run.curve))
}

/// A training on its way.
struct Run<'a> {
    parts: Parts<'a>,
    course: Course<'a>,
    base: Option<Base<'a>>,
    /// Those of the model that training begins with.
    steps: Option<Steps>,
    device: Device,
    networks: Vec<Network>,
    curve: Vec<Epoch>,
    /// The network in training, where a checkpoint has one.
    now: Option<Fit>,
}

impl<'a> Run<'a> {
    fn new(parts: Parts<'a>, course: Course<'a>) -> Result<Self, TrainError> {
        let (device, networks, curve) = (device()?, Vec::new(), Vec::new());
        let architecture = parts.options.architecture;
        let base = course.base.map(|path| Base::read(path, architecture)).transpose()?;
        let structured = STATISTICS + parts.training.sequence_width;
        let wanted = base.as_ref().filter(|_| architecture == Architecture::Classifier);
        let steps = wanted.map(|base| base.steps(structured)).transpose()?;
        let mut run = Self { parts, course, base, steps, device, networks, curve, now: None };
        if let Some(path) = course.checkpoint.filter(|_| course.resume) {
            run.resume(path)?;
        }
        Ok(run)
    }

    fn resume(&mut self, path: &Path) -> Result<(), TrainError> {
        let checkpoint = Checkpoint::load(path, self.parts)?;
        for member in 0..checkpoint.finished() {
            let fit = self.fit(member)?;
            self.networks.push(checkpoint.network(fit, path)?);
        }
        let fit = self.fit(checkpoint.finished())?;
        self.now = checkpoint.fit(fit, path)?;
        self.curve = checkpoint.into_curve();
        Ok(())
    }

    /// Trains one network to its end.
    fn member(&mut self, observe: &mut dyn FnMut(Step, Option<&Epoch>) -> bool) -> Result<(), TrainError> {
        let mut fit = match self.now.take() {
            Some(fit) => fit,
            None => self.begin()?,
        };
        let options = self.parts.options;
        let of_pass = self.parts.training.len() as u64;
        let all = of_pass * (options.epochs * options.members) as u64;
        while !fit.is_over(options) {
            let mut done = of_pass * (options.epochs * fit.member + fit.epochs) as u64;
            let epoch = fit.pass(self.parts, &mut |rows| {
                done += rows as u64;
                observe(Step { done, all }, None)
            })?;
            self.curve.push(epoch);
            if let Some(path) = self.course.checkpoint {
                Checkpoint::save(path, self.parts, &self.networks, &fit, &self.curve)?;
            }
            if !observe(Step { done, all }, self.curve.last()) {
                return Err(TrainError::Stopped);
            }
        }
        self.networks.push(fit.finish()?);
        Ok(())
    }

    fn begin(&self) -> Result<Fit, TrainError> {
        let fit = self.fit(self.networks.len())?;
        self.base.as_ref().map_or(Ok(()), |base| base.give(&fit.network))?;
        Ok(fit)
    }

    fn fit(&self, member: usize) -> Result<Fit, TrainError> {
        Ok(Fit::new(self.parts, member, self.steps.as_ref(), &self.device)?)
    }
}
