//! A training run's state on disk.

use crate::failure::Failure;
use legonf_extract::Arithmetic;
use legonf_models::CaptureProvenance;
use legonf_models::kitnet::{self, TrainConfig, Trainer};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

/// What a checkpoint must agree on with the run that goes on from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Hash of the feature schema.
    pub schema: String,
    /// Arithmetic of the features.
    pub arithmetic: Arithmetic,
    /// The captures, in order.
    pub origins: Vec<CaptureProvenance>,
}

/// A trainer and what it is being trained on.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    identity: Identity,
    trainer: kitnet::Checkpoint,
}

impl Checkpoint {
    /// The state of `trainer` now.
    pub fn of(trainer: &Trainer, identity: &Identity) -> Self {
        Self { identity: identity.clone(), trainer: trainer.to_checkpoint() }
    }

    /// Reads a checkpoint and compares what it was made of.
    pub fn load(path: &Path, identity: &Identity) -> Result<Self, Failure> {
        let shown = path.display();
        let text = fs::read(path)
            .map_err(|e| Failure::fault(format!("{shown}: {e}; train without --resume to start anew")))?;
        let checkpoint: Self = serde_json::from_slice(&text)
            .map_err(|e| Failure::fault(format!("{shown}: not a checkpoint of legonf: {e}")))?;
        match checkpoint.identity.difference(identity) {
            Some(what) => Err(Failure::fault(format!(
                "{shown}: was made with another {what}; give the same ones or train without --resume"
            ))),
            None => Ok(checkpoint),
        }
    }

    /// The trainer, if it was made with `config`.
    pub fn trainer(self, config: &TrainConfig) -> Result<Trainer, Failure> {
        if self.trainer.config() == config {
            Trainer::from_checkpoint(self.trainer).map_err(Failure::fault)
        } else {
            Err(Failure::fault(
                "the checkpoint was made with other training options; give the same ones or train without --resume",
            ))
        }
    }

    /// Writes the checkpoint whole or not at all.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        legonf_output::write(path, &serde_json::to_vec(self)?)
    }
}

impl Identity {
    fn difference(&self, other: &Self) -> Option<&'static str> {
        if self.schema != other.schema {
            Some("schema")
        } else if self.arithmetic != other.arithmetic {
            Some("arithmetic")
        } else if self.origins != other.origins {
            Some("list of captures")
        } else {
            None
        }
    }
}
