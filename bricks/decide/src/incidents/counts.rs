//! How many different values there were, and which ones most often, in bounded memory.

use cardinality_estimator::CardinalityEstimator;
use legonf_core::Counted;
use std::hash::DefaultHasher;

/// Values that are kept of those that come most often.
const KEPT: usize = 8;

/// Number of different values, by their hashes: exact up to 128, then within some percent (HyperLogLog with 1,024 registers).
#[derive(Clone, Debug, Default)]
pub(super) struct Distinct(CardinalityEstimator<u64, DefaultHasher, 10, 6>);

impl Distinct {
    pub fn add(&mut self, hash: u64) {
        self.0.insert_hash(hash);
    }

    pub fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    pub fn number(&self) -> u64 {
        self.0.estimate() as u64
    }
}

/// The values that come most often (the space-saving algorithm with eight places).
#[derive(Clone, Debug, Default)]
pub(super) struct Top<T>(Vec<Counted<T>>);

impl<T: Copy + Ord> Top<T> {
    pub fn add(&mut self, value: T, packets: u64) {
        if let Some(known) = self.0.iter_mut().find(|known| known.value == value) {
            known.packets += packets;
        } else if self.0.len() < KEPT {
            self.0.push(Counted { value, packets });
        } else if let Some(least) = self.0.iter_mut().min_by_key(|known| (known.packets, known.value)) {
            *least = Counted { value, packets: least.packets + packets };
        }
    }

    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|known| self.add(known.value, known.packets));
    }

    /// Those with most packets, the most first; equal ones by value.
    pub fn ranked(&self, most: usize) -> Vec<Counted<T>> {
        let mut ranked = self.0.clone();
        ranked.sort_unstable_by(|a, b| b.packets.cmp(&a.packets).then(a.value.cmp(&b.value)));
        ranked.truncate(most);
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Hasher;

    #[test]
    fn different_values_are_counted_exactly_while_they_are_few() {
        let hasher = Hasher::new(7);
        let of = |values: std::ops::Range<u64>| {
            let mut distinct = Distinct::default();
            values.flat_map(|value| [value; 3]).for_each(|value| distinct.add(hasher.three([value, 0, 0])));
            distinct
        };
        assert_eq!([0, 1, 2, 100, 128].map(|most| of(0..most).number()), [0, 1, 2, 100, 128]);
        let many = of(0..5_300).number();
        assert!((4_900..5_700).contains(&many), "{many}");
        let mut merged = of(0..60);
        merged.merge(&of(40..100));
        assert_eq!(merged.number(), 100);
    }

    #[test]
    fn what_comes_most_often_is_kept() {
        let mut top = Top::default();
        for value in 0..1_000_u16 {
            top.add(if value % 2 == 0 { 23 } else { 1_000 + value }, 1);
        }
        assert_eq!(top.ranked(1), [Counted { value: 23, packets: 500 }]);
        let mut few = Top::default();
        [(80_u16, 2), (22, 5), (23, 5), (80, 1)]
            .into_iter()
            .for_each(|(value, packets)| few.add(value, packets));
        let ranked: Vec<_> = few.ranked(9).iter().map(|known| (known.value, known.packets)).collect();
        assert_eq!(ranked, [(22, 5), (23, 5), (80, 3)]);
    }
}
