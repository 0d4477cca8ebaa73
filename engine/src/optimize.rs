//! A graph in fewer bricks: what occurs twice is done once (µNF §III), and the functions of a chain share one fast path (SpeedyBox).

use legonf_nf::{
    ApplyActions, CheckIpHeader, DecrementTtl, FastPath, Firewall, IpFilter, MacSwap, Maglev, Monitor, Nat,
    VerdictFilter,
};
use legonf_runtime::{BrickSpec, GraphError, GraphSpec};
use serde::Serialize;
use toml::{Table, Value};

/// Functions that one fast path may have.
const MOST: usize = 32;

/// A graph that gives the same packets, drops and counters as another one, and what was changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimized {
    /// The graph.
    pub graph: GraphSpec,
    /// What was changed, in order; nothing if the graph is the one that was given.
    pub changes: Vec<Change>,
}

/// A change of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// A brick is gone, since one before it does the same.
    Repeated {
        /// The brick.
        brick: String,
        /// The one before.
        before: String,
    },
    /// Bricks have become one fast path, and the brick that does its actions.
    Consolidated {
        /// The bricks.
        bricks: Vec<String>,
        /// The two that are there instead.
        into: [String; 2],
    },
}

/// A function of a chain, with the bricks that it was.
struct Unit {
    ids: Vec<String>,
    function: Table,
}

/// Brings a graph into fewer bricks. A run of functions, of which each leads to the next one alone, becomes one fast path; of equal checks and filters in a
/// run, between which no address changes, one stays.
///
/// # Errors
/// If the bricks do not form a graph.
pub fn optimize(spec: &GraphSpec) -> Result<Optimized, GraphError> {
    let order: Vec<BrickSpec> = spec.sequence()?.into_iter().cloned().collect();
    let (mut graph, mut changes, mut start) = (spec.clone(), Vec::new(), 0);
    while start < order.len() {
        let (mut units, behind) = run(&order, start);
        start = behind.max(start + 1);
        let found = units.iter().map(|unit| unit.ids.clone()).collect::<Vec<_>>();
        let repeated = drop_repeated(&mut units);
        if units.len() > 1 {
            let ids = found.concat();
            let into = replace(&mut graph, &ids, &units);
            changes.extend(repeated);
            changes.push(Change::Consolidated { bricks: ids, into });
        }
    }
    Ok(Optimized { graph, changes })
}

/// The functions of a run that begins at a place of the order, and the place behind them.
fn run(order: &[BrickSpec], start: usize) -> (Vec<Unit>, usize) {
    let mut units: Vec<Unit> = Vec::new();
    let mut place = start;
    while let Some((unit, bricks)) = unit(order, place) {
        let joins = units.is_empty() || leads_alone(order, place - 1);
        if !joins || units.len() == MOST || !agrees(&units, &unit) {
            break;
        }
        units.push(unit);
        place += bricks;
    }
    (units, place)
}

/// Whether a brick leads to the next one of the order alone, and no other brick does.
fn leads_alone(order: &[BrickSpec], place: usize) -> bool {
    let (Some(brick), Some(next)) = (order.get(place), order.get(place + 1)) else { return false };
    let leads =
        |other: &&BrickSpec| other.next.contains(&next.id) || other.branch.values().any(|id| *id == next.id);
    brick.next == [next.id.clone()] && brick.branch.is_empty() && order.iter().filter(leads).count() == 1
}

/// The function that begins at a place of the order, and how many bricks it has.
fn unit(order: &[BrickSpec], place: usize) -> Option<(Unit, usize)> {
    let brick = order.get(place)?;
    let mut function = brick.config.clone();
    let output = function.remove("output").and_then(|name| name.as_str().map(str::to_owned));
    function.insert("kind".into(), Value::String(brick.kind.clone()));
    let fills = match &*brick.kind {
        CheckIpHeader::KIND | DecrementTtl::KIND | MacSwap::KIND | IpFilter::KIND => None,
        Firewall::KIND => Some(Firewall::FILLS),
        Maglev::KIND => Some(Maglev::FILLS),
        Monitor::KIND => Some(Monitor::FILLS),
        Nat::KIND => Some(Nat::FILLS),
        VerdictFilter::KIND => Some(VerdictFilter::FILLS),
        _ => return None,
    };
    let alone = Unit { ids: vec![brick.id.clone()], function };
    let Some(fills) = fills else { return Some((alone, 1)) };
    let column = output.unwrap_or_else(|| fills[0].name.to_string());
    let does = |other: &BrickSpec| {
        other.kind == ApplyActions::KIND
            && other.config.get("actions").and_then(Value::as_str) == Some(&*column)
    };
    let uses = order.iter().filter(|other| does(other)).count();
    match order.get(place + 1).filter(|next| does(next) && leads_alone(order, place)) {
        Some(next) if uses == 1 => {
            let ids = vec![brick.id.clone(), next.id.clone()];
            Some((Unit { ids, ..alone }, 2))
        }
        // Whose actions nobody does can only count.
        None if uses == 0 && brick.kind == Monitor::KIND && !brick.config.contains_key("most_packets") => {
            Some((alone, 1))
        }
        _ => None,
    }
}

/// Whether a function can be on one fast path with others: it divides flows as they do, and looks at the same verdicts.
fn agrees(units: &[Unit], unit: &Unit) -> bool {
    let kind = |unit: &Unit| unit.function["kind"].as_str().unwrap_or_default().to_owned();
    let has_state = |unit: &Unit| {
        [Firewall::KIND, Maglev::KIND, Monitor::KIND, Nat::KIND, VerdictFilter::KIND].contains(&&*kind(unit))
    };
    let seed = |unit: &Unit| {
        has_state(unit).then(|| unit.function.get("seed").and_then(Value::as_integer).unwrap_or(1234))
    };
    let verdicts = |unit: &Unit| {
        let named = unit.function.get("verdicts").and_then(Value::as_str).unwrap_or("verdicts").to_owned();
        (kind(unit) == VerdictFilter::KIND).then_some(named)
    };
    let fits = |other: &Unit| {
        let same_seed = seed(unit).zip(seed(other)).is_none_or(|(one, other)| one == other);
        same_seed && verdicts(unit).zip(verdicts(other)).is_none_or(|(one, other)| one == other)
    };
    units.iter().all(fits)
}

/// Takes out what one function before has done already: checks and filters that are the same, between which no address changes.
fn drop_repeated(units: &mut Vec<Unit>) -> Vec<Change> {
    let (mut changes, mut kept): (Vec<Change>, Vec<Unit>) = (Vec::new(), Vec::new());
    for unit in units.drain(..) {
        let kind = unit.function["kind"].as_str().unwrap_or_default();
        let behind = kept.iter().rposition(|other| other.function["kind"].as_str() == Some(Nat::KIND));
        let since = &kept[behind.map_or(0, |place| place + 1)..];
        let same = since.iter().find(|other| other.function == unit.function);
        match same.filter(|_| [CheckIpHeader::KIND, IpFilter::KIND].contains(&kind)) {
            Some(before) => {
                changes.push(Change::Repeated { brick: unit.ids[0].clone(), before: before.ids[0].clone() });
            }
            None => kept.push(unit),
        }
    }
    *units = kept;
    changes
}

/// Puts a fast path in the place of some bricks, and gives the identifiers of the two bricks that it is.
fn replace(graph: &mut GraphSpec, ids: &[String], units: &[Unit]) -> [String; 2] {
    let free = |name: &str| !graph.bricks.iter().any(|brick| brick.id == name);
    let numbered =
        |number: usize| if number == 1 { "fast-path".to_owned() } else { format!("fast-path-{number}") };
    let path = (1..).map(numbered).find(|id| free(id) && free(&format!("{id}-actions"))).unwrap_or_default();
    let (actions, column) = (format!("{path}-actions"), format!("{path}-action"));
    let last = ids.last().and_then(|id| graph.bricks.iter().find(|brick| brick.id == *id));
    let (next, branch) = last.map(|brick| (brick.next.clone(), brick.branch.clone())).unwrap_or_default();
    let functions = units.iter().map(|unit| Value::Table(unit.function.clone())).collect();
    let mut config = Table::from_iter([("functions".to_owned(), Value::Array(functions))]);
    config.insert("output".into(), Value::String(column.clone()));
    let brick = |id: &String, kind: &str, config| BrickSpec {
        id: id.clone(),
        kind: kind.into(),
        config,
        ..BrickSpec::default()
    };
    let both = [
        BrickSpec { next: vec![actions.clone()], ..brick(&path, FastPath::KIND, config) },
        BrickSpec {
            next,
            branch,
            ..brick(
                &actions,
                ApplyActions::KIND,
                Table::from_iter([("actions".to_owned(), Value::String(column))]),
            )
        },
    ];
    let place = graph.bricks.iter().position(|brick| brick.id == ids[0]).unwrap_or(0);
    graph.bricks.splice(place..place, both);
    graph.bricks.retain(|brick| !ids.contains(&brick.id));
    for brick in &mut graph.bricks {
        let names = brick.next.iter_mut().chain(brick.branch.values_mut());
        names.filter(|name| **name == ids[0]).for_each(|name| name.clone_from(&path));
    }
    [path, actions]
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: &str = include_str!("../../examples/graphs/chain.toml");
    const FAST: &str = include_str!("../../examples/graphs/fast-path.toml");

    fn read(text: &str) -> GraphSpec {
        GraphSpec::from_toml(text).unwrap()
    }

    fn functions(graph: &GraphSpec) -> Vec<Table> {
        let fast = graph.bricks.iter().find(|brick| brick.kind == FastPath::KIND).unwrap();
        fast.config["functions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one.as_table().unwrap().clone())
            .collect()
    }

    /// A chain of bricks: of each its kind and its configuration.
    fn chain(bricks: &[(&str, &str)]) -> GraphSpec {
        let brick = |(place, (kind, config)): (usize, &(&str, &str))| {
            let next =
                if place + 1 < bricks.len() { format!("next = \"b{}\"\n", place + 1) } else { String::new() };
            format!("[[brick]]\nid = \"b{place}\"\nkind = \"{kind}\"\n{next}[brick.config]\n{config}\n")
        };
        let bricks: String = bricks.iter().enumerate().map(brick).collect();
        read(&format!("name = \"t\"\n{bricks}"))
    }

    const NAT: (&str, &str) = ("nat", "inside = \"10.0.0.0/8\"\naddresses = [\"192.0.2.1\"]");
    const TRANSLATE: (&str, &str) = ("apply-actions", "actions = \"nat-action\"");

    #[test]
    fn the_chain_of_the_examples_becomes_their_fast_path() {
        let optimized = optimize(&read(CHAIN)).unwrap();
        assert_eq!(functions(&optimized.graph), functions(&read(FAST)));
        let kinds: Vec<_> = optimized.graph.bricks.iter().map(|brick| &*brick.kind).collect();
        assert_eq!(kinds, ["packet-batching", "fast-path", "apply-actions"]);
        let Change::Consolidated { bricks, into } = &optimized.changes[0] else { panic!("one change") };
        assert_eq!((bricks.len(), &*into[0], &*into[1]), (9, "fast-path", "fast-path-actions"));
        // Nothing is left to be done.
        assert_eq!(optimize(&optimized.graph).unwrap(), Optimized { changes: Vec::new(), ..optimized });
    }

    #[test]
    fn what_occurs_twice_is_done_once_unless_addresses_change_between() {
        let (check, filter) =
            (("check-ip-header", ""), ("ip-filter", "rules = [{ action = \"drop\", src = \"10.0.0.9\" }]"));
        let twice = chain(&[check, filter, ("decrement-ttl", ""), check, filter]);
        let optimized = optimize(&twice).unwrap();
        assert_eq!(functions(&optimized.graph).len(), 3);
        let repeated =
            |brick: &str, before: &str| Change::Repeated { brick: brick.into(), before: before.into() };
        assert_eq!(optimized.changes[..2], [repeated("b3", "b0"), repeated("b4", "b1")]);
        let between = chain(&[check, filter, NAT, TRANSLATE, check, filter]);
        assert_eq!(functions(&optimize(&between).unwrap().graph).len(), 5);
    }

    #[test]
    fn what_cannot_be_together_stays_apart() {
        let changes = |bricks: &[(&str, &str)]| optimize(&chain(bricks)).unwrap().changes.len();
        let swap = ("mac-swap", "");
        assert_eq!(changes(&[swap]), 0);
        assert_eq!(changes(&[swap, ("dscp", "dscp = 8"), swap]), 0);
        // Another hash; actions that are done elsewhere, or that nobody does.
        assert_eq!(changes(&[("monitor", "seed = 1"), ("monitor", "seed = 2\noutput = \"b\"")]), 0);
        assert_eq!(changes(&[NAT, swap, TRANSLATE]), 0);
        assert_eq!(changes(&[swap, ("monitor", "most_packets = 5")]), 0);
        assert_eq!(changes(&[swap, ("monitor", "")]), 1);
        // A brick that another way leads to begins a run of its own.
        let mut branched = chain(&[("packet-batching", ""), swap, swap, swap]);
        branched.bricks[0].next = vec!["b1".into(), "b3".into()];
        let optimized = optimize(&branched).unwrap();
        assert_eq!(optimized.graph.bricks.iter().filter(|brick| brick.kind == MacSwap::KIND).count(), 1);
    }
}
