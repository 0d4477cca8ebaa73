//! How a threshold is found.

use crate::DecideError;
use serde::{Deserialize, Serialize};

/// How a threshold is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Method {
    /// The quantile of a log-normal distribution fitted to the scores, as the authors of Kitsune do. It can
    /// extrapolate to probabilities that the sample is too small to show; its bound holds as far as the scores
    /// are log-normal, which the held-out scores check.
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
    /// The highest of the quantiles of single minutes, each of which leaves a *quarter* of the bound above it, and no lower than
    /// [`Quantile`](Self::Quantile). Scores of neighbouring packets are alike and the level of minutes differs, so that the
    /// bound holds minute by minute: hardly a minute of such traffic has a share above the threshold of more than twice the
    /// bound. That was tried on stationary traffic only, and the held-out minutes check it.
    MinuteQuantile {
        /// Bound on the false-positive rate, between 0 and 1. No default.
        false_positive_rate: f64,
        /// Probability that the bound holds for all packets together, between 0 and 1. Default 0.95.
        #[serde(default = "default_confidence")]
        confidence: f64,
    },
    /// The lowest score of the sample above which, taking alarms for a Poisson process, at most this many alarms a day of
    /// packet time lie. A time T without an alarm allows 3 / T at 95% confidence (the rule of three) and no less.
    AlarmBudget {
        /// Alarms a day, above 0. No default.
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
            Self::MinuteQuantile { .. } => "minute-quantile",
            Self::AlarmBudget { .. } => "alarm-budget",
        }
    }

    /// The probability that the bound holds, where the method makes a statement about it.
    pub const fn confidence(&self) -> Option<f64> {
        match self {
            Self::LogNormal { .. } => None,
            Self::Quantile { confidence, .. }
            | Self::MinuteQuantile { confidence, .. }
            | Self::AlarmBudget { confidence, .. } => Some(*confidence),
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
            Self::LogNormal { false_positive_rate }
            | Self::Quantile { false_positive_rate, .. }
            | Self::MinuteQuantile { false_positive_rate, .. } => {
                probability("false_positive_rate", false_positive_rate)
            }
            Self::AlarmBudget { alarms_per_day, .. }
                if alarms_per_day > 0.0 && alarms_per_day.is_finite() =>
            {
                Ok(())
            }
            Self::AlarmBudget { alarms_per_day, .. } => Err(DecideError::Budget(alarms_per_day)),
        }
    }
}

pub(super) fn probability(key: &'static str, value: f64) -> Result<(), DecideError> {
    if value > 0.0 && value < 1.0 { Ok(()) } else { Err(DecideError::Probability { key, value }) }
}
