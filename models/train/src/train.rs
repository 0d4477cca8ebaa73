//! Training of a classifier: networks from several seeds, and a forest beside them.

#[cfg(feature = "networks")]
mod run;

use crate::forest::{Features, Forest};
use crate::options::Options;
use crate::{Epoch, Samples, Step, TrainError};
use std::path::Path;

/// Networks and trees that have learnt.
pub struct Classifier {
    #[cfg_attr(not(feature = "networks"), expect(dead_code, reason = "there is no network"))]
    pub(crate) networks: Networks,
    pub(crate) forest: Option<Forest>,
    /// The forest's part in the probabilities, where there are networks too: 0 to 1.
    pub(crate) forest_share: f32,
    pub(crate) classes: Vec<String>,
    pub(crate) sequence_width: usize,
}

/// A classifier and how it came to be.
pub struct Trained {
    /// The classifier.
    pub classifier: Classifier,
    /// Every pass over the samples.
    pub curve: Vec<Epoch>,
}

/// Where training begins and what it leaves on its way.
#[derive(Clone, Copy, Default)]
pub struct Course<'a> {
    /// The checkpoint's file; none where there is to be none.
    pub checkpoint: Option<&'a Path>,
    /// Go on from the checkpoint.
    pub resume: bool,
    /// A model whose weights training begins with.
    pub base: Option<&'a Path>,
}

#[cfg(feature = "networks")]
type Networks = Vec<crate::network::Network>;
/// This build has no networks.
#[cfg(not(feature = "networks"))]
type Networks = Vec<std::convert::Infallible>;

#[cfg(feature = "networks")]
fn networks(
    options: &Options,
    (training, validation): (&Samples, &Samples),
    course: Course<'_>,
    observe: &mut dyn FnMut(Step, Option<&Epoch>) -> bool,
) -> Result<(Networks, Vec<Epoch>), TrainError> {
    run::networks(crate::fit::Parts { options, training, validation }, course, observe)
}

#[cfg(not(feature = "networks"))]
fn networks(
    options: &Options,
    _: (&Samples, &Samples),
    _: Course<'_>,
    _: &mut dyn FnMut(Step, Option<&Epoch>) -> bool,
) -> Result<(Networks, Vec<Epoch>), TrainError> {
    if options.members == 0 { Ok((Vec::new(), Vec::new())) } else { Err(TrainError::Unbuilt) }
}

/// Trains a classifier on `training`; when to stop is chosen by `validation`.
///
/// `observe` sees every step and every pass; training stops where it says no, and can go on from the last pass if there is a checkpoint.
///
/// # Errors
/// If an option is out of its range, a class has no samples, a file cannot be read or written or is of another training, or training
/// was stopped.
pub fn train(
    options: &Options,
    (training, validation): (&Samples, &Samples),
    course: Course<'_>,
    observe: &mut dyn FnMut(Step, Option<&Epoch>) -> bool,
) -> Result<Trained, TrainError> {
    options.check()?;
    training.check()?;
    let (networks, curve) = networks(options, (training, validation), course, observe)?;
    let forest =
        (options.trees > 0).then(|| Forest::random(training, Features::SHIPPED, options.trees, options.seed));
    let mut classifier = Classifier {
        networks,
        forest,
        forest_share: 0.5,
        classes: training.classes.clone(),
        sequence_width: training.sequence_width,
    };
    classifier.choose_share(validation)?;
    Ok(Trained { classifier, curve })
}

/// Shares of the forest that are tried.
const SHARES: [f32; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// How far the forest has to lead above what the networks could make up for: more than all rounding in single precision.
const MARGIN: f32 = 1e-4;

/// How probabilities of networks and of a forest become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Join {
    /// The forest's part in the mean.
    pub(crate) share: f32,
    /// The lead of the forest's best class above which its probabilities are taken alone, since networks could not change the class.
    /// None where no lead is as large.
    pub(crate) settled: Option<f32>,
}

impl Join {
    /// That of a share, in which the forest alone decides where it leads by enough.
    pub(crate) fn of(share: f32) -> Self {
        let bound = (1.0 - share) / share + MARGIN;
        Self { share, settled: (share < 1.0 && bound < 1.0).then_some(bound) }
    }

    /// The mean for every row.
    fn mean(share: f32) -> Self {
        Self { share, settled: None }
    }

    /// Joins rows of `classes` probabilities.
    fn rows(self, networks: &[f32], forest: &[f32], classes: usize) -> Vec<f32> {
        let rows = networks.chunks_exact(classes).zip(forest.chunks_exact(classes));
        let mean = |network: &f32, tree: &f32| network * (1.0 - self.share) + tree * self.share;
        rows.flat_map(|(networks, forest)| match self.settled.filter(|bound| lead(forest) > *bound) {
            Some(_) => forest.to_vec(),
            None => networks.iter().zip(forest).map(|(network, tree)| mean(network, tree)).collect(),
        })
        .collect()
    }
}

/// By how much the greatest number of a row is above the next one.
fn lead(row: &[f32]) -> f32 {
    let top = |[best, second]: [f32; 2], value: &f32| match *value {
        value if value > best => [value, best],
        value => [best, second.max(value)],
    };
    let [best, second] = row.iter().fold([f32::NEG_INFINITY; 2], top);
    best - second
}

impl Classifier {
    /// The forest's part in the probabilities, where there are networks too: 0 to 1.
    pub fn forest_share(&self) -> f32 {
        self.forest_share
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Numbers that the networks have learnt.
    pub fn parameters(&self) -> usize {
        #[cfg(feature = "networks")]
        return self.networks.iter().map(crate::network::Network::parameters).sum();
        #[cfg(not(feature = "networks"))]
        0
    }

    /// Decisions and leaves of the trees.
    pub fn nodes(&self) -> usize {
        self.forest.as_ref().map_or(0, Forest::nodes)
    }

    /// Chooses the forest's share by the cross-entropy on the validation part.
    fn choose_share(&mut self, validation: &Samples) -> Result<(), TrainError> {
        let Some(forest) = self.forest.as_ref().map(|forest| forest.probabilities(validation)) else {
            return Ok(());
        };
        let Some(networks) = self.of_networks(validation)? else { return Ok(()) };
        let loss = |share: f32| {
            let joined = Join::mean(share).rows(&networks, &forest, self.classes.len());
            let rows = validation.labels().iter().zip(joined.chunks_exact(self.classes.len()));
            rows.map(|(label, row)| -f64::from(row[*label].max(1e-6)).ln()).sum::<f64>()
        };
        let shares = SHARES.map(|share| (share, loss(share)));
        let best = shares.into_iter().min_by(|a, b| a.1.total_cmp(&b.1));
        self.forest_share = best.map_or(self.forest_share, |(share, _)| share);
        Ok(())
    }

    /// How networks and forest are joined.
    pub(crate) fn join(&self) -> Join {
        Join::of(self.forest_share)
    }

    /// Probabilities of the classes for every sample, row by row: the mean of the networks', joined with the forest's by its share.
    /// Where the forest's best class leads by so much that networks could not change it, its probabilities stand alone.
    ///
    /// # Errors
    /// If candle fails.
    pub fn probabilities(&self, samples: &Samples) -> Result<Vec<f32>, TrainError> {
        let forest = self.forest.as_ref().map(|forest| forest.probabilities(samples));
        let networks = self.of_networks(samples)?;
        Ok(match (networks, forest) {
            (Some(networks), Some(forest)) => self.join().rows(&networks, &forest, self.classes.len()),
            (networks, forest) => networks.or(forest).unwrap_or_default(),
        })
    }

    /// The networks' alone; none where there are none.
    ///
    /// # Errors
    /// If candle fails.
    pub fn of_networks(&self, samples: &Samples) -> Result<Option<Vec<f32>>, TrainError> {
        let each = self.each(samples)?;
        let count = each.len() as f32;
        Ok(each
            .into_iter()
            .reduce(|mut sum, next| {
                sum.iter_mut().zip(&next).for_each(|(sum, next)| *sum += next);
                sum
            })
            .map(|sum| sum.iter().map(|sum| sum / count).collect()))
    }

    /// Those of each network.
    #[cfg(feature = "networks")]
    fn each(&self, samples: &Samples) -> Result<Vec<Vec<f32>>, TrainError> {
        let each = self.networks.iter().map(|network| network.probabilities(samples));
        Ok(each.collect::<candle_core::Result<_>>()?)
    }

    /// Those of each network, of which there are none.
    #[cfg(not(feature = "networks"))]
    fn each(&self, _: &Samples) -> Result<Vec<Vec<f32>>, TrainError> {
        Ok(Vec::new())
    }
}

#[cfg(all(test, feature = "networks"))]
pub(crate) mod tests;
