//! Whether bricks fit together on every way that a packet can take.

use crate::GraphError;
use crate::graph::declared::{Declared, Use};
use crate::graph::route::{Bits, MAX_BRICKS, Route, Routes};
use crate::graph::spec::Exits;
use legonf_core::{ColumnSpec, Columns, Element, Handle, Verdict};

/// The largest number of ways through a graph: each is checked.
const MAX_WAYS: usize = 4096;

/// Bricks in their order, with where packets go behind them.
pub(crate) struct Ways<'a> {
    ids: Vec<&'a str>,
    declared: &'a Declared,
    exits: Vec<Exits>,
}

/// Where packets part behind a brick.
#[derive(Default)]
struct Parting {
    /// The column by whose verdicts they part; none where all go the same way.
    decided: Option<(Columns, Handle<Vec<Verdict>>)>,
    /// The bricks for each label of that column, and last for what is rejected.
    by_label: Vec<Vec<usize>>,
}

impl Parting {
    /// The bricks that packets may go to together, each set of them once.
    fn alternatives(&self) -> Vec<&[usize]> {
        let mut found: Vec<&[usize]> = Vec::new();
        for next in &self.by_label {
            if !found.contains(&next.as_slice()) {
                found.push(next);
            }
        }
        found
    }
}

/// What packets have that take one way through the graph.
struct Way {
    /// Bricks that they pass, in order.
    passed: Vec<usize>,
    /// Columns that are filled before each brick.
    filled: Vec<Columns>,
    /// For each brick those on the way before it.
    before: Vec<Before>,
    /// The column by whose verdicts packets part behind each brick.
    decided: Vec<Option<Columns>>,
}

/// A set of bricks.
#[derive(Clone)]
struct Before(Vec<u64>);

impl Before {
    fn none_of(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn holds(&self, brick: usize) -> bool {
        self.0[brick / 64] >> (brick % 64) & 1 == 1
    }

    fn add(&mut self, brick: usize) {
        self.0[brick / 64] |= 1 << (brick % 64);
    }

    fn add_all(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(set, others)| *set |= others);
    }
}

impl<'a> Ways<'a> {
    pub fn of(ids: Vec<&'a str>, declared: &'a Declared, exits: Vec<Exits>) -> Self {
        Self { ids, declared, exits }
    }

    fn brick(&self, brick: usize) -> (String, Use) {
        (self.ids[brick].to_owned(), self.declared.uses[brick])
    }

    /// Checks every way, and gives the routing tables if there are several.
    pub fn check(&self, given: Columns, wanted: Columns) -> Result<Option<Routes>, GraphError> {
        let partings = |brick| self.parting(brick, given);
        let partings: Vec<Parting> = (0..self.ids.len()).map(partings).collect::<Result<_, _>>()?;
        let alternatives: Vec<_> = partings.iter().map(Parting::alternatives).collect();
        let ways = alternatives.iter().fold(1_usize, |ways, next| ways.saturating_mul(next.len()));
        let parts = partings.iter().any(|parting| parting.decided.is_some()) || self.drops();
        let limits = [("bricks", self.ids.len(), MAX_BRICKS), ("ways", ways, MAX_WAYS)];
        let exceeded = limits.into_iter().find(|(_, found, most)| found > most && parts);
        if let Some((what, found, most)) = exceeded {
            return Err(GraphError::TooMany { what, found, most });
        }
        for number in 0..ways {
            self.check_way(&self.way(given, &partings, &alternatives, number), wanted)?;
        }
        if parts { self.routes(&partings).map(Some) } else { Ok(None) }
    }

    /// Whether packets may be dropped before some of the bricks.
    fn drops(&self) -> bool {
        (0..self.ids.len().saturating_sub(1)).any(|brick| self.declared.may_drop(brick))
    }

    /// Where packets part behind a brick, by the column that decides it.
    fn parting(&self, brick: usize, given: Columns) -> Result<Parting, GraphError> {
        let Exits { next, branches } = &self.exits[brick];
        if branches.is_empty() {
            return Ok(Parting { decided: None, by_label: vec![next.clone()] });
        }
        let spec = self.decided(brick, given)?;
        if let Some((label, _)) = branches.iter().find(|(label, _)| spec.words().all(|word| word != label)) {
            return Err(GraphError::UnknownLabel {
                id: self.ids[brick].to_owned(),
                label: label.clone(),
                column: spec.name.to_string(),
                known: spec.words().collect::<Vec<_>>().join(", "),
            });
        }
        let of = |word: &str| branches.iter().find(|(label, _)| label == word).map(|(_, to)| vec![*to]);
        let by_label = spec.words().map(|word| of(word).unwrap_or_else(|| next.clone())).collect();
        let handle = self.declared.layout.handle(spec).map_err(|error| GraphError::Brick {
            id: self.ids[brick].to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Parting { decided: Some((self.declared.layout.columns([spec]), handle)), by_label })
    }

    /// The column by whose verdicts packets go behind a brick that branches: its own, or the one before it.
    fn decided(&self, brick: usize, given: Columns) -> Result<&ColumnSpec, GraphError> {
        let own = self.verdicts(self.declared.uses[brick].writes);
        let before = self.declared.uses[..brick].iter().fold(given, |all, brick| all.union(brick.writes));
        let verdicts = if own.is_empty() { self.verdicts(before) } else { own };
        let mut columns = verdicts.iter().map(|index| &self.declared.layout.specs()[index]);
        let id = self.ids[brick].to_owned();
        match (columns.next(), columns.next()) {
            (Some(spec), None) => Ok(spec),
            (None, _) => Err(GraphError::NoVerdict(id)),
            _ => Err(GraphError::SeveralVerdicts { id, columns: self.declared.names(verdicts) }),
        }
    }

    /// The way by its number, of all combinations of what branches may decide.
    fn way(
        &self,
        given: Columns,
        partings: &[Parting],
        alternatives: &[Vec<&[usize]>],
        number: usize,
    ) -> Way {
        let count = self.ids.len();
        let mut entered = vec![false; count];
        entered[0] = true;
        let (passed, filled, before) = (Vec::new(), vec![given; count], vec![Before::none_of(count); count]);
        let decided = partings.iter().map(|parting| parting.decided.map(|(column, _)| column)).collect();
        let mut way = Way { passed, filled, before, decided };
        let mut left = number;
        for (brick, alternatives) in alternatives.iter().enumerate() {
            let choice = left % alternatives.len();
            left /= alternatives.len();
            if entered[brick] {
                way.passed.push(brick);
                for next in alternatives[choice] {
                    entered[*next] = true;
                    self.lead(&mut way, brick, *next);
                }
            }
        }
        way
    }

    /// Notes that packets come from one brick to another.
    fn lead(&self, way: &mut Way, from: usize, to: usize) {
        way.filled[to] = way.filled[to].union(way.filled[from]).union(self.declared.uses[from].writes);
        // Each comes behind those that lead to it.
        let (earlier, later) = way.before.split_at_mut(to);
        later[0].add_all(&earlier[from]);
        later[0].add(from);
    }

    fn check_way(&self, way: &Way, wanted: Columns) -> Result<(), GraphError> {
        for (place, brick) in way.passed.iter().enumerate() {
            self.check_brick(*brick, way)?;
            let parallel = way.passed[..place].iter().filter(|other| !way.before[*brick].holds(**other));
            parallel.into_iter().try_for_each(|other| self.check_parallel(*other, *brick))?;
        }
        let all = |filled: Columns, brick: &usize| {
            filled.union(way.filled[*brick]).union(self.declared.uses[*brick].writes)
        };
        let unfinished = wanted.without(way.passed.iter().fold(Columns::default(), all));
        if !unfinished.is_empty() {
            return Err(GraphError::Unfinished(self.declared.names(unfinished)));
        }
        let pairs = way.passed.iter().flat_map(|brick| way.passed.iter().map(move |other| (*other, *brick)));
        let mut in_order = pairs.filter(|(first, second)| way.before[*second].holds(*first));
        in_order.try_for_each(|(first, second)| self.check_overwritten(first, second))
    }

    /// Checks that what a brick reads is filled before it, and what decides behind it.
    fn check_brick(&self, brick: usize, way: &Way) -> Result<(), GraphError> {
        let (id, Use { kind, reads, writes }) = self.brick(brick);
        let filled = way.filled[brick];
        let missing = reads.without(filled);
        if !missing.is_empty() {
            return Err(GraphError::MissingColumns { id, kind, missing: self.declared.names(missing) });
        }
        let is_decided = |column| filled.union(writes).holds(column);
        if way.decided[brick].is_none_or(is_decided) { Ok(()) } else { Err(GraphError::NoVerdict(id)) }
    }

    /// Refuses a brick that fills what one before it has filled, unless it reads that and so changes it in place.
    fn check_overwritten(&self, first: usize, second: usize) -> Result<(), GraphError> {
        let ((first, a), (id, b)) = (self.brick(first), self.brick(second));
        let columns = b.writes.without(b.reads).intersection(a.writes);
        if columns.is_empty() {
            return Ok(());
        }
        Err(GraphError::Overwritten { id, kind: b.kind, first, columns: self.declared.names(columns) })
    }

    /// Refuses two bricks without an order between them, of which one fills what the other uses.
    fn check_parallel(&self, first: usize, second: usize) -> Result<(), GraphError> {
        let ((first, a), (second, b)) = (self.brick(first), self.brick(second));
        let columns = a.writes.intersection(b.reads.union(b.writes)).union(b.writes.intersection(a.reads));
        if columns.is_empty() {
            return Ok(());
        }
        Err(GraphError::Conflict { first, second, columns: self.declared.names(columns) })
    }

    /// Those columns of some that hold verdicts.
    fn verdicts(&self, columns: Columns) -> Columns {
        columns.intersection(self.declared.layout.of_element(Element::Verdict))
    }

    fn routes(&self, partings: &[Parting]) -> Result<Routes, GraphError> {
        let bits = |bricks: &Vec<usize>| bricks.iter().fold(0, |bits: Bits, brick| bits | 1 << brick);
        let route = |parting: &Parting| Route {
            decided: parting.decided.map(|(_, handle)| handle),
            by_label: parting.by_label.iter().map(bits).collect(),
        };
        let may_drop: Vec<usize> =
            (0..self.ids.len()).filter(|brick| self.declared.may_drop(*brick)).collect();
        let routes = Routes { first: 1, next: partings.iter().map(route).collect(), drops: bits(&may_drop) };
        let trunk = routes.trunk();
        let mut others = (0..self.ids.len()).filter(|brick| trunk >> brick & 1 == 0);
        others.try_for_each(|brick| self.check_flows(brick))?;
        Ok(routes)
    }

    /// A part of a batch has no rows of flows.
    fn check_flows(&self, brick: usize) -> Result<(), GraphError> {
        let (id, Use { kind, reads, writes }) = self.brick(brick);
        let flows = reads.union(writes).intersection(self.declared.flows);
        if flows.is_empty() {
            return Ok(());
        }
        Err(GraphError::Flows { id, kind, columns: self.declared.names(flows) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{ColumnSpec, Descriptor, State};

    const FEATURES: ColumnSpec = ColumnSpec::rows("features", Element::F64);
    const MAPPED: ColumnSpec = ColumnSpec::rows("mapped", Element::F64);
    const SCORES: ColumnSpec = ColumnSpec::scalar("scores", Element::F64);
    const VERDICTS: ColumnSpec = ColumnSpec::of_scores("verdicts");
    const HEADERS: ColumnSpec = ColumnSpec::HEADERS;

    type Brick = (&'static str, ColumnSpec, ColumnSpec);

    fn brick((id, reads, writes): &Brick) -> (&'static str, Descriptor) {
        let (reads, writes) = (vec![reads.clone()].into(), vec![writes.clone()].into());
        (id, Descriptor { kind: "k", title: "k", reads, writes, state: State::Stateless })
    }

    fn all(next: &[usize]) -> Exits {
        Exits { next: next.to_vec(), branches: Vec::new() }
    }

    /// Packets of some label go to a brick of their own.
    fn parted(next: &[usize], branches: &[(&str, usize)]) -> Exits {
        let branches = branches.iter().map(|(label, to)| ((*label).to_owned(), *to)).collect();
        Exits { branches, ..all(next) }
    }

    fn check(bricks: &[Brick], next: &[Exits], wanted: ColumnSpec) -> Result<bool, String> {
        let bricks: Vec<_> = bricks.iter().map(brick).collect();
        let declared = Declared::of(&[HEADERS], &bricks, std::slice::from_ref(&wanted)).unwrap();
        let ids = bricks.iter().map(|(id, _)| *id).collect();
        let wanted = declared.layout.columns([&wanted]);
        let routes = Ways::of(ids, &declared, next.to_vec()).check(Columns::HEADERS, wanted);
        routes.map(|routes| routes.is_some()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_brick_changes_in_place_what_it_reads_and_overwrites_nothing() {
        let next = [all(&[1]), all(&[2]), all(&[])];
        let chain =
            |last: ColumnSpec| [("a", HEADERS, FEATURES), ("b", FEATURES, SCORES), ("c", last, SCORES)];
        assert_eq!(check(&chain(SCORES), &next, SCORES), Ok(false));
        let error = check(&chain(FEATURES), &next, SCORES).unwrap_err();
        let expected =
            "brick `c` (k) fills scores, which brick `b` has filled before it and `c` does not read";
        assert_eq!(error, expected);
    }

    #[test]
    fn branches_are_decided_by_one_column_and_have_no_flows_behind_them() {
        let next = [all(&[1]), parted(&[], &[("benign", 2)]), all(&[])];
        let other = ColumnSpec { name: "other".into(), ..VERDICTS };
        let last = ("c", HEADERS, SCORES);
        let own = [("a", HEADERS, VERDICTS), ("b", HEADERS, other.clone()), last.clone()];
        assert_eq!(check(&own, &next, VERDICTS), Ok(true));
        let next = [all(&[1]), all(&[2]), parted(&[], &[("benign", 3)]), all(&[])];
        let several = [own[0].clone(), own[1].clone(), ("d", HEADERS, FEATURES), last.clone()];
        let error = check(&several, &next, VERDICTS).unwrap_err();
        assert_eq!(error, "brick `d` branches on verdicts, but several columns hold some: verdicts, other");
        let flows = ColumnSpec { name: "sizes".into(), ..SCORES }.in_flows();
        let before = [own[0].clone(), ("b", HEADERS, flows.clone()), ("d", HEADERS, FEATURES), last];
        assert_eq!(check(&before, &next, VERDICTS), Ok(true));
        let behind =
            [own[0].clone(), ("d", HEADERS, FEATURES), ("e", HEADERS, SCORES), ("b", HEADERS, flows)];
        let error = check(&behind, &next, VERDICTS).unwrap_err();
        assert!(error.contains("`b` (k) uses sizes of the table of flows"), "{error}");
    }

    #[test]
    fn parallel_bricks_must_not_use_what_the_other_fills() {
        let next = [all(&[1, 2]), all(&[3]), all(&[3]), all(&[])];
        let fine = [
            ("a", HEADERS, FEATURES),
            ("b", FEATURES, MAPPED),
            ("c", FEATURES, SCORES),
            ("d", MAPPED, VERDICTS),
        ];
        assert_eq!(check(&fine, &next, SCORES), Ok(false));
        let both = [fine[0].clone(), fine[1].clone(), ("c", FEATURES, MAPPED), fine[3].clone()];
        assert!(
            check(&both, &next, MAPPED)
                .unwrap_err()
                .contains("`b` and `c` run in parallel, but both use mapped")
        );
        let reads = [fine[0].clone(), fine[1].clone(), ("c", MAPPED, SCORES), fine[3].clone()];
        assert!(check(&reads, &next, SCORES).unwrap_err().contains("`c` (k) reads mapped"));
    }

    #[test]
    fn every_way_must_fill_what_is_read_behind_it() {
        let bricks = [
            ("a", HEADERS, VERDICTS),
            ("b", HEADERS, FEATURES),
            ("c", HEADERS, MAPPED),
            ("d", HEADERS, SCORES),
        ];
        let next = [parted(&[2], &[("anomalous", 1)]), all(&[3]), all(&[3]), all(&[])];
        assert_eq!(check(&bricks, &next, SCORES), Ok(true));
        assert!(check(&bricks, &next, FEATURES).unwrap_err().contains("ends without features"));
        let last = [bricks[0].clone(), bricks[1].clone(), bricks[2].clone(), ("d", FEATURES, SCORES)];
        assert!(check(&last, &next, SCORES).unwrap_err().contains("`d` (k) reads features, which nothing"));
        let unknown = [("a", HEADERS, FEATURES), bricks[1].clone(), bricks[2].clone(), bricks[3].clone()];
        assert!(check(&unknown, &next, SCORES).unwrap_err().contains("`a` branches on verdicts"));
    }

    #[test]
    fn the_largest_graphs_are_checked() {
        let count = crate::MAX_BRICKS;
        let bricks = vec![("a", HEADERS, HEADERS); count];
        let chain: Vec<_> = (1..=count).map(|next| all(&[next][..usize::from(next < count)])).collect();
        assert_eq!(check(&bricks, &chain, HEADERS), Ok(false));
        assert!(check(&bricks, &chain, SCORES).unwrap_err().contains("ends without scores"));
        // One to all others, which all lead to the last: only two of them must not fill the same.
        let mut wide = vec![("a", HEADERS, FEATURES); count];
        let middle: Vec<usize> = (1..count - 1).collect();
        let mut fan = vec![all(&[count - 1]); count];
        (fan[0], fan[count - 1]) = (all(&middle), all(&[]));
        wide.iter_mut().skip(1).take(count - 2).for_each(|brick| *brick = ("b", HEADERS, SCORES));
        let error = check(&wide, &fan, FEATURES).unwrap_err();
        assert!(error.contains("`b` and `b` run in parallel, but both use scores"), "{error}");
    }

    #[test]
    fn branches_have_a_limit() {
        let decide = ("decide", HEADERS, VERDICTS);
        let bricks = |branches: usize| -> Vec<Brick> {
            std::iter::once(decide.clone()).chain(vec![("again", VERDICTS, VERDICTS); branches]).collect()
        };
        let exits = |branches: usize| -> Vec<Exits> {
            let parted = (0..branches).map(|brick| parted(&[brick + 1], &[("anomalous", branches)]));
            parted.chain([all(&[])]).collect()
        };
        assert_eq!(check(&bricks(12), &exits(12), VERDICTS), Ok(true));
        let error = check(&bricks(14), &exits(14), VERDICTS).unwrap_err();
        assert_eq!(
            error,
            "8192 ways; a graph that branches, or drops packets before other bricks, has at most 4096"
        );
    }

    #[test]
    fn branches_are_by_the_labels_of_what_decides() {
        let classes =
            ColumnSpec { name: "class".into(), ..VERDICTS }.with_labels(["web", "mail"].map(Into::into));
        let bricks = [("classify", HEADERS, classes.clone()), ("a", HEADERS, SCORES), ("b", HEADERS, SCORES)];
        let exits = |label| [parted(&[1], &[(label, 2)]), all(&[]), all(&[])];
        for label in ["web", "mail", "rejected"] {
            assert_eq!(check(&bricks, &exits(label), SCORES), Ok(true), "{label}");
        }
        let error = check(&bricks, &exits("anomalous"), SCORES).unwrap_err();
        let expected = "brick `classify`: branch.anomalous: the column class has no verdict of this name \
                        (there are: web, mail, rejected)";
        assert_eq!(error, expected);
    }
}
