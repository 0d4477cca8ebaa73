//! Matrix products, and what is done to each channel.

use super::builder::{Builder, Refused, Term, View};
use super::call::Call;
use super::linear::{Geometry, Linear};
use super::operators::reals;
use super::shapes::matrix;
use super::step::{Arithmetic, Operation};
use super::tensor::Constant;

/// α·A·B + β·C.
pub(super) fn gemm(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    let view = reals(builder, call.rows(0)?)?;
    if call.int("transA", 0) != 0 && call.lead == 1 || view.shape.len() + call.lead != 2 {
        return Err("works across rows, or not on vectors".into());
    }
    let weights = call.constant(1)?;
    let (rows, columns, values) = matrix(&weights)?;
    let turned = call.int("transB", 0) != 0;
    let (alpha, beta) = (call.float("alpha", 1.0), call.float("beta", 1.0));
    let (inner, outer) = if turned { (columns, rows) } else { (rows, columns) };
    let weight =
        |k: usize, c: usize| alpha * if turned { values[c * columns + k] } else { values[k * columns + c] };
    let bias = call.optional_reals(2)?.unwrap_or_else(|| vec![0.0]);
    if bias.len() != 1 && bias.len() != outer {
        return Err(format!("adds {} numbers to {outer}", bias.len()));
    }
    let bias = |c: usize| beta * bias[if bias.len() == 1 { 0 } else { c }];
    weighed(builder, view, [inner, outer], &bias, &weight)
}

pub(super) fn product(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    let view = reals(builder, call.rows(0)?)?;
    let weights = call.constant(1)?;
    let (rows, columns, values) = matrix(&weights)?;
    weighed(builder, view, [rows, columns], &|_| 0.0, &|k, c| values[k * columns + c])
}

/// The last axis of a value, `inner` long, times weights that make it `outer` long.
fn weighed(
    builder: &mut Builder,
    view: View,
    [inner, outer]: [usize; 2],
    bias: &dyn Fn(usize) -> f32,
    weight: &dyn Fn(usize, usize) -> f32,
) -> Result<View, Refused> {
    if view.shape.last() != Some(&inner) {
        return Err(format!("weighs {inner} numbers of rows of {:?}", view.shape));
    }
    let view = builder.plain(view)?;
    let mut shape = view.shape.clone();
    shape.pop();
    let geometry = Geometry::vectors(shape.iter().product(), inner);
    shape.push(outer);
    builder.count(inner * outer.next_multiple_of(super::linear::LANES))?;
    let (slot, table) = before_rearrangement(builder, &view);
    let moved = move |k: usize, c: usize| weight(table.as_ref().map_or(k, |table| table[k]), c);
    builder.push(Operation::Linear(Linear::new(geometry, outer, bias, moved)), vec![slot], shape)
}

/// Where all numbers of a row are weighed, their order does not matter: the value before they were rearranged, and for each of its
/// cells the one after.
fn before_rearrangement(builder: &Builder, view: &View) -> (usize, Option<Vec<usize>>) {
    let step = builder.steps.iter().rev().find(|step| step.output == view.slot);
    let found = step.and_then(|step| match &step.operation {
        Operation::Rearrange(table) if view.shape.len() == 1 => Some((step.inputs[0], table)),
        _ => None,
    });
    let Some((slot, table)) = found else { return (view.slot, None) };
    let mut back = vec![usize::MAX; builder.slots[slot].cells];
    table.iter().enumerate().for_each(|(to, from)| back[*from as usize] = to);
    if back.len() != table.len() || back.contains(&usize::MAX) {
        return (view.slot, None);
    }
    (slot, Some(back))
}

/// γ·(x − μ) / √(σ² + ε) + β for each channel, within the weights before where that is possible.
pub(super) fn batch_normalization(builder: &mut Builder, call: &Call<'_>) -> Result<View, Refused> {
    let view = reals(builder, call.rows(0)?)?;
    if call.int("training_mode", 0) != 0 || call.int("spatial", 1) != 1 {
        return Err("is in training, or not of channels".into());
    }
    let channels = *view.shape.first().ok_or("has no channels")?;
    let list = |number| {
        let values = call.optional_reals(number)?.unwrap_or_default();
        if values.len() == channels {
            Ok(values)
        } else {
            Err(format!("has no {channels} numbers as input {number}"))
        }
    };
    let ([gamma, beta], [mean, variance]) = ([list(1)?, list(2)?], [list(3)?, list(4)?]);
    let epsilon = f64::from(call.float("epsilon", 1e-5));
    let factor = |c: usize| f64::from(gamma[c]) / (f64::from(variance[c]) + epsilon).sqrt();
    let factors: Vec<f32> = (0..channels).map(|c| factor(c) as f32).collect();
    let addend = |c: usize| (f64::from(beta[c]) - f64::from(mean[c]) * factor(c)) as f32;
    let addends: Vec<f32> = (0..channels).map(addend).collect();
    affine(builder, view, factors, addends, call.lead)
}

/// Multiplies the first axis and adds to it.
fn affine(
    builder: &mut Builder,
    view: View,
    factors: Vec<f32>,
    addends: Vec<f32>,
    lead: usize,
) -> Result<View, Refused> {
    let last = view.order.last() == Some(&0);
    if let Some(Operation::Linear(linear)) = builder.maker(&view)
        && linear.activation == Default::default()
        && linear.channels == factors.len()
        && last
    {
        linear.scale(&factors, &addends);
        return Ok(view);
    }
    let mut shape = vec![1; view.shape.len()];
    shape[0] = factors.len();
    let term = |values| Term::Constant(Constant::reals(shape.clone(), values).into());
    let scaled = builder.combine(Arithmetic::Mul, [Term::Rows(view), term(factors)], lead)?;
    builder.combine(Arithmetic::Add, [Term::Rows(scaled), term(addends)], lead)
}

/// An operation on two numbers; adding constants to channels that were weighed just before is part of that step.
pub(super) fn combine(
    builder: &mut Builder,
    call: &Call<'_>,
    arithmetic: Arithmetic,
) -> Result<View, Refused> {
    let sides = [call.input(0)?.clone(), call.input(1)?.clone()];
    if let (
        Arithmetic::Add,
        [Term::Rows(view), Term::Constant(constant)] | [Term::Constant(constant), Term::Rows(view)],
    ) = (arithmetic, &sides)
        && let Some(values) = constant.as_reals()
        && let Some(view) = biased(builder, view, &constant.shape, values)
    {
        return Ok(view);
    }
    builder.combine(arithmetic, sides, call.lead)
}

/// Adds to the channels of a product of matrices within its step, if these are the last axis.
fn biased(builder: &mut Builder, view: &View, shape: &[usize], values: &[f32]) -> Option<View> {
    let last = view.shape.len().checked_sub(1)?;
    let fits = shape.last() == Some(&values.len()) && values.len() == view.shape[last];
    let is_last = view.order.last() == Some(&last) && shape.len() <= view.shape.len() + 1;
    match builder.maker(view) {
        Some(Operation::Linear(linear))
            if fits
                && is_last
                && linear.channels == values.len()
                && linear.activation == Default::default() =>
        {
            linear.scale(&vec![1.0; values.len()], values);
            Some(view.clone())
        }
        _ => None,
    }
}
