//! A channel with the times between its packets: a record of HH and HH_jit.

use super::channel::{Channel, Gaps};
use super::keys::{Flow, PairKey};
use super::source::advance;
use super::sums::{Addend, Loaded, Sums};
use super::{Packet, Rules};
use crate::damp::{Asking, Damp, Factor};
use crate::hash::Hasher;
use crate::state::{self, Reader, StateError};
use crate::table::{Place, Record};
use crate::vector::Vector;

/// Two hosts' channel and the jitter of either direction.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Link {
    pub(crate) channel: Channel,
    /// Each direction's, with the time to which they are decayed: that of its latest packet.
    jitter: [Sums; 2],
}

/// What one packet contributes to its direction's jitter.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Jitter {
    /// Seconds since the direction's packet before.
    pub(crate) interval: f64,
    /// Decay of the direction's jitter sums.
    pub(crate) decay: Factor,
}

impl Link {
    /// The first interval of a direction that sends at `time`, and the clock after it. A direction that has not
    /// sent counts as last seen at the epoch, so that its first interval is the epoch time itself; the clean variant
    /// makes it 0.
    #[inline]
    pub(crate) fn first_interval(time: f64, rules: Rules) -> (f64, f64) {
        let mut clock = if rules.clean { time } else { 0.0 };
        let gap = advance(&mut clock, time);
        (gap.max(0.0), clock)
    }

    /// Notes a packet's time and asks for the factors that it needs.
    #[inline(always)]
    pub(crate) fn tick(
        &mut self,
        flow: Flow,
        time: f64,
        rules: Rules,
        factors: &mut Asking<'_>,
        near: &Gaps,
    ) -> (Gaps, Jitter) {
        let own = flow.own as usize & 1;
        let is_first = !self.channel.has_seen(own);
        let mut gaps = self.channel.tick(flow, time, rules, factors, near);
        if is_first {
            let (interval, clock) = Self::first_interval(time, rules);
            self.jitter[own].set_spare(clock);
            return (gaps, Jitter { interval, decay: Factor::ONE });
        }
        let mut clock = self.jitter[own].spare();
        let gap = advance(&mut clock, time);
        self.jitter[own].set_spare(clock);
        gaps.jitter = factors.push(gap, [gaps.sums, gaps.products, near.jitter]);
        (gaps, Jitter { interval: gap.max(0.0), decay: gaps.jitter.factor })
    }

    /// Adds an interval; returns the direction's jitter sums.
    #[inline(always)]
    pub(crate) fn insert<V: Vector>(&mut self, flow: Flow, interval: &Addend<V>, damp: &Damp) -> Loaded<V> {
        self.jitter[flow.own as usize & 1].insert(damp, interval)
    }
}

impl Record for Link {
    type Key = PairKey;
    type Packet = Packet;
    type Rules = Rules;

    fn seed(key: &PairKey, packet: &Packet) -> Self {
        Self { channel: Channel::seed(key, packet), jitter: [Sums::default(); 2] }
    }

    #[inline]
    fn sow(&mut self, key: &PairKey, packet: &Packet) {
        self.channel.sow(key, packet);
    }

    fn grow(&mut self, rules: Rules) {
        let first = self.channel.first();
        let own = first.flow.own as usize & 1;
        let (interval, clock) = Self::first_interval(first.time, rules);
        self.channel.grow(rules);
        self.jitter = [Sums::default(); 2];
        self.jitter[own] = Sums::first(interval, clock);
    }

    #[inline]
    fn is_grown(&self) -> bool {
        self.channel.is_grown()
    }

    #[inline]
    fn key(&self) -> &PairKey {
        self.channel.key()
    }

    #[inline(always)]
    fn is(&self, key: &PairKey) -> bool {
        self.channel.is(key)
    }

    #[inline]
    fn hash(key: &PairKey, hasher: &Hasher) -> u64 {
        hasher.five(*key)
    }

    #[inline]
    fn expiry(&self) -> i64 {
        self.channel.expiry()
    }

    #[inline]
    fn place(&self) -> &Place {
        self.channel.place()
    }

    #[inline]
    fn place_mut(&mut self) -> &mut Place {
        self.channel.place_mut()
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.channel.write(out);
        if self.is_grown() {
            self.jitter.iter().for_each(|sums| sums.write(out));
            state::put(out, &self.jitter.map(|sums| sums.spare()));
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, StateError> {
        let channel = Channel::read(reader)?;
        let mut link = Self { channel, jitter: [Sums::default(); 2] };
        if link.is_grown() {
            link.jitter = [Sums::read(reader)?, Sums::read(reader)?];
            let clocks: [f64; 2] = reader.numbers()?;
            link.jitter.iter_mut().zip(clocks).for_each(|(sums, clock)| sums.set_spare(clock));
        }
        Ok(link)
    }
}
