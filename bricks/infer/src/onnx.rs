//! The ONNX brick: anyone's network, from columns to columns.

mod ports;
#[cfg(test)]
mod tests;

use crate::SCORES;
use crate::columns::FEATURES;
use legonf_core::{
    Batch, BindError, Brick, BrickError, ColumnSpec, Descriptor, Layout, State, Storage, Table, cells,
    storage, typed,
};
use legonf_models::{Engine, EngineError, Output};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Name of the kind.
const KIND: &str = "onnx";

/// Configuration of [`Onnx`]: which columns the network takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OnnxConfig {
    /// The column for each input of the network, by the input's name. Without any the only input takes `features`.
    pub inputs: BTreeMap<String, String>,
    /// The column for outputs of the network, by the output's name, with its type and shape; others are not kept.
    pub outputs: BTreeMap<String, String>,
    /// The column for the output that scores a row, or the only one: a number in `f64` for each. Default `scores`, where there are no
    /// `outputs`, and else none.
    pub scores: Option<String>,
    /// The table of all its columns. Default `packets`.
    pub table: Table,
}

/// Runs any network by an [`Engine`].
///
/// Its columns have the element type and the shape of the network's inputs and outputs, but for those of Kitsune, whatever the network
/// computes in: `features` and scores are `f64`.
pub struct Onnx {
    engine: Box<dyn Engine>,
    reads: Vec<ColumnSpec>,
    writes: Vec<ColumnSpec>,
    /// Where the batch has them.
    places: Vec<usize>,
    /// What is exchanged for the columns of the batch while the engine runs: those for inputs, in their order,
    inputs: Vec<Box<dyn Storage>>,
    /// and those for outputs, in the order of `writes`.
    outputs: Vec<Output>,
}

impl Onnx {
    /// Name of the kind in the catalogue and in graph files.
    pub const KIND: &'static str = KIND;

    /// What the graph needs to know of the brick, without a configuration.
    pub const DESCRIPTOR: Descriptor = Descriptor {
        kind: KIND,
        title: "neural network",
        reads: Cow::Borrowed(&[FEATURES]),
        writes: Cow::Borrowed(&[SCORES]),
        state: State::Stateless,
    };

    /// A brick that runs `engine`.
    ///
    /// # Errors
    /// If the configuration names an input or output that the network does not have, leaves one out, or a column cannot hold it.
    pub fn new(config: &OnnxConfig, engine: Box<dyn Engine>) -> Result<Self, EngineError> {
        let reads = ports::reads(config, engine.signature())?;
        let (numbers, writes): (Vec<_>, Vec<_>) =
            ports::writes(config, engine.signature())?.into_iter().unzip();
        ports::check(&reads, &writes)?;
        let empty = |spec: &ColumnSpec| storage(spec.element, spec.shape.is_scalar());
        let inputs = reads.iter().map(empty).collect();
        let columns = writes.iter().map(empty);
        let outputs = numbers.into_iter().zip(columns).map(|(number, column)| Output { number, column });
        Ok(Self { engine, inputs, outputs: outputs.collect(), reads, writes, places: Vec::new() })
    }

    /// What a brick of a configuration declares as far as that is known without its network: columns that are not `known` are taken
    /// for rows of `f32`.
    pub fn declared(config: &OnnxConfig, known: &[ColumnSpec]) -> Descriptor {
        let reads = ports::named(config.inputs.values(), known, FEATURES);
        let writes = ports::named(config.outputs.values().chain(&config.scores), known, SCORES);
        let of_table =
            |columns: Vec<ColumnSpec>| columns.into_iter().map(|column| column.in_table(config.table));
        let (reads, writes) = (of_table(reads).collect(), of_table(writes).collect());
        Descriptor { reads, writes, ..Self::DESCRIPTOR }
    }

    /// Exchanges the columns of the batch for those that the engine takes, or back.
    fn exchange(&mut self, batch: &mut Batch) {
        let (from, to) = self.places.split_at(self.inputs.len());
        for (place, column) in from.iter().zip(&mut self.inputs) {
            batch.column_mut(*place).exchange(&mut **column);
        }
        for (place, output) in to.iter().zip(&mut self.outputs) {
            batch.column_mut(*place).exchange(&mut *output.column);
        }
    }

    /// Runs the engine on the columns that it has been given.
    fn run(&mut self) -> Result<(), EngineError> {
        self.engine.run(&self.inputs, &mut self.outputs)?;
        let rows = self.inputs.first().map_or(0, |column| column.filled());
        for (spec, output) in self.writes.iter().zip(&mut self.outputs) {
            let found = output.column.filled();
            if found != rows {
                return Err(EngineError(format!("{found} rows of {} for {rows} rows", spec.name)));
            }
            reject(&self.inputs, &mut *output.column);
        }
        Ok(())
    }
}

impl Brick for Onnx {
    fn descriptor(&self) -> Descriptor {
        let (reads, writes) = (self.reads.clone().into(), self.writes.clone().into());
        Descriptor { reads, writes, ..Self::DESCRIPTOR }
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        let all = self.reads.iter().chain(&self.writes);
        self.places = all.map(|spec| layout.number(spec)).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.exchange(batch);
        let done = self.run();
        self.exchange(batch);
        done.map_err(|error| BrickError { brick: KIND, reason: error.to_string() })
    }

    fn warm(&mut self) -> Result<(), BrickError> {
        self.engine.warm().map_err(|e| BrickError { brick: KIND, reason: e.to_string() })
    }
}

/// A row of NaN has no score, whatever a network makes of it: many turn NaN into a number.
fn reject(inputs: &[Box<dyn Storage>], scores: &mut dyn Storage) {
    let of_doubles = |column: &&dyn Storage| cells::<f64>(*column).is_some();
    let Some(features) = inputs.iter().map(|column| &**column).find(of_doubles) else { return };
    let (Some(rows), Some(scores)) = (cells::<f64>(features), typed::<Vec<f64>>(scores)) else { return };
    let width = features.cells().max(1);
    for (row, score) in rows.chunks_exact(width).zip(scores) {
        if row.iter().all(|cell| cell.is_nan()) {
            *score = f64::NAN;
        }
    }
}
