//! A channel with the times between its packets: a record of HH and HH_jit.

use super::channel::Channel;
use super::keys::{Flow, PairKey};
use super::source::advance;
use super::sums::{self, Sums};
use super::{Packet, Rules};
use crate::damp::{Factor, Factors};
use crate::hash::Hasher;
use crate::state::{self, Reader, StateError};
use crate::table::{Place, Record};

/// Two hosts' channel and the jitter of either direction.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Link {
    pub(crate) channel: Channel,
    jitter: [Sums; 2],
    /// Time to which each direction's jitter sums are decayed: that of its latest packet.
    jitter_time: [f64; 2],
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

    /// Notes a packet's time in the jitter clock. Comes before the channel's own tick.
    #[inline]
    pub(crate) fn tick(&mut self, flow: Flow, time: f64, rules: Rules, factors: &mut Factors) -> Jitter {
        let own = flow.own as usize & 1;
        if !self.channel.has_seen(own) {
            let (interval, clock) = Self::first_interval(time, rules);
            self.jitter_time[own] = clock;
            return Jitter { interval, decay: Factor::ONE };
        }
        let gap = advance(&mut self.jitter_time[own], time);
        let decay = if rules.fast { Factor::ONE } else { factors.push(gap) };
        Jitter { interval: gap.max(0.0), decay }
    }

    /// Adds an interval; returns the direction's jitter sums.
    #[inline(always)]
    pub(crate) fn insert(&mut self, flow: Flow, jitter: &Jitter, factors: &Factors) -> &Sums {
        let own = &mut self.jitter[flow.own as usize & 1];
        sums::insert(own, factors.get(jitter.decay), jitter.interval);
        own
    }

    /// Adds an interval with the channel's own factor, which decays both directions.
    #[inline(always)]
    pub(crate) fn insert_fast(
        &mut self,
        flow: Flow,
        interval: f64,
        channel: Factor,
        factors: &Factors,
    ) -> &Sums {
        let (own, other) = (flow.own as usize & 1, flow.other as usize & 1);
        if own != other {
            sums::decay(&mut self.jitter[other], factors.get(channel));
        }
        sums::insert(&mut self.jitter[own], factors.get(channel), interval);
        &self.jitter[own]
    }
}

impl Record for Link {
    type Key = PairKey;
    type Packet = Packet;
    type Rules = Rules;

    fn seed(key: &PairKey, packet: &Packet) -> Self {
        Self { channel: Channel::seed(key, packet), jitter: [[0.0; 15]; 2], jitter_time: [0.0; 2] }
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
        self.jitter = [[0.0; 15]; 2];
        self.jitter[own] = sums::first(interval);
        self.jitter_time = [0.0; 2];
        self.jitter_time[own] = clock;
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
            state::put(out, self.jitter.as_flattened());
            state::put(out, &self.jitter_time);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, StateError> {
        let channel = Channel::read(reader)?;
        let mut link = Self { channel, jitter: [[0.0; 15]; 2], jitter_time: [0.0; 2] };
        if link.is_grown() {
            link.jitter = [reader.numbers()?, reader.numbers()?];
            link.jitter_time = reader.numbers()?;
        }
        Ok(link)
    }
}
