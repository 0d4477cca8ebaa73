//! A threshold from held-out benign scores, with the false-positive bound that it stands for.
//!
//! "Held out" means that the model was not trained on these packets; otherwise every method promises too much.
//! The bounds of [`Method::Quantile`] and [`Method::AlarmBudget`] need no shape of the distribution, but take the
//! scores for independent draws from the traffic to come. Scores of neighbouring packets are alike, so
//! calibrate on as long and as varied a trace as there is; [`Method::MinuteQuantile`] leaves room for that. What a method claims is checked on the last scores, from
//! which its threshold is not found: see [`Check`].

mod check;
mod method;
mod minutes;
mod sample;

pub use check::{Check, DEFAULT_HOLDOUT, HeldOut};
pub use method::{DEFAULT_CONFIDENCE, Method};
pub use sample::MIN_FIT_SAMPLES;

use crate::DecideError;
use legonf_core::{Clock, Timestamp};
use sample::Sample;
use serde::{Deserialize, Serialize};

const NANOS_PER_DAY: f64 = 86_400e9;

/// A threshold and what it stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// How it was found.
    pub method: Method,
    /// Scores above this are anomalous.
    pub threshold: f64,
    /// Upper bound on the probability that a benign packet's score is above the threshold: under the fitted
    /// distribution ([`Method::LogNormal`]), or with the method's confidence and no assumption on the
    /// distribution (the others). Where it is as [`seen`](Self::seen), that of the held-out scores.
    pub false_positive_bound: f64,
    /// Benign scores it was found from.
    pub samples: usize,
    /// How many of them are above the threshold.
    pub samples_above: usize,
    /// Mean of the scores' natural logarithms ([`Method::LogNormal`]).
    pub log_mean: Option<f64>,
    /// Standard deviation of the scores' natural logarithms ([`Method::LogNormal`]).
    pub log_sd: Option<f64>,
    /// Minutes of stream time, or longer parts where packets are few, that it was found from ([`Method::MinuteQuantile`]).
    pub minutes: Option<usize>,
    /// False alarms a day that `false_positive_bound` stands for at the calibration trace's packet rate, and not fewer
    /// than the trace is long enough to show; `None` where the trace spans no time.
    pub alarms_per_day: Option<f64>,
    /// What was seen on the scores after those; `None` where none were held out.
    pub held_out: Option<HeldOut>,
    /// Whether the bounds are what was seen on the held-out scores, since the method's own do not hold or cannot be
    /// shown.
    pub seen: bool,
    /// The highest scores that it was found from, where a few of them decide the threshold.
    #[serde(skip)]
    pub decided_by: Vec<Extreme>,
}

/// A score that is far above all but a few others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extreme {
    /// Its position among the benign scores, from 0.
    pub index: usize,
    /// The score.
    pub score: f64,
    /// The packet's time.
    pub timestamp: Timestamp,
}

/// Held-out benign scores, in the order of their packets, collected for calibration. Takes 16 bytes a score.
#[derive(Clone, Debug, Default)]
pub struct BenignScores {
    scores: Vec<f64>,
    times: Vec<Timestamp>,
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
        self.times.push(timestamp);
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

    /// Finds a threshold by `method` in the scores before those that `check` holds out, and checks it on these.
    ///
    /// # Errors
    /// If a number of `method` or `check` is out of range, there is no score, or the scores do not allow what is asked: too
    /// few for the bound, all equal or not positive for a log-normal fit, of too short a time for an alarm budget; or if
    /// more of the held-out scores are above the threshold than its bound allows.
    pub fn calibrate(&self, method: Method, check: Check) -> Result<Calibration, DecideError> {
        method.validate()?;
        check.validate()?;
        let first = self.len() - check.held_out(self.len());
        if first == 0 {
            return Err(DecideError::NoScores);
        }
        let (before, held_out) = (self.part(0, first), self.part(first, self.len()));
        let sample = Sample::of(&before);
        let whole = (self.len(), self.days());
        let mut found = match sample.find(method) {
            Err(error) if check.force && error.is_unshown() => {
                Calibration { seen: true, ..sample.highest(method) }
            }
            found => found.map_err(|error| error.of_whole(whole, check.share))?,
        };
        found.decided_by = before.extremes(sample.few_above(found.threshold));
        check.hold(found, &held_out)
    }

    /// The scores from this position on.
    #[must_use]
    pub fn from(&self, first: usize) -> Self {
        self.part(first.min(self.len()), self.len())
    }

    /// The scores from one to before another.
    fn part(&self, from: usize, to: usize) -> Self {
        let (scores, times) = (self.scores[from..to].to_vec(), self.times[from..to].to_vec());
        let mut clock = Clock::default();
        for (seq, time) in times.iter().enumerate() {
            clock.shift(seq as u64, *time);
        }
        Self { scores, times, clock }
    }

    /// The scores from `least` on; none where there is no such limit.
    fn extremes(&self, least: Option<f64>) -> Vec<Extreme> {
        let Some(least) = least else { return Vec::new() };
        let all = self.scores.iter().zip(&self.times).enumerate();
        let high = all.filter(|(_, (score, _))| **score >= least);
        high.map(|(index, (score, timestamp))| Extreme { index, score: *score, timestamp: *timestamp })
            .collect()
    }
}

#[cfg(test)]
mod tests;
