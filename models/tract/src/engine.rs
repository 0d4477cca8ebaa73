//! A plan of tract behind the engine interface.

use crate::plan::Plan;
use legonf_core::Rows;
use legonf_models::{
    Bundle, Engine, EngineError, Foreign, MAX_FILE_BYTES, Meaning, Model, ModelError, read_bounded,
};
use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use tract_onnx::prelude::*;

/// Why a network cannot be run by tract.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bundle cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The network is not one that tract runs, or has another form than rows in, scores out.
    #[error("{file}: tract cannot run this network: {reason}")]
    Network {
        /// The file, or the kind of the model.
        file: String,
        /// What tract found.
        reason: String,
    },
}

/// Runs an ONNX network by tract. Each batch allocates within tract. Clones share the plan with its weights.
#[derive(Clone, Debug)]
pub struct TractEngine {
    plan: Arc<Plan>,
    features: usize,
    batch: usize,
}

impl TractEngine {
    /// Loads the network of a bundle file for batches of `batch` rows.
    ///
    /// # Errors
    /// When the bundle or its network cannot be used.
    pub fn load(path: &Path, batch: usize) -> Result<Self, LoadError> {
        let file = path.display().to_string();
        Self::from_bundle(&Bundle::from_bytes(&read_bounded(path, MAX_FILE_BYTES)?, &file)?, batch)
    }

    /// Prepares the network of a bundle for batches of `batch` rows; for a KitNET this is its ONNX graph, so that
    /// the fused kernel can be compared with it.
    ///
    /// # Errors
    /// When tract cannot run the network, or its output means something else than the bundle says.
    pub fn from_bundle(bundle: &Bundle, batch: usize) -> Result<Self, LoadError> {
        let features = bundle.model.features();
        match &bundle.model {
            Model::Foreign(foreign) => {
                Self::new(&foreign.onnx, &foreign.output, features, batch)?.meant(foreign)
            }
            Model::KitNet { .. } => {
                let onnx = bundle.to_bytes().map_err(|d| refused("kitnet", d.to_string()))?;
                Self::new(&onnx, "rmse", features, batch)
            }
        }
    }

    /// Prepares an ONNX network with one input of `features` columns for batches of `batch` rows; `output`
    /// names the output that the scores come from: one value a row, or one a feature ([`Meaning`]).
    ///
    /// # Errors
    /// When tract cannot run the network, its tensors take more than [`MAX_TENSOR_BYTES`](crate::MAX_TENSOR_BYTES), or it has
    /// another form.
    pub fn new(onnx: &[u8], output: &str, features: usize, batch: usize) -> Result<Self, LoadError> {
        let batch = batch.max(1);
        guarded(|| Plan::new(onnx, output, features, batch))
            .map(|plan| Self { plan: Arc::new(plan), features, batch })
            .map_err(|error| refused("ONNX", error.0))
    }

    /// The engine, if the network's output is what the bundle takes it for.
    fn meant(self, foreign: &Foreign) -> Result<Self, LoadError> {
        let (stated, found) = (foreign.meaning.label(), self.meaning().label());
        if stated == found {
            return Ok(self);
        }
        let reason = format!("its output is a {found}, not a {stated}; import the original again");
        Err(refused("foreign", reason))
    }

    /// What the output says of a row.
    pub fn meaning(&self) -> Meaning {
        self.plan.meaning
    }

    /// Features of a row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Rows that the plan takes at once.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// As [`Engine::score`], and fills `errors` from the output `errors` where the network has one; otherwise
    /// `errors` becomes empty.
    ///
    /// # Errors
    /// When tract fails or the rows have another width than the input.
    pub fn score_with_errors(
        &mut self,
        features: &Rows,
        scores: &mut Vec<f64>,
        errors: &mut Rows,
    ) -> Result<(), EngineError> {
        scores.clear();
        errors.reset(0, 0);
        if !features.is_empty() && features.width() != self.features {
            let (given, expected) = (features.width(), self.features);
            return Err(EngineError(format!("rows of {given} features for a network of {expected}")));
        }
        for start in (0..features.len()).step_by(self.batch) {
            let rows = start..features.len().min(start + self.batch);
            let outputs = guarded(|| self.plan.run(tvec!(self.input(features, start)?.into())));
            let outputs = outputs?;
            let taken = self.scores(&outputs, features, rows.clone(), scores);
            taken
                .and_then(|()| self.errors(&outputs, rows, errors))
                .map_err(|e| EngineError(e.to_string()))?;
        }
        Ok(())
    }

    /// A full batch from row `start` on; rows past the last repeat it.
    fn input(&self, features: &Rows, start: usize) -> TractResult<Tensor> {
        let last = features.len() - 1;
        let cells = (start..start + self.batch).flat_map(|row| features.row(row.min(last)));
        let shape = [self.batch, self.features];
        if self.plan.is_single() {
            Tensor::from_shape(&shape, &cells.map(|v| *v as f32).collect::<Vec<_>>())
        } else {
            Tensor::from_shape(&shape, &cells.copied().collect::<Vec<_>>())
        }
    }

    /// Appends the scores of the rows `rows`, which are the first of the batch that gave `outputs`.
    fn scores(
        &self,
        outputs: &[TValue],
        features: &Rows,
        rows: Range<usize>,
        scores: &mut Vec<f64>,
    ) -> TractResult<()> {
        let width = if self.meaning() == Meaning::Score { 1 } else { self.features };
        let values = self.output(outputs, 0, width)?;
        if self.meaning() == Meaning::Score {
            scores.extend_from_slice(&values[..rows.len()]);
        } else {
            let pairs = rows.zip(values.chunks_exact(width));
            scores.extend(pairs.map(|(row, made)| self.plan.rmse(features.row(row), made)));
        }
        Ok(())
    }

    /// Appends the errors of the rows `rows`, where the network gives errors.
    fn errors(&self, outputs: &[TValue], rows: Range<usize>, errors: &mut Rows) -> TractResult<()> {
        let Some(width) = self.plan.errors else { return Ok(()) };
        let values = self.output(outputs, 1, width)?;
        errors.reset(rows.end, width);
        errors.as_mut_slice()[rows.start * width..].copy_from_slice(&values[..rows.len() * width]);
        Ok(())
    }

    /// The values of an output as `f64`: a row of `width` for each of the batch.
    fn output(&self, outputs: &[TValue], index: usize, width: usize) -> TractResult<Vec<f64>> {
        let tensor = outputs.get(index).ok_or_else(|| TractError::msg("an output is missing"))?;
        let cast = tensor.cast_to::<f64>()?;
        let values = cast.try_as_plain_ram()?.as_slice::<f64>()?;
        if values.len() == self.batch * width {
            return Ok(values.to_vec());
        }
        let (found, rows) = (values.len(), self.batch);
        Err(TractError::msg(format!("{found} values for {rows} rows of {width}")))
    }
}

impl Engine for TractEngine {
    fn score(&mut self, features: &Rows, scores: &mut Vec<f64>) -> Result<(), EngineError> {
        self.score_with_errors(features, scores, &mut Rows::default())
    }

    fn warm(&mut self) -> Result<(), EngineError> {
        let mut zeros = Rows::default();
        zeros.reset(self.batch, self.features);
        self.score(&zeros, &mut Vec::new())
    }
}

fn refused(file: &str, reason: String) -> LoadError {
    LoadError::Network { file: file.into(), reason }
}

/// Runs `work` and gives its error, or its panic, as one line: a graph that was made to do harm must not
/// end the process.
fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, EngineError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|e| EngineError(format!("{e:#}").replace('\n', " "))),
        Err(panic) => Err(EngineError(format!("tract stopped on this network: {}", said(&*panic)))),
    }
}

/// The first line of what a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("for no stated reason")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_onnx_is_refused() {
        for onnx in [&b""[..], b"not onnx at all", &[0x3a, 0x05, 1, 2]] {
            let error = TractEngine::new(onnx, "rmse", 3, 4).unwrap_err().to_string();
            assert!(error.starts_with("ONNX: tract cannot run this network: "), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }
}
