//! Two opposite streams and what they share: a record of HH or of HpHp (kitsune-115.md §4, §5).

use super::keys::{Flow, PairKey};
use super::source::advance;
use super::sums::{self, PerRate, Sums, slowest};
use super::{Packet, Rules};
use crate::damp::{Factor, Factors, RATES, expiry, expiry_of_one};
use crate::hash::{Hasher, same};
use crate::state::{self, Reader, StateError};
use crate::table::{Place, Record};

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
    /// Direction of the newest packet.
    newest: Flow,
    /// Whether the number of packets so far is odd.
    is_odd: bool,
    is_grown: bool,
    /// Time of the newest packet with an odd number, counted from 0.
    odd: f64,
    /// Time of each direction's newest packet, and residual; NaN before the first.
    seen: [f64; 2],
    /// Damped sum of residual products.
    products: PerRate,
    /// Each direction's newest residual.
    residuals: [PerRate; 2],
    sums: [Sums; 2],
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

/// What one packet leaves of its channel for the statistics.
pub(crate) struct Outcome<'a> {
    pub(crate) own: &'a Sums,
    pub(crate) other: &'a Sums,
    pub(crate) mean: PerRate,
    pub(crate) products: PerRate,
}

impl<'a> Outcome<'a> {
    /// What the first packet of a channel leaves, if `own` are [the sums](sums::first) of that packet alone.
    #[inline(always)]
    pub(crate) fn first(flow: Flow, own: &'a Sums) -> Self {
        const NOTHING: &Sums = &[0.0; 15];
        let other = if flow.own == flow.other { own } else { NOTHING };
        Self { own, other, mean: *sums::part(own, 1), products: [0.0; RATES] }
    }
}

impl Channel {
    /// Whether this direction has sent a packet.
    #[inline]
    pub(crate) fn has_seen(&self, direction: usize) -> bool {
        !self.seen[direction & 1].is_nan()
    }

    /// What the seed says of the first packet.
    pub(crate) fn first(&self) -> Packet {
        Packet { time: self.time, length: self.length, flow: self.newest }
    }

    /// Notes a packet's time and asks for the factors that it needs.
    #[inline]
    pub(crate) fn tick(&mut self, flow: Flow, time: f64, rules: Rules, factors: &mut Factors) -> Decay {
        let (own, other) = (flow.own as usize, flow.other as usize);
        let sums = factors.push(advance(&mut self.time, time));
        let mut decay = Decay { sums, products: [Factor::ONE; 2], residual: Factor::ONE };
        if self.has_seen(other) {
            decay.products = self.product_decay(time, sums, rules, factors);
            let age = time - self.seen[other & 1];
            decay.residual = if rules.fast { sums } else { factors.push(age) };
        }
        if self.is_odd {
            self.odd = time;
        }
        self.is_odd = !self.is_odd;
        self.newest = flow;
        self.seen[own & 1] = time;
        decay
    }

    /// The published decay of the sum of products depends on the parity of the packet's number.
    #[inline]
    fn product_decay(&self, time: f64, sums: Factor, rules: Rules, factors: &mut Factors) -> [Factor; 2] {
        match (rules.clean, rules.fast, self.is_odd) {
            (true, _, _) | (_, true, true) => [sums, Factor::ONE],
            (_, true, false) => [sums, sums],
            (_, _, true) => [factors.push(time - self.odd), Factor::ONE],
            (_, _, false) => [factors.push(time - self.seen[self.newest.own as usize & 1]); 2],
        }
    }

    /// Adds a packet of `value` bytes.
    #[inline(always)]
    pub(crate) fn insert(
        &mut self,
        flow: Flow,
        value: f64,
        decay: &Decay,
        factors: &Factors,
        rules: Rules,
    ) -> Outcome<'_> {
        let (own, other) = (flow.own as usize & 1, flow.other as usize & 1);
        let damp = factors.get(decay.sums);
        if other != own {
            sums::decay(&mut self.sums[other], damp);
        }
        sums::insert(&mut self.sums[own], damp, value);
        let mean = ratio(sums::part(&self.sums[own], 1), sums::part(&self.sums[own], 0));
        let mut residual = [value; RATES];
        for k in 0..RATES {
            residual[k] -= mean[k];
        }
        let products = self.correlate(own, other, residual, decay, factors, rules);
        Outcome { own: &self.sums[own], other: &self.sums[other], mean, products }
    }

    /// Takes in a residual and returns the sum of products.
    ///
    /// Fast arithmetic decays with the channel's one factor: the opposite residual at every packet, and the sum of
    /// products, after an even packet, by the part that the next odd one owes.
    #[inline(always)]
    fn correlate(
        &mut self,
        own: usize,
        other: usize,
        residual: PerRate,
        decay: &Decay,
        factors: &Factors,
        rules: Rules,
    ) -> PerRate {
        let (first, second) = (factors.get(decay.products[0]), factors.get(decay.products[1]));
        let damp = factors.get(decay.residual);
        let mut damped = [0.0; RATES];
        for k in 0..RATES {
            damped[k] = self.residuals[other][k] * damp[k];
            self.products[k] = self.products[k] * first[k] * second[k] + residual[k] * damped[k];
        }
        let products = self.products;
        if rules.fast {
            self.residuals[other] = damped;
            self.products.iter_mut().zip(second).for_each(|(product, factor)| *product *= factor);
        }
        self.residuals[own] = residual;
        products
    }
}

#[inline(always)]
fn ratio(a: &PerRate, b: &PerRate) -> PerRate {
    let mut quotient = [0.0; RATES];
    for k in 0..RATES {
        quotient[k] = a[k] / b[k];
    }
    quotient
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
            newest: Flow::default(),
            is_odd: false,
            is_grown: false,
            odd: 0.0,
            seen: [0.0; 2],
            products: [0.0; RATES],
            residuals: [[0.0; RATES]; 2],
            sums: [[0.0; 15]; 2],
        };
        channel.sow(key, packet);
        channel
    }

    #[inline]
    fn sow(&mut self, key: &PairKey, packet: &Packet) {
        self.key = *key;
        self.time = packet.time;
        self.length = packet.length;
        self.newest = packet.flow;
        self.is_odd = true;
        self.is_grown = false;
    }

    fn grow(&mut self, _: Rules) {
        let own = self.newest.own as usize & 1;
        self.odd = self.time;
        self.seen = [f64::NAN; 2];
        self.seen[own] = self.time;
        self.products = [0.0; RATES];
        self.residuals = [[0.0; RATES]; 2];
        self.sums = [[0.0; 15]; 2];
        self.sums[own] = sums::first(f64::from(self.length));
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
        expiry(self.time, slowest(&self.sums[0]) + slowest(&self.sums[1]))
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
        out.extend([self.newest.own, self.newest.other, self.is_odd.into(), self.is_grown.into()]);
        if self.is_grown {
            state::put(out, &[self.odd]);
            state::put_words(out, &self.seen.map(f64::to_bits));
            state::put(out, &self.products);
            state::put(out, self.residuals.as_flattened());
            state::put(out, self.sums.as_flattened());
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
            channel.products = reader.numbers()?;
            channel.residuals = [reader.numbers()?, reader.numbers()?];
            channel.sums = [reader.numbers()?, reader.numbers()?];
        }
        Ok(channel)
    }
}
