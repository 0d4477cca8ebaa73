//! The middle way: a split by `SrcIP` with the fewest packets copied that keep the deviation under a bound.
//!
//! What a split by `SrcIP` changes are the statistics that compare the two directions of a pair of hosts. Where a
//! pair's packets go to the replicas of both its ends, these are whole again. Pairs do not depend on one another, so
//! that which to copy is a knapsack: the deviation that a pair adds against the packets that it takes to copy it.

use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// What each pair of hosts adds to the deviation, and what it takes to copy it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairs {
    by_hash: BTreeMap<u64, Pair>,
    packets: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Pair {
    /// Sum of the absolute deviations of its packets' scores.
    deviation: f64,
    /// Packets that would be sent to a second replica.
    copies: u64,
}

/// Which pairs to copy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Copies {
    /// Hashes of the pairs.
    #[serde(skip)]
    pub pairs: HashSet<u64>,
    /// Number of pairs that are copied.
    pub pairs_copied: usize,
    /// Number of pairs that there are.
    pub pairs_seen: usize,
    /// Packets that are sent to a second replica.
    pub packets_copied: u64,
    /// No choice of whole pairs copies fewer packets than this and keeps the bound.
    pub packets_copied_at_least: u64,
    /// Mean absolute deviation that is left, if the pairs that are copied deviate no more.
    pub expected_deviation: f64,
}

impl Pairs {
    pub(super) fn add(&mut self, pair: u64, copied: bool, deviation: f64) {
        let pair = self.by_hash.entry(pair).or_default();
        pair.deviation += deviation;
        pair.copies += u64::from(copied);
        self.packets += 1;
    }

    /// The pairs to copy so that the mean absolute deviation of `counted` scores stays within `bound`: those with the
    /// most deviation for each packet copied first, and of the last ones the cheapest that is enough.
    pub fn choose(&self, bound: f64, counted: u64) -> Copies {
        let mut left: f64 = self.by_hash.values().map(|pair| pair.deviation).sum();
        let allowed = bound * counted as f64;
        let mut order: Vec<_> =
            self.by_hash.iter().filter(|(_, p)| p.deviation > 0.0 && p.copies > 0).collect();
        let density = |pair: &Pair| pair.deviation / pair.copies as f64;
        order.sort_by(|a, b| density(b.1).total_cmp(&density(a.1)).then(a.0.cmp(b.0)));
        let (mut pairs, mut copied, mut at_least) = (HashSet::new(), 0, 0.0);
        let mut rest = order.as_slice();
        while left > allowed {
            let Some((dense, more)) = rest.split_first() else { break };
            let enough = rest.iter().filter(|(_, pair)| left - pair.deviation <= allowed);
            let last = enough.min_by_key(|(hash, pair)| (pair.copies, *hash));
            // Of the densest pair, a fraction would be enough: nothing can do with less.
            at_least = match last {
                Some(_) => copied as f64 + (left - allowed) / density(dense.1),
                None => (copied + dense.1.copies) as f64,
            };
            let (hash, pair) = last.unwrap_or(dense);
            pairs.insert(**hash);
            copied += pair.copies;
            left -= pair.deviation;
            rest = more;
            if last.is_some() {
                break;
            }
        }
        Copies {
            pairs_copied: pairs.len(),
            pairs_seen: self.by_hash.len(),
            packets_copied: copied,
            packets_copied_at_least: (at_least.ceil() as u64).min(copied),
            expected_deviation: left.max(0.0) / counted.max(1) as f64,
            pairs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(f64, u64)]) -> Pairs {
        let mut pairs = Pairs::default();
        for (hash, (deviation, copies)) in list.iter().enumerate() {
            pairs.add(hash as u64, false, *deviation);
            (0..*copies).for_each(|_| pairs.add(hash as u64, true, 0.0));
        }
        pairs
    }

    fn fewest(list: &[(f64, u64)], bound: f64) -> u64 {
        let cost = |set: u32| {
            let inside = |at: &usize| set & 1 << at != 0;
            let left: f64 = (0..list.len()).filter(|at| !inside(at)).map(|at| list[at].0).sum();
            let copies = (0..list.len()).filter(inside).map(|at| list[at].1).sum::<u64>();
            (left <= bound).then_some(copies)
        };
        (0..1 << list.len()).filter_map(cost).min().unwrap()
    }

    #[test]
    fn nothing_is_copied_within_the_bound_and_everything_for_none() {
        let pairs = pairs(&[(1.0, 5), (2.0, 5), (0.0, 9)]);
        let none = pairs.choose(3.0, 1);
        assert_eq!((none.packets_copied, none.pairs_copied, none.expected_deviation), (0, 0, 3.0));
        let all = pairs.choose(0.0, 1);
        assert_eq!((all.packets_copied, all.pairs_copied, all.expected_deviation), (10, 2, 0.0));
        assert_eq!(all.packets_copied_at_least, 10);
    }

    #[test]
    fn the_choice_keeps_the_bound_and_is_near_the_fewest() {
        let list = [(8.0, 3), (1.0, 1), (5.0, 9), (0.5, 2), (4.0, 4), (2.5, 1), (0.1, 30), (3.0, 7)];
        for bound in [0.0, 0.05, 0.2, 1.0, 2.0, 4.0, 7.5, 11.0, 20.0] {
            let (chosen, fewest) = (pairs(&list).choose(bound, 1), fewest(&list, bound));
            assert!(chosen.expected_deviation <= bound + 1e-12, "{bound} {chosen:?}");
            assert!(chosen.packets_copied_at_least <= fewest, "{bound} {fewest} {chosen:?}");
            assert!(chosen.packets_copied <= fewest + 3, "{bound} {fewest} {chosen:?}");
        }
    }
}
