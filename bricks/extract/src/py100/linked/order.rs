//! Putting events in order.

/// The most words that are looked through for each event: beyond that a sort of few events takes less time.
const SPARSE: usize = 4;

/// Sorts events by a bit for each event of the log that may be among them.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// All zero between two calls.
    words: Vec<u64>,
}

impl Order {
    /// Sorts distinct events, all of them behind event `after`, up to and with event `last`.
    #[inline]
    pub(super) fn sort(&mut self, events: &mut [u32], after: u32, last: u32) {
        let words = (last - after).div_ceil(64) as usize;
        if words > SPARSE * events.len() {
            return events.sort_unstable();
        }
        self.words.resize(self.words.len().max(words), 0);
        for event in events.iter() {
            let bit = event - after - 1;
            self.words[bit as usize / 64] |= 1 << (bit % 64);
        }
        let mut sorted = events.iter_mut();
        for (word, first) in self.words[..words].iter_mut().zip((after + 1..).step_by(64)) {
            let mut bits = std::mem::take(word);
            while bits != 0 {
                sorted.next().into_iter().for_each(|event| *event = first + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    /// The most bytes that it takes for a log of `most` events.
    pub(super) fn max_bytes(most: usize) -> usize {
        2 * (most / 64 + 1).next_power_of_two() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn events_are_sorted(
            after in 0..1000u32, steps in prop::collection::hash_set(1..3000u32, 0..400), behind in 0..100_000u32,
        ) {
            let mut order = Order::default();
            for more in [behind, 0, behind / 7] {
                let mut events: Vec<u32> = steps.iter().map(|step| after + step).collect();
                let mut expected = events.clone();
                expected.sort_unstable();
                let last = expected.last().copied().unwrap_or(after) + more;
                order.sort(&mut events, after, last);
                prop_assert_eq!(events, expected);
                prop_assert!(order.words.iter().all(|word| *word == 0));
                prop_assert!(order.bytes() <= Order::max_bytes((after + 3000 + behind) as usize));
            }
        }
    }
}
