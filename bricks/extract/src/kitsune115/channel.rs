//! Two opposite streams and what they share: a record of HH or of HpHp (kitsune-115.md §4, §5).

use super::Rules;
use super::keys::{Flow, PairKey};
use super::source::advance;
use super::sums::{self, PerRate, Sums, slowest};
use crate::damp::{Factor, Factors, RATES, expiry};
use crate::hash::{Hasher, same};
use crate::table::Record;

/// Both directions of a pair, and their covariance.
///
/// Either direction's packet brings both to its time, so they share one clock.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Channel {
    key: PairKey,
    /// Time to which the sums of both directions are decayed.
    time: f64,
    /// Time of the newest packet.
    last: f64,
    /// Time of the newest packet with an odd number, counted from 0.
    odd: f64,
    /// Time of each direction's newest residual.
    residual_time: [f64; 2],
    /// Whether the number of packets so far is odd.
    is_odd: bool,
    seen: [bool; 2],
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

impl Channel {
    /// An empty channel, first seen at `time`.
    pub(crate) fn new(key: &PairKey, time: f64) -> Self {
        Self {
            key: *key,
            time,
            last: time,
            odd: time,
            residual_time: [time; 2],
            is_odd: false,
            seen: [false; 2],
            products: [0.0; RATES],
            residuals: [[0.0; RATES]; 2],
            sums: [[0.0; 15]; 2],
        }
    }

    /// Whether this direction has sent a packet.
    #[inline]
    pub(crate) fn has_seen(&self, direction: usize) -> bool {
        self.seen[direction & 1]
    }

    /// Notes a packet's time and asks for the factors that it needs.
    #[inline]
    pub(crate) fn tick(&mut self, flow: Flow, time: f64, rules: Rules, factors: &mut Factors) -> Decay {
        let (own, other) = (flow.own as usize, flow.other as usize);
        let sums = factors.push(advance(&mut self.time, time));
        let mut decay = Decay { sums, products: [Factor::ONE; 2], residual: Factor::ONE };
        if self.seen[other] {
            decay.products = self.product_decay(time, sums, rules, factors);
            let age = time - self.residual_time[other];
            decay.residual = if rules.fast { sums } else { factors.push(age) };
        }
        if self.is_odd {
            self.odd = time;
        }
        self.is_odd = !self.is_odd;
        self.last = time;
        self.residual_time[own] = time;
        self.seen[own] = true;
        decay
    }

    /// The published decay of the sum of products depends on the parity of the packet's number.
    #[inline]
    fn product_decay(&self, time: f64, sums: Factor, rules: Rules, factors: &mut Factors) -> [Factor; 2] {
        match (rules.clean, rules.fast, self.is_odd) {
            (true, _, _) | (_, true, true) => [sums, Factor::ONE],
            (_, true, false) => [sums, sums],
            (_, _, true) => [factors.push(time - self.odd), Factor::ONE],
            (_, _, false) => [factors.push(time - self.last); 2],
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

    #[inline]
    fn key(&self) -> &PairKey {
        &self.key
    }

    #[inline(always)]
    fn is(&self, key: &PairKey) -> bool {
        same(&self.key, key)
    }

    fn hash(key: &PairKey, hasher: &Hasher) -> u64 {
        hasher.five(*key)
    }

    fn expiry(&self) -> i64 {
        expiry(self.time, slowest(&self.sums[0]) + slowest(&self.sums[1]))
    }
}
