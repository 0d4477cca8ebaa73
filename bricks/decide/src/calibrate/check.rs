//! What a threshold stands for, against scores that it was not found from.

use super::method::probability;
use super::minutes::{MOST, Minutes};
use super::{BenignScores, Calibration, DEFAULT_CONFIDENCE, Method};
use crate::DecideError;
use crate::numeric::{binomial_upper_bound, binomial_upper_tail, poisson_upper_bound, poisson_upper_tail};
use serde::{Deserialize, Serialize};

/// The part of the scores that is held out where none is given.
pub const DEFAULT_HOLDOUT: f64 = 0.25;

/// How a threshold is checked on the last of the scores.
///
/// It is refused where so many of them above it, or more, have a probability below 1 - `confidence` if its bound holds: by the
/// binomial distribution for the false-positive rate, and by that of Poisson for an alarm budget. So it is where a
/// minute of them has a share above it of more than twice the bound, if the method speaks of minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Check {
    /// Part of the scores that is held out, the last ones: 0 (then nothing is checked) to below 1. Default 0.25.
    pub share: f64,
    /// Probability with which a bound that holds passes, and that bounds on what is seen hold. Default 0.95.
    pub confidence: f64,
    /// Where the method's bound does not hold or cannot be shown, take what is seen on the held-out scores for it, and
    /// refuse nothing. Default off.
    pub force: bool,
}

impl Default for Check {
    fn default() -> Self {
        Self { share: DEFAULT_HOLDOUT, confidence: DEFAULT_CONFIDENCE, force: false }
    }
}

/// What was seen on held-out scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOut {
    /// The scores, at least one.
    pub samples: usize,
    /// How many of them are above the threshold.
    pub above: usize,
    /// Upper bound on the false-positive rate that these show by themselves (Clopper-Pearson).
    pub false_positive_bound: f64,
    /// Upper bound on the alarms a day that these show by themselves; `None` where they span no time.
    pub alarms_per_day: Option<f64>,
}

impl Check {
    /// Nothing is held out.
    pub const NONE: Self = Self { share: 0.0, confidence: DEFAULT_CONFIDENCE, force: false };

    /// Checks both numbers.
    ///
    /// # Errors
    /// Names the one that is out of range.
    pub fn validate(&self) -> Result<(), DecideError> {
        probability("confidence", self.confidence)?;
        if (0.0..1.0).contains(&self.share) { Ok(()) } else { Err(DecideError::Holdout(self.share)) }
    }

    /// How many of so many scores are held out.
    pub(super) fn held_out(&self, scores: usize) -> usize {
        (scores as f64 * self.share).round() as usize
    }

    /// Checks what was found on the held-out scores.
    pub(super) fn hold(&self, found: Calibration, scores: &BenignScores) -> Result<Calibration, DecideError> {
        if scores.is_empty() {
            return Ok(found);
        }
        let alpha = 1.0 - self.confidence;
        let seen = HeldOut::of(scores, found.threshold, alpha);
        let found = Calibration { held_out: Some(seen), ..found };
        if found.seen {
            return Ok(found.with_seen(seen));
        }
        let contradicted = contradiction(&found, seen, scores.days(), alpha);
        match contradicted.or_else(|| contradicted_in_a_minute(&found, scores)) {
            None => Ok(found),
            // Of a bound no minute may have more than that many times as much.
            Some(DecideError::Restless { seen: worst, .. }) if self.force => {
                let found = found.with_seen(seen);
                let false_positive_bound = found.false_positive_bound.max(worst / MOST);
                Ok(Calibration { false_positive_bound, ..found })
            }
            Some(_) if self.force => Ok(found.with_seen(seen)),
            Some(error) => Err(error),
        }
    }
}

impl HeldOut {
    fn of(scores: &BenignScores, threshold: f64, alpha: f64) -> Self {
        let (samples, days) = (scores.len(), scores.days());
        let above = scores.scores.iter().filter(|score| **score > threshold).count();
        let a_day = poisson_upper_bound(above as u64, alpha) / days;
        Self {
            samples,
            above,
            false_positive_bound: binomial_upper_bound(above as u64, samples as u64, alpha),
            alarms_per_day: (days > 0.0).then_some(a_day),
        }
    }

    /// Part of the scores that are above the threshold.
    pub fn rate(&self) -> f64 {
        self.above as f64 / self.samples as f64
    }
}

impl Calibration {
    /// The same threshold with the bounds that the held-out scores show.
    fn with_seen(self, held_out: HeldOut) -> Self {
        let HeldOut { false_positive_bound, alarms_per_day, .. } = held_out;
        Self { false_positive_bound, alarms_per_day, seen: true, ..self }
    }
}

/// Why the held-out scores contradict what was found, if they do.
fn contradiction(found: &Calibration, seen: HeldOut, days: f64, alpha: f64) -> Option<DecideError> {
    let HeldOut { samples, above, .. } = seen;
    let what = match found.method {
        Method::LogNormal { .. } => "log-normal fit",
        Method::Quantile { .. } | Method::MinuteQuantile { .. } => "quantile",
        Method::AlarmBudget { .. } => "alarm budget",
    };
    if let Method::AlarmBudget { alarms_per_day: claimed, .. } = found.method
        && poisson_upper_tail(above as u64, claimed * days) < alpha
    {
        return Some(DecideError::TooManyAlarms { above, days, seen: above as f64 / days, claimed });
    }
    let claimed = found.false_positive_bound;
    let rare = binomial_upper_tail(above as u64, samples as u64, claimed) < alpha;
    rare.then(|| DecideError::Contradicted { what, above, samples, seen: seen.rate(), claimed })
}

/// Why a held-out minute contradicts what was found for every minute, if one does.
fn contradicted_in_a_minute(found: &Calibration, scores: &BenignScores) -> Option<DecideError> {
    let Method::MinuteQuantile { false_positive_rate: claimed, .. } = found.method else { return None };
    let seen = Minutes::of(scores, Minutes::least(claimed)).worst(found.threshold);
    (seen > MOST * claimed).then_some(DecideError::Restless { seen, claimed: MOST * claimed })
}
