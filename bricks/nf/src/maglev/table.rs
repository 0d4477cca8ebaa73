//! Consistent hashing, by Maglev's lookup tables.

use legonf_core::Hasher;

/// The seeds of the two hashes of a name.
const SEEDS: [u64; 2] = [0x6d61_676c, 0x6576];

/// When a back end is down, by packet numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    pub backend: usize,
    pub from: u64,
    pub to: u64,
}

/// A lookup table for each span in which the same back ends are up.
#[derive(Clone, Debug)]
pub(super) struct Tables(Vec<Span>);

#[derive(Clone, Debug)]
struct Span {
    /// The number of its first packet.
    from: u64,
    up: Vec<bool>,
    /// The back end of each entry; none where no back end is up.
    entries: Vec<u16>,
}

impl Tables {
    pub fn new(names: &[&str], entries: u32, outages: &[Outage]) -> Self {
        let mut starts: Vec<u64> =
            outages.iter().flat_map(|outage| [outage.from, outage.to]).chain([0]).collect();
        starts.sort_unstable();
        starts.dedup();
        let span = |from: u64| {
            let is_down = |at: usize| {
                outages.iter().any(|outage| outage.backend == at && (outage.from..outage.to).contains(&from))
            };
            let up: Vec<bool> = (0..names.len()).map(|at| !is_down(at)).collect();
            Span { from, entries: populate(names, &up, entries), up }
        };
        Self(starts.into_iter().map(span).collect())
    }

    /// The span of a packet.
    #[inline]
    fn at(&self, seq: u64) -> &Span {
        let behind = self.0.partition_point(|span| span.from <= seq);
        &self.0[behind.saturating_sub(1)]
    }

    /// Whether a back end gets a packet.
    #[inline]
    pub fn is_up(&self, backend: u16, seq: u64) -> bool {
        self.at(seq).up.get(usize::from(backend)).copied().unwrap_or(false)
    }

    /// The back end for a flow that begins with a packet.
    pub fn choose(&self, hash: u64, seq: u64) -> Option<u16> {
        let entries = &self.at(seq).entries;
        let place = hash.checked_rem(entries.len() as u64)?;
        Some(entries[place as usize])
    }
}

/// Lets the back ends that are up take entries in turn, each by its own permutation (Maglev, pseudocode 1).
fn populate(names: &[&str], up: &[bool], entries: u32) -> Vec<u16> {
    let size = u64::from(entries);
    let [first, second] = SEEDS.map(Hasher::new);
    let words = |name: &str| -> Vec<u64> {
        let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        name.as_bytes().chunks(8).map(word).chain([name.len() as u64]).collect()
    };
    let mut turns: Vec<(u16, u64, u64)> = Vec::new();
    for (at, name) in names.iter().enumerate().filter(|(at, _)| up[*at]) {
        let words = words(name);
        turns.push((at as u16, first.words(&words) % size, second.words(&words) % (size - 1) + 1));
    }
    if turns.is_empty() {
        return Vec::new();
    }
    let mut table = vec![u16::MAX; entries as usize];
    let mut filled = 0;
    loop {
        for (backend, next, skip) in &mut turns {
            while table[*next as usize] != u16::MAX {
                *next = (*next + *skip) % size;
            }
            table[*next as usize] = *backend;
            filled += 1;
            if filled == entries {
                return table;
            }
        }
    }
}

pub(super) fn is_prime(number: u32) -> bool {
    let divides = |divisor: u32| number.is_multiple_of(divisor);
    number > 1 && !(2..).take_while(|divisor| divisor * divisor <= number).any(divides)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

    #[test]
    fn entries_are_even_and_few_change_when_a_back_end_fails() {
        let tables = Tables::new(&NAMES, 10_007, &[Outage { backend: 2, from: 10, to: 20 }]);
        assert_eq!(tables.0.iter().map(|span| span.from).collect::<Vec<_>>(), [0, 10, 20]);
        let count = |span: &Span, of: u16| span.entries.iter().filter(|entry| **entry == of).count();
        let [before, down, again] = &tables.0[..] else { panic!("three spans") };
        for backend in 0..5 {
            assert!((2001..=2002).contains(&count(before, backend)), "{}", count(before, backend));
        }
        assert_eq!((count(down, 2), before.entries == again.entries), (0, true));
        let moved =
            before.entries.iter().zip(&down.entries).filter(|(was, is)| **was != 2 && was != is).count();
        // Of the entries of other back ends few move (Maglev, figure 12).
        assert!(moved < 10_007 / 20, "{moved}");
        assert!(tables.is_up(2, 9) && !tables.is_up(2, 10) && !tables.is_up(2, 19) && tables.is_up(2, 20));
        assert!(!tables.is_up(5, 0));
    }

    #[test]
    fn without_a_back_end_there_is_no_choice() {
        let tables = Tables::new(&["a"], 101, &[Outage { backend: 0, from: 5, to: u64::MAX }]);
        assert_eq!((tables.choose(7, 4), tables.choose(7, 5)), (Some(0), None));
    }

    #[test]
    fn primes_are_told() {
        assert!([2, 3, 101, 65_537, 655_373].into_iter().all(is_prime));
        assert!(![0, 1, 4, 65_536, 65_539 * 3].into_iter().any(is_prime));
    }
}
