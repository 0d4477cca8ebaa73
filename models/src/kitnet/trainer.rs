//! Training of a KitNET, row by row (Kitsune §IV-D): first the feature map, then the autoencoders.

use super::correlation::Correlation;
use super::learner::Learner;
use super::{Autoencoder, ConfigError, Defect, KitNet, TrainConfig, dispatch, linkage};

/// What the next row is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Learning which features belong together.
    FeatureMapping,
    /// Training the autoencoders.
    Training,
    /// Nothing: training is complete.
    Complete,
}

/// How far a training has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainProgress {
    /// What the next row is used for.
    pub phase: Phase,
    /// Rows used so far.
    pub used: u64,
    /// Rows that the whole training takes.
    pub needed: u64,
    /// Rows passed over because a value was not a finite number.
    pub skipped: u64,
}

/// Why a training has no model to give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// The input ended early.
    #[error("too few packets to train on: {missing} more are needed")]
    NotEnough {
        /// Rows still needed.
        missing: u64,
    },
    /// A weight grew beyond all bounds.
    #[error("training diverged ({0}): lower the learning rate or check the features")]
    Diverged(Defect),
}

/// The autoencoders in training.
#[derive(Clone, Debug)]
pub(super) struct Networks {
    pub(super) map: Vec<Vec<usize>>,
    pub(super) ensemble: Learner,
    pub(super) output: Learner,
    errors: Vec<f64>,
}

impl Networks {
    pub(super) fn new(
        map: Vec<Vec<usize>>,
        ensemble: &[Autoencoder],
        output: Autoencoder,
        rate: f64,
    ) -> Self {
        Self {
            ensemble: Learner::new(ensemble, &map, rate),
            output: Learner::new(&[output], &[(0..map.len()).collect()], rate),
            errors: vec![0.0; map.len()],
            map,
        }
    }

    fn untrained(map: Vec<Vec<usize>>, config: &TrainConfig) -> Self {
        let new = |visible| Autoencoder::untrained(visible, config.hidden_ratio, config.seed);
        let ensemble: Vec<_> = map.iter().map(|cluster| new(cluster.len())).collect();
        let output = new(map.len());
        Self::new(map, &ensemble, output, config.learning_rate)
    }

    fn train(&mut self, row: &[f64]) -> f64 {
        let mut rmse = [0.0];
        dispatch::train(&mut self.ensemble, row, &mut self.errors);
        dispatch::train(&mut self.output, &self.errors, &mut rmse);
        rmse[0]
    }
}

/// What has been learnt so far.
#[derive(Clone, Debug)]
pub(super) enum Learnt {
    Correlation(Correlation),
    Networks(Box<Networks>),
}

/// Trains a KitNET online: one pass, one row at a time, nothing kept of a row.
#[derive(Clone, Debug)]
pub struct Trainer {
    pub(super) config: TrainConfig,
    pub(super) used: u64,
    pub(super) skipped: u64,
    pub(super) learnt: Learnt,
}

impl Trainer {
    /// A training from scratch.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn new(config: TrainConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let learnt = Learnt::Correlation(Correlation::new(config.features));
        Ok(Self { config, used: 0, skipped: 0, learnt })
    }

    /// The options of this training.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// How far the training has come.
    pub fn progress(&self) -> TrainProgress {
        let phase = match &self.learnt {
            Learnt::Correlation(_) => Phase::FeatureMapping,
            Learnt::Networks(_) if self.used < self.config.packets_needed() => Phase::Training,
            Learnt::Networks(_) => Phase::Complete,
        };
        TrainProgress { phase, used: self.used, needed: self.config.packets_needed(), skipped: self.skipped }
    }

    /// Takes one row of `features` values. Returns 0 while the feature map is learnt and once training is
    /// complete (the row is then ignored); in between, the output's RMSE before it learns from the row. A row with a value
    /// that is not finite is passed over, counted, and gives NaN.
    ///
    /// # Panics
    /// If the row does not hold `features` values.
    pub fn train(&mut self, row: &[f64]) -> f64 {
        assert_eq!(row.len(), self.config.features, "a row holds one value for each feature");
        if self.used >= self.config.packets_needed() {
            return 0.0;
        }
        // Without a branch for each value.
        if !row.iter().fold(true, |all, value| all & value.is_finite()) {
            self.skipped += 1;
            return f64::NAN;
        }
        self.used += 1;
        match &mut self.learnt {
            Learnt::Networks(networks) => networks.train(row),
            Learnt::Correlation(correlation) => {
                correlation.update(row);
                self.map_features();
                0.0
            }
        }
    }

    /// Ends the training with the rows that have been used, as if the options had asked for so many; there is no effect
    /// before the first of the ensemble's. More rows are ignored.
    pub fn conclude(&mut self) {
        if let Some(trained) = self.used.checked_sub(self.config.feature_mapping_packets + 1) {
            self.config.training_packets = trained.max(1);
        }
    }

    /// Once enough rows were seen, computes the feature map and makes the autoencoders.
    fn map_features(&mut self) {
        if let Learnt::Correlation(correlation) = &self.learnt
            && self.used > self.config.feature_mapping_packets
        {
            let distances = correlation.distances();
            let map = linkage::cluster(&distances, self.config.features, self.config.max_autoencoder_size);
            self.learnt = Learnt::Networks(Box::new(Networks::untrained(map, &self.config)));
        }
    }

    /// The trained model.
    ///
    /// # Errors
    /// When rows are missing, or when training diverged.
    pub fn finish(self) -> Result<KitNet, TrainError> {
        let missing = self.config.packets_needed() - self.used;
        match self.learnt {
            Learnt::Networks(networks) if missing == 0 => {
                let output = networks.output.autoencoders().swap_remove(0);
                KitNet::new(self.config.features, networks.map, networks.ensemble.autoencoders(), output)
                    .map_err(TrainError::Diverged)
            }
            _ => Err(TrainError::NotEnough { missing }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TrainConfig {
        TrainConfig {
            features: 4,
            feature_mapping_packets: 10,
            training_packets: 20,
            ..TrainConfig::default()
        }
    }

    fn row(i: u64) -> [f64; 4] {
        let x = (i * 7 % 13) as f64;
        [x, 2.0 * x + 1.0, 5.0, (i * 5 % 11) as f64]
    }

    #[test]
    fn phases_have_the_reference_lengths() {
        let mut trainer = Trainer::new(config()).unwrap();
        for i in 0..11 {
            assert_eq!(trainer.progress().phase, Phase::FeatureMapping, "row {i}");
            assert_eq!(trainer.train(&row(i)), 0.0);
        }
        for i in 11..31 {
            assert_eq!(trainer.progress().phase, Phase::Training, "row {i}");
            assert!(trainer.train(&row(i)) > 0.0);
        }
        let done = TrainProgress { phase: Phase::Complete, used: 31, needed: 31, skipped: 0 };
        assert_eq!(trainer.progress(), done);
        assert_eq!(trainer.train(&row(31)), 0.0);
        assert!(trainer.finish().is_ok());
    }

    #[test]
    fn a_training_that_is_ended_is_one_of_so_many_rows() {
        let open = TrainConfig { training_packets: super::super::MAX_PACKETS, ..config() };
        let (mut ended, mut other) = (Trainer::new(open).unwrap(), Trainer::new(config()).unwrap());
        for i in 0..31 {
            assert_eq!(ended.train(&row(i)).to_bits(), other.train(&row(i)).to_bits());
        }
        assert_eq!(ended.progress().phase, Phase::Training);
        ended.conclude();
        assert_eq!((ended.config(), ended.progress()), (other.config(), other.progress()));
        assert_eq!(ended.train(&row(31)), 0.0);
        assert_eq!(ended.finish().unwrap(), other.finish().unwrap());
    }

    #[test]
    fn a_short_input_says_how_many_packets_are_missing() {
        let mut trainer = Trainer::new(config()).unwrap();
        (0..30).for_each(|i| {
            trainer.train(&row(i));
        });
        assert_eq!(trainer.finish().unwrap_err(), TrainError::NotEnough { missing: 1 });
    }

    #[test]
    fn rows_that_are_not_finite_are_passed_over() {
        let (mut with, mut without) = (Trainer::new(config()).unwrap(), Trainer::new(config()).unwrap());
        for i in 0..31 {
            assert!(with.train(&[1.0, f64::NAN, 0.0, f64::INFINITY]).is_nan());
            assert_eq!(with.train(&row(i)).to_bits(), without.train(&row(i)).to_bits());
        }
        assert_eq!((with.progress().skipped, without.progress().skipped), (31, 0));
        assert_eq!(with.finish().unwrap(), without.finish().unwrap());
    }

    #[test]
    fn numbers_too_large_to_train_on_are_reported() {
        let mut trainer = Trainer::new(config()).unwrap();
        for i in 0..31 {
            trainer.train(&[if i % 2 == 0 { f64::MAX } else { f64::MIN }, 1.0, 2.0, 3.0]);
        }
        assert!(matches!(trainer.finish(), Err(TrainError::Diverged(_))));
    }
}
