//! What tract has in single precision only, or of which a row's bits depend on where it is in a batch.

use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_onnx::tract_core::ops::math::{add, mul};
use tract_onnx::tract_core::ops::nn::{self, Reduce, Reducer};
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops;
use tract_onnx::tract_hir::ops::element_wise::ElementWiseIntoHir;

type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// Teaches the reader `Sigmoid`, `Gemm` and `Softmax` in double precision.
pub(crate) fn register(reader: &mut Onnx) {
    reader.op_register.insert("Softmax", softmax);
    reader.op_register.insert("Sigmoid", sigmoid);
    reader.op_register.insert("Gemm", gemm);
}

fn sigmoid(_: &ParsingContext<'_>, _: &NodeProto) -> Built {
    Ok((ElementWiseOp(Box::new(Sigmoid), None).into_hir(), Vec::new()))
}

fn softmax(context: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let axis = node.get_attr_opt("axis")?;
    // Up to then all dimensions from the axis on are one.
    let flat = context.onnx_operator_set_version < 13;
    Ok((expand(Softmax { axis: axis.unwrap_or(if flat { 1 } else { -1 }), flat }), Vec::new()))
}

fn gemm(_: &ParsingContext<'_>, node: &NodeProto) -> Built {
    let gemm = Gemm {
        alpha: node.get_attr_opt("alpha")?.unwrap_or(1.0),
        beta: node.get_attr_opt("beta")?.unwrap_or(1.0),
        trans_a: node.get_attr_opt("transA")?.unwrap_or(false),
        trans_b: node.get_attr_opt("transB")?.unwrap_or(false),
    };
    Ok((expand(gemm), Vec::new()))
}

/// Keeps tract from computing means of squares of doubles in single precision, which it does where it finds a sum
/// of squares before a product.
pub(crate) fn keep_sums(model: &mut TypedModel) -> TractResult<()> {
    let sums = |node: &&TypedNode| {
        let of_doubles = node.outputs[0].fact.datum_type == f64::datum_type();
        of_doubles && node.op_as::<Reduce>().is_some_and(|reduce| reduce.reducer == Reducer::Sum)
    };
    let sums: Vec<TypedNode> = model.nodes().iter().filter(sums).cloned().collect();
    for node in sums {
        let mut patch = TypedModelPatch::default();
        let input = patch.tap_model(model, node.inputs[0])?;
        let sum = patch.wire_node(&node.name, node.op.clone(), &[input])?;
        let sum =
            patch.wire_node(format!("{}.kept", node.name), ElementWiseOp(Box::new(Kept), None), &sum)?;
        patch.shunt_outside(model, node.id.into(), sum[0])?;
        patch.apply(model)?;
    }
    Ok(())
}

/// Changes nothing; stands between two operators that must not be fused.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept;

impl ElementWiseMiniOp for Kept {
    fn name(&self) -> String {
        "Kept".into()
    }

    fn eval_in_place(&self, _: &mut Tensor, _: Option<DatumType>) -> TractResult<()> {
        Ok(())
    }
}

/// 1 / (1 + e⁻ˣ): tract's own but in double precision.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sigmoid;

impl ElementWiseMiniOp for Sigmoid {
    fn name(&self) -> String {
        "Sigmoid".into()
    }

    fn eval_in_place(&self, tensor: &mut Tensor, out: Option<DatumType>) -> TractResult<()> {
        if tensor.datum_type() != f64::datum_type() {
            return nn::Sigmoid {}.eval_in_place(tensor, out);
        }
        let mut cells = tensor.try_as_plain_ram_mut()?;
        cells.as_slice_mut::<f64>()?.iter_mut().for_each(|x| *x = 1.0 / (1.0 + (-*x).exp()));
        Ok(())
    }
}

/// α·A·B + β·C with the factors in the precision of the matrices.
#[derive(Clone, Debug)]
struct Gemm {
    alpha: f32,
    beta: f32,
    trans_a: bool,
    trans_b: bool,
}

impl Expansion for Gemm {
    fn name(&self) -> StaticName {
        "Gemm".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        if !(2..=3).contains(&inputs.len()) {
            bail!("Gemm takes two or three inputs, this one has {}", inputs.len());
        }
        check_output_arity(outputs, 1)?;
        for input in inputs {
            s.equals(&input.datum_type, &outputs[0].datum_type)?;
        }
        for matrix in [&inputs[0], &inputs[1], &outputs[0]] {
            s.equals(&matrix.rank, 2)?;
        }
        let (rows, inner_a) = if self.trans_a { (1, 0) } else { (0, 1) };
        let (inner_b, columns) = if self.trans_b { (1, 0) } else { (0, 1) };
        s.equals(&inputs[0].shape[rows], &outputs[0].shape[0])?;
        s.equals(&inputs[0].shape[inner_a], &inputs[1].shape[inner_b])?;
        s.equals(&inputs[1].shape[columns], &outputs[0].shape[1])
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let element = model.outlet_fact(inputs[0])?.datum_type;
        let axes = AxesMapping::for_numpy_matmul(2, self.trans_a, self.trans_b, false)?;
        let product = model.wire_node(format!("{name}.product"), EinSum::new(axes, element), &inputs[..2])?;
        let product = scaled(model, &format!("{name}.alpha"), product[0], self.alpha)?;
        let Some(&addend) = inputs.get(2).filter(|_| self.beta != 0.0) else {
            return Ok(tvec!(product));
        };
        let addend = scaled(model, &format!("{name}.beta"), addend, self.beta)?;
        let operands = wire_rank_broadcast(format!("{name}.rank"), model, &[product, addend])?;
        model.wire_node(name, add(), &operands)
    }
}

/// `outlet` times `factor`.
fn scaled(model: &mut TypedModel, name: &str, outlet: OutletId, factor: f32) -> TractResult<OutletId> {
    if factor == 1.0 {
        return Ok(outlet);
    }
    let fact = model.outlet_fact(outlet)?;
    let (element, rank) = (fact.datum_type, fact.rank());
    let factor = tensor0(factor).cast_to_dt(element)?.into_owned().broadcast_into_rank(rank)?;
    let factor = model.add_const(format!("{name}.factor"), factor)?;
    Ok(model.wire_node(name, mul(), &[factor, outlet])?[0])
}

/// Parts of one by their exponentials, computed in double precision. In single precision tract adds up a row in an order that depends
/// on where it is in memory, so that its bits would depend on the rows beside it.
#[derive(Clone, Debug)]
struct Softmax {
    axis: isize,
    flat: bool,
}

impl Expansion for Softmax {
    fn name(&self) -> StaticName {
        "Softmax".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let element = model.outlet_fact(inputs[0])?.datum_type;
        if element != f32::datum_type() {
            return self.parts(name, model, inputs);
        }
        let doubles = model.wire_node(format!("{name}.double"), cast(f64::datum_type()), inputs)?;
        let parts = self.parts(&format!("{name}.parts"), model, &doubles)?;
        model.wire_node(name, cast(element), &parts)
    }
}

impl Softmax {
    fn parts(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        if self.flat {
            return ops::nn::LayerSoftmax::new(self.axis, true).wire(name, model, inputs);
        }
        ops::nn::Softmax::new(self.axis).wire(name, model, inputs)
    }
}
