//! A Kitsune that learns from the first packets of generated traffic.

use super::load::Traffic;
use crate::ExperimentError;
use legonf_core::{Rows, Tiles};
use legonf_decide::calibrate::{BenignScores, Calibration, Check, Method};
use legonf_models::kitnet::{KitNet, Scratch, TrainConfig, Trainer};

/// A trained network, its threshold and the memory that it scores in.
pub struct Detector {
    network: KitNet,
    calibration: Calibration,
    mapped: Tiles,
    scratch: Scratch,
    errors: Tiles,
    scores: Vec<f64>,
}

/// Packets that pass before damped statistics have settled, that decide the feature map, that train, and that set the
/// threshold.
#[derive(Clone, Copy, Debug)]
pub struct Lesson {
    pub settling: u64,
    pub feature_mapping: u64,
    pub training: u64,
    pub calibration: u64,
}

impl Lesson {
    /// Packets in all.
    pub fn packets(self) -> u64 {
        self.settling + self.feature_mapping + 1 + self.training + self.calibration
    }
}

impl Detector {
    /// Learns from traffic that is benign as long as the lesson goes.
    pub fn train(traffic: &mut Traffic, lesson: Lesson) -> Result<Self, ExperimentError> {
        let mut trainer = Trainer::new(TrainConfig {
            features: traffic.schema().len(),
            feature_mapping_packets: lesson.feature_mapping,
            training_packets: lesson.training,
            ..TrainConfig::default()
        })?;
        let (mut seen, mut held_out) = (0, Vec::new());
        while traffic.next()? {
            for (row, headers) in traffic.features().iter().zip(&traffic.batch().headers) {
                seen += 1;
                if seen <= lesson.settling {
                    continue;
                }
                if seen + lesson.calibration <= lesson.packets() {
                    trainer.train(row);
                } else if seen <= lesson.packets() {
                    held_out.push((row.to_vec(), headers.timestamp));
                }
            }
            if seen >= lesson.packets() {
                break;
            }
        }
        let network = trainer.finish()?;
        let mut scores = BenignScores::default();
        for (row, timestamp) in held_out {
            scores.push(network.score(&row), timestamp)?;
        }
        let method = Method::Quantile { false_positive_rate: 0.001, confidence: 0.95 };
        // An experiment goes on with the bound that it sees, and says it beside what comes after.
        let calibration = scores.calibrate(method, Check { force: true, ..Check::default() })?;
        let (mapped, errors) = (Tiles::default(), Tiles::default());
        Ok(Self { network, calibration, mapped, errors, scratch: Scratch::default(), scores: Vec::new() })
    }

    /// Threshold, and what it stands for.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// Whether each row is above the threshold.
    pub fn judge(&mut self, features: &Rows) -> impl Iterator<Item = bool> + use<'_> {
        self.network.gather(features, &mut self.mapped);
        self.network.score_rows(&self.mapped, &mut self.scratch, &mut self.errors, &mut self.scores);
        let threshold = self.calibration.threshold;
        self.scores.iter().map(move |score| *score > threshold)
    }
}
