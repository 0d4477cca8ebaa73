//! A network as tract runs it, checked to have the form that an engine needs.

use crate::double;
use legonf_models::Meaning;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::InferenceModelExt;

/// Bytes at most that all tensors between the operators of a network take together for one batch.
pub const MAX_TENSOR_BYTES: u64 = 2 << 30;

/// Name of the optional output with the errors of an ensemble.
const ERRORS: &str = "errors";

/// An optimised network for batches of one size.
#[derive(Debug)]
pub(crate) struct Plan {
    runnable: Arc<TypedRunnableModel>,
    element: DatumType,
    /// What the first output says of a row.
    pub(crate) meaning: Meaning,
    /// Columns of the second output, where there is one.
    pub(crate) errors: Option<usize>,
}

impl Plan {
    /// Prepares a network for batches of `batch` rows of `features`.
    ///
    /// # Errors
    /// Names the operator that tract cannot run or that takes too much memory, or the input or output of another form.
    pub(crate) fn new(onnx: &[u8], output: &str, features: usize, batch: usize) -> TractResult<Self> {
        let mut model = read(onnx)?;
        let element = element(&model)?;
        model.set_input_fact(0, InferenceFact::dt_shape(element, [batch, features]))?;
        let has_errors = output != ERRORS && model.clone().with_outputs_by_name([ERRORS]).is_ok();
        model.select_outputs_by_name(std::iter::once(output).chain(has_errors.then_some(ERRORS)))?;
        model.analyse(false)?;
        check_size(&model, batch)?;
        let mut model = model.into_typed()?;
        double::keep_sums(&mut model)?;
        let meaning = meaning(&shape(&model, 0)?, features, batch)
            .ok_or_else(|| wrong_shape(output, &model, 0, "one score a row, or one value a feature"))?;
        let errors = has_errors.then(|| errors(&shape(&model, 1)?, batch, &model)).transpose()?;
        Ok(Self { runnable: model.into_optimized()?.into_runnable()?, element, meaning, errors })
    }

    /// Runs a batch.
    pub(crate) fn run(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.runnable.run(inputs)
    }

    /// Whether the network takes its input in single precision.
    pub(crate) fn is_single(&self) -> bool {
        self.element == f32::datum_type()
    }

    /// The root of the mean square of what lies between a row, as the network took it, and what it made of it; summed in
    /// the order of the features.
    pub(crate) fn rmse(&self, row: &[f64], made: &[f64]) -> f64 {
        let taken = |value: f64| if self.is_single() { f64::from(value as f32) } else { value };
        let sum = row.iter().zip(made).fold(0.0, |sum, (value, made)| {
            let deviation = taken(*value) - made;
            sum + deviation * deviation
        });
        (sum / row.len() as f64).sqrt()
    }
}

fn read(onnx: &[u8]) -> TractResult<InferenceModel> {
    let mut reader = tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
    double::register(&mut reader);
    reader.model_for_read(&mut &*onnx)
}

/// The element type of the only input.
fn element(model: &InferenceModel) -> TractResult<DatumType> {
    let inputs = model.input_outlets()?.len();
    if inputs != 1 {
        return Err(TractError::msg(format!("expected one input, found {inputs}")));
    }
    let element = model.input_fact(0)?.datum_type.concretize().unwrap_or_else(f64::datum_type);
    if ![f32::datum_type(), f64::datum_type()].contains(&element) {
        return Err(TractError::msg(format!("expected an input of f32 or f64, found {element:?}")));
    }
    Ok(element)
}

/// Refuses a network whose tensors, as far as their shapes are known before it runs, are too large.
fn check_size(model: &InferenceModel, batch: usize) -> TractResult<()> {
    let mut total = 0_u64;
    for node in model.nodes() {
        let bytes = node.outputs.iter().map(|output| bytes(&output.fact)).fold(0, u64::saturating_add);
        total = total.saturating_add(bytes);
        if total > MAX_TENSOR_BYTES {
            return Err(TractError::msg(format!(
                "operator {} ({}): up to it the tensors of a batch of {batch} rows take {total} bytes; at most {MAX_TENSOR_BYTES}",
                node.name,
                node.op.name().trim_start_matches("Inference")
            )));
        }
    }
    Ok(())
}

/// Bytes of a tensor; 0 where its shape is not known.
fn bytes(fact: &InferenceFact) -> u64 {
    let Some(dims) = fact.shape.concretize() else { return 0 };
    let size = fact.datum_type.concretize().map_or(1, |element| element.size_of()) as u64;
    // A dimension that is not a number yet counts as one.
    let dims = dims.iter().map(|dim| dim.to_i64().map_or(1, |dim| dim.max(0) as u64));
    dims.fold(size, u64::saturating_mul)
}

/// The shape of an output.
fn shape(model: &TypedModel, index: usize) -> TractResult<Vec<usize>> {
    let fact = model.output_fact(index)?;
    let shape = fact.shape.as_concrete().map(<[usize]>::to_vec);
    shape.ok_or_else(|| {
        TractError::msg(format!("the shape {:?} of an output depends on its values", fact.shape))
    })
}

/// What an output of this shape says of a row.
fn meaning(shape: &[usize], features: usize, batch: usize) -> Option<Meaning> {
    let (&rows, rest) = shape.split_first()?;
    match rest.iter().product::<usize>() {
        _ if rows != batch => None,
        1 => Some(Meaning::Score),
        width if width == features && rest.len() == 1 => Some(Meaning::Reconstruction),
        _ => None,
    }
}

/// Columns of the output `errors`.
fn errors(shape: &[usize], batch: usize, model: &TypedModel) -> TractResult<usize> {
    match shape {
        [rows, width] if *rows == batch => Ok(*width),
        _ => Err(wrong_shape(ERRORS, model, 1, "a row for each row of features")),
    }
}

fn wrong_shape(output: &str, model: &TypedModel, index: usize, expected: &str) -> TractError {
    let shape = model.output_fact(index).map(|fact| format!("{:?}", fact.shape)).unwrap_or_default();
    let made_by = model.output_outlets().ok().and_then(|outlets| outlets.get(index).copied());
    let operator = made_by
        .map(|outlet| model.node(outlet.node))
        .map_or_else(String::new, |node| format!(" of operator {} ({})", node.name, node.op.name()));
    TractError::msg(format!("output `{output}`{operator} has the shape {shape}: expected {expected}"))
}
