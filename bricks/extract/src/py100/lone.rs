//! Tables whose streams have nothing to do with each other: MI and HH_jit.

use super::arithmetic::Calculator;
use super::names::Names;
use super::sums::{Sums, all_but_lowest, retain};
use crate::damp::RATES;
use legonf_core::prefetch::prefetch;

/// A stream and the time of its last packet.
#[derive(Clone, Copy, Debug)]
struct Stream {
    time: f64,
    sums: Sums,
}

/// What a packet adds to its stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    /// The length of the packet, and its square.
    Length(f64, f64),
    /// The time since the stream's last packet.
    Interval,
}

/// A table of streams, each by the text of its key.
#[derive(Clone, Debug)]
pub(super) struct Lone {
    names: Names,
    streams: Vec<Stream>,
    most: usize,
    evictions: u64,
}

impl Lone {
    /// An empty table of at most `most` streams.
    pub(super) fn new(most: usize, seed: u64) -> Self {
        Self { names: Names::new(seed), streams: Vec::new(), most, evictions: 0 }
    }

    /// Makes room for one more stream. `true` if streams were evicted, so that all were renumbered.
    #[inline(always)]
    pub(super) fn make_room(&mut self) -> bool {
        let full = self.streams.len() >= self.most;
        if full {
            self.evict();
        }
        full
    }

    #[cold]
    fn evict(&mut self) {
        let streams = &self.streams;
        let keep = all_but_lowest(streams.len(), |i| streams[i].sums.rank(streams[i].time));
        self.evictions += keep.iter().filter(|k| !**k).count() as u64;
        self.names.retain(&keep);
        retain(&mut self.streams, &keep);
    }

    /// The stream of this key, made at `now` if there is none.
    pub(super) fn stream(&mut self, key: &[u8], now: f64) -> u32 {
        let id = self.names.intern(key);
        if id as usize == self.streams.len() {
            self.streams.push(Stream { time: now, sums: Sums::EMPTY });
        }
        id
    }

    /// Adds a packet and writes weight, mean and variance of its stream at every rate.
    #[inline(always)]
    pub(super) fn packet(
        &mut self,
        id: u32,
        value: Value,
        now: f64,
        calculator: &mut Calculator,
        out: &mut [f64],
    ) {
        let Stream { time, sums: kept } = &mut self.streams[id as usize];
        let mut sums = kept.wide();
        let (value, square) = match value {
            Value::Length(value, square) => (value, square),
            Value::Interval => {
                let interval = (now - *time).max(0.0);
                (interval, calculator.square(interval))
            }
        };
        sums.advance(time, now, calculator);
        sums.insert(value, square);
        *kept = sums.sums();
        let moments = sums.moments(calculator);
        for (lane, out) in out.as_chunks_mut::<3>().0.iter_mut().take(RATES).enumerate() {
            *out = [sums.weight[lane], moments.mean[lane], moments.var[lane]];
        }
    }

    /// Asks for a stream, if there is one of that number.
    #[inline(always)]
    pub(super) fn prefetch(&self, id: u32) {
        self.streams.get(id as usize).map(prefetch);
    }

    /// Streams evicted so far.
    pub(super) fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.names.bytes() + self.streams.capacity() * size_of::<Stream>()
    }

    /// The most bytes that a table of `most` streams can take.
    pub(super) fn max_bytes(most: usize) -> usize {
        Names::max_bytes(most) + 2 * most.next_power_of_two() * size_of::<Stream>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_never_negative() {
        let mut table = Lone::new(100, 1);
        let mut calculator = Calculator::new();
        let mut out = [0.0; 15];
        let id = table.stream(b"ab", 10.0);
        for (now, weight, sum) in [(10.0, 1.0, 0.0), (9.0, 2.0, 0.0), (10.0, 3.0, 0.0)] {
            table.packet(id, Value::Interval, now, &mut calculator, &mut out);
            assert_eq!((out[0], out[1] * out[0]), (weight, sum));
        }
        table.packet(id, Value::Interval, 10.5, &mut calculator, &mut out);
        assert!((out[13] * out[12] - 0.5).abs() < 1e-15);
    }

    #[test]
    fn the_lightest_streams_make_room() {
        let mut table = Lone::new(64, 1);
        let mut calculator = Calculator::new();
        for i in 0..64_u32 {
            assert!(!table.make_room());
            let id = table.stream(&i.to_le_bytes(), f64::from(i));
            table.packet(id, Value::Length(1.0, 1.0), f64::from(i), &mut calculator, &mut [0.0; 15]);
        }
        assert!(table.make_room() && !table.make_room());
        assert_eq!((table.evictions(), table.stream(&8_u32.to_le_bytes(), 64.0)), (8, 0));
        assert_eq!(table.stream(&7_u32.to_le_bytes(), 64.0), 56);
        assert!(table.bytes() < Lone::max_bytes(64));
    }
}
