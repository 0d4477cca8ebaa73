//! Whether a network function would run, without a packet.

use crate::describe::describe;
use crate::scoring::Scoring;
use crate::{Error, Session, models, nf};
use legonf_catalog::{CatalogError, Context, Takes};
use legonf_core::{ColumnSpec, Descriptor};
use legonf_io::Content;
use legonf_runtime::{BrickSpec, GraphSpec, Wanted};
use serde::Serialize;

/// What a replay of packets would run.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// The graph's name.
    pub graph: String,
    /// Identifiers of its bricks, in an order in which packets can pass them.
    pub bricks: Vec<String>,
    /// Names of the columns that are in its results.
    pub results: Vec<String>,
    /// The layout to begin with; none where models were not there, without which it cannot be told.
    pub workers: Option<String>,
    /// Whether its models were looked at: they are not where none is given and the graph file names none.
    pub models: bool,
}

/// Looks for what a [`Replay`](crate::Replay) with this scoring would find before its first packet: in the graph file, its bricks and
/// their configuration, columns, models, and the layout. Without a model, where one is needed, bricks that take a network are not
/// made.
///
/// # Errors
/// Those of a replay.
pub fn check_graph(session: &Session, scoring: &Scoring) -> Result<Checked, Error> {
    let graph = scoring.graph.as_deref();
    let spec = nf::open(graph)?;
    if scoring.models.is_empty() && models::lacks_files(&spec, graph) {
        return without_models(scoring, &spec);
    }
    let function = scoring.build(session, scoring.open(session)?, Content::Packets)?;
    Ok(function.checked())
}

/// Checks what can be told without models.
fn without_models(scoring: &Scoring, spec: &GraphSpec) -> Result<Checked, Error> {
    let make = |brick: &BrickSpec| check_brick(spec, brick).and_then(|()| describe(spec, brick));
    let bricks =
        legonf_runtime::check(spec, &[ColumnSpec::PACKETS], Wanted::Results, make, Descriptor::clone);
    let bricks = bricks.map_err(|error| nf::in_file(scoring.graph.as_deref(), error))?;
    let results = bricks.iter().flat_map(|(_, brick)| &*brick.writes).filter(|column| column.is_result());
    let results = results.map(|column| column.name.to_string()).collect();
    let bricks = bricks.iter().map(|(id, _)| id.clone()).collect();
    Ok(Checked { graph: spec.name.clone(), bricks, results, workers: None, models: false })
}

/// Makes a brick that takes no network, as a graph does.
fn check_brick(spec: &GraphSpec, brick: &BrickSpec) -> Result<(), CatalogError> {
    if matches!(legonf_catalog::takes(&brick.kind, &brick.config), Takes::Network | Takes::Classes) {
        return Ok(());
    }
    let ports = spec.port_names();
    let context = Context { threshold: Some(0.0), ports: &ports, ..Context::default() };
    legonf_catalog::build(&brick.kind, &brick.config, &context).map(drop)
}
