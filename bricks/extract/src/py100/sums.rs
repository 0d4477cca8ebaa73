//! Damped sums of one stream (kitsune-py-100.md §3).

use super::arithmetic::{Calculator, LANES, Lanes, Rated, Rates, Run, narrow, widen};
use crate::damp::{RATES, SLOWEST, expiry};
use crate::vector::Vector;

/// Weight, linear and squared sum at each rate, as they are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) linear: Rates,
    pub(super) squared: Rates,
    pub(super) weight: Rates,
}

impl Sums {
    /// Those of a stream that has not sent.
    pub(super) const EMPTY: Self =
        Self { linear: [0.0; RATES], squared: [0.0; RATES], weight: [1e-20; RATES] };

    /// As they are computed with.
    #[inline(always)]
    pub(super) fn wide(&self) -> Wide {
        let Self { linear, squared, weight } = *self;
        Wide { linear: widen(linear), squared: widen(squared), weight: widen(weight) }
    }

    /// Damps by the factors of the first `many` gaps of a run, one after the other.
    #[inline(always)]
    pub(super) fn damp<V: Vector>(&mut self, run: &Run, many: usize) {
        let sums = [&mut self.linear, &mut self.squared, &mut self.weight];
        let [mut a, mut b, mut c] = sums.each_ref().map(|rates| Rated::<V>::of(rates));
        let mut slow = V::load(&[a.slow, b.slow, c.slow, 0.0]);
        for (quick, slowest) in run.factors(many) {
            let quick = V::load(quick);
            (a.quick, b.quick, c.quick) = (a.quick * quick, b.quick * quick, c.quick * quick);
            slow = slow * V::splat(*slowest);
        }
        let mut slowest = [0.0; 4];
        slow.store(&mut slowest);
        for ((rates, sum), slow) in sums.into_iter().zip([a, b, c]).zip(slowest) {
            *rates = Rated { slow, ..sum }.rates();
        }
    }

    /// Rank by damped weight at any one moment; `time` is the moment of the sums.
    pub(super) fn rank(&self, time: f64) -> i64 {
        let weight = self.weight[SLOWEST];
        if weight >= 1.0 {
            return expiry(time, weight);
        }
        let inverse = (1.0 / weight).min(f64::MAX);
        expiry(time, 1.0).saturating_mul(2).saturating_sub(expiry(time, inverse))
    }
}

/// Sums in lanes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wide {
    pub(super) linear: Lanes,
    pub(super) squared: Lanes,
    pub(super) weight: Lanes,
}

impl Wide {
    /// As they are kept.
    #[inline(always)]
    pub(super) fn sums(&self) -> Sums {
        let Self { linear, squared, weight } = *self;
        Sums { linear: narrow(linear), squared: narrow(squared), weight: narrow(weight) }
    }

    /// Damps by the factors of one gap.
    #[inline(always)]
    pub(super) fn damp(&mut self, factors: &Lanes) {
        for (lane, factor) in factors.iter().enumerate() {
            self.linear[lane] *= factor;
            self.squared[lane] *= factor;
            self.weight[lane] *= factor;
        }
    }

    /// Moves `time` on to `now`, unless that is not later, and damps accordingly.
    #[inline(always)]
    pub(super) fn advance(&mut self, time: &mut f64, now: f64, calculator: &mut Calculator) {
        let gap = now - *time;
        if gap > 0.0 {
            self.damp(&calculator.factors(gap));
            *time = now;
        }
    }

    /// Adds a value, whose square is given.
    #[inline(always)]
    pub(super) fn insert(&mut self, value: f64, square: f64) {
        for lane in 0..LANES {
            self.linear[lane] += value;
            self.squared[lane] += square;
            self.weight[lane] += 1.0;
        }
    }

    /// Means, their squares, and variances.
    #[inline(always)]
    pub(super) fn moments(&self, calculator: &Calculator) -> Moments {
        let mut mean = [0.0; LANES];
        for (lane, mean) in mean.iter_mut().enumerate() {
            *mean = self.linear[lane] / self.weight[lane];
        }
        let mean_squared = calculator.squares(&mean);
        let mut var = [0.0; LANES];
        for (lane, var) in var.iter_mut().enumerate() {
            *var = (self.squared[lane] / self.weight[lane] - mean_squared[lane]).abs();
        }
        Moments { mean, mean_squared, var }
    }
}

/// What is read from sums.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    pub(super) mean: Lanes,
    pub(super) mean_squared: Lanes,
    pub(super) var: Lanes,
}

/// Which of `count` items to keep so that an eighth of them go, those of the lowest rank; at least two go.
pub(super) fn all_but_lowest<R: Ord + Copy>(count: usize, rank: impl Fn(usize) -> R) -> Vec<bool> {
    let mut order: Vec<(R, usize)> = (0..count).map(|i| (rank(i), i)).collect();
    let leaving = (count / 8).max(2).min(count);
    let mut keep = vec![true; count];
    if leaving < count {
        order.select_nth_unstable(leaving);
    }
    order[..leaving].iter().for_each(|&(_, i)| keep[i] = false);
    keep
}

/// Keeps the items for which `keep` holds, in order.
pub(super) fn retain<T>(items: &mut Vec<T>, keep: &[bool]) {
    let mut kept = keep.iter();
    items.retain(|_| *kept.next().unwrap_or(&true));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_is_the_mean() {
        let mut sums = Sums::EMPTY.wide();
        sums.insert(60.0, 3600.0);
        let moments = sums.moments(&Calculator::new());
        assert_eq!((sums.weight, moments.mean, moments.var), ([1.0; LANES], [60.0; LANES], [0.0; LANES]));
    }

    #[test]
    fn ranks_follow_the_damped_weight() {
        let with = |weight| Sums { weight: [weight; RATES], ..Sums::EMPTY };
        assert!(with(2.0).rank(0.0) < with(1.0).rank(101.0));
        assert!(with(2.0).rank(0.0) > with(1.0).rank(99.0));
        assert!(with(0.5).rank(100.0) < with(1.0).rank(1.0));
        assert!(with(0.0).rank(1e5) < with(1.0).rank(0.0));
    }

    #[test]
    fn the_lowest_eighth_goes() {
        let keep = all_but_lowest(80, |i| (i * 37) % 80);
        assert_eq!(keep.iter().filter(|k| !**k).count(), 10);
        assert!((0..80).all(|i| keep[i] == ((i * 37) % 80 >= 10)));
        assert_eq!(all_but_lowest(1, |i| i), [false]);
        assert!(all_but_lowest(0, |i| i).is_empty());
    }
}
