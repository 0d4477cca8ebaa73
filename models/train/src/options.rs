//! How a classifier is trained.

use crate::TrainError;
use serde::{Deserialize, Serialize};

/// What a network looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// DeepNFV's: four convolutional and two fully connected layers on the image of 28 × 28 bytes.
    DeepNfv,
    /// One-dimensional convolutions over embedded bytes, with statistics and sequences beside them.
    Classifier,
}

impl Architecture {
    /// Its name in files and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DeepNfv => "deepnfv",
            Self::Classifier => "classifier",
        }
    }

    /// The architecture of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::DeepNfv, Self::Classifier].into_iter().find(|architecture| architecture.name() == name)
    }
}

/// How weights follow their gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum, as in DeepNFV.
    Sgd,
    /// Adam with decoupled decay of the weights.
    Adam,
}

impl Optimizer {
    /// The greatest step unless it is said otherwise.
    pub const fn learning_rate(self) -> f64 {
        match self {
            Self::Sgd => 0.05,
            Self::Adam => 0.003,
        }
    }
}

/// How much a sample counts by its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// All the same.
    None,
    /// One over the root of the number of samples of its class.
    Root,
    /// One over the number of samples of its class.
    Balanced,
}

impl ClassWeights {
    /// What a sample of each class counts; 1 on average over the samples.
    #[cfg(feature = "networks")]
    pub(crate) fn of(self, counts: &[usize]) -> Vec<f32> {
        let power = match self {
            Self::None => 0.0,
            Self::Root => -0.5,
            Self::Balanced => -1.0,
        };
        let raw: Vec<f64> =
            counts.iter().map(|count| (*count).max(1) as f64).map(|count| count.powf(power)).collect();
        let sum: f64 = raw.iter().zip(counts).map(|(weight, count)| weight * *count as f64).sum();
        let all: usize = counts.iter().sum();
        raw.iter().map(|weight| (weight * all as f64 / sum) as f32).collect()
    }
}

/// All that training follows from, beside the samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// The network.
    pub architecture: Architecture,
    /// Networks whose probabilities are averaged, each from a seed of its own; 0 leaves the networks out.
    pub members: usize,
    /// Trees of the forest whose probabilities are averaged with those of the networks, where these could change the class; 0 leaves it out.
    pub trees: usize,
    /// How weights follow their gradients.
    pub optimizer: Optimizer,
    /// The greatest step, which is reached after the first epochs and falls to zero.
    pub learning_rate: f64,
    /// Passes over the samples at most.
    pub epochs: usize,
    /// Samples of a step.
    pub batch: usize,
    /// Epochs without a better loss on the validation part after which training ends.
    pub patience: usize,
    /// How much a sample counts by its class.
    pub class_weights: ClassWeights,
    /// What all random choices follow from.
    pub seed: u64,
}

impl Options {
    /// What is trained unless it is said otherwise.
    pub fn of(architecture: Architecture) -> Self {
        let deep = architecture == Architecture::DeepNfv;
        let optimizer = if deep { Optimizer::Sgd } else { Optimizer::Adam };
        Self {
            architecture,
            members: if deep { 1 } else { 3 },
            trees: if deep { 0 } else { 100 },
            optimizer,
            learning_rate: optimizer.learning_rate(),
            epochs: 10,
            batch: 64,
            patience: 5,
            class_weights: ClassWeights::Root,
            seed: 1,
        }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// Names the option that is out of its range.
    pub fn check(&self) -> Result<(), TrainError> {
        let range = |ok: bool, option, found: String, expected| {
            if ok { Ok(()) } else { Err(TrainError::Option { option, found, expected }) }
        };
        let rate = self.learning_rate;
        range(rate > 0.0 && rate <= 1.0, "learning rate", rate.to_string(), "above 0, at most 1")?;
        range((1..=10_000).contains(&self.epochs), "epochs", self.epochs.to_string(), "1 to 10000")?;
        range((2..=4096).contains(&self.batch), "batch", self.batch.to_string(), "2 to 4096")?;
        range(self.patience > 0, "patience", self.patience.to_string(), "at least 1")?;
        range(self.members <= 16, "networks", self.members.to_string(), "0 to 16")?;
        range(self.trees <= 1000, "trees", self.trees.to_string(), "0 to 1000")?;
        range(self.members + self.trees > 0, "networks", "0".into(), "at least 1 where there are no trees")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_counts_by_its_samples_and_all_together_as_many_as_there_are() {
        assert_eq!(ClassWeights::None.of(&[10, 30]), [1.0, 1.0]);
        assert_eq!(ClassWeights::Balanced.of(&[10, 30]), [2.0, 2.0 / 3.0]);
        let root = ClassWeights::Root.of(&[100, 400]);
        assert!(
            (root[0] / root[1] - 2.0).abs() < 1e-6
                && (100.0 * root[0] + 400.0 * root[1] - 500.0).abs() < 1e-3
        );
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let with = |change: fn(&mut Options)| {
            let mut options = Options::of(Architecture::Classifier);
            change(&mut options);
            options.check().unwrap_err().to_string()
        };
        assert_eq!(with(|o| o.epochs = 0), "epochs = 0: expected 1 to 10000");
        assert!(with(|o| o.learning_rate = f64::NAN).starts_with("learning rate = NaN"));
        assert!(with(|o| (o.members, o.trees) = (0, 0)).contains("at least 1"));
        assert!(Options::of(Architecture::DeepNfv).check().is_ok());
    }
}
