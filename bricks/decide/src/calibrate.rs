//! A threshold from held-out benign scores, with the false-positive bound that it stands for.
//!
//! "Held out" means that the model was not trained on these packets; otherwise every method promises too much.
//! The bounds of [`Method::Quantile`] and [`Method::AlarmBudget`] need no shape of the distribution, but take the
//! scores for independent draws from the traffic to come. Scores of neighbouring packets are alike, so
//! calibrate on as long and as varied a trace as there is.

use crate::DecideError;
use crate::numeric::{binomial_quantile_below, binomial_upper_bound, normal_quantile};
use legonf_core::{Clock, Timestamp};
use serde::{Deserialize, Serialize};

/// The fewest scores that a distribution is fitted to.
pub const MIN_FIT_SAMPLES: usize = 30;

const NANOS_PER_DAY: f64 = 86_400e9;

/// How a threshold is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Method {
    /// The quantile of a log-normal distribution fitted to the scores, as the authors of Kitsune do. It can
    /// extrapolate to probabilities that the sample is too small to show; its bound holds as far as the scores
    /// are log-normal, which [`Calibration::samples_above`] lets one check.
    LogNormal {
        /// Probability of a score above the threshold, between 0 and 1. No default.
        false_positive_rate: f64,
    },
    /// The lowest score of the sample above which, whatever the distribution, at most this part of the benign
    /// traffic lies (order statistics with the one-sided Clopper-Pearson bound).
    Quantile {
        /// Bound on the false-positive rate, between 0 and 1. No default.
        false_positive_rate: f64,
        /// Probability that the bound holds, between 0 and 1. Default 0.95.
        #[serde(default = "default_confidence")]
        confidence: f64,
    },
    /// The lowest score of the sample that gives at most this many alarms a day of packet time on the
    /// calibration trace. What it stands for beyond that trace is in
    /// [`Calibration::false_positive_bound`] and [`Calibration::alarms_per_day`].
    AlarmBudget {
        /// Alarms a day, 0 or more. No default.
        alarms_per_day: f64,
        /// Probability that the bounds hold, between 0 and 1. Default 0.95.
        #[serde(default = "default_confidence")]
        confidence: f64,
    },
}

/// The confidence of a bound where none is given.
pub const DEFAULT_CONFIDENCE: f64 = 0.95;

fn default_confidence() -> f64 {
    DEFAULT_CONFIDENCE
}

impl Method {
    /// Name in configurations and results.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::LogNormal { .. } => "log-normal",
            Self::Quantile { .. } => "quantile",
            Self::AlarmBudget { .. } => "alarm-budget",
        }
    }

    /// The probability that the bound holds, where the method makes a statement about it.
    pub const fn confidence(&self) -> Option<f64> {
        match self {
            Self::LogNormal { .. } => None,
            Self::Quantile { confidence, .. } | Self::AlarmBudget { confidence, .. } => Some(*confidence),
        }
    }

    /// Checks every number of the configuration.
    ///
    /// # Errors
    /// If a probability is not between 0 and 1, or a budget not a finite number from 0.
    pub fn validate(&self) -> Result<(), DecideError> {
        if let Some(confidence) = self.confidence() {
            probability("confidence", confidence)?;
        }
        match *self {
            Self::LogNormal { false_positive_rate } | Self::Quantile { false_positive_rate, .. } => {
                probability("false_positive_rate", false_positive_rate)
            }
            Self::AlarmBudget { alarms_per_day, .. }
                if alarms_per_day >= 0.0 && alarms_per_day.is_finite() =>
            {
                Ok(())
            }
            Self::AlarmBudget { alarms_per_day, .. } => Err(DecideError::Budget(alarms_per_day)),
        }
    }
}

fn probability(key: &'static str, value: f64) -> Result<(), DecideError> {
    if value > 0.0 && value < 1.0 { Ok(()) } else { Err(DecideError::Probability { key, value }) }
}

/// A threshold and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// How it was found.
    pub method: Method,
    /// Scores above this are anomalous.
    pub threshold: f64,
    /// Upper bound on the probability that a benign packet's score is above the threshold: under the fitted
    /// distribution ([`Method::LogNormal`]), or with the method's confidence and no assumption on the
    /// distribution (the others).
    pub false_positive_bound: f64,
    /// Benign scores it was found from.
    pub samples: usize,
    /// How many of them are above the threshold.
    pub samples_above: usize,
    /// Mean of the scores' natural logarithms ([`Method::LogNormal`]).
    pub log_mean: Option<f64>,
    /// Standard deviation of the scores' natural logarithms ([`Method::LogNormal`]).
    pub log_sd: Option<f64>,
    /// False alarms a day that `false_positive_bound` stands for at the calibration trace's packet rate; `None`
    /// where the trace spans no time.
    pub alarms_per_day: Option<f64>,
}

/// Held-out benign scores, collected for calibration. Takes 8 bytes a score.
#[derive(Clone, Debug, Default)]
pub struct BenignScores {
    scores: Vec<f64>,
    clock: Clock,
}

impl BenignScores {
    /// Adds the score of one packet. Packets come in the order of arrival.
    ///
    /// # Errors
    /// If the score is not a finite number.
    pub fn push(&mut self, score: f64, timestamp: Timestamp) -> Result<(), DecideError> {
        if !score.is_finite() {
            return Err(DecideError::NonFinite { index: self.scores.len(), score });
        }
        self.clock.shift(self.scores.len() as u64, timestamp);
        self.scores.push(score);
        Ok(())
    }

    /// Number of scores.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// Whether there is no score.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// Days of benign traffic that were seen: the sum of all plausible gaps between packets ([`Clock`]), since a clock that
    /// is set, or one wrong time stamp, is no time in which there was no alarm.
    pub fn days(&self) -> f64 {
        self.clock.elapsed() as f64 / NANOS_PER_DAY
    }

    /// Finds a threshold by `method`. Sorts the scores in place.
    ///
    /// # Errors
    /// If a number of `method` is out of range, there is no score, or the scores do not allow what is asked: too
    /// few for the bound, all equal or not positive for a log-normal fit, of no duration for an alarm budget.
    pub fn calibrate(&mut self, method: Method) -> Result<Calibration, DecideError> {
        method.validate()?;
        if self.is_empty() {
            return Err(DecideError::NoScores);
        }
        self.scores.sort_unstable_by(f64::total_cmp);
        match method {
            Method::LogNormal { false_positive_rate } => self.fit(method, false_positive_rate),
            Method::Quantile { false_positive_rate, confidence } => {
                let above = self.most_above(false_positive_rate, 1.0 - confidence)?;
                Ok(self.order_statistic(method, above, confidence))
            }
            Method::AlarmBudget { alarms_per_day, confidence } => {
                let above = self.budget(alarms_per_day)?;
                Ok(self.order_statistic(method, above, confidence))
            }
        }
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

    /// How many scores of the trace may lie above a threshold with this many alarms a day.
    fn budget(&self, alarms_per_day: f64) -> Result<usize, DecideError> {
        let days = self.days();
        if days > 0.0 { Ok((alarms_per_day * days).floor() as usize) } else { Err(DecideError::NoDuration) }
    }

    /// The threshold that leaves at most `above` scores above it.
    fn order_statistic(&self, method: Method, above: usize, confidence: f64) -> Calibration {
        let samples = self.len();
        let above = above.min(samples - 1);
        let bound = binomial_upper_bound(above as u64, samples as u64, 1.0 - confidence);
        self.calibration(method, self.scores[samples - 1 - above], bound)
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
        let days = self.days();
        let a_day = false_positive_bound * samples as f64 / days;
        Calibration {
            method,
            threshold,
            false_positive_bound,
            samples,
            samples_above: samples - self.scores.partition_point(|score| *score <= threshold),
            log_mean: None,
            log_sd: None,
            alarms_per_day: (days > 0.0).then_some(a_day),
        }
    }
}

#[cfg(test)]
mod tests;
