//! A graph of ONNX as steps.

use super::builder::{Builder, Term, View};
use super::call::Call;
use super::plan::Plan;
use super::tensor::{BOOL, Constant, UINT8};
use super::{operators, proto};
use crate::bundle::proto::{DOUBLE, Dimension, FLOAT, INT64, ValueInfo};
use crate::bundle::wire;
use crate::engine::Port;
use crate::kitnet::Defect;
use legonf_core::Element;
use prost::Message;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A graph whose inputs are known.
pub(super) struct Graph {
    proto: proto::Graph,
    opset: i64,
    /// Its inputs that are no constants.
    pub(super) inputs: Vec<Port>,
    stated_rows: Option<i64>,
}

impl Graph {
    /// Reads a file.
    ///
    /// # Errors
    /// If it is not ONNX, has too many parts, or an input of a type or shape that no column has.
    pub(super) fn read(onnx: &[u8]) -> Result<Self, Defect> {
        wire::check(onnx)?;
        let model = proto::Model::decode(onnx).map_err(|e| Defect::new("ONNX", e.to_string()))?;
        let opset = model.opset_import.iter().find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
        let opset = opset.map_or(1, |set| set.version);
        let proto = model.graph.ok_or_else(|| Defect::new("graph", "is missing: not ONNX, or cut short"))?;
        let constants: HashSet<&str> = proto.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
        let free = proto.input.iter().filter(|input| !constants.contains(input.name.as_str()));
        let inputs = free.clone().map(input).collect::<Result<Vec<_>, _>>()?;
        let rows = |info: &ValueInfo| info.tensor()?.1.first()?.value;
        let stated_rows = free.filter_map(rows).next();
        if inputs.is_empty() {
            return Err(Defect::new("graph", "has no input"));
        }
        Ok(Self { opset, inputs, stated_rows, proto })
    }

    /// The names of its outputs.
    pub(super) fn outputs(&self) -> Vec<&str> {
        self.proto.output.iter().map(|output| output.name.as_str()).collect()
    }

    /// The plan that computes some outputs, with what these are.
    ///
    /// # Errors
    /// Names the operator that is not known here or does not fit its inputs.
    pub(super) fn plan(&self, outputs: &[&str]) -> Result<(Plan, Vec<Port>), Defect> {
        let needed = self.needed(outputs);
        let mut reading = Reading::new(self, &needed, outputs)?;
        let mut inputs = Vec::new();
        for port in &self.inputs {
            inputs.push(reading.input(port)?);
        }
        for (number, node) in self.proto.node.iter().enumerate().filter(|(number, _)| needed[*number]) {
            reading.node(node).map_err(|reason| Defect::new(named(node, number), reason))?;
        }
        let found = outputs.iter().map(|name| reading.output(name));
        let (slots, ports): (Vec<_>, Vec<_>) = found.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let builder = reading.builder;
        Ok((Plan::new(&builder.slots, builder.steps, &inputs, &slots), ports))
    }

    /// Which nodes some outputs need.
    fn needed(&self, outputs: &[&str]) -> Vec<bool> {
        let mut wanted: HashSet<&str> = outputs.iter().copied().collect();
        let mut needed = vec![false; self.proto.node.len()];
        for (node, needed) in self.proto.node.iter().zip(&mut needed).rev() {
            *needed = node.output.iter().any(|output| wanted.contains(output.as_str()));
            if *needed {
                wanted.extend(node.input.iter().map(String::as_str));
            }
        }
        needed
    }
}

fn named(node: &proto::Node, number: usize) -> String {
    let name = if node.name.is_empty() { format!("number {number}") } else { node.name.clone() };
    format!("operator {name} ({})", node.op_type)
}

fn input(info: &ValueInfo) -> Result<Port, Defect> {
    let wrong = |reason: String| Defect::new(format!("input {}", info.name), reason);
    let (element, dims) = info.tensor().ok_or_else(|| wrong("has no shape".into()))?;
    let element = match element {
        FLOAT => Element::F32,
        UINT8 => Element::U8,
        4 => Element::U16,
        INT64 => Element::I64,
        BOOL => Element::Bool,
        12 => Element::U32,
        13 => Element::U64,
        DOUBLE => return Err(wrong("is of f64: legonf's own engine computes in f32".into())),
        other => return Err(wrong(format!("is of element type {other}, which no column holds"))),
    };
    let length = |dim: &Dimension| dim.value.and_then(|value| usize::try_from(value).ok()).filter(|v| *v > 0);
    let [_, dims @ ..] = dims else { return Err(wrong("has no dimension for the rows of a batch".into())) };
    let shape = dims.iter().map(length).collect::<Option<Vec<_>>>();
    let shape = shape.ok_or_else(|| {
        wrong("has an open dimension beside the first one, which is that of the rows".into())
    })?;
    Ok(Port { name: info.name.clone(), element, shape })
}

/// What is known while nodes are read one after the other.
struct Reading<'a> {
    graph: &'a Graph,
    builder: Builder,
    terms: HashMap<&'a str, Term>,
    /// How often a name is read.
    uses: HashMap<&'a str, usize>,
}

impl<'a> Reading<'a> {
    fn new(graph: &'a Graph, needed: &[bool], outputs: &[&'a str]) -> Result<Self, Defect> {
        let nodes = graph.proto.node.iter().zip(needed).filter(|(_, needed)| **needed);
        let names = nodes.flat_map(|(node, _)| node.input.iter().map(String::as_str));
        let mut uses = HashMap::new();
        names.chain(outputs.iter().copied()).for_each(|name| *uses.entry(name).or_default() += 1);
        let mut reading = Self { graph, builder: Builder::default(), terms: HashMap::new(), uses };
        for tensor in &graph.proto.initializer {
            if reading.uses.contains_key(tensor.name.as_str()) {
                let constant = Term::Constant(Constant::read(tensor)?.into());
                reading.terms.insert(&tensor.name, constant);
            }
        }
        Ok(reading)
    }

    /// The slot of an input.
    fn input(&mut self, port: &'a Port) -> Result<usize, Defect> {
        let integers = port.element != Element::F32;
        let slot = self.builder.slot(&port.shape, integers);
        let slot = slot.map_err(|reason| Defect::new(format!("input {}", port.name), reason))?;
        self.terms.insert(&port.name, Term::Rows(View::plain(slot, port.shape.clone())));
        Ok(slot)
    }

    /// What a name stands for, as one of its readers gets it.
    fn term(&self, name: &str) -> Option<Term> {
        let only = self.uses.get(name) == Some(&1);
        self.terms.get(name).cloned().map(|term| match term {
            Term::Rows(view) => Term::Rows(View { exclusive: view.exclusive && only, ..view }),
            constant @ Term::Constant(_) => constant,
        })
    }

    fn node(&mut self, node: &'a proto::Node) -> Result<(), String> {
        let input = |name: &String| match name.as_str() {
            "" => Ok(None),
            name => self
                .term(name)
                .map(Some)
                .ok_or_else(|| format!("reads {name:?}, which nothing before it gives")),
        };
        let inputs = node.input.iter().map(input).collect::<Result<Vec<_>, _>>()?;
        let made = self.made(node, inputs)?;
        for (name, term) in node.output.iter().zip(made).filter(|(name, _)| !name.is_empty()) {
            if self.terms.insert(name, term).is_some() {
                return Err(format!("gives {name:?}, which is there already"));
            }
        }
        Ok(())
    }

    /// What a node gives: steps, or a constant where all of its inputs are some.
    fn made(&mut self, node: &proto::Node, inputs: Vec<Option<Term>>) -> Result<Vec<Term>, String> {
        let (opset, stated_rows) = (self.graph.opset, self.graph.stated_rows);
        let constant = inputs.iter().flatten().all(|term| matches!(term, Term::Constant(_)));
        let whole = matches!(node.op_type.as_str(), "Constant" | "Shape" | "Concat" | "Identity" | "Dropout");
        match inputs.first() {
            Some(Some(Term::Constant(first))) if constant && !whole => {
                let first = first.clone();
                folded(&Call { node, inputs, opset, lead: 0, stated_rows }, &first)
            }
            _ => operators::add(&mut self.builder, &Call { node, inputs, opset, lead: 1, stated_rows }),
        }
    }

    /// The slot of an output, and what it is.
    fn output(&mut self, name: &str) -> Result<(usize, Port), Defect> {
        let wrong = |reason: &str| Defect::new(format!("output {name}"), reason);
        match self.term(name) {
            Some(Term::Rows(view)) => {
                let view = self.builder.plain(view).map_err(|reason| wrong(&reason))?;
                let element = if self.builder.is_integer(&view) { Element::I64 } else { Element::F32 };
                Ok((view.slot, Port { name: name.into(), element, shape: view.shape }))
            }
            Some(Term::Constant(_)) => Err(wrong("does not depend on the rows")),
            None => Err(wrong("is given by no operator")),
        }
    }
}

/// What a node makes of constants: its first input as the only row of a plan of its own.
fn folded(call: &Call<'_>, first: &Arc<Constant>) -> Result<Vec<Term>, String> {
    let mut builder = Builder::default();
    let slot = builder.slot(&first.shape, first.as_integers().is_some())?;
    let mut inputs = call.inputs.clone();
    inputs[0] = Some(Term::Rows(View { exclusive: false, ..View::plain(slot, first.shape.clone()) }));
    let call = Call { inputs, ..*call };
    let made = operators::add(&mut builder, &call)?;
    match made.into_iter().next() {
        Some(Term::Rows(view)) => Ok(vec![Term::Constant(builder.evaluate(&[first], view)?.into())]),
        Some(constant) => Ok(vec![constant]),
        None => Ok(Vec::new()),
    }
}
