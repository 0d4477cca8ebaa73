//! Which columns the inputs and outputs of a network take and fill.

use super::OnnxConfig;
use crate::SCORES;
use crate::columns::FEATURES;
use legonf_core::{ColumnSpec, Element};
use legonf_models::{EngineError, Port, Signature};
use std::collections::{BTreeMap, BTreeSet};

/// The columns for the inputs, in their order.
///
/// # Errors
/// If the configuration names another input, leaves one out, or its column cannot hold it.
pub(super) fn reads(config: &OnnxConfig, network: &Signature) -> Result<Vec<ColumnSpec>, EngineError> {
    known("inputs", &config.inputs, &network.inputs)?;
    if config.inputs.is_empty() && network.inputs.len() != 1 {
        return Err(unnamed("inputs", &network.inputs));
    }
    network.inputs.iter().map(|port| read(config, port).map(|column| column.in_table(config.table))).collect()
}

fn read(config: &OnnxConfig, port: &Port) -> Result<ColumnSpec, EngineError> {
    let column = match config.inputs.get(&port.name) {
        Some(column) => column.as_str(),
        None if config.inputs.is_empty() => &FEATURES.name,
        None => {
            return Err(EngineError(format!("inputs: the network's input `{}` has no column", port.name)));
        }
    };
    match (column == FEATURES.name, port.element) {
        (true, Element::F64 | Element::F32) => Ok(FEATURES.of_width(port.width())),
        (true, other) => Err(EngineError(format!(
            "inputs: the network's input `{}` is of {}, which features are not",
            port.name,
            other.label()
        ))),
        (false, _) => Ok(port.column(column.to_owned())),
    }
}

/// The columns that are filled, each with the number of its output.
///
/// # Errors
/// If the configuration names another output, its column cannot hold it, or nothing says which of several is to be kept.
pub(super) fn writes(
    config: &OnnxConfig,
    network: &Signature,
) -> Result<Vec<(usize, ColumnSpec)>, EngineError> {
    known("outputs", &config.outputs, &network.outputs)?;
    let default = || config.outputs.is_empty().then(|| SCORES.name.into_owned());
    let scores = config.scores.clone().or_else(default).map(|column| scores(column, network)).transpose()?;
    let ports = network.outputs.iter().enumerate();
    let named = ports.filter_map(|(number, port)| Some((number, port, config.outputs.get(&port.name)?)));
    let named = named.map(|(number, port, column)| (number, port.column(column.clone())));
    let all = scores.into_iter().chain(named);
    Ok(all.map(|(number, column)| (number, column.in_table(config.table))).collect())
}

/// The column for the output that scores a row.
fn scores(column: String, network: &Signature) -> Result<(usize, ColumnSpec), EngineError> {
    let only = (network.outputs.len() == 1).then_some(0);
    let number = network.score.or(only).ok_or_else(|| unnamed("outputs", &network.outputs))?;
    let port = &network.outputs[number];
    if port.width() == 1 && port.element != Element::Bool {
        return Ok((number, ColumnSpec { name: column.into(), ..SCORES }));
    }
    let (name, kind) = (&port.name, port.column(String::new()).kind());
    let remedy = "name its column in [brick.config.outputs]";
    Err(EngineError(format!("the network's output `{name}` is {kind}, not a score: {remedy}")))
}

/// The columns that a configuration names, or `default`: as they are `known`, else rows of `f32`.
pub(super) fn named<'a>(
    names: impl Iterator<Item = &'a String>,
    known: &[ColumnSpec],
    default: ColumnSpec,
) -> Vec<ColumnSpec> {
    let rows = |name: &String| ColumnSpec { name: name.clone().into(), ..ColumnSpec::rows("", Element::F32) };
    let column =
        |name: &String| known.iter().find(|spec| spec.name == *name).cloned().unwrap_or_else(|| rows(name));
    let named: Vec<_> = names.map(column).collect();
    if named.is_empty() { vec![default] } else { named }
}

/// Refuses columns that are named twice: what is read stays as it is.
///
/// # Errors
/// Names the first.
pub(super) fn check(reads: &[ColumnSpec], writes: &[ColumnSpec]) -> Result<(), EngineError> {
    let mut seen = BTreeSet::new();
    match reads.iter().chain(writes).find(|spec| !seen.insert(&*spec.name)) {
        Some(again) => Err(EngineError(format!("the column {} is named twice", again.name))),
        None => Ok(()),
    }
}

/// Refuses names that the network does not have.
fn known(key: &str, named: &BTreeMap<String, String>, ports: &[Port]) -> Result<(), EngineError> {
    match named.keys().find(|name| ports.iter().all(|port| port.name != **name)) {
        Some(other) => {
            Err(EngineError(format!("{key}: the network has no \"{other}\" (there are: {})", list(ports))))
        }
        None => Ok(()),
    }
}

fn unnamed(key: &str, ports: &[Port]) -> EngineError {
    let (count, names) = (ports.len(), list(ports));
    EngineError(format!("the network has {count} {key} ({names}): [brick.config.{key}] names their columns"))
}

fn list(ports: &[Port]) -> String {
    ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ")
}
