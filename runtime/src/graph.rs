//! A graph that is checked and ready to run.

use crate::exchange::{EXACT, Split, Undivided};
use crate::route::Routes;
use crate::ways::Ways;
use crate::{BrickSpec, GraphError, GraphSpec};
use legonf_core::{Brick, Columns, Descriptor, State};
use std::fmt::Display;

/// A brick in its place.
pub struct Node {
    /// Identifier in the graph file.
    pub id: String,
    /// The brick.
    pub brick: Box<dyn Brick>,
}

/// Bricks in the order in which batches pass them, checked to fit together.
pub struct Graph {
    name: String,
    nodes: Vec<Node>,
    /// Where packets go, if not all go everywhere.
    routes: Option<Routes>,
}

impl Graph {
    /// Makes every brick of `spec` with `make` and checks that they fit: each column a brick reads is filled by
    /// the source (`given`) or a brick before it, and the columns in `wanted` are filled at the end.
    ///
    /// # Errors
    /// If the description is not a sequence, a brick cannot be made, or a column is missing.
    pub fn assemble<E: Display>(
        spec: &GraphSpec,
        given: Columns,
        wanted: Columns,
        mut make: impl FnMut(&BrickSpec) -> Result<Box<dyn Brick>, E>,
    ) -> Result<Self, GraphError> {
        let (placed, routes) = analyze(spec, given, wanted, &mut make, |brick| brick.descriptor())?;
        let nodes = placed.into_iter().map(|(id, brick)| Node { id, brick }).collect();
        Ok(Self { name: spec.name.clone(), nodes, routes })
    }

    /// A graph without a brick: what the source fills goes to the sink as it is.
    pub fn pass_through(name: impl Into<String>) -> Self {
        Self { name: name.into(), nodes: Vec::new(), routes: None }
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
        let stateful = |node: &&mut Node| node.brick.descriptor().state == State::Stateful;
        let division = |node: &mut Node| {
            let split = Split::of((0, &node.id), &mut *node.brick, EXACT);
            (node.id.clone(), split.map(drop))
        };
        self.nodes.iter_mut().filter(stateful).map(division).collect()
    }

    /// The bricks in order, to be asked what only they know.
    pub(crate) fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// Where packets go, if not all go everywhere.
    pub(crate) fn routes(&self) -> Option<Routes> {
        self.routes.clone()
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
pub fn check<T, E: Display>(
    spec: &GraphSpec,
    given: Columns,
    wanted: Columns,
    make: impl FnMut(&BrickSpec) -> Result<T, E>,
    describe: impl Fn(&T) -> Descriptor,
) -> Result<Vec<(String, T)>, GraphError> {
    analyze(spec, given, wanted, make, describe).map(|(placed, _)| placed)
}

/// Bricks by identifier, and where packets go.
type Analysis<T> = (Vec<(String, T)>, Option<Routes>);

fn analyze<T, E: Display>(
    spec: &GraphSpec,
    given: Columns,
    wanted: Columns,
    mut make: impl FnMut(&BrickSpec) -> Result<T, E>,
    describe: impl Fn(&T) -> Descriptor,
) -> Result<Analysis<T>, GraphError> {
    let order = spec.sequence()?;
    let mut placed = Vec::with_capacity(order.len());
    for brick in &order {
        let id = brick.id.clone();
        let made = make(brick).map_err(|e| GraphError::Brick { id: id.clone(), reason: e.to_string() })?;
        placed.push((id, made));
    }
    let bricks = placed.iter().map(|(id, made)| (id.as_str(), describe(made))).collect();
    let routes = Ways::of(bricks, spec.routes(&order)).check(given, wanted)?;
    Ok((placed, routes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Batch, BrickError, Column, State};

    struct Stage(Columns, Columns);

    impl Brick for Stage {
        fn descriptor(&self) -> Descriptor {
            Descriptor {
                kind: "stage",
                title: "stage",
                reads: self.0,
                writes: self.1,
                state: State::Stateless,
            }
        }

        fn process(&mut self, _: &mut Batch) -> Result<(), BrickError> {
            Ok(())
        }
    }

    fn assemble(first: &[Column], wanted: &[Column]) -> Result<Graph, GraphError> {
        let spec = GraphSpec::from_toml(
            "name = \"t\"\n[[brick]]\nid = \"one\"\nkind = \"a\"\nnext = \"two\"\n[[brick]]\nid = \"two\"\nkind = \"b\"\n",
        )?;
        Graph::assemble(&spec, Columns::of(&[Column::Packets]), Columns::of(wanted), |brick| {
            match brick.kind.as_str() {
                "a" => {
                    Ok(Box::new(Stage(Columns::of(&[Column::Packets]), Columns::of(first))) as Box<dyn Brick>)
                }
                "b" => Ok(Box::new(Stage(Columns::of(&[Column::Headers]), Columns::of(&[Column::Scores])))),
                other => Err(format!("no kind {other}")),
            }
        })
    }

    #[test]
    fn columns_must_be_filled_before_they_are_read() {
        let graph = assemble(&[Column::Headers], &[Column::Scores]).unwrap();
        assert_eq!(graph.nodes().iter().map(|n| n.id.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        let error = assemble(&[Column::Features], &[]).err().unwrap().to_string();
        assert_eq!(error, "brick `two` (stage) reads headers, which nothing before it fills");
        let error = assemble(&[Column::Headers], &[Column::Verdicts]).err().unwrap().to_string();
        assert!(error.contains("ends without verdicts"), "{error}");
    }
}
