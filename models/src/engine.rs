//! What runs a model that is not a KitNET.

use legonf_core::{ColumnSpec, Element, Shape, Storage, storage};
use std::borrow::Cow;

/// An engine failed, or its model is not what it is to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EngineError(
    /// What went wrong, in one line.
    pub String,
);

/// An input or output of a network: what it takes or gives for each row of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name in the network.
    pub name: String,
    /// Type of its cells.
    pub element: Element,
    /// Dimensions of a row; none of one value.
    pub shape: Vec<usize>,
}

impl Port {
    /// Cells of a row.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// A column of its type and shape. A row of one cell is one value, whatever its dimensions.
    pub fn column(&self, name: impl Into<Cow<'static, str>>) -> ColumnSpec {
        let shape = if self.width() == 1 { Shape::Scalar } else { Shape::Of(self.shape.clone().into()) };
        ColumnSpec { name: name.into(), shape, ..ColumnSpec::scalar("", self.element) }
    }
}

/// What a network takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Its inputs, in order.
    pub inputs: Vec<Port>,
    /// Its outputs, in order.
    pub outputs: Vec<Port>,
    /// The number of the output that holds a row's score: one value. None where the model says of no output that it does.
    pub score: Option<usize>,
}

impl Signature {
    /// An empty column for each output.
    pub fn wanted(&self) -> Vec<Output> {
        let column = |port: &Port| storage(port.element, port.width() == 1);
        let outputs = self.outputs.iter().enumerate();
        outputs.map(|(number, port)| Output { number, column: column(port) }).collect()
    }

    /// The rows of the columns for the inputs.
    ///
    /// # Errors
    /// If there are more or fewer columns than inputs, or rows of another width or number.
    pub fn rows(&self, inputs: &[Box<dyn Storage>]) -> Result<usize, EngineError> {
        if self.inputs.len() != inputs.len() {
            let (given, expected) = (inputs.len(), self.inputs.len());
            return Err(EngineError(format!("{given} columns for the {expected} inputs of a network")));
        }
        let rows = inputs.first().map_or(0, |column| column.filled());
        for (port, column) in self.inputs.iter().zip(inputs) {
            let (given, expected) = (column.cells(), port.width());
            if column.filled() > 0 && given != expected {
                let reason = format!("rows of {given} cells for the input `{}` of {expected}", port.name);
                return Err(EngineError(reason));
            }
            if column.filled() != rows {
                let found = column.filled();
                return Err(EngineError(format!("{found} rows for the input `{}`, not {rows}", port.name)));
            }
        }
        Ok(rows)
    }
}

/// A column for one of a network's outputs.
#[derive(Debug)]
pub struct Output {
    /// The number of the output.
    pub number: usize,
    /// What takes its rows, and holds no others afterwards.
    pub column: Box<dyn Storage>,
}

/// Runs a network on columns.
pub trait Engine: Send {
    /// What the network takes and gives.
    fn signature(&self) -> &Signature;

    /// Runs the network on rows: a column for each input, all of as many rows, and one for each output that is wanted.
    ///
    /// A column has the element type and the cells of its input or output; one of `f64` may stand for any input of `f32`, and for any
    /// output of numbers.
    ///
    /// # Errors
    /// When the engine fails, or a column is of another type or width.
    fn run(&mut self, inputs: &[Box<dyn Storage>], outputs: &mut [Output]) -> Result<(), EngineError>;

    /// Runs the network once on zeros, so that the first rows do not wait for memory. What it gives is the same afterwards.
    ///
    /// # Errors
    /// When the engine fails.
    fn warm(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}
