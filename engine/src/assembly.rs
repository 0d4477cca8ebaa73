//! Graphs of a model, from a file or built in, and what executes its network.

use crate::network::Network;
use crate::{Error, nf};
use legonf_catalog::Context;
use legonf_core::{Brick, ColumnSpec};
use legonf_decide::VERDICTS;
use legonf_extract::FEATURES;
use legonf_infer::SCORES;
use legonf_io::Content;
use legonf_models::kitnet::Precision;
use legonf_runtime::{BrickSpec, Graph, GraphSpec};
use std::path::Path;

/// The engine that computes scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum EngineKind {
    /// legonf's own KitNET kernel.
    Kitnet,
    /// tract, over the ONNX graph.
    Onnx,
}

/// What executes the network, and in which numbers.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct Execution {
    /// Network engine: `kitnet` is legonf's own, `onnx` the generic one (tract), which runs any model.
    #[cfg_attr(feature = "clap", arg(long, value_enum))]
    pub engine: Option<EngineKind>,
    /// Numbers that legonf's own engine computes in: `f64` (the reference's, the default) or `f32`, which is about twice as
    /// fast and within 1e-5 of the score.
    #[cfg_attr(feature = "clap", arg(long, value_name = "f64|f32"))]
    pub precision: Option<Precision>,
}

/// Builds the bricks that turn packets into features.
///
/// # Errors
/// If the graph is none, or a brick of it cannot be made.
pub fn assemble_extraction(spec: &GraphSpec) -> Result<Graph, Error> {
    let make = |brick: &BrickSpec| legonf_catalog::build(&brick.kind, &brick.config, &Context::default());
    Ok(Graph::assemble(spec, &[ColumnSpec::PACKETS], &[FEATURES], make)?)
}

/// Builds the graph's bricks around a model.
pub(crate) fn assemble(
    spec: &GraphSpec,
    content: Content,
    model: &Network,
    threshold: Option<f64>,
) -> Result<Graph, Error> {
    assemble_with(spec, content, model, threshold, |_, brick| brick)
}

/// [`assemble`] with something put around each brick, which is given with its identifier.
pub(crate) fn assemble_with(
    spec: &GraphSpec,
    content: Content,
    model: &Network,
    threshold: Option<f64>,
    wrap: impl Fn(&str, Box<dyn Brick>) -> Box<dyn Brick>,
) -> Result<Graph, Error> {
    let engine = || model.engine();
    let ports = spec.port_names();
    let context = Context { ports: &ports, ..model.context(threshold, &engine) };
    let given = match content {
        Content::Packets => ColumnSpec::PACKETS,
        Content::Features => FEATURES.of_width(model.schema().len()),
    };
    let make =
        |b: &BrickSpec| legonf_catalog::build(&b.kind, &b.config, &context).map(|brick| wrap(&b.id, brick));
    Ok(Graph::assemble(spec, &[given], &[SCORES, VERDICTS], make)?)
}

/// A network function by its name or its graph file, for a model. The default one has an engine that can run it.
///
/// # Errors
/// If there is no such network function, or no such engine.
pub(crate) fn open(
    nf: Option<&Path>,
    model: &Network,
    content: Content,
    execution: Execution,
) -> Result<GraphSpec, Error> {
    match nf.filter(|nf| *nf != Path::new(nf::DEFAULT)) {
        Some(nf) => nf::open_for(nf, &model.schema().name),
        None => built_in(model, content, execution),
    }
}

/// The default network function for a model, with an engine that can run it.
pub(crate) fn built_in(
    model: &Network,
    content: Content,
    Execution { engine, precision }: Execution,
) -> Result<GraphSpec, Error> {
    let own = engine.map_or(model.kitnet().is_some(), |e| e == EngineKind::Kitnet);
    if let (false, Some(precision)) = (own, precision) {
        let reason = "the generic engine computes in the model's own numbers; leave the option out";
        return Err(Error::refused(format!("--precision {precision}: {reason}")));
    }
    let schema = &model.schema().name;
    Ok(match content {
        Content::Features => nf::scoring_features(own, precision),
        Content::Packets => nf::scoring(schema, own, precision),
    })
}
