//! `legonf calibrate`: a threshold from held-out benign traffic.

use crate::Style;
use crate::failure::{Failure, show};
use crate::inputs::{Filter, filtered_out};
use crate::invalid::Invalid;
use crate::summary;
use crate::workers::Workers;
use clap::{Args, ValueEnum};
use legonf_core::count;
use legonf_decide::calibrate::{Check, DEFAULT_CONFIDENCE, DEFAULT_HOLDOUT, Method};
use legonf_engine::{Calibrated, Calibrating, Packet};
use std::path::PathBuf;

/// Scores benign traffic that the model was not trained on, and stores in the model a threshold with the
/// false-positive bound that it stands for.
///
/// Packets before the statistics have settled (4 half-lives of the slowest: 400 s of packet time) are left out. By default the
/// threshold is the highest of the quantiles of single minutes at a quarter of the bound, so that hardly a minute has more than twice the
/// bound; that is tried on stationary traffic only. Give ten minutes behind these 400 s, or more.
///
/// The threshold comes from the first part of the packets, and its bound is checked on the rest (--holdout): where more of
/// these are above it than the bound allows (by the binomial distribution at the confidence given, or that of Poisson for an alarm
/// budget), or more than twice the bound in a minute, nothing is stored and the exit code is 1; with --as-seen what the
/// held-out packets show is stored instead. An alarm budget needs a time without an alarm: at 95% confidence 3 / N days
/// for N alerts a day (the rule of three).
#[derive(Args)]
pub struct Arguments {
    /// Model to calibrate.
    model: PathBuf,
    /// Benign captures that the model was not trained on, folders of them, or tables of their features; `-` is standard input.
    /// Several captures are read as one, in the order of their first packets. A table has no times, so it takes no alarm budget.
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    #[command(flatten)]
    filter: Filter,
    /// How the threshold is found.
    #[arg(long, value_enum, default_value_t = MethodName::MinuteQuantile)]
    method: MethodName,
    /// False positives among benign packets to allow (but for alarm-budget).
    #[arg(long, default_value_t = 0.001, value_name = "RATE")]
    false_positive_rate: f64,
    /// Alerts a day to allow on benign traffic (alarm-budget).
    #[arg(long, default_value_t = 10.0, value_name = "N")]
    alarms_per_day: f64,
    /// Confidence of the bound and of its check.
    #[arg(long, default_value_t = DEFAULT_CONFIDENCE)]
    confidence: f64,
    /// Part of the packets, the last ones, that the threshold does not come from and its bound is checked on.
    #[arg(long, default_value_t = DEFAULT_HOLDOUT, value_name = "SHARE", value_parser = holdout)]
    holdout: f64,
    /// Leave out the first N packets (they still build up the features' state), such as those
    /// that the model was trained on.
    #[arg(long, default_value_t = 0, value_name = "N")]
    skip: u64,
    /// Read only the first N packets, those left out included.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Where the calibrated model goes; without it MODEL itself is changed.
    #[arg(long = "out", short, alias = "output", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Store what the held-out packets show, where it contradicts the bound.
    #[arg(long)]
    as_seen: bool,
    #[command(flatten)]
    workers: Workers,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodName {
    /// The highest of the minutes' empirical quantiles, at a quarter of the rate: hardly a minute has more than twice the rate.
    MinuteQuantile,
    /// The empirical quantile of all packets; its bound needs no assumption on the distribution.
    Quantile,
    /// Fit a log-normal distribution; the threshold is where it leaves the false-positive rate above.
    LogNormal,
    /// At most so many alerts a day, as far as the time of benign traffic can show it.
    AlarmBudget,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let calibrating = arguments.given();
    calibrating.method.validate()?;
    calibrating.check.validate()?;
    style.check_results(arguments.output.as_deref())?;
    let calibrated = calibrating.run(&style.session())?;
    show(&calibrated, |calibrated| Text(calibrated).all(), style)
}

/// A part of the packets to hold out; without any nothing could be checked.
fn holdout(text: &str) -> Result<f64, Invalid> {
    let share = text.parse().ok().filter(|share| (0.01..=0.99).contains(share));
    share.ok_or(Invalid::Value("a part of the packets from 0.01 to 0.99"))
}

impl Arguments {
    /// What the engine takes.
    fn given(&self) -> Calibrating {
        Calibrating {
            model: self.model.clone(),
            captures: self.filter.of(&self.captures),
            method: self.method(),
            check: Check { share: self.holdout, confidence: self.confidence, force: self.as_seen },
            skip: self.skip,
            limit: self.limit,
            output: self.output.clone(),
            workers: self.workers.given(),
        }
    }

    fn method(&self) -> Method {
        let (confidence, false_positive_rate) = (self.confidence, self.false_positive_rate);
        match self.method {
            MethodName::LogNormal => Method::LogNormal { false_positive_rate },
            MethodName::MinuteQuantile => Method::MinuteQuantile { false_positive_rate, confidence },
            MethodName::Quantile => Method::Quantile { false_positive_rate, confidence },
            MethodName::AlarmBudget => {
                Method::AlarmBudget { alarms_per_day: self.alarms_per_day, confidence }
            }
        }
    }
}

/// The words on a calibration.
struct Text<'a>(&'a Calibrated);

impl Text<'_> {
    fn all(&self) -> String {
        let filtered = filtered_out(self.0.filtered_out);
        self.threshold() + &self.bound() + &self.settled() + &self.decided() + &filtered + &self.clock_line()
    }

    fn threshold(&self) -> String {
        let c = &self.0.calibration;
        let rejected = if self.0.rejected == 0 {
            String::new()
        } else {
            format!("; {} more were rejected", self.0.rejected)
        };
        let (threshold, method) = (c.threshold, c.method.label());
        let minutes = c.minutes.map_or_else(String::new, |n| format!(" of {}", count(n as u64, "minute")));
        let mut out = format!(
            "threshold {threshold:.6} by {method} from {} benign packets{minutes} ({} of them above{rejected})\n",
            c.samples, c.samples_above
        );
        if let Some(seen) = c.held_out {
            let percent = 100.0 * seen.rate();
            out += &format!(
                "held out  {} of the {} packets after them are above, {percent:.4}%\n",
                seen.above, seen.samples
            );
        }
        out
    }

    fn bound(&self) -> String {
        let c = &self.0.calibration;
        let bound = 100.0 * c.false_positive_bound;
        let a_day = c
            .alarms_per_day
            .map_or_else(String::new, |n| format!(", {n:.1} alerts a day at this packet rate"));
        let seen = if c.seen {
            ", as seen on the packets held out: the method's own bound is not shown"
        } else {
            ""
        };
        format!("bound     false positives at most {bound:.4}%{a_day}{seen}\n")
    }

    /// Which packets it comes from, and of what traffic the bound is claimed.
    fn settled(&self) -> String {
        let Calibrated { settled, settled_after_seconds: after, unsettled, holds_for, .. } = self.0;
        let left_out = match (settled, unsettled) {
            (true, 0) => String::new(),
            (true, _) => format!(
                "settled   after {after} s; {} before that left out\n",
                count(*unsettled as u64, "packet")
            ),
            (false, _) => format!(
                "unsettled the statistics settle after {after} s, and there are too few packets behind that\n"
            ),
        };
        format!("{left_out}holds for {holds_for}\n")
    }

    fn decided(&self) -> String {
        if self.0.decided_by.is_empty() {
            return String::new();
        }
        let packet = |p: &Packet| format!("{} at {} (score {:.6})", p.seq, p.timestamp, p.score);
        let packets: Vec<_> = self.0.decided_by.iter().map(packet).collect();
        format!(
            "decided   by {} that score 10 times as high as all others or more: {}; look whether they are benign\n",
            if packets.len() == 1 { "a packet".into() } else { format!("{} packets", packets.len()) },
            packets.join(", ")
        )
    }

    fn clock_line(&self) -> String {
        self.0.clock.iter().map(summary::clock::text).collect()
    }
}
