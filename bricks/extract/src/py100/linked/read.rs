//! What a packet shows of its stream and its link (kitsune-py-100.md §4).

use super::Linked;
use super::stream::{Last, State};
use crate::damp::RATES;
use crate::py100::arithmetic::{Calculator, LANES, Lanes, widen};
use crate::py100::sums::Moments;

/// What a stream's packet shows of the stream itself.
pub(super) struct Own {
    pub(super) weight: Lanes,
    pub(super) moments: Moments,
    pub(super) var_squared: Lanes,
    pub(super) deviation: Lanes,
}

impl Linked {
    /// The covariance over a link at every rate.
    #[inline(always)]
    pub(super) fn covariance(&mut self, id: u32, calculator: &mut Calculator) -> Lanes {
        let mut covariance = [0.0; LANES];
        if self.is_quiet(id) {
            return covariance;
        }
        self.redo(id, usize::MAX, calculator);
        let state = &self.link_states[self.links[id as usize].state as usize];
        let (products, weight) = (widen(state.products), widen(state.weight));
        for (lane, covariance) in covariance.iter_mut().enumerate() {
            *covariance = products[lane] / weight[lane];
        }
        covariance
    }

    /// Writes weight, mean, var, radius, magnitude, cov and pcc at every rate.
    #[inline(always)]
    pub(super) fn write(&self, own: &Own, other: u32, covariance: &Lanes, out: &mut [f64]) {
        let peer = self.states.get(self.streams[other as usize].state as usize).unwrap_or(&State::EMPTY);
        let Last { mean_squared, var_squared, deviation } = peer.last;
        let [mean_squared, var_squared, deviation] = [mean_squared, var_squared, deviation].map(widen);
        let [mut radius, mut magnitude, mut correlation] = [[0.0; LANES]; 3];
        for lane in 0..LANES {
            radius[lane] = (own.var_squared[lane] + var_squared[lane]).sqrt();
            magnitude[lane] = (own.moments.mean_squared[lane] + mean_squared[lane]).sqrt();
            let deviations = own.deviation[lane] * deviation[lane];
            let quotient = covariance[lane] / deviations;
            correlation[lane] = if deviations != 0.0 { quotient } else { 0.0 };
        }
        let (weight, Moments { mean, var, .. }) = (&own.weight, &own.moments);
        for (lane, out) in out.as_chunks_mut::<7>().0.iter_mut().take(RATES).enumerate() {
            let [w, m, v] = [weight[lane], mean[lane], var[lane]];
            *out = [w, m, v, radius[lane], magnitude[lane], covariance[lane], correlation[lane]];
        }
    }
}
