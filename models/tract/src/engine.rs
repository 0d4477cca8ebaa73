//! A plan of tract behind the engine interface.

use crate::double;
use legonf_core::Rows;
use legonf_models::{Bundle, Engine, EngineError, Model, ModelError, read_bounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;

/// Name of the optional output with the errors of an ensemble.
const ERRORS: &str = "errors";

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
    plan: Arc<TypedRunnableModel>,
    element: DatumType,
    features: usize,
    batch: usize,
    has_errors: bool,
}

impl TractEngine {
    /// Loads the network of a bundle file for batches of `batch` rows.
    ///
    /// # Errors
    /// When the bundle or its network cannot be used.
    pub fn load(path: &Path, batch: usize) -> Result<Self, LoadError> {
        let file = path.display().to_string();
        Self::from_bundle(&Bundle::from_bytes(&read_bounded(path)?, &file)?, batch)
    }

    /// Prepares the network of a bundle for batches of `batch` rows; for a KitNET this is its ONNX graph, so that
    /// the fused kernel can be compared with it.
    ///
    /// # Errors
    /// When tract cannot run the network.
    pub fn from_bundle(bundle: &Bundle, batch: usize) -> Result<Self, LoadError> {
        let features = bundle.model.features();
        match &bundle.model {
            Model::Foreign(foreign) => Self::new(&foreign.onnx, &foreign.output, features, batch),
            Model::KitNet { .. } => {
                let onnx = bundle.to_bytes().map_err(|d| refused("kitnet", d.to_string()))?;
                Self::new(&onnx, "rmse", features, batch)
            }
        }
    }

    /// Prepares an ONNX network with one input of `features` columns for batches of `batch` rows; `output`
    /// names the output with the scores.
    ///
    /// # Errors
    /// When tract cannot run the network, or it has another form.
    pub fn new(onnx: &[u8], output: &str, features: usize, batch: usize) -> Result<Self, LoadError> {
        let batch = batch.max(1);
        guarded(|| plan(onnx, output, features, batch))
            .map(|(plan, element, has_errors)| Self { plan, element, features, batch, has_errors })
            .map_err(|reason| refused("ONNX", reason))
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
            let rows = self.batch.min(features.len() - start);
            let outputs = guarded(|| self.plan.run(tvec!(self.input(features, start)?.into())));
            let outputs = outputs.map_err(EngineError)?;
            let (values, _) = floats(&outputs[0]).map_err(|e| EngineError(e.to_string()))?;
            if values.len() != self.batch {
                return Err(EngineError(format!("{} scores for {} rows", values.len(), self.batch)));
            }
            scores.extend_from_slice(&values[..rows]);
            if self.has_errors {
                append_errors(&outputs[1], start, rows, errors).map_err(|e| EngineError(e.to_string()))?;
            }
        }
        Ok(())
    }

    /// A full batch from row `start` on; rows past the last repeat it.
    fn input(&self, features: &Rows, start: usize) -> TractResult<Tensor> {
        let last = features.len() - 1;
        let cells = (start..start + self.batch).flat_map(|row| features.row(row.min(last)));
        let shape = [self.batch, self.features];
        if self.element == f32::datum_type() {
            Tensor::from_shape(&shape, &cells.map(|v| *v as f32).collect::<Vec<_>>())
        } else {
            Tensor::from_shape(&shape, &cells.copied().collect::<Vec<_>>())
        }
    }
}

impl Engine for TractEngine {
    fn score(&mut self, features: &Rows, scores: &mut Vec<f64>) -> Result<(), EngineError> {
        self.score_with_errors(features, scores, &mut Rows::default())
    }
}

fn refused(file: &str, reason: String) -> LoadError {
    LoadError::Network { file: file.into(), reason }
}

/// Runs `work` and gives its error, or its panic, as one line: a graph that was made to do harm must not
/// end the process.
fn guarded<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|e| format!("{e:#}").replace('\n', " ")),
        Err(_) => Err("tract stopped on this network".into()),
    }
}

/// The optimised plan, the element type of its input, and whether its second output is `errors`.
fn plan(
    onnx: &[u8],
    output: &str,
    features: usize,
    batch: usize,
) -> TractResult<(Arc<TypedRunnableModel>, DatumType, bool)> {
    let mut reader = tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
    double::register(&mut reader);
    let mut model = reader.model_for_read(&mut &*onnx)?;
    let inputs = model.input_outlets()?.len();
    if inputs != 1 {
        return Err(TractError::msg(format!("expected one input, found {inputs}")));
    }
    let element = model.input_fact(0)?.datum_type.concretize().unwrap_or_else(f64::datum_type);
    if ![f32::datum_type(), f64::datum_type()].contains(&element) {
        return Err(TractError::msg(format!("expected an input of f32 or f64, found {element:?}")));
    }
    model.set_input_fact(0, InferenceFact::dt_shape(element, [batch, features]))?;
    let has_errors = output != ERRORS && model.clone().with_outputs_by_name([ERRORS]).is_ok();
    model.select_outputs_by_name(std::iter::once(output).chain(has_errors.then_some(ERRORS)))?;
    let mut model = model.into_typed()?;
    double::keep_sums(&mut model)?;
    Ok((model.into_optimized()?.into_runnable()?, element, has_errors))
}

/// The values of a tensor as `f64`, and its shape.
fn floats(tensor: &Tensor) -> TractResult<(Vec<f64>, Vec<usize>)> {
    let cast = tensor.cast_to::<f64>()?;
    Ok((cast.try_as_plain_ram()?.as_slice::<f64>()?.to_vec(), tensor.shape().to_vec()))
}

fn append_errors(tensor: &Tensor, start: usize, rows: usize, errors: &mut Rows) -> TractResult<()> {
    let (values, shape) = floats(tensor)?;
    let &[_, width] = shape.as_slice() else {
        return Err(TractError::msg(format!("errors have the shape {shape:?}")));
    };
    errors.reset(start + rows, width);
    errors.as_mut_slice()[start * width..].copy_from_slice(&values[..rows * width]);
    Ok(())
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
