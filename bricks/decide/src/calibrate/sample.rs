//! A threshold from a sorted sample.

use super::minutes::Minutes;
use super::{BenignScores, Calibration, Method};
use crate::DecideError;
use crate::numeric::{
    binomial_quantile_below, binomial_upper_bound, normal_quantile, poisson_quantile_below,
    poisson_upper_bound,
};

/// The fewest scores that a distribution is fitted to.
pub const MIN_FIT_SAMPLES: usize = 30;

/// The most scores that are called a few.
const FEW: usize = 5;
/// How many times as high as all others these few are.
const FAR: f64 = 10.0;

/// Scores in ascending order, at least one, and the days of packet time that they span.
pub(super) struct Sample<'a> {
    /// The same in the order of packets.
    benign: &'a BenignScores,
    scores: Vec<f64>,
    days: f64,
}

impl<'a> Sample<'a> {
    /// The sample of some scores.
    pub(super) fn of(benign: &'a BenignScores) -> Self {
        let mut scores = benign.scores.clone();
        scores.sort_unstable_by(f64::total_cmp);
        Self { benign, scores, days: benign.days() }
    }

    fn len(&self) -> usize {
        self.scores.len()
    }

    /// The threshold that `method` finds, unchecked.
    pub(super) fn find(&self, method: Method) -> Result<Calibration, DecideError> {
        match method {
            Method::LogNormal { false_positive_rate } => self.fit(method, false_positive_rate),
            Method::Quantile { false_positive_rate, confidence } => {
                let above = self.most_above(false_positive_rate, 1.0 - confidence)?;
                Ok(self.order_statistic(method, above, confidence))
            }
            Method::MinuteQuantile { false_positive_rate, confidence } => {
                let above = self.most_above(false_positive_rate, 1.0 - confidence)?;
                Ok(self.minute_quantile(method, above, false_positive_rate))
            }
            Method::AlarmBudget { alarms_per_day, confidence } => {
                let above = self.budget(alarms_per_day, 1.0 - confidence)?;
                Ok(self.order_statistic(method, above, confidence))
            }
        }
    }

    /// The threshold that leaves no score above it.
    pub(super) fn highest(&self, method: Method) -> Calibration {
        self.order_statistic(method, 0, method.confidence().unwrap_or(super::DEFAULT_CONFIDENCE))
    }

    /// The least of the few scores that are far above all others, where the threshold is one of them.
    pub(super) fn few_above(&self, threshold: f64) -> Option<f64> {
        let count = (1..=FEW.min(self.len() - 1)).rev().find(|count| self.is_far(*count))?;
        let least = self.scores[self.len() - count];
        (threshold >= least).then_some(least)
    }

    /// Whether the highest `count` scores are far above all others.
    fn is_far(&self, count: usize) -> bool {
        let at = self.len() - count;
        self.scores[at] > 0.0 && self.scores[at] >= FAR * self.scores[at - 1]
    }

    /// How many scores of the sample may lie above a threshold whose false-positive rate shall be below
    /// `rate`, except with probability `alpha`.
    fn most_above(&self, rate: f64, alpha: f64) -> Result<usize, DecideError> {
        let have = self.len();
        let too_few = || {
            let need = (alpha.ln() / (-rate).ln_1p()).ceil() as usize;
            DecideError::TooFewSamples { have, need: need.max(have.saturating_add(1)) }
        };
        binomial_quantile_below(have as u64, rate, alpha).map(|above| above as usize).ok_or_else(too_few)
    }

    /// How many alarms the sample's time may have for a budget that holds except with probability `alpha`.
    fn budget(&self, alarms_per_day: f64, alpha: f64) -> Result<usize, DecideError> {
        let days = self.days;
        if days <= 0.0 {
            return Err(DecideError::NoDuration);
        }
        let most = poisson_quantile_below(alarms_per_day * days, alpha, self.len() as u64);
        let need = -alpha.ln() / alarms_per_day;
        let unshown = || DecideError::Unshown { alarms_per_day, have: days, without: need, need };
        most.map(|above| above as usize).ok_or_else(unshown)
    }

    /// The threshold that leaves at most `above` scores above it.
    fn order_statistic(&self, method: Method, above: usize, confidence: f64) -> Calibration {
        let samples = self.len();
        let above = above.min(samples - 1);
        let bound = binomial_upper_bound(above as u64, samples as u64, 1.0 - confidence);
        self.calibration(method, self.scores[samples - 1 - above], bound)
    }

    /// The threshold that leaves at most `above` scores above it, and in each minute at most a quarter of `rate`.
    fn minute_quantile(&self, method: Method, above: usize, rate: f64) -> Calibration {
        let minutes = Minutes::of(self.benign, Minutes::least(rate));
        let lowest = self.scores[self.len() - 1 - above.min(self.len() - 1)];
        let threshold = minutes.highest_quantile(rate).max(lowest);
        Calibration { minutes: Some(minutes.len()), ..self.calibration(method, threshold, rate) }
    }

    /// The threshold of a log-normal fit.
    fn fit(&self, method: Method, rate: f64) -> Result<Calibration, DecideError> {
        let samples = self.len();
        if samples < MIN_FIT_SAMPLES {
            return Err(DecideError::TooFewToFit { have: samples, need: MIN_FIT_SAMPLES });
        }
        let (log_mean, log_sd) = self.log_moments()?;
        let threshold = (log_mean - log_sd * normal_quantile(rate)).exp();
        if !threshold.is_finite() {
            return Err(DecideError::Overflow { log_mean, log_sd });
        }
        let fitted = self.calibration(method, threshold, rate);
        Ok(Calibration { log_mean: Some(log_mean), log_sd: Some(log_sd), ..fitted })
    }

    /// Mean and standard deviation (of the sample, n - 1) of the logarithms.
    fn log_moments(&self) -> Result<(f64, f64), DecideError> {
        let count = self.scores.partition_point(|score| *score <= 0.0);
        if count > 0 {
            return Err(DecideError::NonPositive { count });
        }
        let samples = self.len();
        if self.scores[0] == self.scores[samples - 1] {
            return Err(DecideError::ZeroVariance { samples });
        }
        let logs = || self.scores.iter().map(|score| score.ln());
        let mean = logs().sum::<f64>() / samples as f64;
        let squares: f64 = logs().map(|log| (log - mean) * (log - mean)).sum();
        let sd = (squares / (samples - 1) as f64).sqrt();
        if sd > 0.0 { Ok((mean, sd)) } else { Err(DecideError::ZeroVariance { samples }) }
    }

    fn calibration(&self, method: Method, threshold: f64, false_positive_bound: f64) -> Calibration {
        let samples = self.len();
        let samples_above = samples - self.scores.partition_point(|score| *score <= threshold);
        let alpha = 1.0 - method.confidence().unwrap_or(super::DEFAULT_CONFIDENCE);
        // However rare the fit says that alarms are: the trace shows no fewer than this.
        let shown = poisson_upper_bound(samples_above as u64, alpha);
        let a_day = shown.max(false_positive_bound * samples as f64) / self.days;
        Calibration {
            method,
            threshold,
            false_positive_bound,
            samples,
            samples_above,
            log_mean: None,
            log_sd: None,
            minutes: None,
            alarms_per_day: (self.days > 0.0).then_some(a_day),
            held_out: None,
            seen: false,
            decided_by: Vec::new(),
        }
    }
}
