//! A graph that is checked and ready to run: its file, its columns and ports, and the ways that packets can take.

pub(crate) mod declared;
pub(crate) mod drawing;
pub(crate) mod error;
pub(crate) mod ports;
pub(crate) mod route;
pub(crate) mod spec;
pub(crate) mod ways;

use crate::exchange::{EXACT, Split, Undivided};
use crate::graph::declared::Declared;
use crate::graph::route::Routes;
use crate::graph::ways::Ways;
use crate::{BrickSpec, GraphError, GraphSpec};
use legonf_core::{Brick, ColumnSpec, Columns, Descriptor, Layout, State};
use std::fmt::Display;
use std::sync::Arc;

/// A brick in its place.
pub struct Node {
    /// Identifier in the graph file.
    pub id: String,
    /// The brick.
    pub brick: Box<dyn Brick>,
}

/// The columns that must be filled at the end of a graph, on every way that packets can take.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// These columns.
    All(&'a [ColumnSpec]),
    /// The results: every scalar `f64` and every verdict that a brick fills for packets.
    Results,
}

impl<'a, const N: usize> From<&'a [ColumnSpec; N]> for Wanted<'a> {
    fn from(columns: &'a [ColumnSpec; N]) -> Self {
        Self::All(columns)
    }
}

impl<'a> From<&'a [ColumnSpec]> for Wanted<'a> {
    fn from(columns: &'a [ColumnSpec]) -> Self {
        Self::All(columns)
    }
}

/// Bricks in the order in which batches pass them, checked to fit together.
pub struct Graph {
    name: String,
    nodes: Vec<Node>,
    declared: Arc<Declared>,
    /// Where packets go, if not all go everywhere.
    routes: Option<Routes>,
}

impl Graph {
    /// Makes every brick of `spec` with `make`, checks that they fit, and binds them to the graph's columns: each column that a
    /// brick reads is filled by the source (`given`) or a brick before it, of the type and shape that the brick expects, and the
    /// columns in `wanted` are filled at the end.
    ///
    /// # Errors
    /// If the description is not a sequence, a brick cannot be made, or a column is missing, of another type or shape, or filled
    /// twice.
    pub fn assemble<'a, E: Display>(
        spec: &GraphSpec,
        given: &[ColumnSpec],
        wanted: impl Into<Wanted<'a>>,
        mut make: impl FnMut(&BrickSpec) -> Result<Box<dyn Brick>, E>,
    ) -> Result<Self, GraphError> {
        let (placed, declared, routes) =
            analyze(spec, given, wanted.into(), &mut make, |brick| brick.descriptor())?;
        let bound = |(id, mut brick): (String, Box<dyn Brick>)| match brick.bind(&declared.layout) {
            Ok(()) => Ok(Node { id, brick }),
            Err(error) => Err(GraphError::Brick { id, reason: error.to_string() }),
        };
        let nodes = placed.into_iter().map(bound).collect::<Result<Vec<_>, _>>()?;
        ports::check_used(spec, &nodes)?;
        Ok(Self { name: spec.name.clone(), nodes, declared: Arc::new(declared), routes })
    }

    /// A graph without a brick: what the source fills goes to the sink as it is.
    ///
    /// # Errors
    /// If the source gives a column twice, in two types or shapes.
    pub fn pass_through(name: impl Into<String>, given: &[ColumnSpec]) -> Result<Self, GraphError> {
        let declared = Arc::new(Declared::of(given, &[], &[])?);
        Ok(Self { name: name.into(), nodes: Vec::new(), declared, routes: None })
    }

    /// The columns of its batches.
    pub fn layout(&self) -> &Layout {
        &self.declared.layout
    }

    /// Name of the network function.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bricks in order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Bricks that keep state, in order, and why the work of each cannot be divided among replicas, where it cannot.
    pub fn divisions(&mut self) -> Vec<(String, Result<(), Undivided>)> {
        let stateful = |(_, node): &(usize, &mut Node)| node.brick.descriptor().state != State::Stateless;
        let declared = self.declared();
        let division = |(operator, node): (usize, &mut Node)| {
            let split = Split::of((operator, &node.id), &mut *node.brick, &declared, EXACT);
            (node.id.clone(), split.map(drop))
        };
        self.nodes.iter_mut().enumerate().filter(stateful).map(division).collect()
    }

    /// Whether a brick rewrites packets or sets their disposition, so that they may leave otherwise than they came.
    pub fn forwards(&self) -> bool {
        let acts = Columns::PACKETS.union(self.declared.disposition());
        self.declared.uses.iter().any(|brick| !brick.writes.intersection(acts).is_empty())
    }

    /// The bricks in order, to be asked what only they know.
    pub(crate) fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// What is declared of its columns.
    pub(crate) fn declared(&self) -> Arc<Declared> {
        self.declared.clone()
    }

    /// Where packets go, if not all go everywhere.
    pub(crate) fn routes(&self) -> Option<Routes> {
        self.routes.clone()
    }

    /// Its bricks, in their order.
    pub fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    /// Hands the bricks to those who run them.
    pub(crate) fn take_nodes(&mut self) -> Vec<Node> {
        std::mem::take(&mut self.nodes)
    }

    /// Takes the bricks back.
    pub(crate) fn set_nodes(&mut self, nodes: Vec<Node>) {
        self.nodes = nodes;
    }
}

/// The bricks of `spec` in order, each made by `make`, checked like [`Graph::assemble`] does; for callers
/// that want to look at a graph, not run it.
///
/// # Errors
/// If the ways between bricks make no graph, `make` refuses a brick, or a column is missing.
pub fn check<'a, T, E: Display>(
    spec: &GraphSpec,
    given: &[ColumnSpec],
    wanted: impl Into<Wanted<'a>>,
    make: impl FnMut(&BrickSpec) -> Result<T, E>,
    describe: impl Fn(&T) -> Descriptor,
) -> Result<Vec<(String, T)>, GraphError> {
    analyze(spec, given, wanted.into(), make, describe).map(|(placed, ..)| placed)
}

/// Bricks by identifier, what they declare, and where packets go.
type Analysis<T> = (Vec<(String, T)>, Declared, Option<Routes>);

fn analyze<T, E: Display>(
    spec: &GraphSpec,
    given: &[ColumnSpec],
    wanted: Wanted<'_>,
    mut make: impl FnMut(&BrickSpec) -> Result<T, E>,
    describe: impl Fn(&T) -> Descriptor,
) -> Result<Analysis<T>, GraphError> {
    ports::check(spec)?;
    let order = spec.sequence()?;
    let mut placed = Vec::with_capacity(order.len());
    for brick in &order {
        let id = brick.id.clone();
        let made = make(brick).map_err(|e| GraphError::Brick { id: id.clone(), reason: e.to_string() })?;
        placed.push((id, made));
    }
    let bricks: Vec<_> = placed.iter().map(|(id, made)| (id.as_str(), describe(made))).collect();
    let columns = if let Wanted::All(columns) = wanted { columns } else { &[] };
    let declared = Declared::of(given, &bricks, columns)?;
    let ids = bricks.iter().map(|(id, _)| *id).collect();
    let given = declared.given(given);
    let wanted = match wanted {
        Wanted::All(columns) => declared.layout.columns(columns),
        Wanted::Results => declared.results(),
    };
    let routes = Ways::of(ids, &declared, spec.exits(&order)).check(given, wanted)?;
    Ok((placed, declared, routes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Batch, BrickError, Element, State};

    const SCORES: ColumnSpec = ColumnSpec::scalar("scores", Element::F64);

    struct Stage(ColumnSpec, ColumnSpec);

    impl Brick for Stage {
        fn descriptor(&self) -> Descriptor {
            Descriptor {
                kind: "stage",
                title: "stage",
                reads: vec![self.0.clone()].into(),
                writes: vec![self.1.clone()].into(),
                state: State::Stateless,
            }
        }

        fn process(&mut self, _: &mut Batch) -> Result<(), BrickError> {
            Ok(())
        }
    }

    fn assemble(first: ColumnSpec, wanted: &[ColumnSpec]) -> Result<Graph, GraphError> {
        let spec = GraphSpec::from_toml(
            "name = \"t\"\n[[brick]]\nid = \"one\"\nkind = \"a\"\nnext = \"two\"\n[[brick]]\nid = \"two\"\nkind = \"b\"\n",
        )?;
        Graph::assemble(&spec, &[ColumnSpec::PACKETS], wanted, |brick| match brick.kind.as_str() {
            "a" => Ok(Box::new(Stage(ColumnSpec::PACKETS, first.clone())) as Box<dyn Brick>),
            "b" => Ok(Box::new(Stage(ColumnSpec::HEADERS, SCORES))),
            other => Err(format!("no kind {other}")),
        })
    }

    #[test]
    fn columns_must_be_filled_before_they_are_read() {
        let graph = assemble(ColumnSpec::HEADERS, &[SCORES]).unwrap();
        assert_eq!(graph.nodes().iter().map(|n| n.id.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        let error = assemble(ColumnSpec::rows("other", Element::F64), &[]).err().unwrap().to_string();
        assert_eq!(error, "brick `two` (stage) reads headers, which nothing before it fills");
        let error = assemble(ColumnSpec::HEADERS, &[ColumnSpec::scalar("verdicts", Element::Verdict)])
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("ends without verdicts"), "{error}");
    }

    #[test]
    fn a_column_of_another_type_or_filled_twice_is_refused() {
        let error = |first, wanted: &[ColumnSpec]| assemble(first, wanted).err().unwrap().to_string();
        let wide = ColumnSpec::scalar("headers", Element::U64);
        assert_eq!(
            error(wide, &[]),
            "brick `one` (stage) fills headers as u64, but every graph has it as headers"
        );
        let single = ColumnSpec::scalar("scores", Element::F32);
        let found = error(ColumnSpec::HEADERS, std::slice::from_ref(&single));
        assert_eq!(found, "the sink reads scores as f32, but brick `two` (stage) fills it as f64");
    }
}
