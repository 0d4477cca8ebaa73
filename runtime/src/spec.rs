//! The description of a graph, as read from TOML.

use crate::GraphError;
use legonf_core::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Every verdict, in the order of [`GraphSpec::routes`].
pub(crate) const VERDICTS: [Verdict; 3] = [Verdict::Benign, Verdict::Anomalous, Verdict::Rejected];

/// One brick of a [`GraphSpec`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrickSpec {
    /// Identifier, unique in the graph.
    pub id: String,
    /// Kind of the catalogue.
    pub kind: String,
    /// Identifier of the brick that takes this one's packets, or several that take them all and are independent of each
    /// other; none for the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    pub next: Vec<String>,
    /// Other ways for packets of some verdicts.
    #[serde(default, skip_serializing_if = "Branch::is_empty")]
    pub branch: Branch,
    /// Configuration of the kind; empty for its defaults.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub config: toml::Table,
}

/// Where packets go by their verdict, instead of where `next` says. Ways join again where bricks lead to the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// The brick for benign packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub benign: Option<String>,
    /// The brick for anomalous packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomalous: Option<String>,
    /// The brick for packets whose score is not a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
}

impl Branch {
    /// Whether all packets go where `next` says.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The brick for packets of a verdict, where it is another one.
    pub fn of(&self, verdict: Verdict) -> Option<&str> {
        match verdict {
            Verdict::Benign => self.benign.as_deref(),
            Verdict::Anomalous => self.anomalous.as_deref(),
            Verdict::Rejected => self.rejected.as_deref(),
        }
    }
}

/// A graph of bricks: the content of a graph file.
///
/// Packets enter at the one brick that none leads to. Every packet passes the bricks on its way in an order in which each
/// comes behind those that lead to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphSpec {
    /// Name of the network function.
    pub name: String,
    /// Bricks, in any order.
    #[serde(default, rename = "brick")]
    pub bricks: Vec<BrickSpec>,
}

/// A name alone, or a list of them.
mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected the id of a brick, or a list of ids")]
    enum Names {
        One(String),
        Many(Vec<String>),
    }

    pub fn serialize<S: Serializer>(names: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        if let [name] = names { name.serialize(serializer) } else { names.serialize(serializer) }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        Ok(match Names::deserialize(deserializer)? {
            Names::One(name) => vec![name],
            Names::Many(names) => names,
        })
    }
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

    /// The bricks in the order in which batches pass them: each behind those that lead to it, and else as in the file.
    ///
    /// # Errors
    /// If an identifier is there twice or missing, there is a circle, or a brick is not reached from the first.
    pub fn sequence(&self) -> Result<Vec<&BrickSpec>, GraphError> {
        let ways = self.ways()?;
        let entered: Vec<bool> =
            (0..ways.len()).map(|to| ways.iter().any(|next| next.contains(&to))).collect();
        let Some(start) = entered.iter().position(|entered| !entered) else {
            return Err(self.bricks.first().map_or(GraphError::Empty, |b| GraphError::Cycle(b.id.clone())));
        };
        let reached = reached(&ways, start);
        if let Some(apart) = reached.iter().position(|reached| !reached) {
            return Err(self.apart(&ways, &reached, apart));
        }
        self.sorted(&ways)
    }

    /// Where packets can go behind each brick, of `order`: the number of the next brick, and the verdict for which.
    pub(crate) fn routes(&self, order: &[&BrickSpec]) -> Vec<[Vec<usize>; 3]> {
        let at = |id: &str| order.iter().position(|brick| brick.id == id);
        let route = |brick: &&BrickSpec| {
            VERDICTS.map(|verdict| match brick.branch.of(verdict) {
                Some(id) => at(id).into_iter().collect(),
                None => brick.next.iter().filter_map(|id| at(id)).collect(),
            })
        };
        order.iter().map(route).collect()
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.bricks.iter().position(|b| b.id == id)
    }

    /// For each brick those that it leads to, by whatever verdict.
    fn ways(&self) -> Result<Vec<Vec<usize>>, GraphError> {
        let mut ways = Vec::with_capacity(self.bricks.len());
        for (index, brick) in self.bricks.iter().enumerate() {
            if self.position(&brick.id) != Some(index) {
                return Err(GraphError::DuplicateId(brick.id.clone()));
            }
            let branches = VERDICTS.into_iter().filter_map(|verdict| brick.branch.of(verdict));
            let all = brick.next.iter().map(String::as_str).chain(branches);
            let number = |id: &str| self.position(id).ok_or_else(|| self.unknown_next(&brick.id, id));
            ways.push(all.map(number).collect::<Result<Vec<_>, _>>()?);
        }
        Ok(ways)
    }

    /// What is wrong with a brick that is not reached from the first.
    fn apart(&self, ways: &[Vec<usize>], reached: &[bool], apart: usize) -> GraphError {
        let id = |index: usize| self.bricks[index].id.clone();
        for to in ways[apart].iter().filter(|to| reached[**to]) {
            let first = (0..ways.len()).find(|from| reached[*from] && ways[*from].contains(to));
            if let Some(first) = first {
                return GraphError::Joined { first: id(first), second: id(apart), to: id(*to) };
            }
        }
        GraphError::Unconnected(id(apart))
    }

    fn sorted(&self, ways: &[Vec<usize>]) -> Result<Vec<&BrickSpec>, GraphError> {
        let mut waits = vec![0_usize; ways.len()];
        ways.iter().flatten().for_each(|to| waits[*to] += 1);
        let mut left: BTreeSet<usize> = (0..ways.len()).collect();
        let mut order = Vec::with_capacity(ways.len());
        while let Some(first) = left.first().copied() {
            let ready = left.iter().copied().find(|brick| waits[*brick] == 0);
            let Some(ready) = ready else { return Err(GraphError::Cycle(self.bricks[first].id.clone())) };
            left.remove(&ready);
            ways[ready].iter().for_each(|to| waits[*to] -= 1);
            order.push(&self.bricks[ready]);
        }
        Ok(order)
    }

    fn unknown_next(&self, from: &str, to: &str) -> GraphError {
        let known: Vec<_> = self.bricks.iter().map(|b| b.id.as_str()).collect();
        GraphError::UnknownNext { from: from.into(), to: to.into(), known: known.join(", ") }
    }
}

/// The bricks to which ways lead from `start`.
fn reached(ways: &[Vec<usize>], start: usize) -> Vec<bool> {
    let (mut reached, mut left) = (vec![false; ways.len()], vec![start]);
    while let Some(at) = left.pop() {
        if !std::mem::replace(&mut reached[at], true) {
            left.extend(&ways[at]);
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    type Ids<'a> = &'a [(&'a str, Option<&'a str>)];

    fn graph(bricks: Ids<'_>) -> GraphSpec {
        let brick = |&(id, next): &(&str, Option<&str>)| BrickSpec {
            id: id.into(),
            kind: "k".into(),
            next: next.map(Into::into).into_iter().collect(),
            ..BrickSpec::default()
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
    fn ways_part_and_join() {
        let text = "name = \"g\"\n[[brick]]\nid = \"a\"\nkind = \"k\"\nnext = [\"b\", \"c\"]\n[[brick]]\nid = \"d\"\nkind = \"k\"\n\
            [brick.branch]\nanomalous = \"e\"\n[[brick]]\nid = \"c\"\nkind = \"k\"\nnext = \"d\"\n[[brick]]\nid = \"b\"\nkind = \"k\"\n\
            next = \"d\"\n[[brick]]\nid = \"e\"\nkind = \"k\"\n";
        let spec = GraphSpec::from_toml(text).unwrap();
        assert_eq!(GraphSpec::from_toml(&spec.to_toml()).unwrap(), spec);
        let order = spec.sequence().unwrap();
        assert_eq!(order.iter().map(|b| b.id.as_str()).collect::<String>(), "acbde");
        let routes = spec.routes(&order);
        assert_eq!(routes[0], [[2, 1], [2, 1], [2, 1]].map(Vec::from));
        assert_eq!(routes[3], [vec![], vec![4], vec![]]);
        let error = GraphSpec::from_toml(&text.replace("anomalous", "odd")).unwrap_err().to_string();
        assert!(error.contains("line 10: unknown field `odd`"), "{error}");
        let error = GraphSpec::from_toml(&text.replace("next = \"d\"", "next = 5")).unwrap_err().to_string();
        assert!(error.contains("the id of a brick, or a list"), "{error}");
        let round = GraphSpec::from_toml(&text.replace("anomalous = \"e\"", "anomalous = \"b\"")).unwrap();
        assert!(matches!(round.sequence(), Err(GraphError::Unconnected(_) | GraphError::Cycle(_))));
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
