//! The model bundle: one ONNX file that any ONNX runtime loads, with everything else about the model inside it.
//!
//! A KitNET is written as one block-diagonal graph in `f64` (see [`graph`]) and read back from its initializers
//! without an ONNX runtime; so is a detector (see [`detector`]). Anyone else's ONNX model is kept as it is, byte by byte, and only described. The
//! description is in the file's `metadata_props`, each key `legonf.…` holding text or JSON.

mod classes;
mod classifier;
mod describe;
mod detector;
mod external;
mod foreign;
mod graph;
mod metadata;
pub(crate) mod proto;
mod read;
mod seal;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use crate::ModelError;
use crate::detectors::{Detector, DetectorConfig, UnknownMethod};
use crate::error::shown;
use crate::file::{MAX_FILE_BYTES, read_bounded, write_atomic};
use crate::kitnet::{Defect, KitNet, TrainConfig};
use legonf_core::Schema;
use metadata::{FORMAT_VERSION, Normalization, PREFIX, Properties, UNSEALED_VERSION, VERSIONS};
use prost::Message;
use proto::{Model as Proto, OperatorSet, Property};
use std::path::Path;
use std::sync::Arc;

pub use classifier::{CLASSIFIER_PORTS, ClassifierBundle, ModelCard};
pub use describe::{AutoencoderSummary, Check, Description};
pub use external::take_in;
pub use foreign::{Foreign, Meaning, Wanted};
pub use metadata::{CalibratedOn, Calibration, CaptureProvenance, HeldOut, Provenance};
pub use wire::{MAX_NODES, MAX_PARTS, MAX_STRUCTURE_BYTES};

/// Checks that a file is ONNX with no more parts than are read.
pub(crate) fn check_parts(onnx: &[u8]) -> Result<(), Defect> {
    wire::check(onnx)
}

/// The version of ONNX's file format that is written.
const IR_VERSION: i64 = 9;
/// The version of ONNX's operators that is written.
const OPSET: i64 = 18;

/// The property by which earlier versions of the format name the arithmetic of the features.
const ARITHMETIC: &str = "arithmetic";
/// The one arithmetic that there is: that of the reference implementation.
const REFERENCE: &str = "reference";

/// The network of a bundle.
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    /// A KitNET, run by the fused kernel.
    KitNet {
        /// The network.
        network: Arc<KitNet>,
        /// How it was trained.
        training: TrainConfig,
    },
    /// A simpler detector, or an ensemble of them.
    Detector {
        /// The detector.
        detector: Arc<Detector>,
        /// How it was trained.
        training: DetectorConfig,
    },
    /// Somebody else's network, run by a generic engine.
    Foreign(Foreign),
}

impl Model {
    /// The kind's name in files: `kitnet`, `detector` or `foreign`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::KitNet { .. } => "kitnet",
            Self::Detector { .. } => "detector",
            Self::Foreign(_) => "foreign",
        }
    }

    /// Number of features of a row; 0 of a network that takes images.
    pub fn features(&self) -> usize {
        match self {
            Self::KitNet { network, .. } => network.features(),
            Self::Detector { detector, .. } => detector.features(),
            Self::Foreign(foreign) => foreign.features,
        }
    }
}

/// A model and all that is needed to use it.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// The network.
    pub model: Model,
    /// The features that it takes.
    pub schema: Schema,
    /// The threshold, once one is calibrated.
    pub calibration: Option<Calibration>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// What an ONNX file is taken for.
#[derive(Clone, Debug)]
pub enum OnnxFile {
    /// A bundle.
    Bundle(Box<Bundle>),
    /// A classifier.
    Classifier(Box<ClassifierBundle>),
    /// A network of which the file says nothing more: its bytes.
    Network(Vec<u8>),
}

impl OnnxFile {
    /// Reads a file. It is a network alone where nothing in it is legonf's.
    ///
    /// # Errors
    /// As [`Bundle::load`]; also where a network keeps its numbers in another file.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        Self::from_bytes(read_bounded(path, MAX_FILE_BYTES)?, &shown(path))
    }

    /// Takes the content of a file for what it is; `file` names it in errors.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: Vec<u8>, file: &str) -> Result<Self, ModelError> {
        let plain = foreign::is_plain(&bytes).map_err(|defect| ModelError::invalid(file, defect))?;
        if plain {
            return Ok(Self::Network(bytes));
        }
        if foreign::properties(&bytes).is_some_and(|properties| classifier::is_one(&properties)) {
            return Ok(Self::Classifier(Box::new(ClassifierBundle::from_bytes(&bytes, file)?)));
        }
        Ok(Self::Bundle(Box::new(Bundle::from_bytes(&bytes, file)?)))
    }

    /// Loads a bundle or a classifier with every check there is, and says what was found: structure, schema hash, finite
    /// weights, blocks and zeros outside them, normalisation, calibration, checksum, and that it is written again byte for
    /// byte. A foreign network, or that of a classifier, is not run.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(path: &Path) -> Result<(Self, Vec<Check>), ModelError> {
        let (bytes, file) = (read_bounded(path, MAX_FILE_BYTES)?, shown(path));
        let invalid = |defect| ModelError::invalid(&file, defect);
        let is_classifier =
            foreign::properties(&bytes).is_some_and(|properties| classifier::is_one(&properties));
        let (found, again, checks) = if is_classifier {
            let classifier = ClassifierBundle::from_bytes(&bytes, &file)?;
            let (again, checks) = (classifier.to_bytes(), classifier.findings(bytes.len()));
            (Self::Classifier(Box::new(classifier)), again, checks)
        } else {
            let (bundle, version) = Bundle::versioned(&bytes, &file)?;
            let (again, checks) = (bundle.encode(version), bundle.findings(bytes.len(), version));
            (Self::Bundle(Box::new(bundle)), again, checks)
        };
        if again.map_err(invalid)? != bytes {
            return Err(invalid(Defect::new("file", "holds more than what is read of it")));
        }
        Ok((found, checks))
    }
}

impl Bundle {
    /// Reads a bundle from a file.
    ///
    /// # Errors
    /// When the file cannot be read, is not such a bundle, is cut short, or any part of it is missing, not
    /// finite or at odds with another; the message names the file and the part.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        Self::from_bytes(&read_bounded(path, MAX_FILE_BYTES)?, &shown(path))
    }

    /// Reads a bundle from the content of a file; `file` names it in errors.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8], file: &str) -> Result<Self, ModelError> {
        Self::versioned(bytes, file).map(|(bundle, _)| bundle)
    }

    /// A bundle and the version of the format that it was written in.
    pub(crate) fn versioned(bytes: &[u8], file: &str) -> Result<(Self, &'static str), ModelError> {
        let not_onnx = |reason: String| ModelError::NotOnnx { file: file.into(), reason };
        if bytes.is_empty() {
            return Err(not_onnx("the file is empty".into()));
        }
        wire::check(bytes).map_err(|defect| match defect.key.as_str() {
            "ONNX" => not_onnx(defect.reason),
            _ => ModelError::invalid(file, defect),
        })?;
        let proto = Proto::decode(bytes).map_err(|e| not_onnx(e.to_string()))?;
        parse(proto, bytes).map_err(|defect| ModelError::invalid(file, defect))
    }

    /// The content of the file. Equal bundles give equal bytes.
    ///
    /// # Errors
    /// Names the part that is not valid, so that nothing is written which could not be read.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Defect> {
        self.encode(FORMAT_VERSION)
    }

    /// The content of the file in a version of the format.
    pub(crate) fn encode(&self, version: &str) -> Result<Vec<u8>, Defect> {
        self.validate()?;
        let properties = self.properties(version)?;
        let mut bytes = match &self.model {
            Model::Foreign(foreign) => foreign.with_properties(properties),
            Model::KitNet { network, .. } => self.file(graph::build(network), properties).encode_to_vec(),
            Model::Detector { detector, .. } => {
                self.file(detector::build(detector), properties).encode_to_vec()
            }
        };
        if version != UNSEALED_VERSION {
            seal::put(&mut bytes);
        }
        Ok(bytes)
    }

    fn file(&self, graph: proto::Graph, metadata_props: Vec<Property>) -> Proto {
        Proto {
            ir_version: IR_VERSION,
            producer_name: "legonf".into(),
            producer_version: self.provenance.legonf.clone(),
            graph: Some(graph),
            opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
            metadata_props,
        }
    }

    /// Writes the bundle: whole, or not at all.
    ///
    /// # Errors
    /// When a part is not valid or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let bytes = self.to_bytes().map_err(|defect| ModelError::invalid(&shown(path), defect))?;
        write_atomic(path, &bytes)
    }

    /// Checks the parts against each other.
    ///
    /// # Errors
    /// Names the first part that is wrong.
    pub fn validate(&self) -> Result<(), Defect> {
        let (columns, features) = (self.schema.len(), self.model.features());
        if columns != features {
            let reason = format!("{} has {columns} features, the model takes {features}", self.schema.name);
            return Err(Defect::new("legonf.schema", reason));
        }
        let calibration = self.calibration.as_ref().map_or(Ok(()), Calibration::validate);
        calibration.map_err(|d| d.within("legonf.calibration"))?;
        let needed = match &self.model {
            Model::KitNet { training, .. } => Some(check_training(training)?),
            Model::Detector { .. } | Model::Foreign(_) => None,
        };
        self.provenance.validate(needed).map_err(|d| d.within("legonf.provenance"))
    }

    fn properties(&self, version: &str) -> Result<Vec<Property>, Defect> {
        let mut p = Properties(Vec::new());
        p.text("kind", self.model.kind());
        if version != FORMAT_VERSION {
            p.text(ARITHMETIC, REFERENCE);
        }
        p.json("schema", &self.schema)?;
        p.text("schema_hash", self.schema.hash().to_string());
        match &self.model {
            Model::KitNet { network, training } => {
                p.json("normalization", &normalization(network))?;
                p.json("feature_map", &network.feature_map())?;
                p.json("hidden_units", &hidden_units(network))?;
                p.json("training", training)?;
            }
            Model::Detector { detector, training } => {
                p.text("detector", detector.method().label());
                p.json("typical", &detector.typical())?;
                p.json("training", training)?;
            }
            Model::Foreign(foreign) => {
                p.text("input", &foreign.input);
                p.text("output", &foreign.output);
                if foreign.meaning != Meaning::default() {
                    p.text("output_meaning", foreign.meaning.label());
                }
                if !foreign.classes.is_empty() {
                    p.json("classes", &foreign.classes)?;
                }
            }
        }
        if let Some(calibration) = &self.calibration {
            p.json("calibration", calibration)?;
        }
        p.json("provenance", &self.provenance)?;
        p.text("content_hash", content_hash(&self.model));
        // Last in the file, so that a file that is cut short lacks it.
        p.text("format_version", version);
        Ok(p.0)
    }
}

fn parse(proto: Proto, bytes: &[u8]) -> Result<(Bundle, &'static str), Defect> {
    let properties = &proto.metadata_props;
    let version = version(properties)?;
    if version != UNSEALED_VERSION {
        seal::check(bytes)?;
    }
    let graph = proto.graph.as_ref().ok_or_else(|| Defect::new("graph", "is missing"))?;
    check_arithmetic(properties)?;
    let schema = schema(properties)?;
    let model = match metadata::text(properties, "kind")? {
        "kitnet" => kitnet(properties, graph, &schema)?,
        "detector" => trained_detector(properties, graph)?,
        "foreign" => foreign(properties, bytes, schema.is_empty())?,
        other => {
            return Err(Defect::new(
                "legonf.kind",
                format!("expected kitnet, detector or foreign, found {other:?}"),
            ));
        }
    };
    let bundle = Bundle {
        model,
        schema,
        calibration: metadata::optional_json(properties, "calibration")?,
        provenance: metadata::json(properties, "provenance")?,
    };
    bundle.validate()?;
    if metadata::text(properties, "content_hash")? != content_hash(&bundle.model) {
        let reason = "differs from the SHA-256 of the network: it was changed or damaged";
        return Err(Defect::new("legonf.content_hash", reason));
    }
    Ok((bundle, version))
}

/// Refuses a network that was trained on features which no extractor computes.
fn check_arithmetic(properties: &[Property]) -> Result<(), Defect> {
    let stated = metadata::optional_text(properties, ARITHMETIC)?.unwrap_or(REFERENCE);
    if stated == REFERENCE {
        return Ok(());
    }
    let reason = format!(
        "the model takes features in {stated:?} arithmetic, which this version of legonf does not compute: train or import it \
         again"
    );
    Err(Defect::new(format!("{PREFIX}{ARITHMETIC}"), reason))
}

/// The version of the format, where it is one that is read.
fn version(properties: &[Property]) -> Result<&'static str, Defect> {
    let stated = metadata::text(properties, "format_version")?;
    let known = VERSIONS.into_iter().find(|known| *known == stated);
    let version = known.ok_or_else(|| {
        let reason = format!(
            "{stated:?} is none of {}: written by another version of legonf; use that one, or train or import the model \
             again",
            VERSIONS.join(", ")
        );
        Defect::new("legonf.format_version", reason)
    })?;
    if version == UNSEALED_VERSION && properties.iter().any(|p| p.key == seal::KEY) {
        return Err(Defect::new(
            "legonf.format_version",
            "1 has no checksum, but there is one: the file was changed",
        ));
    }
    Ok(version)
}

/// The rows that a training takes, if its options are within their ranges.
fn check_training(training: &TrainConfig) -> Result<u64, Defect> {
    let checked =
        training.validate().map_err(|e| Defect::new(format!("legonf.training.{}", e.option), e.expected));
    checked.map(|()| training.packets_needed())
}

/// SHA-256 of the graph of a KitNET or a detector, or of the foreign file.
fn content_hash(model: &Model) -> String {
    match model {
        Model::KitNet { network, .. } => metadata::sha256(&graph::build(network).encode_to_vec()),
        Model::Detector { detector, .. } => metadata::sha256(&detector::build(detector).encode_to_vec()),
        Model::Foreign(foreign) => metadata::sha256(&foreign.onnx),
    }
}

fn schema(properties: &[Property]) -> Result<Schema, Defect> {
    let schema: Schema = metadata::json(properties, "schema")?;
    let (stated, computed) = (metadata::text(properties, "schema_hash")?, schema.hash().to_string());
    if stated != computed {
        let reason = format!("{stated} is stated, legonf.schema gives {computed}: one of them was changed");
        return Err(Defect::new("legonf.schema_hash", reason));
    }
    Ok(schema)
}

fn kitnet(properties: &[Property], graph: &proto::Graph, schema: &Schema) -> Result<Model, Defect> {
    let map: Vec<Vec<usize>> = metadata::json(properties, "feature_map")?;
    let hidden: Vec<usize> = metadata::json(properties, "hidden_units")?;
    let layout = read::Layout { features: schema.len(), map: &map, hidden: &hidden };
    let network = read::read(graph, &layout)?;
    let stated: Normalization = metadata::json(properties, "normalization")?;
    if stated != normalization(&network) {
        return Err(Defect::new("legonf.normalization", "differs from the graph's norm_min and norm_max"));
    }
    let training: TrainConfig = metadata::json(properties, "training")?;
    if training.features != schema.len() {
        return Err(Defect::new("legonf.training", "was for another number of features than the schema has"));
    }
    Ok(Model::KitNet { network: Arc::new(network), training })
}

fn trained_detector(properties: &[Property], graph: &proto::Graph) -> Result<Model, Defect> {
    let method = metadata::text(properties, "detector")?.parse();
    let method = method.map_err(|error: UnknownMethod| Defect::new("legonf.detector", error.to_string()))?;
    let training: DetectorConfig = metadata::json(properties, "training")?;
    let detector = detector::read(graph, method, metadata::json(properties, "typical")?)?;
    if training.method != method || training.features != detector.features() {
        return Err(Defect::new(
            "legonf.training",
            "was of another detector, or for another number of features",
        ));
    }
    Ok(Model::Detector { detector: Arc::new(detector), training })
}

fn foreign(properties: &[Property], bytes: &[u8], image: bool) -> Result<Model, Defect> {
    let stated = match metadata::optional_text(properties, "output_meaning")? {
        None => Meaning::Score,
        Some(word) => Meaning::of_label(word).ok_or_else(|| {
            let reason = format!("expected score, normality, reconstruction or class, found {word:?}");
            Defect::new("legonf.output_meaning", reason)
        })?,
    };
    let classes: Vec<String> = metadata::optional_json(properties, "classes")?.unwrap_or_default();
    if classes.is_empty() == (stated == Meaning::Classes) {
        return Err(Defect::new("legonf.classes", "are there if the output is of classes, and only then"));
    }
    let output = Some(metadata::text(properties, "output")?.to_owned());
    // What the file says of itself does not count: it was looked at when it was imported.
    let wanted = Wanted { output, image, classes: vec![String::new()], normality: false };
    let found = Foreign::import(foreign::without_properties(bytes)?, &wanted)?;
    if found.input != metadata::text(properties, "input")? {
        return Err(Defect::new("legonf.input", format!("the graph's input is {:?}", found.input)));
    }
    Ok(Model::Foreign(Foreign { meaning: stated, classes, ..found }))
}

fn normalization(network: &KitNet) -> Normalization {
    let mut minimum = vec![None; network.features()];
    let mut maximum = minimum.clone();
    for (autoencoder, columns) in network.ensemble().iter().zip(network.feature_map()) {
        for (v, column) in columns.iter().enumerate() {
            minimum[*column] = Some(autoencoder.norm_min[v]);
            maximum[*column] = Some(autoencoder.norm_max[v]);
        }
    }
    Normalization { minimum, maximum }
}

fn hidden_units(network: &KitNet) -> Vec<usize> {
    network.ensemble().iter().map(|a| a.hidden()).collect()
}
