//! What learns from rows: a KitNET, or a detector that is no network.

use crate::Error;
use legonf_core::{Rows, Schema};
use legonf_models::Model;
use legonf_models::detectors::{self, Fitted, Method, Scratch};
use legonf_models::kitnet::{KitNet, Phase, RowBuffers, TrainConfig, Trainer};
use std::time::Duration;

/// A training that goes on, row by row.
pub enum Learning {
    /// Of a KitNET.
    KitNet(Box<Trainer>),
    /// Of a detector, from as many rows.
    Detector(Box<Sampling>),
}

/// Rows of which a detector will be made.
pub struct Sampling {
    method: Method,
    trainer: detectors::Trainer,
    /// How a KitNET would be trained: which rows are for its feature map, and how many there are in all.
    config: TrainConfig,
    concluded: bool,
}

/// What was learnt, with the memory in which it scores a row.
pub enum Learnt {
    /// A KitNET.
    KitNet(Box<KitNet>, Box<RowBuffers>),
    /// A detector, and the rows that it was made of.
    Detector(Box<Fitted>, Box<(Rows, Scratch, Vec<f64>)>),
}

impl Learning {
    /// Of a detector, over the rows that a KitNET would be trained on.
    pub fn detector(method: Method, config: TrainConfig, schema: &Schema) -> Self {
        let trainer = detectors::Trainer::new(config.features, config.seed).with_decays(schema);
        Self::Detector(Box::new(Sampling { method, trainer, config, concluded: false }))
    }

    /// The trainer of a KitNET, whose state can be saved.
    pub fn kitnet(&self) -> Option<&Trainer> {
        match self {
            Self::KitNet(trainer) => Some(trainer),
            Self::Detector(_) => None,
        }
    }

    /// Rows used, and rows passed over since a feature was not a finite number.
    pub fn progress(&self) -> (u64, u64) {
        match self {
            Self::KitNet(trainer) => (trainer.progress().used, trainer.progress().skipped),
            Self::Detector(sampling) => sampling.trainer.progress(),
        }
    }

    /// Whether no more rows are needed.
    pub fn is_done(&self) -> bool {
        match self {
            Self::KitNet(trainer) => trainer.progress().phase == Phase::Complete,
            Self::Detector(sampling) => {
                let (used, _) = sampling.trainer.progress();
                sampling.concluded || used >= sampling.config.packets_needed()
            }
        }
    }

    /// Rows beyond those for the feature map.
    pub fn trained(&self) -> u64 {
        let config = match self {
            Self::KitNet(trainer) => trainer.config(),
            Self::Detector(sampling) => &sampling.config,
        };
        self.progress().0.saturating_sub(config.feature_mapping_packets + 1)
    }

    /// Learns from a row of some part of the training, so long after the first packet where that is known. Its score before that, of a
    /// KitNET.
    pub fn train(&mut self, row: &[f64], part: u64, elapsed: Option<Duration>) -> Option<f64> {
        match self {
            Self::KitNet(trainer) => Some(trainer.train(row)),
            Self::Detector(sampling) => {
                sampling.trainer.train(row, part);
                elapsed.into_iter().for_each(|elapsed| sampling.trainer.lasted(elapsed));
                None
            }
        }
    }

    /// Ends the training.
    pub fn conclude(&mut self) {
        match self {
            Self::KitNet(trainer) => trainer.conclude(),
            Self::Detector(sampling) => sampling.concluded = true,
        }
    }

    /// What was learnt, as a model.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn model(&self) -> Result<Model, Error> {
        Ok(match self {
            Self::KitNet(trainer) => {
                let (training, trainer) = (trainer.config().clone(), trainer.as_ref().clone());
                Model::KitNet { network: trainer.finish()?.into(), training }
            }
            Self::Detector(sampling) => {
                let Fitted { detector, config, .. } = sampling.trainer.finish(sampling.method)?;
                Model::Detector { detector: detector.into(), training: config }
            }
        })
    }

    /// What was learnt, to score rows with.
    ///
    /// # Errors
    /// If there were too few rows, or numbers grew beyond all bounds.
    pub fn finish(&self) -> Result<Learnt, Error> {
        Ok(match self {
            Self::KitNet(trainer) => {
                Learnt::KitNet(Box::new(trainer.as_ref().clone().finish()?), Box::default())
            }
            Self::Detector(sampling) => {
                Learnt::Detector(Box::new(sampling.trainer.finish(sampling.method)?), Box::default())
            }
        })
    }
}

impl Learnt {
    /// The score of a row.
    pub fn score(&mut self, row: &[f64]) -> f64 {
        match self {
            Self::KitNet(network, buffers) => network.score_with(row, buffers),
            Self::Detector(fitted, memory) => {
                let (rows, scratch, scores) = &mut **memory;
                rows.reset(1, row.len());
                rows.row_mut(0).copy_from_slice(row);
                fitted.detector.score_rows(rows, scratch, scores);
                scores[0]
            }
        }
    }
}
