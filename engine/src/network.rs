//! A model, ready to be put into graphs.

use crate::generic::GenericEngine;
use crate::{Error, Session, foreign};
use legonf_core::{ENGINE_ROWS, Explain, Schema};
use legonf_decide::calibrate::DEFAULT_CONFIDENCE;
use legonf_models::detectors::{Detector, DetectorExplainer};
use legonf_models::kitnet::{Explainer, KitNet};
use legonf_models::{
    Bundle, CalibratedOn, Calibration, CaptureProvenance, ClassifierBundle, Engine, EngineError, Model,
    OnnxFile,
};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A model read from its file. Clones share it, and its weights.
#[derive(Clone)]
pub struct Network(Arc<Inner>);

struct Inner {
    /// None of a network of whose file nothing more is known.
    bundle: Option<Bundle>,
    schema: Schema,
    /// What is known of a classifier beside its network.
    classifier: Option<Classifier>,
    /// The generic engine, once one has been made: others have its weights.
    generic: OnceLock<GenericEngine>,
}

/// The classes of a classifier, and the probability below which one is unknown.
struct Classifier {
    classes: Vec<String>,
    unknown_below: f64,
    /// How flows were gathered, as a flow table is configured.
    flows: Option<String>,
}

impl Network {
    /// Reads a model. A foreign network is tried out first, within bounds of memory and time.
    ///
    /// # Errors
    /// If the file is no model, is damaged, or cannot be run here.
    pub fn load(session: &Session, path: &Path) -> Result<Self, Error> {
        Self::model(session, OnnxFile::load(path)?, path)
    }

    /// As [`load`](Self::load), of what was in a file.
    pub(crate) fn model(session: &Session, content: OnnxFile, path: &Path) -> Result<Self, Error> {
        match content {
            OnnxFile::Bundle(bundle) => Self::checked(session, *bundle, path),
            OnnxFile::Classifier(classifier) => Self::tried(session, *classifier, path),
            // It says that a network alone has to be imported.
            OnnxFile::Network(onnx) => {
                let bundle = Bundle::from_bytes(&onnx, &path.display().to_string())?;
                Self::checked(session, bundle, path)
            }
        }
    }

    /// Reads a model, or any network in ONNX, of which nothing is known but its inputs and outputs.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn read(session: &Session, path: &Path) -> Result<Self, Error> {
        Self::any_model(session, OnnxFile::load(path)?, path)
    }

    /// As [`read`](Self::read), of what was in a file.
    pub(crate) fn any_model(session: &Session, content: OnnxFile, path: &Path) -> Result<Self, Error> {
        let OnnxFile::Network(onnx) = content else { return Self::model(session, content, path) };
        foreign::check_network(session, &onnx, path)?;
        Self::plain(&onnx, path)
    }

    /// As [`read`](Self::read) of a network that has been tried out.
    ///
    /// # Errors
    /// If the file is no model, or is damaged.
    pub fn read_tried(path: &Path) -> Result<Self, Error> {
        Self::tried_content(OnnxFile::load(path)?, path)
    }

    /// The same of what was in a file.
    pub(crate) fn tried_content(content: OnnxFile, path: &Path) -> Result<Self, Error> {
        match content {
            OnnxFile::Bundle(bundle) => Ok(Self::of(*bundle)),
            OnnxFile::Classifier(classifier) => Self::classifier(*classifier, path),
            OnnxFile::Network(onnx) => Self::plain(&onnx, path),
        }
    }

    fn plain(onnx: &[u8], path: &Path) -> Result<Self, Error> {
        Self::any(onnx, None, path)
    }

    /// A classifier that runs within bounds of memory and time.
    fn tried(session: &Session, classifier: ClassifierBundle, path: &Path) -> Result<Self, Error> {
        foreign::check_network(session, &classifier.onnx, path)?;
        Self::classifier(classifier, path)
    }

    /// A classifier.
    fn classifier(bundle: ClassifierBundle, path: &Path) -> Result<Self, Error> {
        let ClassifierBundle { onnx, classes, unknown_below, card, .. } = bundle;
        Self::any(&onnx, Some(Classifier { classes, unknown_below, flows: card.flows }), path)
    }

    fn any(onnx: &[u8], classifier: Option<Classifier>, path: &Path) -> Result<Self, Error> {
        let engine = GenericEngine::open(onnx, ENGINE_ROWS).map_err(|error| Error::file(path, error))?;
        let schema = Schema { name: String::new(), features: Vec::new() };
        Ok(Self(Arc::new(Inner { bundle: None, schema, classifier, generic: engine.into() })))
    }

    fn checked(session: &Session, bundle: Bundle, path: &Path) -> Result<Self, Error> {
        if let Model::Foreign(network) = &bundle.model {
            foreign::check(session, network, path)?;
        }
        Ok(Self::of(bundle))
    }

    /// A model that was made here.
    pub fn of(bundle: Bundle) -> Self {
        let schema = bundle.schema.clone();
        Self(Arc::new(Inner { bundle: Some(bundle), schema, classifier: None, generic: OnceLock::new() }))
    }

    /// Schema of the features that it takes; one without a feature where nothing is known of them.
    pub fn schema(&self) -> &Schema {
        &self.0.schema
    }

    fn calibration(&self) -> Option<&Calibration> {
        self.0.bundle.as_ref()?.calibration.as_ref()
    }

    /// The calibrated threshold.
    pub fn threshold(&self) -> Option<f64> {
        self.calibration().map(|c| c.threshold)
    }

    /// The part of benign packets above the threshold that its calibration stands for.
    pub fn false_positive_bound(&self) -> Option<f64> {
        self.calibration().map(|c| c.false_positive_bound)
    }

    /// The probability with which that bound holds.
    pub fn confidence(&self) -> f64 {
        self.calibration().and_then(|c| c.confidence).unwrap_or(DEFAULT_CONFIDENCE)
    }

    /// The network, where it is a KitNET.
    pub fn kitnet(&self) -> Option<Arc<KitNet>> {
        match &self.0.bundle.as_ref()?.model {
            Model::KitNet { network, .. } => Some(network.clone()),
            Model::Detector { .. } | Model::Foreign(_) => None,
        }
    }

    /// The detector, where it is one that is no network.
    pub fn detector(&self) -> Option<Arc<Detector>> {
        match &self.0.bundle.as_ref()?.model {
            Model::Detector { detector, .. } => Some(detector.clone()),
            Model::KitNet { .. } | Model::Foreign(_) => None,
        }
    }

    /// Names of the classes, where it is a classifier that states them.
    pub fn classes(&self) -> &[String] {
        if let Some(classifier) = &self.0.classifier {
            return &classifier.classes;
        }
        match self.0.bundle.as_ref().map(|bundle| &bundle.model) {
            Some(Model::Foreign(foreign)) => &foreign.classes,
            _ => &[],
        }
    }

    /// The probability below which a class is unknown, where it is a classifier that states one.
    pub fn unknown_below(&self) -> Option<f64> {
        self.0.classifier.as_ref().map(|classifier| classifier.unknown_below)
    }

    /// How the flows were gathered that a classifier was trained on, as a flow table is configured.
    pub(crate) fn flows(&self) -> Option<&str> {
        self.0.classifier.as_ref()?.flows.as_deref()
    }

    /// Names of the inputs of a network of which nothing more is known, or of a classifier.
    pub(crate) fn inputs(&self) -> Vec<String> {
        let engine = self.0.generic.get();
        let inputs = engine.iter().flat_map(|engine| &engine.signature().inputs);
        inputs.map(|port| port.name.clone()).collect()
    }

    /// Says why a packet is anomalous, where the network can.
    pub fn explainer(&self) -> Option<Box<dyn Explain>> {
        let schema = Arc::new(self.schema().clone());
        match &self.0.bundle.as_ref()?.model {
            Model::KitNet { network, .. } => Some(Box::new(Explainer::new(network.clone(), schema)?)),
            Model::Detector { detector, .. } => {
                Some(Box::new(DetectorExplainer::new(detector.clone(), schema)?))
            }
            Model::Foreign(_) => None,
        }
    }

    fn trained_on(&self) -> impl Iterator<Item = &CaptureProvenance> {
        self.0.bundle.iter().flat_map(|bundle| &bundle.provenance.captures)
    }

    /// The captures of the calibration, and which of their packets: the first, and the first behind them.
    fn calibrated_on(&self) -> Option<&CalibratedOn> {
        self.calibration()?.packets.as_ref()
    }

    /// Whether the model was trained or calibrated on a capture of this name.
    pub fn names(&self, capture: &str) -> bool {
        let calibrated = self.calibrated_on().into_iter().flat_map(|on| &on.captures);
        self.trained_on().chain(calibrated).any(|known| known.name == capture)
    }

    /// How many packets of a capture the model was trained on, of those that pass the same filter.
    pub fn trained_packets(&self, capture: &CaptureProvenance) -> u64 {
        self.trained_on().filter(|known| is_same(known, capture)).map(|known| known.packets).sum()
    }

    /// Whether the model was trained on packets of a capture that another filter lets pass.
    pub fn trained_otherwise(&self, capture: &CaptureProvenance) -> bool {
        let known = |known: &&CaptureProvenance| !capture.sha256.is_empty() && known.sha256 == capture.sha256;
        self.trained_on().filter(known).any(|known| known.filter != capture.filter)
    }

    /// Which packets of captures, read one after the other, the threshold comes from: the first, and the first behind them.
    pub fn calibrated_packets(&self, captures: &[CaptureProvenance]) -> Option<(u64, u64)> {
        let on = self.calibrated_on()?;
        let same = captures.len() >= on.captures.len()
            && on.captures.iter().zip(captures).all(|(known, capture)| is_same(known, capture));
        same.then_some((on.first, on.end))
    }

    /// The model with another threshold.
    ///
    /// # Errors
    /// If it is a network of which nothing more is known.
    pub fn with_calibration(&self, calibration: Calibration) -> Result<Bundle, Error> {
        let bundle =
            self.0.bundle.clone().ok_or_else(|| Error::refused("a network alone takes no threshold"))?;
        Ok(Bundle { calibration: Some(calibration), ..bundle })
    }

    /// Makes a generic engine for the network. All of them share one plan, and so the weights.
    ///
    /// # Errors
    /// If the engine cannot run it.
    pub fn engine(&self) -> Result<Box<dyn Engine>, EngineError> {
        if let Some(engine) = self.0.generic.get() {
            return Ok(Box::new(engine.clone()));
        }
        let bundle = self.0.bundle.as_ref().ok_or_else(|| EngineError("there is no network".into()))?;
        let engine =
            GenericEngine::from_bundle(bundle, ENGINE_ROWS).map_err(|e| EngineError(e.to_string()))?;
        Ok(Box::new(self.0.generic.get_or_init(|| engine).clone()))
    }

    /// Generic engines that share the weights, the one that is kept for others among them.
    #[cfg(all(test, feature = "tract"))]
    pub(crate) fn engines(&self) -> usize {
        self.0.generic.get().map_or(0, GenericEngine::sharers)
    }

    /// Whether another one is of the same file, read once.
    #[cfg(test)]
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Whether two captures are one, of which the same packets count.
fn is_same(known: &CaptureProvenance, capture: &CaptureProvenance) -> bool {
    !known.sha256.is_empty() && known.sha256 == capture.sha256 && known.filter == capture.filter
}
