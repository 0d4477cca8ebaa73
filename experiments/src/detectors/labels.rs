//! The truth on the packets of a capture.

use crate::ExperimentError;
use legonf_engine::Error;
use legonf_io::labels::Labels;
use std::path::Path;

/// For each packet whether it is malicious.
pub struct Truth(Vec<bool>);

impl Truth {
    /// Reads the labels of a capture.
    pub fn read(path: &Path) -> Result<Self, ExperimentError> {
        let mut labels = Labels::open(path).map_err(Error::Labels)?;
        let mut malicious = Vec::new();
        while let Some(label) = labels.next_label().map_err(Error::Labels)? {
            malicious.push(label);
        }
        Ok(Self(malicious))
    }

    /// Packets before the first malicious one; none where there is no such.
    pub fn first_attack(&self) -> Option<u64> {
        self.0.iter().position(|malicious| *malicious).map(|first| first as u64)
    }

    /// Whether a packet is malicious; none where it has no label.
    pub fn of(&self, seq: u64) -> Option<bool> {
        self.0.get(usize::try_from(seq).ok()?).copied()
    }
}
