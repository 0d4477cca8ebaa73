//! A training run's state on disk: a line with the format's version and the SHA-256 of what follows, then JSON.

use crate::{Error, reading};
use legonf_models::CaptureProvenance;
use legonf_models::kitnet::{self, TrainConfig, Trainer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io;
use std::path::Path;
use std::time::Duration;

/// What the file begins with; the SHA-256 follows.
const HEAD: &str = "legonf-checkpoint 3 ";
/// Bytes of the SHA-256 in hexadecimal digits.
const DIGITS: usize = 64;

/// What a checkpoint must agree on with the run that goes on from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Hash of the feature schema.
    pub schema: String,
    /// The captures, in order.
    pub origins: Vec<CaptureProvenance>,
    /// Stream time that the training shall last at least.
    #[serde(default)]
    pub time: Duration,
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
    pub fn load(path: &Path, identity: &Identity) -> Result<Self, Error> {
        let anew =
            |reason: &str| Error::file(path, format!("{reason}; train without --resume to start anew"));
        if !path.exists() {
            return Err(anew("no such file"));
        }
        let bytes = reading::bytes(path, reading::CHECKPOINT)?;
        let checkpoint = Self::from_bytes(&bytes).map_err(|defect| anew(&defect.to_string()))?;
        match checkpoint.identity.difference(identity) {
            Some(what) => {
                let remedy = "give the same ones or train without --resume";
                Err(Error::file(path, format!("was made with another {what}; {remedy}")))
            }
            None => Ok(checkpoint),
        }
    }

    /// The trainer, if it was made with `config`; `path` names the checkpoint in a fault.
    pub fn trainer(self, config: &TrainConfig, path: &Path) -> Result<Trainer, Error> {
        if self.trainer.config() != config {
            let remedy = "give the same ones or train without --resume";
            let reason = format!("the checkpoint was made with other training options; {remedy}");
            return Err(Error::file(path, reason));
        }
        Trainer::from_checkpoint(self.trainer).map_err(|defect| Error::file(path, defect.to_string()))
    }

    /// Writes the checkpoint whole or not at all.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        legonf_output::write(path, &self.to_bytes()?)
    }

    fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        Ok([HEAD.as_bytes(), sha256(&json).as_bytes(), b"\n", &json].concat())
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, whole and unchanged.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Damage> {
        let rest = bytes.strip_prefix(HEAD.as_bytes()).ok_or_else(|| other(bytes))?;
        let (stated, json) = rest.split_at_checked(DIGITS).ok_or(Damage::Cut)?;
        let json = json.strip_prefix(b"\n").ok_or(Damage::Other)?;
        if stated != sha256(json).as_bytes() {
            return Err(Damage::Changed);
        }
        Ok(serde_json::from_slice(json)?)
    }
}

/// Why bytes are no checkpoint.
#[derive(Debug, thiserror::Error)]
enum Damage {
    #[error("a checkpoint of another version of legonf; use that one")]
    Version,
    #[error("not a checkpoint of legonf, or damaged")]
    Other,
    #[error("cut short")]
    Cut,
    #[error("its checksum differs from its content: it was changed, cut short or damaged")]
    Changed,
    #[error("not a checkpoint of legonf: {0}")]
    Content(#[from] serde_json::Error),
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a file is that does not begin as a checkpoint of this version does.
fn other(bytes: &[u8]) -> Damage {
    let is_older = bytes.starts_with(b"{\"identity\"") || bytes.starts_with(b"legonf-checkpoint ");
    if is_older { Damage::Version } else { Damage::Other }
}

impl Identity {
    fn difference(&self, other: &Self) -> Option<&'static str> {
        if self.schema != other.schema {
            Some("schema")
        } else if self.origins != other.origins {
            Some("list of captures")
        } else if self.time != other.time {
            Some("--training-time")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let config = TrainConfig {
            features: 4,
            feature_mapping_packets: 5,
            training_packets: 9,
            ..TrainConfig::default()
        };
        let mut trainer = Trainer::new(config).unwrap();
        for row in 0..9_u8 {
            trainer.train(&[1, 3, 4, 9].map(|factor| f64::from(row * factor % 7)));
        }
        let origins =
            vec![CaptureProvenance { name: "a.pcap".into(), packets: 9, ..CaptureProvenance::default() }];
        let identity = Identity { schema: "00".into(), origins, time: Duration::ZERO };
        Checkpoint::of(&trainer, &identity)
    }

    #[test]
    fn what_is_written_is_read() {
        let checkpoint = checkpoint();
        let read = Checkpoint::from_bytes(&checkpoint.to_bytes().unwrap()).unwrap();
        assert_eq!((read.identity, read.trainer), (checkpoint.identity, checkpoint.trainer));
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_refused() {
        let good = checkpoint().to_bytes().unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(Checkpoint::from_bytes(&bad).is_err(), "byte {at}");
            assert!(Checkpoint::from_bytes(&good[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn other_formats_are_told_apart() {
        let reason = |bytes: &[u8]| Checkpoint::from_bytes(bytes).err().unwrap().to_string();
        assert!(reason(b"{\"identity\":{}}").starts_with("a checkpoint of another version of legonf"));
        assert!(reason(b"legonf-checkpoint 4 00").starts_with("a checkpoint of another version of legonf"));
        assert!(reason(b"PK").starts_with("not a checkpoint"));
    }
}
