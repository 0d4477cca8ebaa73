//! Two opposite streams and what they share: a record of HH or of HpHp (kitsune-115.md §4, §5).

use super::keys::{Flow, PairKey};
use super::source::advance;
use super::statistics::{PairSums, moments};
use super::sums::{Addend, Loaded, Sums, read_rates};
use super::{Packet, Rules};
use crate::damp::{Asking, Factor, Factors, Gap, QUICKER, Quick, expiry, expiry_of_one};
use crate::hash::{Hasher, same};
use crate::state::{self, Reader, StateError};
use crate::table::{Place, Record};
use crate::vector::Vector;

/// Both directions of a pair, and their covariance.
///
/// Either direction's packet brings both to its time, so they share one clock. What comes before `odd` is the seed,
/// one cache line.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Channel {
    key: PairKey,
    /// Time to which the sums of both directions are decayed.
    time: f64,
    place: Place,
    /// Bytes of the first packet.
    length: u32,
    /// Direction of the first packet.
    flow: Flow,
    /// Whether the number of packets so far is odd.
    is_odd: bool,
    is_grown: bool,
    /// Time of the newest packet with an odd number, counted from 0.
    odd: f64,
    /// Time of each direction's newest packet; NaN before the first.
    seen: [f64; 2],
    /// Damped sum of residual products at the slowest rate.
    slow_products: f64,
    /// At the quicker ones.
    products: Quick,
    /// Each direction's newest residual.
    residuals: [Quick; 2],
    /// Each direction's, with its newest residual at the slowest rate.
    sums: [Sums; 2],
}

/// Gaps over which one packet's streams decay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gaps {
    /// Of the sums of both directions.
    pub(crate) sums: Gap,
    /// Of the opposite direction's residual.
    pub(crate) residual: Gap,
    /// Of the sum of products.
    pub(crate) products: Gap,
    /// Of the direction's jitter, or since the source's packet before.
    pub(crate) jitter: Gap,
    /// Whether the sum of products decays twice.
    is_twice: bool,
}

impl Gaps {
    /// None but the one since the source's packet before.
    pub(crate) const fn of_source(jitter: Gap) -> Self {
        Self { sums: Gap::NONE, residual: Gap::NONE, products: Gap::NONE, jitter, is_twice: false }
    }

    /// Their factors.
    #[inline(always)]
    pub(crate) fn decay(&self) -> Decay {
        let products = self.products.factor;
        let products = [products, if self.is_twice { products } else { Factor::ONE }];
        Decay { sums: self.sums.factor, products, residual: self.residual.factor }
    }
}

/// Decay factors for one packet of a channel.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Decay {
    /// Of the sums of both directions.
    pub(crate) sums: Factor,
    /// Of the sum of products, in this order.
    products: [Factor; 2],
    /// Of the opposite direction's residual.
    residual: Factor,
}

impl Channel {
    /// Whether this direction has sent a packet.
    #[inline]
    pub(crate) fn has_seen(&self, direction: usize) -> bool {
        !self.seen[direction & 1].is_nan()
    }

    /// What the seed says of the first packet.
    pub(crate) fn first(&self) -> Packet {
        Packet { time: self.time, length: self.length, flow: self.flow }
    }

    /// Notes a packet's time and asks for the factors that it needs; gaps of streams that are `near` may be the same.
    ///
    /// The published decay of the sum of products depends on the parity of the packet's number: that of the packet before
    /// an even one is odd, so that either decays since the newest odd one. Where the opposite
    /// direction has sent nothing there is no product and no residual to decay.
    #[inline(always)]
    pub(crate) fn tick(
        &mut self,
        flow: Flow,
        time: f64,
        rules: Rules,
        factors: &mut Asking<'_>,
        near: &Gaps,
    ) -> Gaps {
        let (own, other) = (flow.own as usize & 1, flow.other as usize & 1);
        let sums = factors.push(advance(&mut self.time, time), [near.sums, near.jitter]);
        let is_twice = !self.is_odd && !rules.clean;
        let age = time - self.seen[other];
        let residual = factors.push(age, [sums, near.residual, near.jitter]);
        let mut gaps = Gaps { sums, residual, products: sums, jitter: Gap::NONE, is_twice };
        if !rules.clean {
            let before = if age.is_nan() { time } else { self.odd };
            gaps.products = factors.push(time - before, [sums, gaps.residual, near.products, near.jitter]);
        }
        self.odd = choose(self.is_odd, time, self.odd);
        self.is_odd = !self.is_odd;
        self.seen[own] = time;
        gaps
    }

    /// Adds a packet of `value` bytes; returns what it leaves for the statistics.
    #[inline(always)]
    pub(crate) fn insert<V: Vector>(
        &mut self,
        flow: Flow,
        value: &Addend<V>,
        decay: &Decay,
        factors: &Factors,
    ) -> PairSums<V> {
        let (own, other) = (flow.own as usize & 1, flow.other as usize & 1);
        let damp = factors.get(decay.sums);
        let mut opposite = Loaded::nothing();
        if other != own {
            opposite = self.sums[other].decay::<V>(damp);
        }
        let sums = self.sums[own].load::<V>().decayed(damp).plus(value);
        let [mean, var] = moments::<V>(sums.weights, sums.sums, sums.squares);
        let products = self.correlate::<V>([own, other], value.value - mean, decay, factors);
        let residual = value.value.first_two()[0] - sums.slow_mean();
        let slow_products = self.correlate_slow(other, residual, decay, factors);
        self.sums[own].store(&sums.with_spare(residual));
        let sums = sums.with_spare(slow_products);
        PairSums {
            own: sums,
            moments: [mean, var],
            other: if other == own { sums } else { opposite },
            products,
        }
    }

    /// Takes in a residual at the quicker rates and returns the sum of products.
    #[inline(always)]
    fn correlate<V: Vector>(
        &mut self,
        [own, other]: [usize; 2],
        residual: V,
        decay: &Decay,
        factors: &Factors,
    ) -> V {
        let [first, second] = decay.products;
        let [first, second] = [V::load(&factors.get(first).quick), V::load(&factors.get(second).quick)];
        let damped = V::load(&self.residuals[other]) * V::load(&factors.get(decay.residual).quick);
        let products = V::load(&self.products) * first * second + residual * damped;
        products.store(&mut self.products);
        residual.store(&mut self.residuals[own]);
        products
    }

    /// [`correlate`](Self::correlate) at the slowest rate, but that the residual is not kept.
    #[inline(always)]
    fn correlate_slow(&mut self, other: usize, residual: f64, decay: &Decay, factors: &Factors) -> f64 {
        let slow = |factor| factors.get(factor).slow[0];
        let [first, second] = [slow(decay.products[0]), slow(decay.products[1])];
        let damped = self.sums[other].spare() * slow(decay.residual);
        self.slow_products = self.slow_products * first * second + residual * damped;
        self.slow_products
    }
}

/// The first of two numbers if `is_first`, else the second. Without a branch: parities cannot be foreseen.
#[inline(always)]
fn choose(is_first: bool, first: f64, second: f64) -> f64 {
    let mask = u64::from(is_first).wrapping_neg();
    f64::from_bits(second.to_bits() ^ (first.to_bits() ^ second.to_bits()) & mask)
}

impl Record for Channel {
    type Key = PairKey;
    type Packet = Packet;
    type Rules = Rules;

    fn seed(key: &PairKey, packet: &Packet) -> Self {
        let mut channel = Self {
            key: *key,
            time: 0.0,
            place: Place::default(),
            length: 0,
            flow: Flow::default(),
            is_odd: false,
            is_grown: false,
            odd: 0.0,
            seen: [0.0; 2],
            slow_products: 0.0,
            products: [0.0; QUICKER],
            residuals: [[0.0; QUICKER]; 2],
            sums: [Sums::default(); 2],
        };
        channel.sow(key, packet);
        channel
    }

    #[inline]
    fn sow(&mut self, key: &PairKey, packet: &Packet) {
        self.key = *key;
        self.time = packet.time;
        self.length = packet.length;
        self.flow = packet.flow;
        self.is_odd = true;
        self.is_grown = false;
    }

    fn grow(&mut self, _: Rules) {
        let own = self.flow.own as usize & 1;
        self.odd = self.time;
        self.seen = [f64::NAN; 2];
        self.seen[own] = self.time;
        (self.products, self.slow_products) = ([0.0; QUICKER], 0.0);
        self.residuals = [[0.0; QUICKER]; 2];
        self.sums = [Sums::default(); 2];
        self.sums[own] = Sums::first(f64::from(self.length), 0.0);
        self.is_grown = true;
    }

    #[inline]
    fn is_grown(&self) -> bool {
        self.is_grown
    }

    #[inline]
    fn key(&self) -> &PairKey {
        &self.key
    }

    #[inline(always)]
    fn is(&self, key: &PairKey) -> bool {
        same(&self.key, key)
    }

    #[inline]
    fn hash(key: &PairKey, hasher: &Hasher) -> u64 {
        hasher.five(*key)
    }

    #[inline]
    fn expiry(&self) -> i64 {
        if !self.is_grown {
            return expiry_of_one(self.time);
        }
        expiry(self.time, self.sums[0].slowest() + self.sums[1].slowest())
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
        out.extend([self.flow.own, self.flow.other, self.is_odd.into(), self.is_grown.into()]);
        if self.is_grown {
            state::put(out, &[self.odd]);
            state::put_words(out, &self.seen.map(f64::to_bits));
            state::put(out, &self.products);
            state::put(out, &[self.slow_products]);
            for (residual, sums) in self.residuals.iter().zip(&self.sums) {
                state::put(out, residual);
                state::put(out, &[sums.spare()]);
            }
            self.sums.iter().for_each(|sums| sums.write(out));
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, StateError> {
        let (key, [time], length) = (reader.words()?, reader.numbers()?, reader.u32()?);
        let flow = Flow { own: reader.flag()?.into(), other: reader.flag()?.into() };
        let mut channel = Self::seed(&key, &Packet { time, length, flow });
        channel.is_odd = reader.flag()?;
        channel.is_grown = reader.flag()?;
        if channel.is_grown {
            [channel.odd] = reader.numbers()?;
            channel.seen = reader.words()?.map(f64::from_bits);
            if channel.seen.iter().any(|seen| seen.is_infinite()) {
                return Err(StateError::Damaged("a time is infinite"));
            }
            (channel.products, channel.slow_products) = read_rates(reader)?;
            let residuals = [read_rates(reader)?, read_rates(reader)?];
            channel.sums = [Sums::read(reader)?, Sums::read(reader)?];
            for (direction, (residual, slow)) in residuals.into_iter().enumerate() {
                channel.residuals[direction] = residual;
                channel.sums[direction].set_spare(slow);
            }
        }
        Ok(channel)
    }
}
