//! Small ONNX files for tests, written field by field.
#![allow(dead_code, missing_docs)]

/// Element types of tensors, as ONNX numbers them.
pub const FLOAT: u64 = 1;
pub const UINT8: u64 = 2;
pub const INT64: u64 = 7;
pub const DOUBLE: u64 = 11;

/// A network that is put together part by part.
#[derive(Default)]
pub struct Network {
    graph: Vec<u8>,
}

impl Network {
    pub fn new() -> Self {
        let mut network = Self::default();
        put(&mut network.graph, 2, b"g");
        network
    }

    /// An input: a row of these dimensions for each of a batch.
    pub fn input(mut self, name: &str, element: u64, row: &[u64]) -> Self {
        put(&mut self.graph, 11, &value(name, element, Some(row)));
        self
    }

    /// An output, whose shape is not stated.
    pub fn output(mut self, name: &str, element: u64) -> Self {
        put(&mut self.graph, 12, &value(name, element, None));
        self
    }

    /// An operator with one output and attributes that are integers.
    pub fn node(mut self, op: &str, inputs: &[&str], output: &str, attributes: &[(&str, u64)]) -> Self {
        let mut node = Vec::new();
        inputs.iter().for_each(|input| put(&mut node, 1, input.as_bytes()));
        put(&mut node, 2, output.as_bytes());
        put(&mut node, 3, output.as_bytes());
        put(&mut node, 4, op.as_bytes());
        for (name, integer) in attributes {
            let mut attribute = Vec::new();
            put(&mut attribute, 1, name.as_bytes());
            number(&mut attribute, 3, *integer);
            // The kind: an integer. Its tag, 20, takes two bytes.
            attribute.extend([0xa0, 1, 2]);
            put(&mut node, 5, &attribute);
        }
        put(&mut self.graph, 1, &node);
        self
    }

    /// A constant row of integers.
    pub fn integers(self, name: &str, values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        self.constant(name, INT64, &[values.len() as u64], &bytes)
    }

    /// A constant of numbers in single precision.
    pub fn floats(self, name: &str, dims: &[u64], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        self.constant(name, FLOAT, dims, &bytes)
    }

    fn constant(mut self, name: &str, element: u64, dims: &[u64], bytes: &[u8]) -> Self {
        let mut tensor = Vec::new();
        dims.iter().for_each(|dim| number(&mut tensor, 1, *dim));
        number(&mut tensor, 2, element);
        put(&mut tensor, 8, name.as_bytes());
        put(&mut tensor, 9, bytes);
        put(&mut self.graph, 5, &tensor);
        self
    }

    /// The file.
    pub fn file(self) -> Vec<u8> {
        let (mut opset, mut model) = (vec![], vec![]);
        number(&mut model, 1, 8);
        put(&mut model, 7, &self.graph);
        number(&mut opset, 2, 13);
        put(&mut model, 8, &opset);
        model
    }
}

fn put(message: &mut Vec<u8>, tag: u8, content: &[u8]) {
    message.push(tag << 3 | 2);
    varint(message, content.len() as u64);
    message.extend_from_slice(content);
}

fn number(message: &mut Vec<u8>, tag: u8, value: u64) {
    message.push(tag << 3);
    varint(message, value);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        message.push(value as u8 | 128);
        value >>= 7;
    }
    message.push(value as u8);
}

/// An input or output: the rows of a batch, of these dimensions.
fn value(name: &str, element: u64, row: Option<&[u64]>) -> Vec<u8> {
    let (mut batch, mut shape, mut tensor, mut kind, mut value) = (vec![], vec![], vec![], vec![], vec![]);
    put(&mut batch, 2, b"b");
    put(&mut shape, 1, &batch);
    for cells in row.unwrap_or_default() {
        let mut dim = Vec::new();
        number(&mut dim, 1, *cells);
        put(&mut shape, 1, &dim);
    }
    number(&mut tensor, 1, element);
    put(&mut tensor, 2, &shape);
    put(&mut kind, 1, &tensor);
    put(&mut value, 1, name.as_bytes());
    put(&mut value, 2, &kind);
    value
}
