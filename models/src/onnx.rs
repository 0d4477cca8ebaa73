//! Networks that are made in code, as ONNX files.

use crate::bundle::proto::{Dimension, FLOAT, INT64, OperatorSet, Shape, TensorType, Type, ValueInfo};
use crate::feedforward::proto::{Attribute, Graph, Model, Node, Tensor};
use crate::kitnet::Defect;
use legonf_core::Element;
use prost::Message;

/// The version of ONNX's file format that is written.
const IR_VERSION: i64 = 9;
/// The versions of ONNX's operators, and of those for trees, that are written.
const OPSETS: [(&str, i64); 2] = [("", 18), ("ai.onnx.ml", 3)];

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// An integer.
    Int(i64),
    /// A number.
    Float(f32),
    /// A text.
    Text(&'a str),
    /// Several integers.
    Ints(Vec<i64>),
    /// Several numbers.
    Floats(Vec<f32>),
    /// Several texts.
    Texts(Vec<&'a str>),
}

/// A network that is put together part by part, each operator behind those whose outputs it reads.
#[derive(Clone, Debug, Default)]
pub struct Network(Graph);

impl Network {
    /// An empty one.
    pub fn new(name: &str) -> Self {
        Self(Graph { name: name.into(), ..Graph::default() })
    }

    /// An input: a row of these dimensions for each of a batch.
    ///
    /// # Panics
    /// If the element type is none of numbers, bytes and truth values.
    pub fn input(&mut self, name: &str, element: Element, row: &[usize]) {
        self.0.input.push(value(name, element, Some(row)));
    }

    /// An output; `None` for the dimensions of a row leaves its shape open.
    ///
    /// # Panics
    /// As [`input`](Self::input).
    pub fn output(&mut self, name: &str, element: Element, row: Option<&[usize]>) {
        self.0.output.push(value(name, element, row));
    }

    /// An operator with its inputs, its outputs and its attributes.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, Value<'_>)],
    ) {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (domain, op_type) = operator.split_once('/').unwrap_or(("", operator));
        self.0.node.push(Node {
            input: names(inputs),
            output: names(outputs),
            name: outputs.first().map_or_else(String::new, |name| (*name).to_owned()),
            op_type: op_type.into(),
            attribute: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
            domain: domain.into(),
        });
    }

    /// A constant of numbers.
    pub fn reals(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, FLOAT, dims, bytes);
    }

    /// A constant list of integers.
    pub fn integers(&mut self, name: &str, values: &[i64]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, INT64, &[values.len()], bytes);
    }

    fn constant(&mut self, name: &str, data_type: i32, dims: &[usize], raw_data: Vec<u8>) {
        let dims = dims.iter().map(|dim| *dim as i64).collect();
        self.0.initializer.push(Tensor { dims, data_type, name: name.into(), raw_data, ..Tensor::default() });
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let set = |(domain, version): (&str, i64)| OperatorSet { domain: domain.into(), version };
        let opset_import = OPSETS.into_iter().map(set).collect();
        Model { ir_version: IR_VERSION, graph: Some(self.0.clone()), opset_import }.encode_to_vec()
    }
}

/// Weights of a network: dimensions and numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The dimensions.
    pub dims: Vec<usize>,
    /// The numbers, row after row.
    pub values: Vec<f32>,
}

/// The weights of this name in an ONNX file, whole numbers as well, in single precision; none where it has none such.
///
/// # Errors
/// If the file is no ONNX, or has too many parts.
pub fn weights(onnx: &[u8], name: &str) -> Result<Option<Weights>, Defect> {
    crate::bundle::check_parts(onnx)?;
    let model = Model::decode(onnx).map_err(|error| Defect::new("ONNX", error.to_string()))?;
    let tensors = model.graph.map(|graph| graph.initializer).unwrap_or_default();
    let known = |tensor: &Tensor| matches!(tensor.data_type, FLOAT | INT64);
    let found = tensors.into_iter().find(|tensor| tensor.name == name && known(tensor));
    Ok(found.map(|tensor| Weights {
        dims: tensor.dims.iter().map(|dim| usize::try_from(*dim).unwrap_or(0)).collect(),
        values: match tensor.data_type {
            INT64 => {
                tensor.raw_data.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as f32).collect()
            }
            _ => tensor.raw_data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        },
    }))
}

fn attribute(name: &str, value: &Value<'_>) -> Attribute {
    let named = |kind| Attribute { name: name.into(), kind, ..Attribute::default() };
    match value {
        Value::Float(f) => Attribute { f: *f, ..named(1) },
        Value::Int(i) => Attribute { i: *i, ..named(2) },
        Value::Text(s) => Attribute { s: s.as_bytes().to_vec(), ..named(3) },
        Value::Floats(floats) => Attribute { floats: floats.clone(), ..named(6) },
        Value::Ints(ints) => Attribute { ints: ints.clone(), ..named(7) },
        Value::Texts(texts) => {
            let strings = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
            Attribute { strings, ..named(8) }
        }
    }
}

fn value(name: &str, element: Element, row: Option<&[usize]>) -> ValueInfo {
    let batch = Dimension { value: None, name: Some("batch".into()) };
    let dim = |length: &usize| Dimension { value: Some(*length as i64), name: None };
    let shape = row.map(|row| Shape { dim: std::iter::once(batch).chain(row.iter().map(dim)).collect() });
    let tensor = TensorType { element: number(element), shape };
    ValueInfo { name: name.into(), r#type: Some(Type { tensor: Some(tensor) }) }
}

/// The number of an element type in ONNX.
fn number(element: Element) -> i32 {
    match element {
        Element::F32 => FLOAT,
        Element::U8 => 2,
        Element::U16 => 4,
        Element::I64 => INT64,
        Element::Bool => 9,
        Element::F64 => 11,
        Element::U32 => 12,
        Element::U64 => 13,
        other => panic!("no tensor has cells of {}", other.label()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_come_back_and_equal_calls_give_equal_bytes() {
        let write = || {
            let mut network = Network::new("n");
            network.input("x", Element::F32, &[2]);
            network.reals("w", &[2, 1], &[0.5, -1.0]);
            network.integers("i", &[3, -4]);
            network.node("MatMul", &["x", "w"], &["y"], &[]);
            network.output("y", Element::F32, Some(&[1]));
            network.to_bytes()
        };
        let bytes = write();
        assert_eq!(bytes, write());
        let found = weights(&bytes, "w").unwrap();
        assert_eq!(found, Some(Weights { dims: vec![2, 1], values: vec![0.5, -1.0] }));
        let integers = weights(&bytes, "i").unwrap();
        assert_eq!(integers, Some(Weights { dims: vec![2], values: vec![3.0, -4.0] }));
        assert_eq!(weights(&bytes, "v").unwrap(), None);
        assert!(weights(b"nothing of this kind", "w").is_err());
    }
}
