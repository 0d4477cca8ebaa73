//! A network as tract runs it, checked to have the form that an engine needs.

use crate::{columns, double};
use legonf_core::Element;
use legonf_models::{Meaning, Port, Signature};
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::{DimFact, Factoid};
use tract_onnx::tract_hir::internal::InferenceModelExt;

/// Bytes at most that all tensors between the operators of a network take together for one batch.
pub const MAX_TENSOR_BYTES: u64 = 2 << 30;

/// Name of the optional output with the errors of an ensemble.
const ERRORS: &str = "errors";

/// An optimised network for batches of one size.
#[derive(Debug)]
pub(crate) struct Plan {
    runnable: Arc<TypedRunnableModel>,
    /// What it takes and gives.
    pub(crate) signature: Signature,
    /// What its score says of a row, where it has one.
    pub(crate) meaning: Meaning,
}

impl Plan {
    /// Prepares a network that scores rows of features, for batches of `batch` rows: its output `output` is the score, or what the
    /// score comes from.
    ///
    /// # Errors
    /// Names the operator that tract cannot run or that takes too much memory, or the input or output of another form.
    pub(crate) fn scoring(onnx: &[u8], output: &str, features: usize, batch: usize) -> TractResult<Self> {
        let mut model = read(onnx)?;
        let input = features_input(&model, features)?;
        let has_errors = output != ERRORS && model.clone().with_outputs_by_name([ERRORS]).is_ok();
        model.select_outputs_by_name(std::iter::once(output).chain(has_errors.then_some(ERRORS)))?;
        let model = typed(model, std::slice::from_ref(&input), batch)?;
        let meaning = meaning(&shape(&model, 0)?, features, batch)
            .ok_or_else(|| wrong_shape(output, &model, 0, "one score a row, or one value a feature"))?;
        let mut outputs = vec![score(output, &model, meaning)?];
        if has_errors {
            outputs.push(errors(&model, batch)?);
        }
        let signature = Signature { inputs: vec![input], outputs, score: Some(0) };
        Ok(Self { runnable: model.into_optimized()?.into_runnable()?, signature, meaning })
    }

    /// Prepares any network for batches of `batch` rows: the first dimension of every input and output is that of the rows. Of the
    /// outputs all are kept, or only the one of this name.
    ///
    /// # Errors
    /// As [`scoring`](Self::scoring).
    pub(crate) fn open(onnx: &[u8], only: Option<&str>, batch: usize) -> TractResult<Self> {
        let mut model = read(onnx)?;
        only.map_or(Ok(()), |only| model.select_outputs_by_name([only]))?;
        let inputs = inputs(&model)?;
        let names = only.map_or_else(|| output_names(&model), |only| Ok(vec![only.to_owned()]))?;
        let model = typed(model, &inputs, batch)?;
        let outputs = names.iter().enumerate().map(|(index, name)| given(name, &model, index, batch));
        let signature = Signature { outputs: outputs.collect::<TractResult<_>>()?, inputs, score: None };
        let runnable = model.into_optimized()?.into_runnable()?;
        Ok(Self { runnable, signature, meaning: Meaning::Score })
    }

    /// Runs a batch.
    pub(crate) fn run(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.runnable.run(inputs)
    }

    /// The root of the mean square of what lies between a row, as the network took it, and what it made of it; summed in
    /// the order of the features.
    pub(crate) fn rmse(&self, row: &[f64], made: &[f64]) -> f64 {
        let single = self.signature.inputs[0].element == Element::F32;
        let taken = |value: f64| if single { f64::from(value as f32) } else { value };
        let sum = row.iter().zip(made).fold(0.0, |sum, (value, made)| {
            let deviation = taken(*value) - made;
            sum + deviation * deviation
        });
        (sum / row.len() as f64).sqrt()
    }
}

/// The network with inputs of this form, as tract optimises it.
fn typed(mut model: InferenceModel, inputs: &[Port], batch: usize) -> TractResult<TypedModel> {
    for (index, input) in inputs.iter().enumerate() {
        let element = model.input_fact(index)?.datum_type.concretize().unwrap_or_else(f64::datum_type);
        let dimensions: TVec<usize> = std::iter::once(batch).chain(input.shape.iter().copied()).collect();
        model.set_input_fact(index, InferenceFact::dt_shape(element, dimensions))?;
    }
    model.analyse(false)?;
    check_size(&model, batch)?;
    let mut model = model.into_typed()?;
    double::keep_sums(&mut model)?;
    Ok(model)
}

fn read(onnx: &[u8]) -> TractResult<InferenceModel> {
    let mut reader = tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
    double::register(&mut reader);
    reader.model_for_read(&mut &*onnx)
}

/// The only input of a network that scores rows of features.
fn features_input(model: &InferenceModel, features: usize) -> TractResult<Port> {
    let outlets = model.input_outlets()?;
    let &[outlet] = outlets else {
        return Err(TractError::msg(format!("expected one input, found {}", outlets.len())));
    };
    let found = model.input_fact(0)?.datum_type.concretize().unwrap_or_else(f64::datum_type);
    let element = columns::element(found).filter(|element| matches!(element, Element::F32 | Element::F64));
    let element = element
        .ok_or_else(|| TractError::msg(format!("expected an input of f32 or f64, found {found:?}")))?;
    Ok(Port { name: model.node(outlet.node).name.clone(), element, shape: vec![features] })
}

/// The inputs of a network, as it states them.
fn inputs(model: &InferenceModel) -> TractResult<Vec<Port>> {
    let outlets = model.input_outlets()?;
    if outlets.is_empty() {
        return Err(TractError::msg("the network has no input"));
    }
    let input = |outlet: &OutletId| input(&model.node(outlet.node).name, model.outlet_fact(*outlet)?);
    outlets.iter().map(input).collect()
}

fn input(name: &str, fact: &InferenceFact) -> TractResult<Port> {
    let element = fact.datum_type.concretize().and_then(columns::element);
    let element = element.ok_or_else(|| {
        TractError::msg(format!("input `{name}` is of {:?}, which no column holds", fact.datum_type))
    })?;
    let cells = |dim: &DimFact| {
        let cells = dim
            .concretize()
            .and_then(|dim| dim.to_i64().ok())
            .and_then(|dim| usize::try_from(dim).ok())
            .filter(|cells| *cells > 0);
        cells.ok_or_else(|| {
            let reason = "only the first dimension may be open, that of the rows";
            TractError::msg(format!("input `{name}` has the shape {:?}: {reason}", fact.shape))
        })
    };
    if fact.shape.is_open() || fact.shape.dims().next().is_none() {
        return Err(TractError::msg(format!("input `{name}` has no dimension for the rows of a batch")));
    }
    let shape = fact.shape.dims().skip(1).map(cells).collect::<TractResult<_>>()?;
    Ok(Port { name: name.to_owned(), element, shape })
}

/// The names of a network's outputs.
fn output_names(model: &InferenceModel) -> TractResult<Vec<String>> {
    let name =
        |outlet: &OutletId| model.outlet_label(*outlet).unwrap_or(&model.node(outlet.node).name).to_owned();
    Ok(model.output_outlets()?.iter().map(name).collect())
}

/// An output of any network.
fn given(name: &str, model: &TypedModel, index: usize, batch: usize) -> TractResult<Port> {
    let datum = model.output_fact(index)?.datum_type;
    let element = columns::element(datum)
        .ok_or_else(|| TractError::msg(format!("output `{name}` is of {datum:?}, which no column holds")))?;
    match shape(model, index)?.as_slice() {
        [rows, shape @ ..] if *rows == batch && !shape.contains(&0) => {
            Ok(Port { name: name.to_owned(), element, shape: shape.to_vec() })
        }
        _ => Err(wrong_shape(name, model, index, "a row for each row of the inputs")),
    }
}

/// The score of a row: a reconstruction's is computed here, in `f64`.
fn score(name: &str, model: &TypedModel, meaning: Meaning) -> TractResult<Port> {
    let found = columns::element(model.output_fact(0)?.datum_type);
    let element = found.filter(|_| meaning == Meaning::Score).unwrap_or(Element::F64);
    Ok(Port { name: name.to_owned(), element, shape: Vec::new() })
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

/// The output `errors`.
fn errors(model: &TypedModel, batch: usize) -> TractResult<Port> {
    let element = columns::element(model.output_fact(1)?.datum_type).unwrap_or(Element::F64);
    match shape(model, 1)?.as_slice() {
        [rows, width] if *rows == batch => Ok(Port { name: ERRORS.into(), element, shape: vec![*width] }),
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
