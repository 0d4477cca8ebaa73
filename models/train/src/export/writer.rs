//! A network of rows on its way into an ONNX file: each call gives the name of what it has added.

use legonf_core::Element;
use legonf_models::onnx::{Network, Value};

/// The network so far.
pub(super) struct Writer(Network);

impl Writer {
    pub fn new(name: &str) -> Self {
        Self(Network::new(name))
    }

    /// An input with rows of `width` cells.
    pub fn input(&mut self, name: &str, element: Element, width: usize) {
        self.0.input(name, element, &[width]);
    }

    /// The output, with rows of `width` numbers.
    pub fn output(&mut self, name: &str, width: usize) {
        self.0.output(name, Element::F32, Some(&[width]));
    }

    /// Weights.
    pub fn floats(&mut self, name: &str, dims: &[usize], cells: &[f32]) -> String {
        self.0.reals(name, dims, cells);
        name.into()
    }

    /// Whole numbers, in one dimension.
    pub fn ints(&mut self, name: &str, cells: &[i64]) -> String {
        self.0.integers(name, cells);
        name.into()
    }

    /// An operator with one output.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<(&str, Value<'_>)>,
    ) -> String {
        self.0.node(operator, inputs, &[output], &attributes);
        output.into()
    }

    /// An operator with several outputs.
    pub fn nodes(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<(&str, Value<'_>)>,
    ) {
        self.0.node(operator, inputs, outputs, &attributes);
    }

    /// An operator of classic machine learning; its last output counts.
    pub fn learner(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<(&str, Value<'_>)>,
    ) -> String {
        self.0.node(&format!("ai.onnx.ml/{operator}"), inputs, outputs, &attributes);
        outputs.last().copied().unwrap_or_default().into()
    }

    /// The bytes of the file.
    pub fn finish(self) -> Vec<u8> {
        self.0.to_bytes()
    }
}
