//! A model, ready to be put into graphs.

use crate::{Error, Session, foreign};
use legonf_catalog::{Context, MakeEngine};
use legonf_core::{ENGINE_ROWS, Explain, Schema};
use legonf_decide::calibrate::DEFAULT_CONFIDENCE;
use legonf_models::kitnet::{Explainer, KitNet};
use legonf_models::{Bundle, Calibration, Engine, EngineError, Model};
use legonf_tract::TractEngine;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// A model read from its file.
pub struct Network {
    bundle: Bundle,
    /// The generic engine, once one has been made: others have its weights.
    generic: OnceLock<TractEngine>,
}

impl Network {
    /// Reads a model. A foreign network is tried out first, within bounds of memory and time.
    ///
    /// # Errors
    /// If the file is no model, is damaged, or cannot be run here.
    pub fn load(session: &Session, path: &Path) -> Result<Self, Error> {
        let bundle = Bundle::load(path)?;
        if let Model::Foreign(network) = &bundle.model {
            foreign::check(session, network, path)?;
        }
        Ok(Self::of(bundle))
    }

    /// A model that was made here.
    pub fn of(bundle: Bundle) -> Self {
        Self { bundle, generic: OnceLock::new() }
    }

    /// Schema of the features that it takes.
    pub fn schema(&self) -> &Schema {
        &self.bundle.schema
    }

    /// The calibrated threshold.
    pub fn threshold(&self) -> Option<f64> {
        self.bundle.calibration.as_ref().map(|c| c.threshold)
    }

    /// The part of benign packets above the threshold that its calibration stands for.
    pub fn false_positive_bound(&self) -> Option<f64> {
        self.bundle.calibration.as_ref().map(|c| c.false_positive_bound)
    }

    /// The probability with which that bound holds.
    pub fn confidence(&self) -> f64 {
        self.bundle.calibration.as_ref().and_then(|c| c.confidence).unwrap_or(DEFAULT_CONFIDENCE)
    }

    /// The network, where it is a KitNET.
    pub fn kitnet(&self) -> Option<Arc<KitNet>> {
        match &self.bundle.model {
            Model::KitNet { network, .. } => Some(network.clone()),
            Model::Foreign(_) => None,
        }
    }

    /// Says why a packet is anomalous, where the network can.
    pub fn explainer(&self) -> Option<Box<dyn Explain>> {
        let explainer = Explainer::new(self.kitnet()?, Arc::new(self.bundle.schema.clone()))?;
        Some(Box::new(explainer))
    }

    /// How many packets of the capture with this SHA-256 the model was trained on.
    pub fn trained_packets(&self, sha256: &str) -> u64 {
        let captures = &self.bundle.provenance.captures;
        captures.iter().filter(|c| c.sha256 == sha256).map(|c| c.packets).sum()
    }

    /// The model with another threshold.
    pub fn with_calibration(self, calibration: Calibration) -> Bundle {
        Bundle { calibration: Some(calibration), ..self.bundle }
    }

    /// Makes a generic engine for the network. All of them share one plan, and so the weights.
    ///
    /// # Errors
    /// If the engine cannot run it.
    pub fn engine(&self) -> Result<Box<dyn Engine>, EngineError> {
        if let Some(engine) = self.generic.get() {
            return Ok(Box::new(engine.clone()));
        }
        let engine =
            TractEngine::from_bundle(&self.bundle, ENGINE_ROWS).map_err(|e| EngineError(e.to_string()))?;
        Ok(Box::new(self.generic.get_or_init(|| engine).clone()))
    }

    /// What the bricks of a graph take from the model.
    pub fn context<'a>(&'a self, threshold: Option<f64>, engine: MakeEngine<'a>) -> Context<'a> {
        let (schema, kitnet) = (Some(self.schema()), self.kitnet());
        Context { schema, kitnet, threshold, engine: Some(engine), ports: &[] }
    }
}
