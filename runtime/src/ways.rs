//! Whether bricks fit together on every way that a packet can take.

use crate::GraphError;
use crate::declared::{Declared, Use};
use crate::route::{Bits, MAX_BRICKS, Route, Routes};
use legonf_core::{Columns, Element, Handle, Verdict};

/// Branches at most: every combination of what they may decide is looked at.
const MAX_BRANCHES: usize = 6;

/// Bricks in their order, with where each verdict leads behind them.
pub(crate) struct Ways<'a> {
    ids: Vec<&'a str>,
    declared: &'a Declared,
    next: Vec<[Vec<usize>; 3]>,
}

/// What packets have that take one way through the graph.
struct Way {
    /// Bricks that they pass, in order.
    passed: Vec<usize>,
    /// Columns that are filled before each brick.
    filled: Vec<Columns>,
    /// For each brick those on the way before it.
    before: Vec<Before>,
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
    pub fn of(ids: Vec<&'a str>, declared: &'a Declared, next: Vec<[Vec<usize>; 3]>) -> Self {
        Self { ids, declared, next }
    }

    fn brick(&self, brick: usize) -> (String, Use) {
        (self.ids[brick].to_owned(), self.declared.uses[brick])
    }

    /// Checks every way, and gives the routing tables if there are several.
    pub fn check(&self, given: Columns, wanted: Columns) -> Result<Option<Routes>, GraphError> {
        let branches: Vec<usize> = (0..self.next.len()).filter(|brick| self.branches(*brick)).collect();
        let limits = [("bricks", self.ids.len(), MAX_BRICKS), ("branches", branches.len(), MAX_BRANCHES)];
        let parts = !branches.is_empty() || self.drops();
        let exceeded = limits.into_iter().find(|(_, found, most)| found > most && parts);
        if let Some((what, found, most)) = exceeded {
            return Err(GraphError::TooMany { what, found, most });
        }
        for combination in 0..3_usize.pow(branches.len() as u32) {
            let choice = |brick: usize| {
                let place = branches.iter().position(|branch| *branch == brick).unwrap_or(0);
                combination / 3_usize.pow(place as u32) % 3
            };
            self.check_way(&self.way(given, choice), wanted)?;
        }
        if parts { self.routes(given).map(Some) } else { Ok(None) }
    }

    /// Whether packets may be dropped before some of the bricks.
    fn drops(&self) -> bool {
        (0..self.ids.len().saturating_sub(1)).any(|brick| self.declared.may_drop(brick))
    }

    fn branches(&self, brick: usize) -> bool {
        let [benign, anomalous, rejected] = &self.next[brick];
        benign != anomalous || benign != rejected
    }

    /// The way of packets for which branches decide by `choice`.
    fn way(&self, given: Columns, choice: impl Fn(usize) -> usize) -> Way {
        let count = self.ids.len();
        let mut entered = vec![false; count];
        entered[0] = true;
        let (passed, filled, before) = (Vec::new(), vec![given; count], vec![Before::none_of(count); count]);
        let mut way = Way { passed, filled, before };
        for brick in 0..count {
            if !entered[brick] {
                continue;
            }
            way.passed.push(brick);
            let verdict = if self.branches(brick) { choice(brick) } else { 0 };
            for next in &self.next[brick][verdict] {
                entered[*next] = true;
                self.lead(&mut way, brick, *next);
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
            self.check_brick(*brick, way.filled[*brick])?;
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

    /// Checks that what a brick reads is filled before it.
    fn check_brick(&self, brick: usize, filled: Columns) -> Result<(), GraphError> {
        let (id, Use { kind, reads, writes }) = self.brick(brick);
        let missing = reads.without(filled);
        if !missing.is_empty() {
            return Err(GraphError::MissingColumns { id, kind, missing: self.declared.names(missing) });
        }
        if self.branches(brick) && self.verdicts(filled.union(writes)).is_empty() {
            return Err(GraphError::NoVerdict(id));
        }
        Ok(())
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

    fn routes(&self, given: Columns) -> Result<Routes, GraphError> {
        (0..self.ids.len()).try_for_each(|brick| self.check_flows(brick))?;
        let bits = |bricks: &[usize]| bricks.iter().fold(0, |bits: Bits, brick| bits | 1 << brick);
        let route = |next: &[Vec<usize>; 3]| Route {
            benign: bits(&next[0]),
            anomalous: bits(&next[1]),
            rejected: bits(&next[2]),
        };
        let next = self.next.iter().map(route).collect();
        let decided =
            (0..self.ids.len()).map(|brick| self.decided(brick, given)).collect::<Result<_, _>>()?;
        let may_drop = (0..self.ids.len()).filter(|brick| self.declared.may_drop(*brick));
        Ok(Routes { first: 1, next, decided, drops: bits(&may_drop.collect::<Vec<_>>()) })
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

    /// The column by whose verdicts packets go behind a brick that branches: its own, or the one before it.
    fn decided(&self, brick: usize, given: Columns) -> Result<Handle<Vec<Verdict>>, GraphError> {
        if !self.branches(brick) {
            return Ok(Handle::default());
        }
        let own = self.verdicts(self.declared.uses[brick].writes);
        let before = self.declared.uses[..brick].iter().fold(given, |all, brick| all.union(brick.writes));
        let verdicts = if own.is_empty() { self.verdicts(before) } else { own };
        let mut columns = verdicts.iter().map(|index| &self.declared.layout.specs()[index]);
        let id = self.ids[brick].to_owned();
        match (columns.next(), columns.next()) {
            (Some(spec), None) => self
                .declared
                .layout
                .handle(spec)
                .map_err(|error| GraphError::Brick { id, reason: error.to_string() }),
            (None, _) => Err(GraphError::NoVerdict(id)),
            _ => Err(GraphError::SeveralVerdicts { id, columns: self.declared.names(verdicts) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{ColumnSpec, Descriptor, State};

    const FEATURES: ColumnSpec = ColumnSpec::rows("features", Element::F64);
    const MAPPED: ColumnSpec = ColumnSpec::rows("mapped", Element::F64);
    const SCORES: ColumnSpec = ColumnSpec::scalar("scores", Element::F64);
    const VERDICTS: ColumnSpec = ColumnSpec::scalar("verdicts", Element::Verdict);
    const HEADERS: ColumnSpec = ColumnSpec::HEADERS;

    type Brick = (&'static str, ColumnSpec, ColumnSpec);

    fn brick((id, reads, writes): &Brick) -> (&'static str, Descriptor) {
        let (reads, writes) = (vec![reads.clone()].into(), vec![writes.clone()].into());
        (id, Descriptor { kind: "k", title: "k", reads, writes, state: State::Stateless })
    }

    fn all(next: &[usize]) -> [Vec<usize>; 3] {
        [next, next, next].map(Vec::from)
    }

    fn check(bricks: &[Brick], next: &[[Vec<usize>; 3]], wanted: ColumnSpec) -> Result<bool, String> {
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
    fn branches_are_decided_by_one_column_and_hold_no_flows() {
        let next = [all(&[1]), [vec![2], vec![], vec![]], all(&[])];
        let other = ColumnSpec { name: "other".into(), ..VERDICTS };
        let last = ("c", HEADERS, SCORES);
        let own = [("a", HEADERS, VERDICTS), ("b", HEADERS, other.clone()), last.clone()];
        assert_eq!(check(&own, &next, VERDICTS), Ok(true));
        let next = [all(&[1]), all(&[2]), [vec![3], vec![], vec![]], all(&[])];
        let several = [own[0].clone(), own[1].clone(), ("d", HEADERS, FEATURES), last.clone()];
        let error = check(&several, &next, VERDICTS).unwrap_err();
        assert_eq!(error, "brick `d` branches on verdicts, but several columns hold some: verdicts, other");
        let flows = ColumnSpec { name: "sizes".into(), ..SCORES }.in_flows();
        let flows = [own[0].clone(), ("b", HEADERS, flows), ("d", HEADERS, FEATURES), last];
        let error = check(&flows, &next, VERDICTS).unwrap_err();
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
        let next = [[vec![2], vec![1], vec![2]], all(&[3]), all(&[3]), all(&[])];
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
        let bricks: [_; 9] = std::array::from_fn(|_| ("a", HEADERS, HEADERS));
        let next: Vec<_> =
            (0..9).map(|i: usize| [if i < 8 { vec![i + 1] } else { vec![] }, vec![8], vec![8]]).collect();
        assert!(check(&bricks, &next, VERDICTS).unwrap_err().contains("8 branches; a graph that branches"));
    }
}
