//! Whether bricks fit together on every way that a packet can take.

use crate::GraphError;
use crate::route::{Bits, MAX_BRICKS, Route, Routes};
use legonf_core::{Column, Columns, Descriptor};

/// Branches at most: every combination of what they may decide is looked at.
const MAX_BRANCHES: usize = 6;

/// Bricks in their order, with where each verdict leads behind them.
pub(crate) struct Ways<'a> {
    bricks: Vec<(&'a str, Descriptor)>,
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
    pub fn of(bricks: Vec<(&'a str, Descriptor)>, next: Vec<[Vec<usize>; 3]>) -> Self {
        Self { bricks, next }
    }

    /// Checks every way, and gives the routing tables if there are several.
    pub fn check(&self, given: Columns, wanted: Columns) -> Result<Option<Routes>, GraphError> {
        let branches: Vec<usize> = (0..self.next.len()).filter(|brick| self.branches(*brick)).collect();
        let limits = [("bricks", self.bricks.len(), MAX_BRICKS), ("branches", branches.len(), MAX_BRANCHES)];
        let exceeded = limits.into_iter().find(|(_, found, most)| found > most && !branches.is_empty());
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
        Ok((!branches.is_empty()).then(|| self.routes()))
    }

    fn branches(&self, brick: usize) -> bool {
        let [benign, anomalous, rejected] = &self.next[brick];
        benign != anomalous || benign != rejected
    }

    /// The way of packets for which branches decide by `choice`.
    fn way(&self, given: Columns, choice: impl Fn(usize) -> usize) -> Way {
        let count = self.bricks.len();
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
        way.filled[to] = way.filled[to].union(way.filled[from]).union(self.bricks[from].1.writes);
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
            filled.union(way.filled[*brick]).union(self.bricks[*brick].1.writes)
        };
        let unfinished = wanted.without(way.passed.iter().fold(Columns::default(), all));
        if unfinished.is_empty() { Ok(()) } else { Err(GraphError::Unfinished(unfinished.to_string())) }
    }

    /// Checks that what a brick reads is filled before it.
    fn check_brick(&self, brick: usize, filled: Columns) -> Result<(), GraphError> {
        let (id, descriptor) = &self.bricks[brick];
        let missing = descriptor.reads.without(filled);
        if !missing.is_empty() {
            let (id, kind, missing) = ((*id).to_owned(), descriptor.kind, missing.to_string());
            return Err(GraphError::MissingColumns { id, kind, missing });
        }
        let verdicts = Columns::of(&[Column::Verdicts]);
        if self.branches(brick) && !verdicts.without(filled.union(descriptor.writes)).is_empty() {
            return Err(GraphError::NoVerdict((*id).to_owned()));
        }
        Ok(())
    }

    /// Refuses two bricks without an order between them, of which one fills what the other uses.
    fn check_parallel(&self, first: usize, second: usize) -> Result<(), GraphError> {
        let ((first, a), (second, b)) = (&self.bricks[first], &self.bricks[second]);
        let columns = a.writes.intersection(b.reads.union(b.writes)).union(b.writes.intersection(a.reads));
        if columns.is_empty() {
            return Ok(());
        }
        let (first, second) = ((*first).to_owned(), (*second).to_owned());
        Err(GraphError::Conflict { first, second, columns: columns.to_string() })
    }

    fn routes(&self) -> Routes {
        let bits = |bricks: &[usize]| bricks.iter().fold(0, |bits: Bits, brick| bits | 1 << brick);
        let route = |next: &[Vec<usize>; 3]| Route {
            benign: bits(&next[0]),
            anomalous: bits(&next[1]),
            rejected: bits(&next[2]),
        };
        let columns = |pick: fn(&Descriptor) -> Columns| self.bricks.iter().map(|(_, d)| pick(d)).collect();
        let next = self.next.iter().map(route).collect();
        Routes { first: 1, next, reads: columns(|d| d.reads), writes: columns(|d| d.writes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::State;

    fn brick(id: &str, reads: Column, writes: Column) -> (&str, Descriptor) {
        let (reads, writes) = (Columns::of(&[reads]), Columns::of(&[writes]));
        (id, Descriptor { kind: "k", title: "k", reads, writes, state: State::Stateless })
    }

    fn all(next: &[usize]) -> [Vec<usize>; 3] {
        [next, next, next].map(Vec::from)
    }

    fn check(
        bricks: &[(&str, Column, Column)],
        next: &[[Vec<usize>; 3]],
        wanted: Column,
    ) -> Result<bool, String> {
        let bricks = bricks.iter().map(|(id, reads, writes)| brick(id, *reads, *writes)).collect();
        let given = Columns::of(&[Column::Headers]);
        let routes = Ways::of(bricks, next.to_vec()).check(given, Columns::of(&[wanted]));
        routes.map(|routes| routes.is_some()).map_err(|error| error.to_string())
    }

    #[test]
    fn parallel_bricks_must_not_use_what_the_other_fills() {
        use Column::{Features, Headers, Mapped, Scores, Verdicts};
        let next = [all(&[1, 2]), all(&[3]), all(&[3]), all(&[])];
        let fine = [
            ("a", Headers, Features),
            ("b", Features, Mapped),
            ("c", Features, Scores),
            ("d", Mapped, Verdicts),
        ];
        assert_eq!(check(&fine, &next, Scores), Ok(false));
        let both = [fine[0], fine[1], ("c", Features, Mapped), fine[3]];
        assert!(
            check(&both, &next, Mapped)
                .unwrap_err()
                .contains("`b` and `c` run in parallel, but both use mapped")
        );
        let reads = [fine[0], fine[1], ("c", Mapped, Scores), fine[3]];
        assert!(check(&reads, &next, Scores).unwrap_err().contains("`c` (k) reads mapped features"));
    }

    #[test]
    fn every_way_must_fill_what_is_read_behind_it() {
        use Column::{Features, Headers, Mapped, Scores, Verdicts};
        let bricks = [
            ("a", Headers, Verdicts),
            ("b", Headers, Features),
            ("c", Headers, Mapped),
            ("d", Headers, Scores),
        ];
        let next = [[vec![2], vec![1], vec![2]], all(&[3]), all(&[3]), all(&[])];
        assert_eq!(check(&bricks, &next, Scores), Ok(true));
        assert!(check(&bricks, &next, Features).unwrap_err().contains("ends without features"));
        let last = [bricks[0], bricks[1], bricks[2], ("d", Features, Scores)];
        assert!(check(&last, &next, Scores).unwrap_err().contains("`d` (k) reads features, which nothing"));
        let unknown = [("a", Headers, Features), bricks[1], bricks[2], bricks[3]];
        assert!(check(&unknown, &next, Scores).unwrap_err().contains("`a` branches on verdicts"));
    }

    #[test]
    fn the_largest_graphs_are_checked() {
        use Column::{Features, Headers, Scores};
        let count = crate::MAX_BRICKS;
        let bricks = vec![("a", Headers, Headers); count];
        let chain: Vec<_> = (1..=count).map(|next| all(&[next][..usize::from(next < count)])).collect();
        assert_eq!(check(&bricks, &chain, Headers), Ok(false));
        assert!(check(&bricks, &chain, Scores).unwrap_err().contains("ends without scores"));
        // One to all others, which all lead to the last: only two of them must not fill the same.
        let mut wide = vec![("a", Headers, Features); count];
        let middle: Vec<usize> = (1..count - 1).collect();
        let mut fan = vec![all(&[count - 1]); count];
        (fan[0], fan[count - 1]) = (all(&middle), all(&[]));
        wide.iter_mut().skip(1).take(count - 2).for_each(|brick| *brick = ("b", Headers, Scores));
        let error = check(&wide, &fan, Features).unwrap_err();
        assert!(error.contains("`b` and `b` run in parallel, but both use scores"), "{error}");
    }

    #[test]
    fn branches_have_a_limit() {
        let bricks = [("a", Column::Headers, Column::Verdicts); 9];
        let next: Vec<_> =
            (0..9).map(|i: usize| [if i < 8 { vec![i + 1] } else { vec![] }, vec![8], vec![8]]).collect();
        assert!(
            check(&bricks, &next, Column::Verdicts)
                .unwrap_err()
                .contains("8 branches; a graph that branches")
        );
    }
}
