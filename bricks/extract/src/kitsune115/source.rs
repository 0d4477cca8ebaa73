//! The stream of a source: a record of MI or of H.

use super::keys::{Flow, SourceKey};
use super::sums::{Addend, Loaded, Sums};
use super::{Packet, Rules};
use crate::damp::{Damp, expiry, expiry_of_one};
use crate::hash::{Hasher, same};
use crate::state::{self, Reader, StateError};
use crate::table::{Place, Record};
use crate::vector::Vector;

/// One directed stream of packet lengths. What comes before the sums is the seed.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Source {
    key: SourceKey,
    /// Time to which the sums are decayed.
    time: f64,
    place: Place,
    /// Bytes of the first packet.
    length: u32,
    is_grown: bool,
    sums: Sums,
}

impl Source {
    /// Advances to `time` and returns how far.
    #[inline]
    pub(crate) fn tick(&mut self, time: f64) -> f64 {
        advance(&mut self.time, time)
    }

    /// Adds a value after decay; returns the sums.
    #[inline(always)]
    pub(crate) fn insert<V: Vector>(&mut self, value: &Addend<V>, damp: &Damp) -> Loaded<V> {
        self.sums.insert(damp, value)
    }
}

/// Moves a clock forward to `time`, never backward, and returns the gap, which may be negative.
#[inline(always)]
pub(crate) fn advance(clock: &mut f64, time: f64) -> f64 {
    let gap = time - *clock;
    *clock = if time > *clock { time } else { *clock };
    gap
}

impl Record for Source {
    type Key = SourceKey;
    type Packet = Packet;
    type Rules = Rules;

    fn seed(key: &SourceKey, packet: &Packet) -> Self {
        let Packet { time, length, .. } = *packet;
        Self { key: *key, time, place: Place::default(), length, is_grown: false, sums: Sums::default() }
    }

    #[inline]
    fn sow(&mut self, key: &SourceKey, packet: &Packet) {
        self.key = *key;
        self.time = packet.time;
        self.length = packet.length;
        self.is_grown = false;
    }

    fn grow(&mut self, _: Rules) {
        self.sums = Sums::first(f64::from(self.length), 0.0);
        self.is_grown = true;
    }

    #[inline]
    fn is_grown(&self) -> bool {
        self.is_grown
    }

    #[inline]
    fn key(&self) -> &SourceKey {
        &self.key
    }

    #[inline(always)]
    fn is(&self, key: &SourceKey) -> bool {
        same(&self.key, key)
    }

    #[inline]
    fn hash(key: &SourceKey, hasher: &Hasher) -> u64 {
        hasher.three(*key)
    }

    #[inline]
    fn expiry(&self) -> i64 {
        if self.is_grown { expiry(self.time, self.sums.slowest()) } else { expiry_of_one(self.time) }
    }

    #[inline]
    fn place(&self) -> &Place {
        &self.place
    }

    #[inline]
    fn place_mut(&mut self) -> &mut Place {
        &mut self.place
    }

    fn write(&self, out: &mut Vec<u8>) {
        state::put_words(out, &self.key);
        state::put(out, &[self.time]);
        out.extend(self.length.to_le_bytes());
        out.push(self.is_grown.into());
        if self.is_grown {
            self.sums.write(out);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, StateError> {
        let (key, [time], length) = (reader.words()?, reader.numbers()?, reader.u32()?);
        let mut source = Self::seed(&key, &Packet { time, length, flow: Flow::default() });
        if reader.flag()? {
            source.is_grown = true;
            source.sums = Sums::read(reader)?;
        }
        Ok(source)
    }
}
