//! The crate's errors.

/// Why a threshold cannot be used or found.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecideError {
    /// A threshold is not a finite number.
    #[error("threshold: {0} is not a finite number")]
    Threshold(f64),
    /// A warm-up is no time.
    #[error("warm_up: {0} is not a number of seconds from 0 to 18446744073 (584 years)")]
    WarmUp(f64),
    /// A probability is not between 0 and 1.
    #[error("{key}: {value} is not a probability between 0 and 1, both excluded")]
    Probability {
        /// The key of the configuration.
        key: &'static str,
        /// What it was set to.
        value: f64,
    },
    /// A classifier has no classes, or too many.
    #[error("classes: {found} of them; a classifier has from 1 to {most}")]
    Classes {
        /// How many there are.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// A class has no name of its own, or one that a table cannot show.
    #[error(
        "classes: '{0}' is empty, longer than 256 bytes, there twice, a word that says that there is no class, or has a comma, a quotation mark or a control character"
    )]
    Class(String),
    /// Two keys name the same column.
    #[error("the column {0} is named twice; what is filled needs a column of its own")]
    Column(String),
    /// The bound of what is unknown is no probability.
    #[error("unknown_below: {0} is not a probability from 0 to 1")]
    UnknownBelow(f64),
    /// An alarm budget is not a positive finite number.
    #[error(
        "alarms_per_day: {0} is not a number of alarms above 0; no time is long enough to show that there are none"
    )]
    Budget(f64),
    /// A part to hold out is not from 0 to below 1.
    #[error("holdout: {0} is no part of the packets; give a number from 0 to below 1, such as 0.25")]
    Holdout(f64),
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
    /// The trace is too short to show that there are no more alarms than the budget.
    #[error(
        "{alarms_per_day} alerts a day need at least {} of benign traffic without an alarm, {} with the part that is held out; \
         there are {}: give more, or allow {:.0} alerts a day",
        span(*without), span(*need), span(*have), possible(*alarms_per_day, *have, *need)
    )]
    Unshown {
        /// The budget.
        alarms_per_day: f64,
        /// Days of packet time given.
        have: f64,
        /// Days without an alarm from which the budget follows (the rule of three).
        without: f64,
        /// Days needed in all.
        need: f64,
    },
    /// More held-out scores are above the threshold than its bound allows.
    #[error(
        "the {what} does not hold: {} seen, {} claimed ({above} of {samples} benign packets that were held out are above the \
         threshold); {}",
        percent(*seen), percent(*claimed), remedy(what)
    )]
    Contradicted {
        /// What claims it.
        what: &'static str,
        /// Held-out scores above the threshold.
        above: usize,
        /// Held-out scores.
        samples: usize,
        /// Part of them above the threshold.
        seen: f64,
        /// The bound on the false-positive rate.
        claimed: f64,
    },
    /// A minute of the held-out scores has more of them above the threshold than any shall have.
    #[error(
        "the quantile does not hold in every minute: {} of one that was held out seen, {} claimed; {}",
        percent(*seen), percent(*claimed), remedy("quantile")
    )]
    Restless {
        /// Part of the minute's scores above the threshold.
        seen: f64,
        /// The most that is claimed of any minute.
        claimed: f64,
    },
    /// More held-out packets are alarms than the budget allows.
    #[error(
        "the alarm budget does not hold: {seen:.0} alerts a day seen ({above} in {} of benign packets that were held out), {claimed} \
         claimed; {}",
        span(*days), remedy("alarm budget")
    )]
    TooManyAlarms {
        /// Held-out scores above the threshold.
        above: usize,
        /// Days of packet time that these span.
        days: f64,
        /// Alarms a day among them.
        seen: f64,
        /// The budget.
        claimed: f64,
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
            Self::WarmUp(_) => "bad-warm-up",
            Self::Threshold(_) => "bad-threshold",
            Self::Probability { .. } => "bad-probability",
            Self::Classes { .. } | Self::Class(_) => "bad-classes",
            Self::Column(_) => "bad-column",
            Self::UnknownBelow(_) => "bad-probability",
            Self::Budget(_) => "bad-alarm-budget",
            Self::Holdout(_) => "bad-holdout",
            Self::Unshown { .. } => "budget-not-shown",
            Self::Contradicted { .. } => "contradicted",
            Self::Restless { .. } => "restless",
            Self::TooManyAlarms { .. } => "too-many-alarms",
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

    /// Whether a bound cannot be shown from what there is.
    pub(crate) const fn is_unshown(&self) -> bool {
        matches!(self, Self::TooFewSamples { .. } | Self::Unshown { .. })
    }

    /// Whether there are too few scores, or too little time, for what was asked.
    pub const fn is_of_too_few(&self) -> bool {
        self.is_unshown() || matches!(self, Self::NoScores | Self::NoDuration | Self::TooFewToFit { .. })
    }

    /// Whether [`Check::force`](crate::calibrate::Check) takes what is seen in place of this.
    pub const fn yields_to_force(&self) -> bool {
        self.is_unshown()
            || matches!(self, Self::Contradicted { .. } | Self::Restless { .. } | Self::TooManyAlarms { .. })
    }

    /// The same of all scores and days, of which `share` is held out.
    pub(crate) fn of_whole(self, (scores, days): (usize, f64), share: f64) -> Self {
        let rest = 1.0 - share;
        match self {
            Self::TooFewSamples { need, .. } => {
                Self::TooFewSamples { have: scores, need: (need as f64 / rest).ceil() as usize }
            }
            Self::Unshown { alarms_per_day, without, need, .. } => {
                Self::Unshown { alarms_per_day, have: days, without, need: need / rest }
            }
            Self::TooFewToFit { need, .. } => {
                Self::TooFewToFit { have: scores, need: (need as f64 / rest).ceil() as usize }
            }
            other => other,
        }
    }
}

/// What to do where a bound does not hold.
fn remedy(what: &str) -> &'static str {
    match what {
        "log-normal fit" => "use the quantile method, whose bound needs no distribution",
        _ => "the packets held out are unlike those before: give a longer and more varied capture",
    }
}

/// A probability in percent, with two decimals or two digits.
fn percent(part: f64) -> String {
    let percent = 100.0 * part;
    let digits = if percent > 0.0 { 1.0 - percent.log10().floor() } else { 2.0 };
    format!("{percent:.*}%", digits.clamp(2.0, 17.0) as usize)
}

/// The least budget that so many days could show if they had no alarm, rounded up.
fn possible(alarms_per_day: f64, have: f64, need: f64) -> f64 {
    (alarms_per_day * need / have).ceil()
}

/// A span of time in its two largest units, rounded up.
fn span(days: f64) -> String {
    let seconds = (days * 86_400.0).ceil();
    if seconds < 120.0 {
        return format!("{seconds} s");
    }
    let minutes = (days * 1440.0 - 1e-9).ceil() as u64;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
