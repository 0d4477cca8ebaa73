//! A KitNET as an ONNX graph: the ensemble is one block-diagonal autoencoder.

use super::proto::{
    ATTRIBUTE_INT, Attribute, DOUBLE, Dimension, Graph, INT64, Node, Shape, Tensor, TensorType,
};
use super::proto::{Type, ValueInfo};
use crate::kitnet::{Autoencoder, KitNet};

/// Name of the input: rows of features.
pub(crate) const INPUT: &str = "features";
/// Name of the output with the scores.
pub(crate) const SCORES: &str = "rmse";
/// Name of the output with the errors of the ensemble.
pub(crate) const ERRORS: &str = "errors";
/// Names of the parts of an autoencoder, each within `ensemble.` or `output.`.
pub(crate) const WEIGHTS: &str = "weights";
pub(crate) const HIDDEN_BIAS: &str = "hidden_bias";
pub(crate) const VISIBLE_BIAS: &str = "visible_bias";
pub(crate) const NORM_MIN: &str = "norm_min";
pub(crate) const NORM_MAX: &str = "norm_max";

/// The graph of a model: `features` double\[batch, n\] → `rmse` double\[batch\], `errors` double\[batch, k\].
pub(crate) fn build(model: &KitNet) -> Graph {
    let mut graph = Graph { name: "kitnet".into(), ..Graph::default() };
    graph.initializer.push(indices(
        "feature_map",
        &[model.mapped_width()],
        model.feature_map().iter().flatten(),
    ));
    graph.initializer.push(doubles("epsilon", &[1], vec![1e-16]));
    graph.initializer.push(ints("axis", &[1]));
    let gather = node("Gather", &[INPUT, "feature_map"], "mapped");
    graph.node.push(with_int(gather, "axis", 1));
    let blocks = Blocks::of(model.ensemble());
    blocks.push(&mut graph, "ensemble", "mapped", ERRORS);
    Blocks::of(std::slice::from_ref(model.output())).push(&mut graph, "output", ERRORS, "output.rmse");
    graph.node.push(node("Squeeze", &["output.rmse", "axis"], SCORES));
    graph.input = vec![value(INPUT, Some(model.features()))];
    graph.output = vec![value(SCORES, None), value(ERRORS, Some(model.ensemble().len()))];
    graph
}

/// Autoencoders side by side as one with a block-diagonal weight matrix.
struct Blocks<'a> {
    autoencoders: &'a [Autoencoder],
    visible: usize,
    hidden: usize,
}

impl<'a> Blocks<'a> {
    fn of(autoencoders: &'a [Autoencoder]) -> Self {
        let visible = autoencoders.iter().map(Autoencoder::visible).sum();
        let hidden = autoencoders.iter().map(Autoencoder::hidden).sum();
        Self { autoencoders, visible, hidden }
    }

    fn weights(&self) -> Vec<f64> {
        let mut dense = vec![0.0; self.visible * self.hidden];
        let (mut row, mut column) = (0, 0);
        for a in self.autoencoders {
            for weights in a.weights.chunks_exact(a.hidden()) {
                dense[row * self.hidden + column..][..a.hidden()].copy_from_slice(weights);
                row += 1;
            }
            column += a.hidden();
        }
        dense
    }

    /// The matrix that takes squared deviations to the mean of each autoencoder.
    fn means(&self) -> Vec<f64> {
        let count = self.autoencoders.len();
        let row = |(a, autoencoder): (usize, &Autoencoder)| {
            let mut row = vec![0.0; count];
            row[a] = 1.0 / autoencoder.visible() as f64;
            row.repeat(autoencoder.visible())
        };
        self.autoencoders.iter().enumerate().flat_map(row).collect()
    }

    fn concat(&self, part: impl Fn(&Autoencoder) -> &Vec<f64>) -> Vec<f64> {
        self.autoencoders.iter().flat_map(|a| part(a).iter().copied()).collect()
    }

    /// Appends initializers and nodes that compute `rmse` (one column for each autoencoder) from `input`.
    fn push(&self, graph: &mut Graph, name: &str, input: &str, rmse: &str) {
        let n = |part: &str| format!("{name}.{part}");
        let (visible, hidden, count) = (self.visible, self.hidden, self.autoencoders.len());
        graph.initializer.extend([
            doubles(&n(WEIGHTS), &[visible, hidden], self.weights()),
            doubles(&n(HIDDEN_BIAS), &[hidden], self.concat(|a| &a.hidden_bias)),
            doubles(&n(VISIBLE_BIAS), &[visible], self.concat(|a| &a.visible_bias)),
            doubles(&n(NORM_MIN), &[visible], self.concat(|a| &a.norm_min)),
            doubles(&n(NORM_MAX), &[visible], self.concat(|a| &a.norm_max)),
            doubles(&n("means"), &[visible, count], self.means()),
        ]);
        let step =
            |op: &str, inputs: [String; 2], output: &str| node(op, &[&inputs[0], &inputs[1]], &n(output));
        let unary = |op: &str, input: &str, output: &str| node(op, &[&n(input)], &n(output));
        graph.node.extend([
            step("Sub", [n(NORM_MAX), n(NORM_MIN)], "extent"),
            step("Add", [n("extent"), "epsilon".into()], "range"),
            step("Sub", [input.into(), n(NORM_MIN)], "offset"),
            step("Div", [n("offset"), n("range")], "x"),
            step("MatMul", [n("x"), n(WEIGHTS)], "xw"),
            step("Add", [n("xw"), n(HIDDEN_BIAS)], "a"),
            unary("Sigmoid", "a", "y"),
            unary("Transpose", WEIGHTS, "weights_t"),
            step("MatMul", [n("y"), n("weights_t")], "yw"),
            step("Add", [n("yw"), n(VISIBLE_BIAS)], "b"),
            unary("Sigmoid", "b", "z"),
            step("Sub", [n("x"), n("z")], "deviation"),
            step("Mul", [n("deviation"), n("deviation")], "square"),
            step("MatMul", [n("square"), n("means")], "mse"),
            node("Sqrt", &[&n("mse")], rmse),
        ]);
    }
}

pub(crate) fn node(op: &str, inputs: &[&str], output: &str) -> Node {
    Node {
        input: inputs.iter().map(|&i| i.into()).collect(),
        output: vec![output.into()],
        name: output.into(),
        op_type: op.into(),
        attribute: Vec::new(),
    }
}

pub(crate) fn with_int(mut node: Node, name: &str, i: i64) -> Node {
    node.attribute.push(Attribute { name: name.into(), i, kind: ATTRIBUTE_INT, ..Attribute::default() });
    node
}

pub(crate) fn doubles(name: &str, dims: &[usize], values: Vec<f64>) -> Tensor {
    tensor(name, dims, DOUBLE, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

pub(crate) fn ints(name: &str, values: &[i64]) -> Tensor {
    tensor(name, &[values.len()], INT64, values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

fn indices<'a>(name: &str, dims: &[usize], values: impl Iterator<Item = &'a usize>) -> Tensor {
    tensor(name, dims, INT64, values.flat_map(|v| (*v as i64).to_le_bytes()).collect())
}

fn tensor(name: &str, dims: &[usize], data_type: i32, raw_data: Vec<u8>) -> Tensor {
    Tensor { dims: dims.iter().map(|d| *d as i64).collect(), data_type, name: name.into(), raw_data }
}

/// A tensor of doubles with a symbolic batch size and, unless `None`, `columns` columns.
pub(crate) fn value(name: &str, columns: Option<usize>) -> ValueInfo {
    let batch = Dimension { value: None, name: Some("batch".into()) };
    let columns = columns.map(|c| Dimension { value: Some(c as i64), name: None });
    let shape = Shape { dim: std::iter::once(batch).chain(columns).collect() };
    let tensor = TensorType { element: DOUBLE, shape: Some(shape) };
    ValueInfo { name: name.into(), r#type: Some(Type { tensor: Some(tensor) }) }
}
