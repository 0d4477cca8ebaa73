//! The description of a graph, as read from TOML.

use crate::GraphError;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

/// The largest number of bricks in a graph.
pub const MAX_BRICKS: usize = 4096;
/// The largest number of bytes in an identifier.
const LONGEST: usize = 64;
/// The largest number of identifiers that a message lists.
const LISTED: usize = 12;

/// One brick of a [`GraphSpec`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrickSpec {
    /// Identifier, unique in the graph.
    pub id: String,
    /// Kind of the catalogue.
    pub kind: String,
    /// Identifier of the brick behind this one, or of several that are independent of each other and each take all packets; none
    /// for the last brick.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    pub next: Vec<String>,
    /// Name of the graph's model that the brick takes; none if it takes the only one, or no model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// For some labels of verdicts the identifier of the brick that takes such packets instead of `next`. Labels are `benign`,
    /// `anomalous` and `warming_up` for a decision on scores, the classes and `unknown` of a classifier, and `rejected`. They are of the column
    /// of verdicts that the brick fills or, if it fills none, of the only one before it. Ways join again where bricks lead to
    /// the same one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub branch: BTreeMap<String, String>,
    /// Configuration of the kind; empty for its defaults.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub config: toml::Table,
}

/// A graph of bricks: the content of a graph file.
///
/// Packets enter at the one brick that no other leads to. Every packet passes the bricks on its way in an order in which each
/// comes behind those that lead to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphSpec {
    /// Name of the network function.
    pub name: String,
    /// The file of each model, by the model's name, relative to the folder of the graph file; empty if it is given when the graph is
    /// run (`--model NAME=FILE`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, String>,
    /// Names of the ports by which packets leave; if there are none, the graph has the port `out`. A port's number is its place.
    /// Packets leave by the first port unless a brick says otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// Bricks, in any order.
    #[serde(default, rename = "brick")]
    pub bricks: Vec<BrickSpec>,
}

/// Where packets go behind a brick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exits {
    /// The numbers of the bricks that take packets for whose verdict there is no branch.
    pub next: Vec<usize>,
    /// Labels of verdicts, each with the number of the brick that takes their packets.
    pub branches: Vec<(String, usize)>,
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
    /// If there are more than [`MAX_BRICKS`], an identifier is there twice or missing, there is a circle, or a brick is not
    /// reached from the first.
    pub fn sequence(&self) -> Result<Vec<&BrickSpec>, GraphError> {
        let found = self.bricks.len();
        if found > MAX_BRICKS {
            return Err(GraphError::TooLarge { found, most: MAX_BRICKS });
        }
        let ways = self.ways()?;
        let mut entered = vec![false; ways.len()];
        ways.iter().flatten().for_each(|to| entered[*to] = true);
        let Some(start) = entered.iter().position(|entered| !entered) else {
            return Err(self.bricks.first().map_or(GraphError::Empty, |b| GraphError::Cycle(b.id.clone())));
        };
        let reached = reached(&ways, start);
        if let Some(apart) = reached.iter().position(|reached| !reached) {
            return Err(self.apart(&ways, &reached, apart));
        }
        self.sorted(&ways)
    }

    /// Where packets go behind each brick, of `order`.
    pub(crate) fn exits(&self, order: &[&BrickSpec]) -> Vec<Exits> {
        let numbers: HashMap<&str, usize> =
            order.iter().enumerate().map(|(number, brick)| (brick.id.as_str(), number)).collect();
        let at = |id: &String| numbers.get(id.as_str()).copied();
        let exits = |brick: &&BrickSpec| Exits {
            next: brick.next.iter().filter_map(at).collect(),
            branches: brick.branch.iter().filter_map(|(label, id)| Some((label.clone(), at(id)?))).collect(),
        };
        order.iter().map(exits).collect()
    }

    /// The number of each brick by its identifier.
    fn numbers(&self) -> Result<HashMap<&str, usize>, GraphError> {
        let mut numbers = HashMap::with_capacity(self.bricks.len());
        for (number, brick) in self.bricks.iter().enumerate() {
            if !is_id(&brick.id) {
                return Err(GraphError::Id(brick.id.clone()));
            }
            if numbers.insert(brick.id.as_str(), number).is_some() {
                return Err(GraphError::DuplicateId(brick.id.clone()));
            }
        }
        Ok(numbers)
    }

    /// For each brick those that it leads to, by whatever verdict.
    fn ways(&self) -> Result<Vec<Vec<usize>>, GraphError> {
        let numbers = self.numbers()?;
        let mut ways = Vec::with_capacity(self.bricks.len());
        for brick in &self.bricks {
            let next = brick.next.iter().enumerate();
            if let Some((_, to)) = next.into_iter().find(|(at, to)| brick.next[..*at].contains(to)) {
                return Err(GraphError::Twice { from: brick.id.clone(), to: to.clone() });
            }
            let number = |id: &String| {
                numbers.get(id.as_str()).copied().ok_or_else(|| self.unknown_next(&brick.id, id))
            };
            ways.push(
                brick.next.iter().chain(brick.branch.values()).map(number).collect::<Result<Vec<_>, _>>()?,
            );
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
        // Of those that are ready, the first of the file goes first.
        let mut ready: BinaryHeap<_> =
            (0..ways.len()).filter(|brick| waits[*brick] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(ways.len());
        while let Some(Reverse(brick)) = ready.pop() {
            order.push(&self.bricks[brick]);
            for to in &ways[brick] {
                waits[*to] -= 1;
                if waits[*to] == 0 {
                    ready.push(Reverse(*to));
                }
            }
        }
        match waits.iter().position(|waits| *waits > 0) {
            Some(waiting) => Err(GraphError::Cycle(self.bricks[waiting].id.clone())),
            None => Ok(order),
        }
    }

    fn unknown_next(&self, from: &str, to: &str) -> GraphError {
        let more = (self.bricks.len() > LISTED).then_some("...");
        let known: Vec<_> = self.bricks.iter().take(LISTED).map(|b| b.id.as_str()).chain(more).collect();
        GraphError::UnknownNext { from: from.into(), to: to.into(), known: known.join(", ") }
    }
}

/// Whether the text of a layout can name a brick so.
fn is_id(id: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '|';
    let is_count = id.strip_prefix('x').is_some_and(|count| count.parse::<usize>().is_ok());
    (1..=LONGEST).contains(&id.len()) && !id.contains(odd) && !is_count
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
        GraphSpec { name: "g".into(), bricks: bricks.iter().map(brick).collect(), ..GraphSpec::default() }
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
    fn identifiers_are_those_that_layouts_can_name() {
        for id in ["", "a b", "a|b", "|", "x2", "x0", "a\n", "\u{1b}", &"a".repeat(65)] {
            assert!(
                order(&[(id, None)]).unwrap_err().starts_with(&format!("id = \"{id}\": expected")),
                "{id}"
            );
        }
        for id in ["x", "xx2", "a.b", "äöü", "x2a"] {
            assert_eq!(order(&[(id, None)]).unwrap(), id);
        }
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

    /// Bricks each of which leads to all of the next row, `wide` in a row.
    fn rows(wide: usize, count: usize) -> GraphSpec {
        let id = |row: usize, place: usize| format!("b{row}.{place}");
        let width = |row: usize| if row.is_multiple_of(2) { 1 } else { wide };
        let brick = |row: usize, place: usize| BrickSpec {
            id: id(row, place),
            kind: "k".into(),
            next: if row + 1 < count {
                (0..width(row + 1)).map(|next| id(row + 1, next)).collect()
            } else {
                vec![]
            },
            ..BrickSpec::default()
        };
        let bricks = (0..count).rev().flat_map(|row| (0..width(row)).map(move |place| brick(row, place)));
        GraphSpec { name: "g".into(), bricks: bricks.collect(), ..GraphSpec::default() }
    }

    #[test]
    fn the_largest_graphs_are_sorted() {
        for spec in [rows(1, MAX_BRICKS), rows(2000, 4), rows(3, 2001)] {
            let order = spec.sequence().unwrap();
            assert_eq!((order.len(), order[0].id.as_str()), (spec.bricks.len(), "b0.0"));
        }
        let error = rows(1, 100_000).sequence().unwrap_err().to_string();
        assert_eq!(error, "100000 bricks; a graph has at most 4096");
        let mut twice = rows(1, 3);
        twice.bricks[0].next = vec!["b1.0".into(), "b1.0".into()];
        let error = twice.sequence().unwrap_err().to_string();
        assert_eq!(error, "brick `b2.0`: next names `b1.0` twice; leave one of both out");
        let mut unknown = rows(1, 100);
        unknown.bricks[0].next = vec!["x".into()];
        let error = unknown.sequence().unwrap_err().to_string();
        assert!(error.contains("\"x\" names no brick") && error.ends_with("b88.0, ...)"), "{error}");
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
        let exits = spec.exits(&order);
        assert_eq!(exits[0], Exits { next: vec![2, 1], branches: vec![] });
        assert_eq!(exits[3], Exits { next: vec![], branches: vec![("anomalous".into(), 4)] });
        let error = GraphSpec::from_toml(&text.replace("\"e\"\n[[", "5\n[[")).unwrap_err().to_string();
        assert!(error.contains("line 10: invalid type"), "{error}");
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

    #[test]
    fn models_have_a_name_and_a_file() {
        let brick = "[[brick]]\nid = \"a\"\nkind = \"b\"\nmodel = \"m\"\n\n[brick.config]\nx = 1\n";
        let text = format!("name = \"g\"\n\n[models]\nm = \"m.onnx\"\n\n{brick}");
        let spec = GraphSpec::from_toml(&text).unwrap();
        assert_eq!((spec.models["m"].as_str(), spec.bricks[0].model.as_deref()), ("m.onnx", Some("m")));
        assert_eq!(spec.to_toml(), text);
        let twice = text.replace("m = \"m.onnx\"", "m = \"m.onnx\"\nm = \"n.onnx\"");
        let error = GraphSpec::from_toml(&twice).unwrap_err().to_string();
        assert!(error.starts_with("line 5: duplicate key"), "{error}");
    }
}
