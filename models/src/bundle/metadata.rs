//! What a bundle says beside the network, as properties of the ONNX file.

use super::proto::Property;
use crate::kitnet::Defect;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Version of the properties' format that is written.
pub(crate) const FORMAT_VERSION: &str = "3";
/// The version before: it names the arithmetic of the features. Still read.
pub(crate) const ARITHMETIC_VERSION: &str = "2";
/// The first version: that without a checksum, too. Still read.
pub(crate) const UNSEALED_VERSION: &str = "1";
/// Those that are read.
pub(crate) const VERSIONS: [&str; 3] = [UNSEALED_VERSION, ARITHMETIC_VERSION, FORMAT_VERSION];
/// What the names of all properties begin with.
pub(crate) const PREFIX: &str = "legonf.";

/// A threshold on the score, and what it stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// How it was found: `log-normal`, `quantile`, `minute-quantile`, `alarm-budget` or `manual`.
    pub method: String,
    /// Scores above it are anomalous. Finite, at least 0.
    pub threshold: f64,
    /// Upper bound of the probability that a benign packet scores above the threshold, 0 to 1.
    pub false_positive_bound: f64,
    /// Benign scores that it was found from.
    pub samples: u64,
    /// Mean of the scores' natural logarithm (`log-normal`).
    pub log_mean: Option<f64>,
    /// Standard deviation of the scores' natural logarithm (`log-normal`).
    pub log_sd: Option<f64>,
    /// False alarms a day that the bound stands for at the packet rate of the scores' capture.
    pub alarms_per_day: Option<f64>,
    /// Probability that the bound holds, where the method makes a statement about it.
    pub confidence: Option<f64>,
    /// Where the scores came from, such as a capture's name.
    pub source: String,
    /// What was seen on benign scores that the threshold was not found from; none in models of before this was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<HeldOut>,
    /// Whether the bounds are what was seen on these, since those of the method do not hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seen: bool,
    /// Minutes of the scores that it was found from (`minute-quantile`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u64>,
    /// Of what traffic the bound is claimed, in words; none in models of before this was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds_for: Option<String>,
    /// Which packets it was found from and checked on; none in models of before this was said, and of what cannot be read twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<CalibratedOn>,
}

/// Packets of a calibration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibratedOn {
    /// The captures, read as one stream in this order; `packets` of each is not known, and 0.
    pub captures: Vec<CaptureProvenance>,
    /// Number of the first packet in that stream, from 0.
    pub first: u64,
    /// Number of the first one behind them.
    pub end: u64,
}

/// Benign scores that a threshold was checked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOut {
    /// How many there were.
    pub samples: u64,
    /// How many of them were above the threshold.
    pub above: u64,
}

impl Calibration {
    /// The methods that there are.
    pub const METHODS: [&'static str; 5] =
        ["log-normal", "quantile", "minute-quantile", "alarm-budget", "manual"];

    /// What is wrong with the scores that were held out, if anything is.
    fn check_held_out(&self) -> Option<&'static str> {
        match self.held_out {
            None if self.seen => Some("is missing, though the bounds are said to be seen on it"),
            Some(HeldOut { samples, above }) if samples == 0 || above > samples => {
                Some("has no scores, or more above the threshold than there are")
            }
            _ => None,
        }
    }

    /// Checks method and numbers.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub fn validate(&self) -> Result<(), Defect> {
        let check =
            |ok: bool, key: &str, reason: String| if ok { Ok(()) } else { Err(Defect::new(key, reason)) };
        let method = &self.method;
        check(
            Self::METHODS.contains(&method.as_str()),
            "method",
            format!("{method:?} is not one of {:?}", Self::METHODS),
        )?;
        let (t, bound) = (self.threshold, self.false_positive_bound);
        check(t.is_finite() && t >= 0.0, "threshold", format!("{t} is not a finite number from 0 on"))?;
        check(
            (0.0..=1.0).contains(&bound),
            "false_positive_bound",
            format!("{bound} is not within 0 and 1"),
        )?;
        let optional = [
            ("log_mean", self.log_mean),
            ("log_sd", self.log_sd),
            ("alarms_per_day", self.alarms_per_day),
            ("confidence", self.confidence),
        ];
        for (key, value) in optional {
            check(value.is_none_or(f64::is_finite), key, "is not a finite number".into())?;
        }
        for (key, value) in [("log_sd", self.log_sd), ("alarms_per_day", self.alarms_per_day)] {
            check(value.is_none_or(|v| v >= 0.0), key, "is below 0".into())?;
        }
        let in_order = self.packets.as_ref().is_none_or(|on| on.first <= on.end);
        check(in_order, "packets", "ends before it begins".into())?;
        let confidence = self.confidence.is_none_or(|c| (0.0..=1.0).contains(&c));
        check(confidence, "confidence", "is not within 0 and 1".into())?;
        self.check_held_out().map_or(Ok(()), |reason| check(false, "held_out", reason.into()))
    }
}

/// A capture that a model was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureProvenance {
    /// File name, without folders.
    pub name: String,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// Packets used of it.
    pub packets: u64,
    /// Only packets that this BPF expression takes, where there was one: the others do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

impl CaptureProvenance {
    /// Names a capture and hashes its file as it is stored.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_file(path: &Path, packets: u64) -> std::io::Result<Self> {
        let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
        let mut digest = Sha256::new();
        loop {
            let chunk = file.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            digest.update(chunk);
            let len = chunk.len();
            file.consume(len);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, sha256: hexadecimal(&digest.finalize()), packets, filter: None })
    }
}

/// The SHA-256 of `bytes` in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Where a model comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Version of legonf that made the model.
    pub legonf: String,
    /// Captures that it was trained on, in order.
    pub captures: Vec<CaptureProvenance>,
    /// Rows that training used.
    pub rows: u64,
    /// Rows that training passed over because a value was not a finite number.
    pub skipped: u64,
    /// When it was made, if the maker chose to say so.
    pub created: Option<String>,
    /// Anything else, such as the origin of an imported model.
    pub note: Option<String>,
}

impl Provenance {
    /// Checks the rows against what the training asked for.
    ///
    /// # Errors
    /// Names the count where it is another. A model whose training is not known states no rows.
    pub(crate) fn validate(&self, needed: Option<u64>) -> Result<(), Defect> {
        let rows = self.rows;
        if let Some(needed) = needed.filter(|needed| rows != 0 && rows != *needed) {
            return Err(Defect::new("rows", format!("{rows}, but the training takes {needed}")));
        }
        Ok(())
    }
}

/// Extremes of each feature in training, in the order of the schema; `null` for one that no autoencoder reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Normalization {
    pub(crate) minimum: Vec<Option<f64>>,
    pub(crate) maximum: Vec<Option<f64>>,
}

/// The properties being written.
pub(crate) struct Properties(pub(crate) Vec<Property>);

impl Properties {
    pub(crate) fn text(&mut self, key: &str, value: impl Into<String>) {
        self.0.push(Property { key: format!("{PREFIX}{key}"), value: value.into() });
    }

    pub(crate) fn json(&mut self, key: &str, value: &impl Serialize) -> Result<(), Defect> {
        let text = serde_json::to_string(value);
        self.text(key, text.map_err(|e| Defect::new(format!("{PREFIX}{key}"), e.to_string()))?);
        Ok(())
    }
}

/// The property `key`.
pub(crate) fn text<'a>(properties: &'a [Property], key: &str) -> Result<&'a str, Defect> {
    let name = format!("{PREFIX}{key}");
    let mut found = properties.iter().filter(|p| p.key == name);
    match (found.next(), found.next()) {
        (Some(property), None) => Ok(&property.value),
        (Some(_), Some(_)) => Err(Defect::new(name, "stands there twice")),
        (None, _) => Err(Defect::new(
            name,
            "is missing: not a legonf model (`legonf model import` makes one of any ONNX file), or cut short",
        )),
    }
}

/// The property `key`, which holds JSON.
pub(crate) fn json<T: DeserializeOwned>(properties: &[Property], key: &str) -> Result<T, Defect> {
    serde_json::from_str(text(properties, key)?)
        .map_err(|e| Defect::new(format!("{PREFIX}{key}"), e.to_string()))
}

/// The text of the property `key` where it is there.
pub(crate) fn optional_text<'a>(properties: &'a [Property], key: &str) -> Result<Option<&'a str>, Defect> {
    let name = format!("{PREFIX}{key}");
    if properties.iter().any(|p| p.key == name) { text(properties, key).map(Some) } else { Ok(None) }
}

/// The property `key` where it is there.
pub(crate) fn optional_json<T: DeserializeOwned>(
    properties: &[Property],
    key: &str,
) -> Result<Option<T>, Defect> {
    let name = format!("{PREFIX}{key}");
    if properties.iter().any(|p| p.key == name) { json(properties, key).map(Some) } else { Ok(None) }
}
