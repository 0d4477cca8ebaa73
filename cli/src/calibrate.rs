//! `legonf calibrate`: a threshold from held-out benign traffic.

use crate::failure::{Failure, print, print_json};
use crate::input;
use crate::network::Network;
use crate::progress::Bar;
use crate::summary::clock::ClockReport;
use crate::supply::Maker;
use crate::workers::Workers;
use crate::{Style, interrupt, replay};
use clap::{Args, ValueEnum};
use legonf_core::{Batch, BindError, Clock, ColumnSpec, Fault, Handle, Headers, Layout, Sink};
use legonf_decide::DecideError;
use legonf_decide::calibrate::{
    BenignScores, Calibration, Check, DEFAULT_CONFIDENCE, DEFAULT_HOLDOUT, Extreme, HeldOut, Method,
};
use legonf_infer::SCORES;
use legonf_models::CaptureProvenance;
use serde::Serialize;
use std::path::PathBuf;

/// Scores benign traffic that the model was not trained on, and stores in the model a threshold with the
/// false-positive bound that it stands for.
///
/// The threshold comes from the first part of the packets, and its bound is checked on the rest (--holdout): where more of
/// these are above it than the bound allows (by the binomial distribution at the confidence given, or that of Poisson for an alarm
/// budget), nothing is stored and the exit code is 1; with --force what the held-out packets show is stored instead. An alarm budget needs a time without an alarm: at 95% confidence 3 / N days
/// for N alerts a day (the rule of three).
#[derive(Args)]
pub struct Arguments {
    /// Model to calibrate.
    model: PathBuf,
    /// Benign capture that the model was not trained on, or table of its features; `-` is standard input. A table has
    /// no times, so it takes no alarm budget.
    capture: PathBuf,
    /// How the threshold is found.
    #[arg(long, value_enum, default_value_t = MethodName::Quantile)]
    method: MethodName,
    /// False positives among benign packets to allow (quantile and log-normal).
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
    /// Leave out the first N packets of the capture (they still build up the features' state), such as those
    /// that the model was trained on.
    #[arg(long, default_value_t = 0, value_name = "N")]
    skip: u64,
    /// Read only the first N packets, those left out included.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Where the calibrated model goes; without it MODEL itself is changed.
    #[arg(long, short, value_name = "MODEL")]
    output: Option<PathBuf>,
    #[command(flatten)]
    workers: Workers,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodName {
    /// The empirical quantile; its bound needs no assumption on the distribution.
    Quantile,
    /// Fit a log-normal distribution; the threshold is where it leaves the false-positive rate above.
    LogNormal,
    /// At most so many alerts a day, as far as the time of benign traffic can show it.
    AlarmBudget,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let method = arguments.method();
    method.validate()?;
    let check = arguments.check(style.force);
    check.validate()?;
    style.check_results(arguments.output.as_deref())?;
    let model = Network::load(&arguments.model)?;
    let origin = input::origin(&arguments.capture)?;
    arguments.check_overlap(&model, &origin)?;
    let (benign, clock) = arguments.score(&model, style)?;
    let calibration = benign.scores.calibrate(method, check).map_err(|error| arguments.refusal(&error))?;
    let output = arguments.output.as_ref().unwrap_or(&arguments.model);
    let clock = ClockReport::of(&clock, &model.schema().name);
    model.with_calibration(arguments.stored(&calibration, origin.name)).save(output)?;
    let decided_by = benign.named(&calibration);
    let report = Report { calibration: &calibration, decided_by, rejected: benign.rejected, clock };
    show(&report, style)
}

fn show(report: &Report<'_>, style: Style) -> Result<(), Failure> {
    match style {
        Style { json: true, .. } => print_json(report),
        Style { quiet: true, .. } => Ok(()),
        _ => print(&report.text()),
    }
}

/// A part of the packets to hold out; without any nothing could be checked.
fn holdout(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.01..=0.99).contains(share));
    share.ok_or_else(|| "expected a part of the packets from 0.01 to 0.99".into())
}

impl Arguments {
    fn method(&self) -> Method {
        let (confidence, false_positive_rate) = (self.confidence, self.false_positive_rate);
        match self.method {
            MethodName::LogNormal => Method::LogNormal { false_positive_rate },
            MethodName::Quantile => Method::Quantile { false_positive_rate, confidence },
            MethodName::AlarmBudget => {
                Method::AlarmBudget { alarms_per_day: self.alarms_per_day, confidence }
            }
        }
    }

    fn check(&self, force: bool) -> Check {
        Check { share: self.holdout, confidence: self.confidence, force }
    }

    /// Why there is no threshold, and what can be done.
    fn refusal(&self, error: &DecideError) -> Failure {
        let capture = self.capture.display();
        let force = if error.yields_to_force() { ", or store what was seen with --force" } else { "" };
        Failure::fault(format!("{capture}: {error}{force}; the model is unchanged"))
    }

    /// Refuses packets that the model was trained on: they score too low to set a threshold by.
    fn check_overlap(&self, model: &Network, origin: &CaptureProvenance) -> Result<(), Failure> {
        let known = !origin.sha256.is_empty();
        let trained = if known { model.trained_packets(&origin.sha256) } else { 0 };
        if self.skip >= trained {
            return Ok(());
        }
        let packets = if trained == 1 { "packet; leave it" } else { "packets; leave them" };
        Err(Failure::fault(format!(
            "{}: the model was trained on its first {trained} {packets} out with --skip {trained}, or give another capture",
            self.capture.display()
        )))
    }

    fn score(&self, model: &Network, style: Style) -> Result<(Collect, Clock), Failure> {
        let (content, mut source) = input::open_any(&self.capture, self.limit, model.schema())?;
        let spec = replay::built_in(model, content, replay::Execution::default(), None)?;
        let mut graph = replay::assemble(&spec, content, model, None)?;
        self.workers.check(&mut graph)?;
        let mut sink = Collect { skip: self.skip, ..Collect::default() };
        let bar = Bar::new("calibration", None, style.quiet);
        let maker = Maker { spec: &spec, network: Some((model, None)) };
        let make = |id: &str| maker.make(id);
        let options = self.workers.options(interrupt::install(), Some(&make));
        let outcome =
            legonf_runtime::run(&mut graph, &mut *source, &mut sink, options, &mut |p, n| bar.update(p, n));
        bar.clear();
        match outcome.fault {
            Some(fault) => Err(Failure::fault(format!("{fault}; the model is unchanged"))),
            None if outcome.stopped => Err(Failure::Interrupted("the model is unchanged".into())),
            None => Ok((sink, outcome.clock)),
        }
    }

    /// The calibration as the model keeps it.
    fn stored(&self, c: &Calibration, source: String) -> legonf_models::Calibration {
        let held_out =
            |h: HeldOut| legonf_models::HeldOut { samples: h.samples as u64, above: h.above as u64 };
        legonf_models::Calibration {
            method: c.method.label().into(),
            threshold: c.threshold,
            false_positive_bound: c.false_positive_bound,
            samples: c.samples as u64,
            log_mean: c.log_mean,
            log_sd: c.log_sd,
            alarms_per_day: c.alarms_per_day,
            confidence: if c.seen { Some(self.confidence) } else { c.method.confidence() },
            source,
            held_out: c.held_out.map(held_out),
            seen: c.seen,
        }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    calibration: &'a Calibration,
    decided_by: Vec<Packet>,
    /// Packets without a score, since their link type is not parsed.
    rejected: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<ClockReport>,
}

/// A packet that decides the threshold, with a few others.
#[derive(Serialize)]
struct Packet {
    seq: u64,
    timestamp: String,
    score: f64,
}

impl Report<'_> {
    fn text(&self) -> String {
        self.threshold() + &self.bound() + &self.decided() + &self.clock_line()
    }

    fn threshold(&self) -> String {
        let c = self.calibration;
        let rejected = if self.rejected == 0 {
            String::new()
        } else {
            format!("; {} more were rejected", self.rejected)
        };
        let (threshold, method) = (c.threshold, c.method.label());
        let mut out = format!(
            "threshold {threshold:.6} by {method} from {} benign packets ({} of them above{rejected})\n",
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
        let c = self.calibration;
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

    fn decided(&self) -> String {
        if self.decided_by.is_empty() {
            return String::new();
        }
        let packet = |p: &Packet| format!("{} at {} (score {:.6})", p.seq, p.timestamp, p.score);
        let packets: Vec<_> = self.decided_by.iter().map(packet).collect();
        format!(
            "decided   by {} that score 10 times as high as all others or more: {}; look whether they are benign\n",
            if packets.len() == 1 { "a packet".into() } else { format!("{} packets", packets.len()) },
            packets.join(", ")
        )
    }

    fn clock_line(&self) -> String {
        self.clock.iter().map(ClockReport::text).collect()
    }
}

/// Takes the scores after the packets left out.
#[derive(Default)]
struct Collect {
    skip: u64,
    scores: BenignScores,
    /// Packets without a score, since their link type is not parsed.
    rejected: u64,
    /// Where the packets' numbers do not go on from those before: the score's position, and the number.
    numbers: Vec<(usize, u64)>,
    column: Handle<Vec<f64>>,
}

impl Collect {
    fn push(&mut self, score: f64, header: &Headers) -> Result<(), Fault> {
        let at = self.scores.len();
        if self.number(at) != Some(header.seq) {
            self.numbers.push((at, header.seq));
        }
        self.scores.push(score, header.timestamp).map_err(Fault::new)
    }

    /// The number of the packet with the score at this position.
    fn number(&self, at: usize) -> Option<u64> {
        let run = self.numbers.partition_point(|(first, _)| *first <= at).checked_sub(1)?;
        let (first, seq) = self.numbers[run];
        Some(seq + (at - first) as u64)
    }

    /// The packets that decide the threshold.
    fn named(&self, calibration: &Calibration) -> Vec<Packet> {
        let packet = |extreme: &Extreme| {
            let seq = self.number(extreme.index)?;
            Some(Packet { seq, timestamp: extreme.timestamp.to_string(), score: extreme.score })
        };
        calibration.decided_by.iter().filter_map(packet).collect()
    }
}

impl Sink for Collect {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let skip = self.skip;
        let scores = batch.columns.get(self.column);
        let mut packets = batch.headers.iter().zip(scores).filter(|(header, _)| header.seq >= skip);
        packets.try_for_each(|(header, score)| {
            if header.is_unread() {
                self.rejected += 1;
                return Ok(());
            }
            self.push(*score, header)
        })
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![SCORES])
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.column = layout.handle(&SCORES)?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_scores_are_numbers_of_packets() {
        let mut collect = Collect::default();
        for seq in [5, 6, 7, 9, 10, 20] {
            collect.push(1.0, &Headers { seq, ..Headers::default() }).unwrap();
        }
        let numbers: Vec<_> = (0..6).map(|at| collect.number(at).unwrap()).collect();
        assert_eq!((numbers, collect.numbers.len()), (vec![5, 6, 7, 9, 10, 20], 3));
    }
}
