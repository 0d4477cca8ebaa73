//! What the bricks of a graph declare, as far as its file says it: without their models.

use legonf_catalog::{CatalogError, Context, Takes};
use legonf_core::{ColumnSpec, Descriptor};
use legonf_extract::FEATURES;
use legonf_infer::{Onnx, SCORES};
use legonf_runtime::{BrickSpec, GraphSpec};

/// What a brick of a graph declares. Only a model knows the types of its network's columns: they are those that other bricks declare, as
/// far as these do.
///
/// # Errors
/// If its kind is unknown.
pub fn describe(spec: &GraphSpec, brick: &BrickSpec) -> Result<Descriptor, CatalogError> {
    let own = own(spec, brick)?;
    if brick.kind != Onnx::KIND {
        return Ok(own);
    }
    let config = brick.config.clone().try_into().unwrap_or_default();
    Ok(Onnx::declared(&config, &known(spec)))
}

/// What a brick declares itself, or its kind where it takes a network or has no configuration to be made of.
fn own(spec: &GraphSpec, brick: &BrickSpec) -> Result<Descriptor, CatalogError> {
    let kind = legonf_catalog::describe(&brick.kind)?;
    if legonf_catalog::takes(&brick.kind, &brick.config) == Takes::Network {
        return Ok(kind);
    }
    let (ports, some) = (spec.port_names(), ["class".to_owned()]);
    let of_model = legonf_catalog::takes(&brick.kind, &brick.config) == Takes::Classes;
    let classes = if of_model { &some[..] } else { &[] };
    let context = Context { ports: &ports, classes, ..Context::default() };
    let made = legonf_catalog::build(&brick.kind, &brick.config, &context);
    let made = made.map_or(kind, |brick| brick.descriptor());
    Ok(if of_model { of_any_classes(made) } else { made })
}

/// What a brick declares whose classes only a model knows: columns of any width, and verdicts of any labels.
fn of_any_classes(descriptor: Descriptor) -> Descriptor {
    let opened = |columns: &[ColumnSpec]| {
        let open = |spec: &ColumnSpec| {
            let mut spec = spec.clone();
            spec.labels = Default::default();
            if spec.shape.is_scalar() { spec } else { spec.of_any_width() }
        };
        columns.iter().map(open).collect()
    };
    Descriptor { reads: opened(&descriptor.reads), writes: opened(&descriptor.writes), ..descriptor }
}

/// The columns that the bricks declare which are no networks of any kind.
fn known(spec: &GraphSpec) -> Vec<ColumnSpec> {
    let others = spec.bricks.iter().filter(|brick| brick.kind != Onnx::KIND);
    let columns = |brick: Descriptor| brick.reads.iter().chain(&*brick.writes).cloned().collect::<Vec<_>>();
    let declared = others.filter_map(|brick| own(spec, brick).ok()).flat_map(columns);
    [FEATURES, SCORES].into_iter().chain(declared).collect()
}
