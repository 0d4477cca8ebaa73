//! How KitNET is trained.

use serde::{Deserialize, Serialize};

/// The largest number of features that a model may have.
pub const MAX_FEATURES: usize = 2048;

/// Training options of KitNET. Defaults are the reference's (Kitsune-py's `example.py`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Number of features of a row, 1 to [`MAX_FEATURES`]. Default 115, as `kitsune-115` and `kitsune-115-clean` have.
    pub features: usize,
    /// Packets from which the feature map is learnt (the reference takes one more). Default 5000.
    pub feature_mapping_packets: u64,
    /// Packets on which the autoencoders are trained, at least 1. Default 50000.
    pub training_packets: u64,
    /// Largest number of features of one autoencoder, at least 1. Default 10.
    pub max_autoencoder_size: usize,
    /// Step size of gradient descent, above 0 and at most 1. Default 0.1.
    pub learning_rate: f64,
    /// Hidden units for each visible one, above 0 and at most 1. Default 0.75.
    pub hidden_ratio: f64,
    /// Seed of the initial weights. Default 1234.
    pub seed: u32,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            features: 115,
            feature_mapping_packets: 5000,
            training_packets: 50_000,
            max_autoencoder_size: 10,
            learning_rate: 0.1,
            hidden_ratio: 0.75,
            seed: 1234,
        }
    }
}

/// A training option that is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("training option `{option}`: {expected}")]
pub struct ConfigError {
    /// The option, as it is named in [`TrainConfig`].
    pub option: &'static str,
    /// What was expected and what was given.
    pub expected: String,
}

impl TrainConfig {
    /// Checks every option.
    ///
    /// # Errors
    /// Names the first option that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let count = |option, given: u64, max: u64| {
            let ok = (1..=max).contains(&given);
            check(ok, option, || format!("expected 1 to {max}, got {given}"))
        };
        let ratio = |option, given: f64| {
            let ok = given > 0.0 && given <= 1.0;
            check(ok, option, || format!("expected a number above 0 and at most 1, got {given}"))
        };
        count("features", self.features as u64, MAX_FEATURES as u64)?;
        count("feature_mapping_packets", self.feature_mapping_packets, MAX_PACKETS)?;
        count("training_packets", self.training_packets, MAX_PACKETS)?;
        count("max_autoencoder_size", self.max_autoencoder_size as u64, MAX_FEATURES as u64)?;
        ratio("learning_rate", self.learning_rate)?;
        ratio("hidden_ratio", self.hidden_ratio)
    }

    /// Packets that a whole training takes: one more than the sum of both phases, since the reference
    /// computes the map with packet number `feature_mapping_packets`, counted from 0.
    pub fn packets_needed(&self) -> u64 {
        self.feature_mapping_packets + 1 + self.training_packets
    }
}

/// The most packets that one of the phases may take; a training that somebody else ends ([`Trainer::conclude`](super::Trainer::conclude)) asks for so many.
pub const MAX_PACKETS: u64 = 1 << 53;

fn check(ok: bool, option: &'static str, expected: impl FnOnce() -> String) -> Result<(), ConfigError> {
    if ok { Ok(()) } else { Err(ConfigError { option, expected: expected() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_out_of_range_are_named() {
        let ok = TrainConfig::default();
        assert_eq!((ok.validate(), ok.packets_needed()), (Ok(()), 55_001));
        let cases = [
            ("features", TrainConfig { features: MAX_FEATURES + 1, ..ok.clone() }),
            ("feature_mapping_packets", TrainConfig { feature_mapping_packets: 0, ..ok.clone() }),
            ("training_packets", TrainConfig { training_packets: u64::MAX, ..ok.clone() }),
            ("max_autoencoder_size", TrainConfig { max_autoencoder_size: 0, ..ok.clone() }),
            ("learning_rate", TrainConfig { learning_rate: f64::NAN, ..ok.clone() }),
            ("hidden_ratio", TrainConfig { hidden_ratio: 1.5, ..ok }),
        ];
        for (option, config) in cases {
            assert_eq!(config.validate().unwrap_err().option, option);
        }
    }
}
