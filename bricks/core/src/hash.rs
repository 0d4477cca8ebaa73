//! The seeded hash of stream keys: folded multiplication of 64-bit words.

/// Number of slots into which shard keys are hashed: the unit that moves between replicas.
pub const SLOTS: usize = 4096;

/// Hashes keys of 64-bit words. Equal seeds give equal hashes on every machine.
///
/// Who does not know the seed cannot choose keys that share a slot; so where that matters the seed is a secret.
/// An extractor that bounds its state by slot and the splitter before it need the same seed.
#[derive(Clone, Copy, Debug)]
pub struct Hasher {
    keys: [u64; 3],
}

/// The slot of a shard key's hash: its top 12 bits.
#[inline(always)]
pub const fn slot(hash: u64) -> usize {
    (hash >> 52) as usize
}

/// Whether two keys are equal, without a branch per word.
#[inline(always)]
pub fn same<const N: usize>(a: &[u64; N], b: &[u64; N]) -> bool {
    a.iter().zip(b).fold(0, |differing, (a, b)| differing | (a ^ b)) == 0
}

/// Both halves of the 128-bit product, mixed.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// SplitMix64: the next of a sequence of well-mixed words.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Hasher {
    /// A hasher of this seed.
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self { keys: [0; 3].map(|_: u64| split_mix(&mut state) | 1) }
    }

    /// The hash of three words.
    #[inline(always)]
    pub fn three(&self, [a, b, c]: [u64; 3]) -> u64 {
        let [k0, k1, k2] = self.keys;
        let h = fold(a ^ k0, b ^ k1);
        fold(h ^ c, k2)
    }

    /// The hash of five words.
    #[inline(always)]
    pub fn five(&self, [a, b, c, d, e]: [u64; 5]) -> u64 {
        self.fifth(self.four([a, b, c, d]), e)
    }

    /// What [`fifth`](Self::fifth) needs of the first four of [`five`](Self::five) words.
    #[inline(always)]
    pub fn four(&self, [a, b, c, d]: [u64; 4]) -> u64 {
        let [k0, k1, k2] = self.keys;
        fold(a ^ k0, b ^ k1).wrapping_add(fold(c ^ k1, d ^ k2).rotate_left(29))
    }

    /// The hash of [`five`](Self::five) words of which the first four are known.
    #[inline(always)]
    pub fn fifth(&self, four: u64, e: u64) -> u64 {
        let [k0, k1, k2] = self.keys;
        fold(fold(four ^ e, k2) ^ k0, k1)
    }

    /// The hash of any number of words. Keys of different lengths are not told apart.
    #[inline]
    pub fn words(&self, words: &[u64]) -> u64 {
        let [k0, k1, k2] = self.keys;
        let mix = |h: u64, pair: &[u64]| fold(h ^ pair[0] ^ k0, pair.get(1).copied().unwrap_or(0) ^ k1);
        fold(words.chunks(2).fold(k1, mix) ^ k0, k2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_consecutive_addresses_are_even() {
        let hasher = Hasher::new(1234);
        let mut counts = [0u32; SLOTS];
        for address in 0..SLOTS as u64 * 64 {
            counts[slot(hasher.three([0, address, 2]))] += 1;
        }
        // Poisson with mean 64: five standard deviations on either side hold every slot.
        assert!(counts.iter().all(|c| (24..=110).contains(c)), "{:?}", counts.iter().max());
    }

    #[test]
    fn one_bit_of_input_flips_half_of_the_output() {
        let hasher = Hasher::new(7);
        let key = [0, 0x0a00_0001, 0, 0x0a00_0002, 0x1234_5678];
        let mut flips = 0;
        for bit in 0..320 {
            let mut other = key;
            other[bit / 64] ^= 1 << (bit % 64);
            flips += (hasher.five(key) ^ hasher.five(other)).count_ones();
        }
        assert!((29..=35).contains(&(flips / 320)), "{}", flips / 320);
    }

    #[test]
    fn keys_chosen_for_one_slot_scatter_under_another_seed() {
        let (known, secret) = (Hasher::new(1), Hasher::new(2));
        let hash = |hasher: &Hasher, a: u64| hasher.three([0, a, 2]);
        let chosen: Vec<u64> = (0..1 << 21).filter(|a| slot(hash(&known, *a)) == 7).collect();
        let slots: std::collections::HashSet<usize> =
            chosen.iter().map(|a| slot(hash(&secret, *a))).collect();
        // Some 512 keys over 4,096 slots: 481 different ones are expected.
        assert!(
            chosen.len() > 400 && slots.len() * 10 > chosen.len() * 9,
            "{} {}",
            chosen.len(),
            slots.len()
        );
    }

    #[test]
    fn every_word_counts() {
        let hasher = Hasher::new(7);
        let words = [1, 2, 3, 4, 5];
        for at in 0..words.len() {
            let mut other = words;
            other[at] ^= 1 << 40;
            assert_ne!(hasher.words(&words), hasher.words(&other), "{at}");
        }
        assert_ne!(hasher.words(&[1, 2, 3, 4]), hasher.words(&[3, 4, 1, 2]));
    }

    #[test]
    fn sides_of_a_pair_are_not_interchangeable() {
        let hasher = Hasher::new(7);
        assert_ne!(hasher.five([1, 2, 3, 4, 0]), hasher.five([3, 4, 1, 2, 0]));
        assert_ne!(hasher.three([1, 2, 0]), hasher.three([2, 1, 0]));
    }
}
