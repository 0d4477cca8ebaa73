//! The operators of ONNX as steps.

use super::activation::Activation;
use super::builder::{Builder, Refused, Term, View, narrow};
use super::call::Call;
use super::choice::{self, Comparison};
use super::pool::Reduction;
use super::step::{Arithmetic, Operation};
use super::tensor::{BOOL, Constant, INT32, UINT8};
use super::{convolution, forest, matrix, shapes};
use crate::bundle::proto::{FLOAT, INT64};

/// What an operator gives: its outputs that are known here, in their order.
type Made = Result<Vec<Term>, Refused>;

/// Adds the steps of a node.
///
/// # Errors
/// Says what of it is not known here, in words that follow its name.
pub(super) fn add(builder: &mut Builder, call: &Call<'_>) -> Made {
    let view = match (call.node.domain.as_str(), call.node.op_type.as_str()) {
        ("" | "ai.onnx", operator) => return standard(builder, call, operator),
        ("ai.onnx.ml", "TreeEnsembleClassifier") => return forest::classifier(builder, call),
        ("ai.onnx.ml", "TreeEnsembleRegressor") => forest::regressor(builder, call)?,
        ("ai.onnx.ml", "Scaler") => scaler(builder, call)?,
        _ => return Err(unknown()),
    };
    Ok(vec![Term::Rows(view)])
}

fn unknown() -> Refused {
    "is not known to legonf's own engine".into()
}

fn standard(builder: &mut Builder, call: &Call<'_>, operator: &str) -> Made {
    let view = match operator {
        "Constant" => return Ok(vec![Term::Constant(constant(call)?.into())]),
        "Shape" => return Ok(vec![Term::Constant(shapes::shape(call)?.into())]),
        "Identity" | "Dropout" => return passed(call),
        "Conv" => convolution::convolution(builder, call)?,
        "BatchNormalization" => matrix::batch_normalization(builder, call)?,
        "MaxPool" | "AveragePool" => convolution::pool(builder, call, operator == "MaxPool")?,
        "GlobalAveragePool" => convolution::global(builder, call, Reduction::Mean)?,
        "GlobalMaxPool" => convolution::global(builder, call, Reduction::Max)?,
        "Gemm" => matrix::gemm(builder, call)?,
        "MatMul" => matrix::product(builder, call)?,
        "Cast" => cast(builder, call)?,
        "Gather" => shapes::gather(builder, call)?,
        "Flatten" => shapes::flatten(builder, call)?,
        "Reshape" => shapes::reshape(builder, call)?,
        "Transpose" => shapes::transpose(call)?,
        "Squeeze" => shapes::squeeze(call)?,
        "Unsqueeze" => shapes::unsqueeze(call)?,
        "Concat" => return shapes::concat(builder, call),
        "Softmax" | "LogSoftmax" => softmax(builder, call, operator == "LogSoftmax")?,
        "Clip" => clip(builder, call)?,
        "ArgMax" => largest(builder, call)?,
        "TopK" => choice::largest(builder, call)?,
        "Where" => choice::by_condition(builder, call)?,
        _ => return Ok(vec![Term::Rows(by_table(builder, call, operator)?)]),
    };
    Ok(vec![Term::Rows(view)])
}

/// Operators that differ in one word.
fn by_table(builder: &mut Builder, call: &Call<'_>, operator: &str) -> Result<View, Refused> {
    let arithmetic = match operator {
        "Add" => Some(Arithmetic::Add),
        "Sub" => Some(Arithmetic::Sub),
        "Mul" => Some(Arithmetic::Mul),
        "Div" => Some(Arithmetic::Div),
        _ => None,
    };
    if let Some(arithmetic) = arithmetic {
        return matrix::combine(builder, call, arithmetic);
    }
    if let Some(comparison) = Comparison::of(operator) {
        return choice::compare(builder, call, comparison);
    }
    let reduction = match operator {
        "ReduceMax" => Some(Reduction::Max),
        "ReduceMin" => Some(Reduction::Min),
        "ReduceMean" => Some(Reduction::Mean),
        "ReduceSum" => Some(Reduction::Sum),
        _ => None,
    };
    if let Some(reduction) = reduction {
        return shapes::reduce(builder, call, reduction);
    }
    let view = reals(builder, call.rows(0)?)?;
    builder.activate(view, function(call, operator)?)
}

fn function(call: &Call<'_>, operator: &str) -> Result<Activation, Refused> {
    Ok(match operator {
        "Relu" => Activation::Relu,
        "LeakyRelu" => Activation::LeakyRelu(call.float("alpha", 0.01)),
        "Tanh" => Activation::Tanh,
        "Sigmoid" => Activation::Sigmoid,
        "Sqrt" => Activation::Sqrt,
        "Exp" => Activation::Exp,
        "Neg" => Activation::Neg,
        "Abs" => Activation::Abs,
        _ => return Err(unknown()),
    })
}

/// The view, if it holds numbers with a point.
pub(super) fn reals(builder: &Builder, view: View) -> Result<View, Refused> {
    if builder.is_integer(&view) {
        return Err("takes integers, which only Cast, Gather and changes of shape do".into());
    }
    Ok(view)
}

fn constant(call: &Call<'_>) -> Result<Constant, Refused> {
    if let Some(tensor) = call.attribute("value").and_then(|attribute| attribute.t.as_ref()) {
        return Constant::read(tensor).map_err(|defect| defect.to_string());
    }
    let named = |name| call.attribute(name);
    let (real, reals) = (named("value_float"), named("value_floats"));
    let (integer, integers) = (named("value_int"), named("value_ints"));
    let scalar = |constant: Constant| Constant { shape: Vec::new(), ..constant };
    match (real, reals, integer, integers) {
        (Some(one), ..) => Ok(Constant::reals(Vec::new(), vec![one.f])),
        (_, Some(list), ..) => Ok(Constant::reals(vec![list.floats.len()], list.floats.clone())),
        (_, _, Some(one), _) => Ok(scalar(Constant::integers(vec![one.i]))),
        (.., Some(list)) => Ok(Constant::integers(list.ints.clone())),
        _ => Err("has a value that is neither a tensor nor numbers".into()),
    }
}

/// The first input as it is. A mask beside it is not known.
fn passed(call: &Call<'_>) -> Made {
    let trains = call.optional_constant(2)?;
    if trains.is_some_and(|mode| mode.as_integers().is_some_and(|mode| mode.contains(&1))) {
        return Err("is in training".into());
    }
    Ok(vec![call.input(0)?.clone()])
}

fn cast(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    let (view, to) = (call.rows(0)?, call.int("to", 0) as i32);
    let integer = match to {
        FLOAT => false,
        UINT8 | INT32 | INT64 | BOOL | 3..=5 | 12 | 13 => true,
        _ => return Err(format!("to element type {to}: expected f32 or integers")),
    };
    match (builder.is_integer(&view), integer) {
        (true, false) => builder.alike(Operation::ToReal, &view),
        (false, true) if matches!(to, INT32 | INT64) => builder.alike(Operation::ToInteger, &view),
        (false, true) => Err(format!("of numbers with a point to element type {to}: expected i32 or i64")),
        _ => Ok(view),
    }
}

fn softmax(builder: &mut Builder, call: &Call<'_>, logarithm: bool) -> Result<View, Refused> {
    let view = reals(builder, call.rows(0)?)?;
    let flat = call.opset < 13;
    let axis = call.axis(call.int("axis", if flat { 1 } else { -1 }), view.shape.len())?;
    let view = if flat { builder.plain(view)? } else { view };
    let stored = view.stored();
    let place = view.order.iter().position(|own| *own == axis).unwrap_or(0);
    let (count, inner) = match flat {
        true => (stored[axis..].iter().product(), 1),
        false => (stored[place], stored[place + 1..].iter().product()),
    };
    builder.alike(Operation::Softmax(count, inner, logarithm), &view)
}

fn clip(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    let view = reals(builder, call.rows(0)?)?;
    let bound = |number, name: &str, default| {
        let input = call.optional_reals(number)?.and_then(|values| values.first().copied());
        Ok::<f32, Refused>(input.unwrap_or_else(|| call.float(name, default)))
    };
    let (least, most) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
    builder.activate(view, Activation::Clip(least, most))
}

/// The number of the largest of a row's numbers.
fn largest(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    let view = reals(builder, call.rows(0)?)?;
    let axis = call.axis(call.int("axis", 0), view.shape.len())?;
    if view.cells() != view.shape[axis] || call.int("select_last_index", 0) != 0 {
        return Err("finds more than one place in a row, or the last one of several".into());
    }
    let mut shape = view.shape.clone();
    if call.int("keepdims", 1) == 1 {
        shape[axis] = 1
    } else {
        _ = shape.remove(axis)
    }
    let names = (0..view.cells()).map(|place| narrow(place as i64)).collect();
    builder.push(Operation::Largest(names), vec![view.slot], shape)
}

/// (x − offset) · scale, as scikit-learn's scalers are exported.
fn scaler(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    let view = reals(builder, call.rows(0)?)?;
    let list = |name| {
        let values = call.floats(name).to_vec();
        Term::Constant(Constant::reals(vec![values.len()], values).into())
    };
    let moved = builder.combine(Arithmetic::Sub, [Term::Rows(view), list("offset")], call.lead)?;
    builder.combine(Arithmetic::Mul, [Term::Rows(moved), list("scale")], call.lead)
}
