//! A plan of tract behind the engine interface.

use crate::columns;
use crate::plan::Plan;
use legonf_core::{Storage, cells_mut, storage};
use legonf_models::{
    Bundle, Engine, EngineError, Foreign, MAX_FILE_BYTES, Meaning, Model, ModelError, Output, Port,
    Signature, read_bounded, try_out,
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
    batch: usize,
    /// Whether the score is the negative of what the network gives.
    negated: bool,
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
            Model::Foreign(foreign) if foreign.meaning == Meaning::Classes => {
                Self::classifier(&foreign.onnx, &foreign.output, foreign.classes.len(), batch)
            }
            Model::Foreign(foreign) => {
                Self::new(&foreign.onnx, &foreign.output, features, batch)?.meant(foreign)
            }
            Model::KitNet { .. } | Model::Detector { .. } => {
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
        Self::of(batch, |batch| Plan::scoring(onnx, output, features, batch))
    }

    /// Prepares an ONNX network of any inputs for batches of `batch` rows; `output` names its only output that is kept, which gives
    /// one value for each of so many classes.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn classifier(onnx: &[u8], output: &str, classes: usize, batch: usize) -> Result<Self, LoadError> {
        let engine = Self::of(batch, |batch| Plan::open(onnx, Some(output), batch))?;
        let found = engine.plan.signature.outputs.first().map_or(0, Port::width);
        if found == classes {
            return Ok(engine);
        }
        let reason =
            format!("output `{output}` has {found} values a row: expected one for each of {classes} classes");
        Err(refused("ONNX", reason))
    }

    /// Prepares any ONNX network for batches of `batch` rows, the first dimension of each of its inputs and outputs.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn open(onnx: &[u8], batch: usize) -> Result<Self, LoadError> {
        Self::of(batch, |batch| Plan::open(onnx, None, batch))
    }

    fn of(batch: usize, plan: impl FnOnce(usize) -> TractResult<Plan>) -> Result<Self, LoadError> {
        let batch = batch.max(1);
        let plan = guarded(|| plan(batch)).map_err(|error| refused("ONNX", error.0))?;
        Ok(Self { plan: Arc::new(plan), batch, negated: false })
    }

    /// The engine, if the network's output is what the bundle takes it for: of one value a row the network does not say whether it is
    /// a score or a normality.
    fn meant(mut self, foreign: &Foreign) -> Result<Self, LoadError> {
        let (stated, found) = (foreign.meaning, self.meaning());
        if (stated, found) == (Meaning::Normality, Meaning::Score) {
            self.negated = true;
            return Ok(self);
        }
        if stated == found {
            return Ok(self);
        }
        let reason =
            format!("its output is a {}, not a {}; import the original again", found.label(), stated.label());
        Err(refused("foreign", reason))
    }

    /// What the output says of a row.
    pub fn meaning(&self) -> Meaning {
        self.plan.meaning
    }

    /// Runs rows alone and in full batches ([`try_out`]).
    ///
    /// # Errors
    /// If a row's values depend on those beside it, or no score is a number.
    pub fn try_out(&mut self) -> Result<(), EngineError> {
        let batch = self.batch;
        try_out(self, batch)
    }

    /// Engines that share its plan, itself among them.
    pub fn sharers(&self) -> usize {
        Arc::strong_count(&self.plan)
    }

    /// Rows that the plan takes at once.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The inputs of a full batch from row `start` on; rows past the last repeat it.
    fn inputs(&self, columns: &[Box<dyn Storage>], start: usize) -> TractResult<TVec<TValue>> {
        let ports = self.plan.signature.inputs.iter().zip(columns.iter().map(|column| &**column));
        let tensor = |(port, column): (&Port, &dyn Storage)| {
            let dimensions: TVec<usize> =
                std::iter::once(self.batch).chain(port.shape.iter().copied()).collect();
            Ok(columns::tensor(port.element, &dimensions, column, start)?.into())
        };
        ports.map(tensor).collect()
    }

    /// Runs the rows `rows`, no more than a batch.
    fn part(
        &self,
        inputs: &[Box<dyn Storage>],
        outputs: &mut [Output],
        rows: Range<usize>,
    ) -> TractResult<()> {
        let given = self.plan.run(self.inputs(inputs, rows.start)?)?;
        for Output { number, column } in outputs {
            let tensor = given.get(*number).ok_or_else(|| TractError::msg("an output is missing"))?;
            if (self.plan.signature.score, self.meaning()) == (Some(*number), Meaning::Reconstruction) {
                self.deviations(&*inputs[0], tensor, &mut **column, rows.clone())?;
                continue;
            }
            let (found, width) = (tensor.len(), self.plan.signature.outputs[*number].width());
            if found != self.batch * width {
                let expected = self.batch;
                return Err(TractError::msg(format!("{found} values for {expected} rows of {width}")));
            }
            columns::take(tensor, &mut **column, rows.clone())?;
            if self.negated && self.plan.signature.score == Some(*number) {
                negate(&mut **column, rows.clone());
            }
        }
        Ok(())
    }

    /// The scores of rows that the network has put together again.
    fn deviations(
        &self,
        taken: &dyn Storage,
        made: &Tensor,
        scores: &mut dyn Storage,
        rows: Range<usize>,
    ) -> TractResult<()> {
        let taken = columns::doubles(taken)?;
        let scores = cells_mut(scores).ok_or_else(|| TractError::msg("scores are of f64"))?;
        let width = self.plan.signature.inputs[0].width();
        let made = made.cast_to::<f64>()?;
        let made = made.try_as_plain_ram()?.as_slice::<f64>()?;
        if made.len() != self.batch * width {
            return Err(TractError::msg(format!("{} values for {} rows of {width}", made.len(), self.batch)));
        }
        for (row, made) in rows.zip(made.chunks_exact(width)) {
            scores[row] = self.plan.rmse(&taken[row * width..][..width], made);
        }
        Ok(())
    }
}

impl Engine for TractEngine {
    fn signature(&self) -> &Signature {
        &self.plan.signature
    }

    fn run(&mut self, inputs: &[Box<dyn Storage>], outputs: &mut [Output]) -> Result<(), EngineError> {
        let rows = self.plan.signature.rows(inputs)?;
        for Output { number, column } in &mut *outputs {
            let port = self.plan.signature.outputs.get(*number);
            let port = port.ok_or_else(|| EngineError(format!("the network has no output {number}")))?;
            column.reshape(rows, port.width());
        }
        for start in (0..rows).step_by(self.batch) {
            guarded(|| self.part(inputs, outputs, start..rows.min(start + self.batch)))?;
        }
        Ok(())
    }

    fn warm(&mut self) -> Result<(), EngineError> {
        let zeros = |port: &Port| {
            let mut column = storage(port.element, port.width() == 1);
            column.fill(self.batch, port.width());
            column
        };
        let inputs: Vec<_> = self.plan.signature.inputs.iter().map(zeros).collect();
        let mut outputs = self.plan.signature.wanted();
        self.run(&inputs, &mut outputs)
    }
}

/// Makes the negative of some rows of scores.
fn negate(scores: &mut dyn Storage, rows: Range<usize>) {
    if let Some(doubles) = cells_mut::<f64>(scores) {
        doubles[rows].iter_mut().for_each(|score| *score = -*score);
    } else if let Some(singles) = cells_mut::<f32>(scores) {
        singles[rows].iter_mut().for_each(|score| *score = -*score);
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
