//! A bundle in figures, for people.

use super::metadata::UNSEALED_VERSION;
use super::{Bundle, Calibration, Model, Provenance};
use crate::detectors::DetectorConfig;
use crate::kitnet::{KitNet, TrainConfig};
use serde::Serialize;

/// What is said of a file without a checksum.
const UNSEALED: &str = "none: written by an older legonf; `legonf calibrate` writes one";

/// One autoencoder in figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AutoencoderSummary {
    /// Names of the features that it reads, in its order.
    pub features: Vec<String>,
    /// Number of hidden units.
    pub hidden: usize,
    /// How many of its features never varied in training.
    pub constant_features: usize,
}

/// What `legonf model show` shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// `kitnet`, `detector` or `foreign`.
    pub kind: String,
    /// Name of the schema.
    pub schema: String,
    /// Hash of the schema.
    pub schema_hash: String,
    /// Number of features.
    pub features: usize,
    /// The autoencoders of a KitNET's ensemble.
    pub ensemble: Vec<AutoencoderSummary>,
    /// Number of weights and biases of a KitNET, or of a detector's trained numbers.
    pub parameters: usize,
    /// How a KitNET was trained.
    pub training: Option<TrainConfig>,
    /// How a detector was trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector: Option<DetectorConfig>,
    /// Input and output names of a foreign model.
    pub ports: Option<(String, String)>,
    /// What the output of a foreign model says of a row: `score`, `normality`, `reconstruction` or `class`.
    pub meaning: Option<String>,
    /// Names of the classes of a foreign classifier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The threshold, once one is calibrated.
    pub calibration: Option<Calibration>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// Something that [`OnnxFile::verify`](super::OnnxFile::verify) checked and found in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The part.
    pub part: &'static str,
    /// What was found.
    pub finding: String,
}

impl Bundle {
    /// The bundle in figures.
    pub fn describe(&self) -> Description {
        let (ensemble, parameters, training, ports) = match &self.model {
            Model::KitNet { network, training } => {
                (self.summaries(network), parameters(network), Some(training.clone()), None)
            }
            Model::Detector { detector, .. } => (Vec::new(), detector.parameters(), None, None),
            Model::Foreign(f) => (Vec::new(), 0, None, Some((f.input.clone(), f.output.clone()))),
        };
        let meaning = match &self.model {
            Model::Foreign(foreign) => Some(foreign.meaning.label().to_owned()),
            Model::KitNet { .. } | Model::Detector { .. } => None,
        };
        let detector = match &self.model {
            Model::Detector { training, .. } => Some(training.clone()),
            Model::KitNet { .. } | Model::Foreign(_) => None,
        };
        let classes = match &self.model {
            Model::Foreign(foreign) => foreign.classes.clone(),
            Model::KitNet { .. } | Model::Detector { .. } => Vec::new(),
        };
        Description {
            kind: self.model.kind().into(),
            schema: self.schema.name.clone(),
            schema_hash: self.schema.hash().to_string(),
            features: self.schema.len(),
            ensemble,
            parameters,
            training,
            detector,
            ports,
            meaning,
            classes,
            calibration: self.calibration.clone(),
            provenance: self.provenance.clone(),
        }
    }

    fn summaries(&self, network: &KitNet) -> Vec<AutoencoderSummary> {
        let name = |column: &usize| self.schema.features[*column].name.clone();
        let autoencoders = network.ensemble().iter().zip(network.feature_map());
        let summary = |(a, columns): (&crate::kitnet::Autoencoder, &Vec<usize>)| AutoencoderSummary {
            features: columns.iter().map(name).collect(),
            hidden: a.hidden(),
            constant_features: a.norm_min.iter().zip(&a.norm_max).filter(|(min, max)| min == max).count(),
        };
        autoencoders.map(summary).collect()
    }

    /// What a file of so many bytes was found to be.
    pub(super) fn findings(&self, bytes: usize, version: &str) -> Vec<Check> {
        let check = |part, finding| Check { part, finding };
        let mut checks = vec![
            check("file", format!("{bytes} bytes, complete, no unknown parts")),
            check("checksum", if version == UNSEALED_VERSION { UNSEALED.into() } else { "agrees".into() }),
            check(
                "schema",
                format!(
                    "{} with {} features, hash {}",
                    self.schema.name,
                    self.schema.len(),
                    self.schema.hash()
                ),
            ),
        ];
        match &self.model {
            Model::KitNet { network, .. } => checks.extend([
                check("weights", format!("{} parameters, all finite", parameters(network))),
                check("ensemble", format!("{} blocks, zero outside them", network.ensemble().len())),
                check("normalization", "metadata and graph agree".into()),
            ]),
            Model::Detector { detector, .. } => {
                let (method, parameters) = (detector.method(), detector.parameters());
                checks.push(check("detector", format!("{method}, {parameters} parameters, all finite")));
            }
            Model::Foreign(f) => {
                let (input, output, meaning) = (&f.input, &f.output, f.meaning.label());
                checks.push(check("graph", format!("input {input}, output {output}: a {meaning}")))
            }
        }
        let calibration = self.calibration.as_ref();
        let found = calibration.map_or("none".into(), |c| format!("{}, threshold {}", c.method, c.threshold));
        checks.push(check("calibration", found));
        checks
    }
}

fn parameters(network: &KitNet) -> usize {
    let all = network.ensemble().iter().chain([network.output()]);
    all.map(|a| a.weights.len() + a.hidden() + a.visible()).sum()
}
