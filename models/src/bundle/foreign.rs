//! Somebody else's ONNX model: its bytes as they are, and what has to be known to run it.

use super::metadata::PREFIX;
use super::proto::{DOUBLE, Dimension, FLOAT, Graph, Model as Proto, Property, ValueInfo};
use crate::kitnet::{Defect, MAX_FEATURES};
use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{self, DecodeContext, WireType};

/// A network that was not made here. Any engine that reads ONNX can run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The ONNX file as it was imported.
    pub onnx: Vec<u8>,
    /// Name of the input: rows of features, `f32` or `f64`.
    pub input: String,
    /// Name of the output that holds the scores, one for each row.
    pub output: String,
    /// Number of features of a row.
    pub features: usize,
}

impl Foreign {
    /// Looks at an ONNX model: its only input is taken as the features; its output `output`, or where that
    /// is `None` the one named `rmse` or `score`, or its only output, as the scores.
    ///
    /// # Errors
    /// When the model is not ONNX, has been imported before, or has no such input and output.
    pub fn new(onnx: Vec<u8>, output: Option<&str>) -> Result<Self, Defect> {
        let proto = Proto::decode(&*onnx).map_err(|e| Defect::new("ONNX", e.to_string()))?;
        if proto.metadata_props.iter().any(|p| p.key.starts_with(PREFIX)) {
            return Err(Defect::new("metadata", "this is a legonf model already"));
        }
        let graph = proto.graph.ok_or_else(|| Defect::new("graph", "is missing: not ONNX, or cut short"))?;
        let (input, features) = features(&graph)?;
        let output = scores(&graph, output)?;
        Ok(Self { onnx, input, output, features })
    }

    /// The ONNX file with `properties` added and every byte of the original kept.
    pub(crate) fn with_properties(&self, properties: Vec<Property>) -> Vec<u8> {
        // Serialized protobuf messages of one type merge by concatenation.
        let added = Proto { metadata_props: properties, ..Proto::default() };
        [self.onnx.as_slice(), &added.encode_to_vec()].concat()
    }
}

/// The input that is not an initializer, and its number of columns.
fn features(graph: &Graph) -> Result<(String, usize), Defect> {
    let free = |value: &&ValueInfo| graph.initializer.iter().all(|t| t.name != value.name);
    let inputs: Vec<&ValueInfo> = graph.input.iter().filter(free).collect();
    let &[input] = inputs.as_slice() else {
        return Err(Defect::new("input", format!("expected one, found {}", inputs.len())));
    };
    let expected =
        || Defect::new(&input.name, "expected an input of float or double with shape [batch, features]");
    let (element, dims) = input.tensor().ok_or_else(expected)?;
    let [_, Dimension { value: Some(columns), .. }] = dims else { return Err(expected()) };
    let columns = usize::try_from(*columns).ok().filter(|c| (1..=MAX_FEATURES).contains(c));
    match columns {
        Some(columns) if [FLOAT, DOUBLE].contains(&element) => Ok((input.name.clone(), columns)),
        _ => Err(expected()),
    }
}

fn scores(graph: &Graph, wanted: Option<&str>) -> Result<String, Defect> {
    let names: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    let named = |name: &str| names.iter().find(|n| **n == name).copied();
    let found = match (wanted, names.as_slice()) {
        (Some(name), _) => named(name),
        (None, [only]) => Some(*only),
        (None, _) => named("rmse").or_else(|| named("score")),
    };
    found
        .map(Into::into)
        .ok_or_else(|| Defect::new("output", format!("which of {names:?} holds the scores? Name it")))
}

/// The file without the properties that were added here: what had been imported.
pub(crate) fn without_properties(file: &[u8]) -> Result<Vec<u8>, Defect> {
    let mut rest = file;
    let mut kept = Vec::with_capacity(file.len());
    while rest.has_remaining() {
        let before = rest;
        let added = skip_field(&mut rest).map_err(|e| Defect::new("ONNX", e.to_string()))?;
        if !added {
            kept.extend_from_slice(&before[..before.len() - rest.len()]);
        }
    }
    Ok(kept)
}

/// Passes over one field of the model; whether it is a property that was added here.
fn skip_field(rest: &mut &[u8]) -> Result<bool, prost::DecodeError> {
    const METADATA_PROPS: u32 = 14;
    let (tag, wire_type) = encoding::decode_key(rest)?;
    let value = *rest;
    encoding::skip_field(wire_type, tag, rest, DecodeContext::default())?;
    if tag != METADATA_PROPS || wire_type != WireType::LengthDelimited {
        return Ok(false);
    }
    let value = &value[..value.len() - rest.len()];
    Ok(Property::decode_length_delimited(value)?.key.starts_with(PREFIX))
}
