//! An engine for feed-forward networks and ensembles of trees in ONNX, in single precision.
//!
//! A graph is read once into a [`plan`](plan::Plan): steps that compute each row by itself, in one order of operations. So a row
//! gets the same bits whatever rows are beside it, and on every instruction set. Operators that are not known here are refused by
//! name, as is what would mix rows.

mod activation;
mod branch;
mod builder;
mod call;
mod choice;
mod columns;
mod convolution;
mod forest;
mod graph;
mod linear;
mod matrix;
mod operators;
mod plan;
mod pool;
pub(crate) mod proto;
mod rewrite;
mod shapes;
mod step;
mod table;
mod tensor;
#[cfg(test)]
mod tests;
mod trees;
mod winograd;

use crate::bundle::{Bundle, Foreign, Meaning, Model};
use crate::engine::{Engine, EngineError, Output, Port, Signature};
use crate::kitnet::Defect;
use branch::{Branch, Room};
use graph::Graph;
use legonf_core::{Element, Storage, cells, cells_mut, storage};
use plan::{Memory, Plan};
use std::ops::Range;
use std::sync::Arc;

/// Name of the optional output with the errors of an ensemble.
const ERRORS: &str = "errors";

/// Runs an ONNX network. Clones share the weights; each has memory of its own, which grows once.
#[derive(Debug)]
pub struct FeedForward {
    network: Arc<Network>,
    memory: Memory,
}

/// A part of a network that is computed for some rows alone, and how many these were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BranchRows {
    /// Floating-point operations of a row in the sums of this part.
    pub operations: u64,
    /// Rows that the network has computed.
    pub passed: u64,
    /// Those of them for which this part was computed.
    pub computed: u64,
}

/// What all engines of a network share.
#[derive(Debug)]
struct Network {
    plan: Plan,
    signature: Signature,
    meaning: Meaning,
}

impl Network {
    /// A network with one input of `features` columns and an output of scores.
    fn scoring(onnx: &[u8], output: &str, features: usize) -> Result<Self, Defect> {
        let graph = Graph::read(onnx)?;
        match &graph.inputs[..] {
            [only] if only.element == Element::F32 && only.shape == [features] => {}
            [only] => {
                return Err(Defect::new(
                    format!("input {}", only.name),
                    format!("expected f32 of {features}"),
                ));
            }
            several => return Err(Defect::new("input", format!("expected one, found {}", several.len()))),
        }
        let errors = Some(ERRORS).filter(|errors| output != *errors && graph.outputs().contains(errors));
        let wanted: Vec<&str> = std::iter::once(output).chain(errors).collect();
        let (plan, mut outputs) = graph.plan(&wanted)?;
        let meaning = meaning(&outputs[0], features)?;
        if meaning == Meaning::Reconstruction {
            outputs[0].element = Element::F64;
        }
        outputs[0].shape.clear();
        let signature = Signature { inputs: graph.inputs, outputs, score: Some(0) };
        Ok(Self { plan, signature, meaning })
    }
}

impl Clone for FeedForward {
    fn clone(&self) -> Self {
        Self::of(self.network.clone())
    }
}

impl FeedForward {
    fn of(network: Arc<Network>) -> Self {
        let mut memory = Memory::default();
        memory.fit(&network.plan);
        Self { network, memory }
    }

    /// Prepares any network: the first dimension of each of its inputs and outputs is that of the rows.
    ///
    /// # Errors
    /// Names the operator that is not known here or does not fit, or the input or output of another form.
    pub fn open(onnx: &[u8]) -> Result<Self, Defect> {
        let graph = Graph::read(onnx)?;
        let (plan, outputs) = graph.plan(&graph.outputs())?;
        let signature = Signature { inputs: graph.inputs, outputs, score: None };
        Ok(Self::of(Network { plan, signature, meaning: Meaning::Score }.into()))
    }

    /// Prepares a network with one input of `features` columns; `output` names the output that the scores come from: one value a
    /// row, or one a feature ([`Meaning`]).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn scoring(onnx: &[u8], output: &str, features: usize) -> Result<Self, Defect> {
        Ok(Self::of(Network::scoring(onnx, output, features)?.into()))
    }

    /// Prepares a network of any inputs; `output` names its only output that is kept, which gives one value for each of so many
    /// classes.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if the output has another number of values.
    pub fn classifier(onnx: &[u8], output: &str, classes: usize) -> Result<Self, Defect> {
        let graph = Graph::read(onnx)?;
        let (plan, outputs) = graph.plan(&[output])?;
        let found = outputs[0].width();
        if found != classes {
            let reason = format!("has {found} values a row: expected one for each of {classes} classes");
            return Err(Defect::new(format!("output {output}"), reason));
        }
        let signature = Signature { inputs: graph.inputs, outputs, score: None };
        Ok(Self::of(Network { plan, signature, meaning: Meaning::Classes }.into()))
    }

    /// Prepares the network of a bundle that is not a KitNET.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if its output means something else than the bundle says.
    pub fn from_bundle(bundle: &Bundle) -> Result<Self, Defect> {
        let Model::Foreign(Foreign { onnx, output, meaning, features, classes, .. }) = &bundle.model else {
            return Err(Defect::new("kitnet", "has a kernel of its own; its graph is in f64"));
        };
        if *meaning == Meaning::Classes {
            return Self::classifier(onnx, output, classes.len());
        }
        let network = Network::scoring(onnx, output, *features)?;
        match (*meaning, network.meaning) {
            (stated, found) if stated == found => Ok(Self::of(network.into())),
            // Of one value a row the network does not say whether it is a score or a normality.
            (Meaning::Normality, Meaning::Score) => {
                Ok(Self::of(Network { meaning: Meaning::Normality, ..network }.into()))
            }
            (stated, found) => {
                let (stated, found) = (stated.label(), found.label());
                let reason = format!("is a {found}, not a {stated}; import the original again");
                Err(Defect::new(format!("output {output}"), reason))
            }
        }
    }

    /// What the output says of a row.
    pub fn meaning(&self) -> Meaning {
        self.network.meaning
    }

    /// Engines that share its weights, itself among them.
    pub fn sharers(&self) -> usize {
        Arc::strong_count(&self.network)
    }

    /// Floating-point operations of a row in its sums, in the forms that they are computed in; transforms do not count. A row that no
    /// branch is computed for has fewer ([`branches`](Self::branches)).
    pub fn operations(&self) -> u64 {
        self.network.plan.operations()
    }

    /// The parts that are computed for some rows alone, where a `Where` of whole rows asks for them, with their rows so far.
    pub fn branches(&self) -> Vec<BranchRows> {
        let branches = self.network.plan.branches().into_iter().zip(&self.memory.branches);
        let of = |(branch, room): (&Branch, &Room)| BranchRows {
            operations: branch.plan.operations(),
            passed: room.passed,
            computed: room.computed,
        };
        branches.map(of).collect()
    }

    /// Runs rows, no more than a block.
    fn block(
        &mut self,
        inputs: &[Box<dyn Storage>],
        outputs: &mut [Output],
        rows: Range<usize>,
    ) -> Result<(), EngineError> {
        let Network { plan, signature, meaning } = &*self.network;
        for ((port, place), column) in signature.inputs.iter().zip(&plan.inputs).zip(inputs) {
            columns::load(port, place, &mut self.memory, &**column, rows.clone())?;
        }
        plan.run(&mut self.memory, rows.len());
        for Output { number, column } in outputs {
            let (port, place) = (&signature.outputs[*number], &plan.outputs[*number]);
            if (signature.score, *meaning) == (Some(*number), Meaning::Reconstruction) {
                let made = &self.memory.reals[place.buffer];
                deviations(&*inputs[0], made, &mut **column, rows.clone())?;
            } else {
                columns::store(port, place, &self.memory, &mut **column, rows.clone())?;
                if (signature.score, *meaning) == (Some(*number), Meaning::Normality) {
                    negate(&mut **column, rows.clone());
                }
            }
        }
        Ok(())
    }
}

/// What an output says of a row.
fn meaning(output: &Port, features: usize) -> Result<Meaning, Defect> {
    match output.width() {
        1 if output.element == Element::F32 => Ok(Meaning::Score),
        width if width == features && output.shape.len() == 1 && output.element == Element::F32 => {
            Ok(Meaning::Reconstruction)
        }
        _ => {
            let reason =
                format!("has rows of {:?}: expected one score a row, or one value a feature", output.shape);
            Err(Defect::new(format!("output {}", output.name), reason))
        }
    }
}

/// The scores of rows that the network has put together again: the root of the mean square of the deviations, summed in the order
/// of the features.
fn deviations(
    taken: &dyn Storage,
    made: &[f32],
    scores: &mut dyn Storage,
    rows: Range<usize>,
) -> Result<(), EngineError> {
    let width = taken.cells();
    let scores = cells_mut::<f64>(scores).ok_or_else(|| EngineError("scores are of f64".into()))?;
    let (doubles, singles) = (cells::<f64>(taken), cells::<f32>(taken));
    let value = |cell: usize| match (doubles, singles) {
        (Some(doubles), _) => f64::from(doubles[cell] as f32),
        (_, Some(singles)) => singles[cell].into(),
        _ => f64::NAN,
    };
    for (row, made) in rows.zip(made.chunks_exact(width)) {
        let deviation = |(column, made): (usize, &f32)| value(row * width + column) - f64::from(*made);
        let sum =
            made.iter().enumerate().map(deviation).fold(0.0, |sum, deviation| sum + deviation * deviation);
        scores[row] = (sum / width as f64).sqrt();
    }
    Ok(())
}

/// Takes the negatives of some rows.
fn negate(scores: &mut dyn Storage, rows: Range<usize>) {
    if let Some(scores) = cells_mut::<f64>(scores) {
        scores[rows.clone()].iter_mut().for_each(|score| *score = -*score);
    }
    if let Some(scores) = cells_mut::<f32>(scores) {
        scores[rows].iter_mut().for_each(|score| *score = -*score);
    }
}

impl Engine for FeedForward {
    fn signature(&self) -> &Signature {
        &self.network.signature
    }

    fn run(&mut self, inputs: &[Box<dyn Storage>], outputs: &mut [Output]) -> Result<(), EngineError> {
        let rows = self.network.signature.rows(inputs)?;
        for Output { number, column } in &mut *outputs {
            let port = self.network.signature.outputs.get(*number);
            let port = port.ok_or_else(|| EngineError(format!("the network has no output {number}")))?;
            column.reshape(rows, port.width());
        }
        let size = self.network.plan.block;
        for start in (0..rows).step_by(size) {
            self.block(inputs, outputs, start..rows.min(start + size))?;
        }
        Ok(())
    }

    fn warm(&mut self) -> Result<(), EngineError> {
        let rows = self.network.plan.block;
        let zeros = |port: &Port| {
            let mut column = storage(port.element, port.width() == 1);
            column.fill(rows, port.width());
            column
        };
        let inputs: Vec<_> = self.network.signature.inputs.iter().map(zeros).collect();
        let mut outputs = self.network.signature.wanted();
        self.run(&inputs, &mut outputs)
    }
}
