//! Writing of ONNX files, operator by operator.
//!
//! An [`OnnxWriter`] takes a network's inputs, weights, operators and output, and gives the bytes of a file (IR version 9, operators of
//! version 18, and of version 3 of `ai.onnx.ml`). Its order is that of the calls, so that equal networks give equal bytes.

use crate::bundle::proto::{
    Dimension, FLOAT, INT64, OperatorSet, Property, Shape, Tensor, TensorType, Type, ValueInfo,
};
use prost::Message;

const IR_VERSION: i64 = 9;
const OPSET: i64 = 18;
const ML_OPSET: i64 = 3;
/// The domain of operators of classic machine learning.
const ML: &str = "ai.onnx.ml";
const UINT8: i32 = 2;

/// The element type of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnnxType {
    /// Unsigned bytes.
    U8,
    /// Single precision.
    F32,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum OnnxValue {
    /// A whole number.
    Int(i64),
    /// Text.
    Text(&'static str),
    /// Numbers.
    Floats(Vec<f32>),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// Texts.
    Texts(Vec<&'static str>),
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, optional, tag = "3")]
    i: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "4")]
    s: Option<Vec<u8>>,
    #[prost(float, repeated, tag = "7")]
    floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    ints: Vec<i64>,
    #[prost(bytes = "vec", repeated, tag = "9")]
    strings: Vec<Vec<u8>>,
    #[prost(int32, tag = "20")]
    kind: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
    #[prost(string, tag = "7")]
    domain: String,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
    #[prost(message, repeated, tag = "14")]
    metadata_props: Vec<Property>,
}

/// A network on its way into an ONNX file.
#[derive(Clone, Debug, Default)]
pub struct OnnxWriter {
    graph: Graph,
    learns: bool,
}

impl OnnxWriter {
    /// A network of this name without any part.
    pub fn new(name: &str) -> Self {
        Self { graph: Graph { name: name.into(), ..Graph::default() }, learns: false }
    }

    /// An input with rows of `width` cells.
    pub fn input(&mut self, name: &str, element: OnnxType, width: usize) {
        let element = match element {
            OnnxType::U8 => UINT8,
            OnnxType::F32 => FLOAT,
        };
        self.graph.input.push(value(name, element, width));
    }

    /// The output, with rows of `width` numbers.
    pub fn output(&mut self, name: &str, width: usize) {
        self.graph.output.push(value(name, FLOAT, width));
    }

    /// Weights; gives their name.
    pub fn floats(&mut self, name: &str, dims: &[usize], cells: &[f32]) -> String {
        let raw_data = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
        self.tensor(name, dims, FLOAT, raw_data)
    }

    /// Whole numbers, one dimension; gives their name.
    pub fn ints(&mut self, name: &str, cells: &[i64]) -> String {
        let raw_data = cells.iter().flat_map(|cell| cell.to_le_bytes()).collect();
        self.tensor(name, &[cells.len()], INT64, raw_data)
    }

    fn tensor(&mut self, name: &str, dims: &[usize], data_type: i32, raw_data: Vec<u8>) -> String {
        let dims = dims.iter().map(|dim| *dim as i64).collect();
        self.graph.initializer.push(Tensor { dims, data_type, name: name.into(), raw_data });
        name.into()
    }

    /// An operator with one output; gives the output's name.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<(&str, OnnxValue)>,
    ) -> String {
        self.add("", operator, inputs, &[output], attributes)
    }

    /// An operator of classic machine learning; its last output counts, whose name it gives.
    pub fn learner(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<(&str, OnnxValue)>,
    ) -> String {
        self.learns = true;
        self.add(ML, operator, inputs, outputs, attributes)
    }

    fn add(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<(&str, OnnxValue)>,
    ) -> String {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let last = outputs.last().copied().unwrap_or_default().to_owned();
        self.graph.node.push(Node {
            input: names(inputs),
            output: names(outputs),
            name: last.clone(),
            op_type: operator.into(),
            attribute: attributes.into_iter().map(|(name, value)| attribute(name, value)).collect(),
            domain: domain.into(),
        });
        last
    }

    /// The bytes of the file.
    pub fn finish(self) -> Vec<u8> {
        let set = |domain: &str, version| OperatorSet { domain: domain.into(), version };
        let learners = self.learns.then(|| set(ML, ML_OPSET));
        let model = Model {
            ir_version: IR_VERSION,
            producer_name: "legonf".into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(self.graph),
            opset_import: std::iter::once(set("", OPSET)).chain(learners).collect(),
            metadata_props: Vec::new(),
        };
        model.encode_to_vec()
    }
}

/// An input or output with a row for each item.
fn value(name: &str, element: i32, width: usize) -> ValueInfo {
    let rows = Dimension { name: Some("rows".into()), value: None };
    let shape = Shape { dim: vec![rows, Dimension { value: Some(width as i64), name: None }] };
    let tensor = TensorType { element, shape: Some(shape) };
    ValueInfo { name: name.into(), r#type: Some(Type { tensor: Some(tensor) }) }
}

fn attribute(name: &str, value: OnnxValue) -> Attribute {
    let empty = Attribute { name: name.into(), ..Attribute::default() };
    match value {
        OnnxValue::Int(i) => Attribute { i: Some(i), kind: 2, ..empty },
        OnnxValue::Text(text) => Attribute { s: Some(text.into()), kind: 3, ..empty },
        OnnxValue::Floats(floats) => Attribute { floats, kind: 6, ..empty },
        OnnxValue::Ints(ints) => Attribute { ints, kind: 7, ..empty },
        OnnxValue::Texts(texts) => {
            Attribute { strings: texts.into_iter().map(Into::into).collect(), kind: 8, ..empty }
        }
    }
}

/// The weights of this name in an ONNX file: dimensions and numbers in single precision; none where it has none such.
///
/// # Errors
/// If the file is no ONNX, or has too many parts.
pub fn onnx_weights(
    onnx: &[u8],
    name: &str,
) -> Result<Option<(Vec<usize>, Vec<f32>)>, crate::kitnet::Defect> {
    crate::bundle::check_parts(onnx)?;
    let model = Model::decode(onnx).map_err(|error| crate::kitnet::Defect::new("ONNX", error.to_string()))?;
    let tensors = model.graph.map(|graph| graph.initializer).unwrap_or_default();
    let found = tensors.into_iter().find(|tensor| tensor.name == name && tensor.data_type == FLOAT);
    Ok(found.map(|tensor| {
        let dims = tensor.dims.iter().map(|dim| usize::try_from(*dim).unwrap_or(0)).collect();
        let four = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
        (dims, tensor.raw_data.chunks_exact(4).map(four).collect())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_come_back_and_equal_calls_give_equal_bytes() {
        let write = || {
            let mut writer = OnnxWriter::new("n");
            writer.input("x", OnnxType::F32, 2);
            let weight = writer.floats("w", &[2, 1], &[0.5, -1.0]);
            writer.node("MatMul", &["x", &weight], "y", Vec::new());
            writer.output("y", 1);
            writer.finish()
        };
        let bytes = write();
        assert_eq!(bytes, write());
        assert_eq!(onnx_weights(&bytes, "w").unwrap(), Some((vec![2, 1], vec![0.5, -1.0])));
        assert_eq!(onnx_weights(&bytes, "v").unwrap(), None);
        assert!(onnx_weights(b"nothing of this kind", "w").is_err());
    }
}
