//! The crate's errors.

/// Why a threshold cannot be used or found.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecideError {
    /// A threshold is not a finite number.
    #[error("threshold: {0} is not a finite number")]
    Threshold(f64),
    /// A probability is not between 0 and 1.
    #[error("{key}: {value} is not a probability between 0 and 1, both excluded")]
    Probability {
        /// The key of the configuration.
        key: &'static str,
        /// What it was set to.
        value: f64,
    },
    /// An alarm budget is negative or not a finite number.
    #[error("alarms_per_day: {0} is not a number of alarms; give 0 or more")]
    Budget(f64),
    /// There is no score to calibrate on.
    #[error("no benign score to calibrate on; give a capture with packets that the model was not trained on")]
    NoScores,
    /// A benign score is NaN or infinite.
    #[error(
        "benign score {index} is {score}, not a finite number; check the model with `legonf model verify`"
    )]
    NonFinite {
        /// Its position among the benign scores, from 0.
        index: usize,
        /// Its value.
        score: f64,
    },
    /// A benign score has no logarithm.
    #[error(
        "{count} of the benign scores are zero or negative and have no logarithm; use the quantile method"
    )]
    NonPositive {
        /// How many.
        count: usize,
    },
    /// The bound asked for cannot be drawn from so few scores.
    #[error(
        "{have} benign scores are too few for the bound asked for, which needs {need}; \
         give more, or allow a higher false-positive rate or a lower confidence"
    )]
    TooFewSamples {
        /// Scores given.
        have: usize,
        /// Scores needed.
        need: usize,
    },
    /// A distribution cannot be fitted to so few scores.
    #[error("{have} benign scores are too few to fit a distribution to, which needs {need}; give more")]
    TooFewToFit {
        /// Scores given.
        have: usize,
        /// Scores needed.
        need: usize,
    },
    /// All benign scores are equal, so they have no spread to fit.
    #[error(
        "all {samples} benign scores are equal, so a distribution cannot be fitted; use the quantile method"
    )]
    ZeroVariance {
        /// Scores given.
        samples: usize,
    },
    /// The fitted threshold is beyond the largest number.
    #[error(
        "the fitted threshold overflows (mean {log_mean} and deviation {log_sd} of the logarithms); use the quantile method"
    )]
    Overflow {
        /// Mean of the logarithms.
        log_mean: f64,
        /// Standard deviation of the logarithms.
        log_sd: f64,
    },
    /// The trace spans no time, so a daily number means nothing.
    #[error(
        "no time passes between the benign packets (a gap of more than 1,000 s is none), so alarms a day cannot be counted; use the quantile method"
    )]
    NoDuration,
}

impl DecideError {
    /// The kind's name, also that of its metric.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Threshold(_) => "bad-threshold",
            Self::Probability { .. } => "bad-probability",
            Self::Budget(_) => "bad-alarm-budget",
            Self::NoScores => "no-scores",
            Self::NonFinite { .. } => "non-finite-score",
            Self::NonPositive { .. } => "non-positive-score",
            Self::TooFewSamples { .. } => "too-few-samples",
            Self::TooFewToFit { .. } => "too-few-to-fit",
            Self::ZeroVariance { .. } => "zero-variance",
            Self::Overflow { .. } => "threshold-overflow",
            Self::NoDuration => "no-duration",
        }
    }
}
