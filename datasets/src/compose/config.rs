//! What to compose.

use super::ComposeError;
use std::path::PathBuf;

/// A capture, and which of its packets are attacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// A capture in pcap or pcapng, as it is or compressed.
    pub path: PathBuf,
    /// Its labels. Without them every packet is what the capture is named for: benign, or an attack.
    pub labels: Option<PathBuf>,
}

/// Attack packets to merge in.
#[derive(Clone, Debug, PartialEq)]
pub struct Attack {
    /// Where they come from.
    pub input: Input,
    /// Seconds after the first benign packet at which the first of them comes. Default: halfway through the
    /// benign packets.
    pub start: Option<f64>,
    /// How many times faster than recorded they come. Default 1.
    pub speed: f64,
    /// One of how many of them comes: an attack at a lower rate. Default 1.
    pub thin: u32,
}

impl Attack {
    /// All of a capture, as fast as recorded, at the default time.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { input: Input { path: path.into(), labels: None }, start: None, speed: 1.0, thin: 1 }
    }

    pub(super) fn validate(&self) -> Result<(), ComposeError> {
        let range = |key, value, good, expected| {
            if good { Ok(()) } else { Err(ComposeError::Range { key, value, expected }) }
        };
        let start = self.start.unwrap_or(0.0);
        range("start", start, (0.0..=1e9).contains(&start), "seconds from 0 to 1e9")?;
        range("speed", self.speed, (1e-6..=1e6).contains(&self.speed), "a factor from 1e-6 to 1e6")?;
        range("thin", self.thin.into(), self.thin > 0, "a whole number above 0")
    }
}

/// A composite: the benign packets of one capture with attack packets of others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The benign traffic.
    pub benign: Input,
    /// The attacks, each rewritten on its own.
    pub attacks: Vec<Attack>,
    /// Seed of the rule by which addresses are rewritten.
    pub seed: u64,
}
