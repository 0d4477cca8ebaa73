//! Whether a model fits the network that it judges.

use legonf_core::{Timestamp, Verdict};
use serde::Serialize;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Stream time, from the first verdict on, in which a model shows whether it fits; and the least of it.
const LOOKED_AT: i64 = 300_000_000_000;
const LEAST: i64 = 60_000_000_000;
/// The fewest packets that show it.
const PACKETS: u64 = 1_000;
/// The share of alerts from which on it does not fit: a tenth, and ten times the bound of the threshold.
const SHARE: f64 = 0.1;
const BOUNDS: f64 = 10.0;

/// A model that does not fit: far more alerts in its first five minutes than its threshold stands for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Misfit {
    /// Packets with a verdict in these minutes.
    pub packets: u64,
    /// Alerts among them.
    pub alerts: u64,
    /// Seconds of stream time that were looked at.
    pub seconds: u64,
    /// The share of benign packets above the threshold that it stands for, if known.
    pub bound: Option<f64>,
}

/// Counts verdicts until it is known whether the model fits.
#[derive(Clone, Debug, Default)]
pub struct Fit {
    bound: Option<f64>,
    first: Option<i64>,
    latest: i64,
    packets: u64,
    alerts: u64,
    decided: bool,
    found: Arc<OnceLock<Misfit>>,
}

impl Misfit {
    /// The share of alerts.
    pub fn share(&self) -> f64 {
        self.alerts as f64 / self.packets as f64
    }
}

/// What is wrong, and the remedy, in a line.
impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (percent, seconds) = (100.0 * self.share(), self.seconds);
        write!(f, "{percent:.1}% of the packets of the first {seconds} s are above the threshold")?;
        if let Some(bound) = self.bound {
            write!(f, ", which stands for at most {:.4}%", 100.0 * bound)?;
        }
        f.write_str(
            ": the model does not fit this network, or it is under attack; if not, train on its own traffic (`legonf train`) or \
             set the threshold anew (`legonf calibrate`)",
        )
    }
}

impl Fit {
    /// A model whose threshold stands for this share of benign packets, if any is known.
    pub fn new(bound: Option<f64>) -> Self {
        Self { bound, ..Self::default() }
    }

    /// Counts a verdict; what is neither benign nor an alert is none.
    #[inline]
    pub fn count(&mut self, time: Timestamp, verdict: Verdict) {
        if self.decided || (verdict != Verdict::ANOMALOUS && verdict != Verdict::BENIGN) {
            return;
        }
        let time = time.as_nanos();
        let first = *self.first.get_or_insert(time);
        self.latest = self.latest.max(time);
        if time.saturating_sub(first) >= LOOKED_AT {
            return self.decide();
        }
        self.packets += 1;
        self.alerts += u64::from(verdict == Verdict::ANOMALOUS);
    }

    /// Decides, at the end of the run or of the minutes.
    pub fn decide(&mut self) {
        let passed = self.latest.saturating_sub(self.first.unwrap_or(self.latest)).min(LOOKED_AT);
        let enough = passed >= LEAST && self.packets >= PACKETS;
        let (packets, alerts, bound) = (self.packets, self.alerts, self.bound);
        let misfit = Misfit { packets, alerts, bound, seconds: (passed / 1_000_000_000).unsigned_abs() };
        let most = SHARE.max(BOUNDS * bound.unwrap_or(0.0));
        if !self.decided && enough && misfit.share() >= most {
            self.found.get_or_init(|| misfit);
        }
        self.decided = true;
    }

    /// Where it is said that the model does not fit, once it is known.
    pub fn found(&self) -> Arc<OnceLock<Misfit>> {
        self.found.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of so many seconds, ten packets in each, of which every `nth` is an alert.
    fn run(seconds: i64, nth: usize, bound: Option<f64>) -> Option<Misfit> {
        let mut fit = Fit::new(bound);
        for at in 0..seconds * 10 {
            let alert = (at as usize).is_multiple_of(nth);
            let verdict = if alert { Verdict::ANOMALOUS } else { Verdict::BENIGN };
            fit.count(Timestamp::new(1_700_000_000 + at / 10, 0), verdict);
        }
        fit.decide();
        fit.found().get().copied()
    }

    #[test]
    fn many_alerts_in_the_first_minutes_do_not_fit() {
        let found = run(1_000, 5, Some(0.001)).unwrap();
        assert_eq!(found, Misfit { packets: 3_000, alerts: 600, seconds: 300, bound: Some(0.001) });
        let line = found.to_string();
        assert!(
            line.starts_with("20.0% of the packets of the first 300 s") && line.contains("at most 0.1000%"),
            "{line}"
        );
        assert_eq!(run(120, 5, None).map(|found| (found.seconds, found.bound)), Some((119, None)));
        // Too few alerts, too little time, a bound that allows for them.
        assert_eq!(
            (run(1_000, 11, Some(0.001)), run(60, 5, None), run(1_000, 5, Some(0.021))),
            (None, None, None)
        );
    }

    #[test]
    fn alerts_after_the_first_minutes_are_another_matter() {
        let mut fit = Fit::new(None);
        for at in 0..10_000 {
            let verdict = if at < 5_000 { Verdict::BENIGN } else { Verdict::ANOMALOUS };
            fit.count(Timestamp::new(at / 10, 0), verdict);
            fit.count(Timestamp::new(at / 10, 0), Verdict::REJECTED);
        }
        fit.decide();
        assert_eq!(fit.found().get(), None);
    }
}
