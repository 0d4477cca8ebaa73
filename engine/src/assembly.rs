//! Graphs of a model, from a file or built in, and what executes its network.

use crate::models::{ModelFile, Models};
use crate::network::Network;
use crate::nf::Kernel;
use crate::swap::Swaps;
use crate::{Error, Session, nf};
use legonf_core::{Brick, ColumnSpec, Schema};
use legonf_extract::FEATURES;
use legonf_io::Content;
use legonf_models::kitnet::Precision;
use legonf_runtime::{BrickSpec, Graph, GraphSpec, Wanted};
use std::path::Path;

/// The engine that computes scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum EngineKind {
    /// legonf's own kernel: that of KitNET, or that of detectors.
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
    let models = Models::default();
    let make = |brick: &BrickSpec| models.build(spec, brick, None);
    Ok(Graph::assemble(spec, &[ColumnSpec::PACKETS], &[FEATURES], make)?)
}

/// Puts something around a brick, or another in its place, which is given with its identifier.
pub(crate) type Wrap<'a> = &'a dyn Fn(&str, Box<dyn Brick>) -> Result<Box<dyn Brick>, Error>;

/// Nothing is put around a brick.
pub(crate) const AS_MADE: Wrap<'static> = &|_, brick| Ok(brick);

/// Builds the graph's bricks around its models, which may change, and wraps them.
pub(crate) fn assemble(
    spec: &GraphSpec,
    content: Content,
    (models, swaps): (&Models, Option<&Swaps>),
    threshold: Option<f64>,
    wrap: Wrap<'_>,
) -> Result<Graph, Error> {
    let make = |brick: &BrickSpec| {
        let made = match swaps {
            Some(swaps) => swaps.build(brick)?,
            None => models.build(spec, brick, threshold)?,
        };
        wrap(&brick.id, made)
    };
    Ok(Graph::assemble(spec, &[given(spec, content, models)?], Wanted::Results, make)?)
}

/// The column that a source fills.
fn given(spec: &GraphSpec, content: Content, models: &Models) -> Result<ColumnSpec, Error> {
    Ok(match content {
        Content::Packets => ColumnSpec::PACKETS,
        Content::Features => FEATURES.of_width(models.schema(spec)?.len()),
    })
}

/// A network function and its models.
pub(crate) struct Opened {
    /// The graph, as its file says.
    spec: GraphSpec,
    /// Its name, if it ships.
    shipped: Option<String>,
    /// Its models.
    pub models: Models,
}

/// A network function by its name or its graph file, with its models; the default one where none is named.
///
/// # Errors
/// If there is no such network function, or a model cannot be read.
pub(crate) fn open(session: &Session, nf: Option<&Path>, given: &[ModelFile]) -> Result<Opened, Error> {
    let (spec, shipped) = (nf::open(nf)?, nf::shipped(nf).map(str::to_owned));
    let models = Models::load(session, &spec, nf.filter(|_| shipped.is_none()), given)?;
    Ok(Opened { spec, shipped, models })
}

impl Opened {
    /// The schema of its features.
    ///
    /// # Errors
    /// If that of its extractor is unknown.
    pub fn schema(&self) -> Result<Schema, Error> {
        self.models.schema(&self.spec)
    }

    /// The graph for input of this kind. One that ships takes the features that its model was trained on, and the default one has an
    /// engine that can run it.
    ///
    /// # Errors
    /// If there is no such engine.
    pub fn graph(&self, content: Content, execution: Execution) -> Result<GraphSpec, Error> {
        let model = self.models.main(&self.spec).map(|model| &model.network);
        match (self.shipped.as_deref(), model) {
            (Some(nf::DEFAULT), Some(model)) => built_in(model, content, execution),
            (Some(nf::CLASSIFIER), Some(model)) => {
                nf::of_classifier(self.spec.clone(), &model.inputs(), model.flows())
            }
            (Some(_), Some(model)) => Ok(nf::of_schema(self.spec.clone(), &model.schema().name)),
            _ => Ok(self.spec.clone()),
        }
    }
}

/// The default network function for a model, with an engine that can run it.
pub(crate) fn built_in(
    model: &Network,
    content: Content,
    Execution { engine, precision }: Execution,
) -> Result<GraphSpec, Error> {
    let kernel = kernel(model, engine);
    if let Some(precision) = precision.filter(|_| kernel != Kernel::KitNet) {
        let reason = "only KitNET's own engine has a choice of numbers; leave the option out";
        return Err(Error::refused(format!("--precision {precision}: {reason}")));
    }
    let schema = &model.schema().name;
    Ok(match content {
        Content::Features => nf::scoring_features(kernel, precision),
        Content::Packets => nf::scoring(schema, kernel, precision),
    })
}

/// What executes a model: legonf's own kernel for it where there is one and no other is asked for.
fn kernel(model: &Network, engine: Option<EngineKind>) -> Kernel {
    match engine {
        Some(EngineKind::Onnx) => Kernel::Generic,
        _ if model.detector().is_some() => Kernel::Detector,
        Some(EngineKind::Kitnet) => Kernel::KitNet,
        None if model.kitnet().is_some() => Kernel::KitNet,
        None => Kernel::Generic,
    }
}
