//! The Mersenne Twister MT19937 as NumPy's `RandomState` seeds and reads it.

const N: usize = 624;
const M: usize = 397;

/// MT19937, seeded by `init_genrand`.
#[derive(Clone, Debug)]
pub(crate) struct Mt19937 {
    state: [u32; N],
    index: usize,
}

impl Mt19937 {
    /// A generator in the state that `RandomState(seed)` starts from.
    pub(crate) fn new(seed: u32) -> Self {
        let mut state = [0; N];
        state[0] = seed;
        for i in 1..N {
            let previous = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = previous.wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Self { state, index: N }
    }

    fn refill(&mut self) {
        for i in 0..N {
            let word = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let twist = if word & 1 == 0 { 0 } else { 0x9908_b0df };
            self.state[i] = self.state[(i + M) % N] ^ (word >> 1) ^ twist;
        }
        self.index = 0;
    }

    fn next_u32(&mut self) -> u32 {
        if self.index == N {
            self.refill();
        }
        let mut word = self.state[self.index];
        self.index += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// A number in [0, 1) with 53 random bits.
    fn next_unit(&mut self) -> f64 {
        let high = f64::from(self.next_u32() >> 5);
        let low = f64::from(self.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// A whole number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((self.next_unit() * end as f64) as usize).min(end - 1)
    }

    /// A number in [low, high), by `RandomState.uniform`'s formula.
    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next_unit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_published_generator() {
        let mut mt = Mt19937::new(5489);
        assert_eq!([mt.next_u32(), mt.next_u32()], [3_499_211_612, 581_869_302]);
        let last = (2..10_000).map(|_| mt.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    #[test]
    fn units_are_those_of_numpy() {
        // numpy.random.RandomState(1234).random_sample(3)
        let mut mt = Mt19937::new(1234);
        let seen = [mt.next_unit(), mt.next_unit(), mt.next_unit()];
        assert_eq!(seen, [0.191_519_450_378_892_3, 0.622_108_771_039_831_9, 0.437_727_739_007_114_5]);
    }
}
