//! Explanations by the model that judged a packet.

use super::{Swaps, locked};
use legonf_core::{Explain, Explanation};
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;

/// Explains packets of the batch that is with the sink by the model that was in force for it.
pub(crate) struct Explainers {
    swaps: Swaps,
    /// The explainer that was used last, with the number from which on its model is in force.
    latest: Mutex<Option<(u64, Box<dyn Explain>)>>,
}

impl Explainers {
    pub fn new(swaps: &Swaps) -> Self {
        Self { swaps: swaps.clone(), latest: Mutex::default() }
    }
}

impl Explain for Explainers {
    fn explain(&self, features: &[f64], top: usize) -> Explanation {
        let shared = &self.swaps.0;
        let Some((from, models)) = shared.models_at(shared.written.load(Relaxed)) else {
            return Explanation::default();
        };
        let mut latest = locked(&self.latest);
        if latest.as_ref().is_none_or(|(known, _)| *known != from) {
            let explainer = models.main(&shared.spec).and_then(|model| model.network.explainer());
            *latest = explainer.map(|explainer| (from, explainer));
        }
        latest.as_ref().map(|(_, explainer)| explainer.explain(features, top)).unwrap_or_default()
    }
}
