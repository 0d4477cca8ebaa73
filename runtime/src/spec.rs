//! The description of a graph, as read from TOML.

use crate::GraphError;
use serde::{Deserialize, Serialize};

/// One brick of a [`GraphSpec`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrickSpec {
    /// Identifier, unique in the graph.
    pub id: String,
    /// Kind of the catalogue.
    pub kind: String,
    /// Identifier of the brick that takes this one's batches; none for the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Configuration of the kind; empty for its defaults.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub config: toml::Table,
}

/// A graph of bricks: the content of a graph file.
///
/// This release runs sequences: every brick has at most one successor and one predecessor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphSpec {
    /// Name of the network function.
    pub name: String,
    /// Bricks, in any order.
    #[serde(default, rename = "brick")]
    pub bricks: Vec<BrickSpec>,
}

impl GraphSpec {
    /// Reads a description.
    ///
    /// # Errors
    /// [`GraphError::Syntax`] with the line and the key.
    pub fn from_toml(text: &str) -> Result<Self, GraphError> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = 1 + text.as_bytes()[..start].iter().filter(|&&b| b == b'\n').count();
            GraphError::Syntax { line, message: error.message().replace('\n', "; ") }
        })
    }

    /// The description as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_else(|error| format!("# {error}"))
    }

    /// The bricks in the order in which batches pass them.
    ///
    /// # Errors
    /// If the bricks are not one sequence.
    pub fn sequence(&self) -> Result<Vec<&BrickSpec>, GraphError> {
        let predecessor = self.predecessors()?;
        let start = predecessor.iter().position(Option::is_none);
        let Some(start) = start else {
            return Err(self.bricks.first().map_or(GraphError::Empty, |b| GraphError::Cycle(b.id.clone())));
        };
        let mut order = vec![&self.bricks[start]];
        while let Some(next) = order.last().and_then(|b| b.next.as_deref()).and_then(|id| self.position(id)) {
            order.push(&self.bricks[next]);
        }
        match self.bricks.iter().find(|b| !order.iter().any(|o| o.id == b.id)) {
            Some(apart) => Err(GraphError::Unconnected(apart.id.clone())),
            None => Ok(order),
        }
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.bricks.iter().position(|b| b.id == id)
    }

    /// For each brick the one that leads to it.
    fn predecessors(&self) -> Result<Vec<Option<usize>>, GraphError> {
        let mut predecessor: Vec<Option<usize>> = vec![None; self.bricks.len()];
        for (index, brick) in self.bricks.iter().enumerate() {
            if self.position(&brick.id) != Some(index) {
                return Err(GraphError::DuplicateId(brick.id.clone()));
            }
            let Some(next) = &brick.next else { continue };
            let to = self.position(next).ok_or_else(|| self.unknown_next(&brick.id, next))?;
            if let Some(first) = predecessor[to].replace(index) {
                let first = self.bricks[first].id.clone();
                return Err(GraphError::Joined { first, second: brick.id.clone(), to: next.clone() });
            }
        }
        Ok(predecessor)
    }

    fn unknown_next(&self, from: &str, to: &str) -> GraphError {
        let known: Vec<_> = self.bricks.iter().map(|b| b.id.as_str()).collect();
        GraphError::UnknownNext { from: from.into(), to: to.into(), known: known.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Ids<'a> = &'a [(&'a str, Option<&'a str>)];

    fn graph(bricks: Ids<'_>) -> GraphSpec {
        let brick = |&(id, next): &(&str, Option<&str>)| BrickSpec {
            id: id.into(),
            kind: "k".into(),
            next: next.map(Into::into),
            config: toml::Table::new(),
        };
        GraphSpec { name: "g".into(), bricks: bricks.iter().map(brick).collect() }
    }

    fn order(bricks: Ids<'_>) -> Result<String, String> {
        let spec = graph(bricks);
        let sequence = spec.sequence().map_err(|e| e.to_string())?;
        Ok(sequence.iter().map(|b| b.id.as_str()).collect())
    }

    #[test]
    fn order_follows_next_not_the_file() {
        assert_eq!(order(&[("c", None), ("a", Some("b")), ("b", Some("c"))]).unwrap(), "abc");
    }

    #[test]
    fn what_is_no_sequence_is_refused_by_name() {
        let cases: [(Ids<'_>, &str); 6] = [
            (&[], "no [[brick]]"),
            (&[("a", Some("a"))], "circle through `a`"),
            (&[("a", None), ("a", None)], "`a` is defined twice"),
            (&[("a", Some("x"))], "\"x\" names no brick"),
            (&[("a", Some("c")), ("b", Some("c")), ("c", None)], "`a` and `b` both lead to `c`"),
            (&[("a", None), ("b", Some("c")), ("c", Some("b"))], "`b` is not connected"),
        ];
        for (bricks, expected) in cases {
            let message = order(bricks).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn toml_round_trip_and_errors_with_a_line() {
        let text = "name = \"kitsune\"\n\n[[brick]]\nid = \"a\"\nkind = \"b\"\n\n[brick.config]\nx = 1\n";
        let spec = GraphSpec::from_toml(text).unwrap();
        assert_eq!(GraphSpec::from_toml(&spec.to_toml()).unwrap(), spec);
        let error = GraphSpec::from_toml("name = \"k\"\n[[brick]]\nid = \"a\"\nkinds = \"b\"\n").unwrap_err();
        assert!(error.to_string().starts_with("line 4: unknown field `kinds`"), "{error}");
    }
}
