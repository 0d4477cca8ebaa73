//! What the bricks of a graph declare, as far as its file says it: without their models.

use legonf_catalog::{CatalogError, Context, Takes};
use legonf_core::{ColumnSpec, Descriptor, Element};
use legonf_extract::FEATURES;
use legonf_infer::{Onnx, OnnxConfig, SCORES};
use legonf_runtime::{BrickSpec, GraphSpec};

/// What a brick of a graph declares. Only a model knows the types of its network's other columns: they are those that bricks without a
/// model declare, else rows of `f32`.
///
/// # Errors
/// If its kind is unknown.
pub fn describe(spec: &GraphSpec, brick: &BrickSpec) -> Result<Descriptor, CatalogError> {
    let own = own(brick)?;
    if brick.kind != Onnx::KIND {
        return Ok(own);
    }
    let config: OnnxConfig = brick.config.clone().try_into().unwrap_or_default();
    let column = |name: &String| column(spec, name);
    let columns = |ports: Vec<ColumnSpec>, default: &[ColumnSpec]| {
        if ports.is_empty() { default.to_vec().into() } else { ports.into() }
    };
    let reads = columns(config.inputs.values().map(column).collect(), &own.reads);
    let scores = config.scores.iter().map(|name| ColumnSpec { name: name.clone().into(), ..SCORES });
    let writes = columns(scores.chain(config.outputs.values().map(column)).collect(), &own.writes);
    Ok(Descriptor { reads, writes, ..own })
}

/// What a brick declares itself, or its kind where it takes a network or has no configuration to be made of.
fn own(brick: &BrickSpec) -> Result<Descriptor, CatalogError> {
    let kind = legonf_catalog::describe(&brick.kind)?;
    if legonf_catalog::takes(&brick.kind, &brick.config) == Takes::Network {
        return Ok(kind);
    }
    let made = legonf_catalog::build(&brick.kind, &brick.config, &Context::default());
    Ok(made.map_or(kind, |brick| brick.descriptor()))
}

/// The column of this name, for a network.
fn column(spec: &GraphSpec, name: &str) -> ColumnSpec {
    let others = spec.bricks.iter().filter(|brick| brick.kind != Onnx::KIND).filter_map(|b| own(b).ok());
    let declared =
        others.flat_map(|brick| brick.reads.iter().chain(&*brick.writes).cloned().collect::<Vec<_>>());
    let known = [FEATURES, SCORES].into_iter().chain(declared).find(|column| column.name == name);
    known.unwrap_or_else(|| {
        let name = name.to_owned().into();
        ColumnSpec { name, ..ColumnSpec::rows("", Element::F32) }
    })
}
