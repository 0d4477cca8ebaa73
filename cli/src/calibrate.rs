//! `legonf calibrate`: a threshold from held-out benign traffic.

use crate::failure::{Failure, print, print_json};
use crate::input;
use crate::network::Network;
use crate::progress::Bar;
use crate::supply::Maker;
use crate::workers::Workers;
use crate::{Style, interrupt, replay};
use clap::{Args, ValueEnum};
use legonf_core::{Batch, Column, Columns, Fault, Sink};
use legonf_decide::calibrate::{BenignScores, Calibration, DEFAULT_CONFIDENCE, Method};
use legonf_models::CaptureProvenance;
use std::path::PathBuf;

/// Scores benign traffic that the model was not trained on, and stores in the model a threshold with the
/// false-positive bound that it stands for.
#[derive(Args)]
pub struct Arguments {
    /// Model to calibrate.
    model: PathBuf,
    /// Benign capture that the model was not trained on, or table of its features; `-` is standard input. A table has
    /// no times, so it takes no alarm budget.
    capture: PathBuf,
    /// How the threshold is found.
    #[arg(long, value_enum, default_value_t = MethodName::LogNormal)]
    method: MethodName,
    /// False positives among benign packets to allow (log-normal and quantile).
    #[arg(long, default_value_t = 0.001, value_name = "RATE")]
    false_positive_rate: f64,
    /// Alerts a day to allow on benign traffic (alarm-budget).
    #[arg(long, default_value_t = 10.0, value_name = "N")]
    alarms_per_day: f64,
    /// Confidence of the bound (quantile and alarm-budget).
    #[arg(long, default_value_t = DEFAULT_CONFIDENCE)]
    confidence: f64,
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
    /// Fit a log-normal distribution; the threshold is where it leaves the false-positive rate above.
    LogNormal,
    /// The empirical quantile; its bound needs no assumption on the distribution.
    Quantile,
    /// At most so many alerts a day on the calibration trace.
    AlarmBudget,
}

pub fn run(arguments: &Arguments, style: Style) -> Result<(), Failure> {
    let method = arguments.method();
    method.validate()?;
    style.check_results(arguments.output.as_deref())?;
    let model = Network::load(&arguments.model)?;
    let origin = input::origin(&arguments.capture)?;
    arguments.check_overlap(&model, &origin)?;
    let mut scores = arguments.score(&model, style)?;
    let calibration = scores.calibrate(method)?;
    let output = arguments.output.as_ref().unwrap_or(&arguments.model);
    model.with_calibration(stored(&calibration, origin.name)).save(output)?;
    arguments.show(&calibration, style)
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

    /// Refuses packets that the model was trained on: they score too low to set a threshold by.
    fn check_overlap(&self, model: &Network, origin: &CaptureProvenance) -> Result<(), Failure> {
        let known = !origin.sha256.is_empty();
        let trained = if known { model.trained_packets(&origin.sha256) } else { 0 };
        if self.skip >= trained {
            return Ok(());
        }
        Err(Failure::fault(format!(
            "{}: the model was trained on its first {trained} packets; leave them out with --skip {trained}, or give another capture",
            self.capture.display()
        )))
    }

    fn score(&self, model: &Network, style: Style) -> Result<BenignScores, Failure> {
        let (content, mut source) = input::open_any(&self.capture, self.limit, model.schema())?;
        let spec = replay::built_in(model, content, replay::Execution::default(), None)?;
        let mut graph = replay::assemble(&spec, content, model, None)?;
        self.workers.check(&mut graph)?;
        let mut sink = Collect { skip: self.skip, scores: BenignScores::default() };
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
            None => Ok(sink.scores),
        }
    }

    fn show(&self, c: &Calibration, style: Style) -> Result<(), Failure> {
        if style.json {
            return print_json(c);
        }
        if style.quiet {
            return Ok(());
        }
        let a_day = c
            .alarms_per_day
            .map_or_else(String::new, |n| format!(", {n:.1} alerts a day at this packet rate"));
        print(&format!(
            "threshold {:.6} by {} from {} benign packets ({} of them above); false positives at most {:.4}%{a_day}\n",
            c.threshold,
            c.method.label(),
            c.samples,
            c.samples_above,
            100.0 * c.false_positive_bound,
        ))
    }
}

/// The calibration as the model keeps it.
fn stored(c: &Calibration, source: String) -> legonf_models::Calibration {
    legonf_models::Calibration {
        method: c.method.label().into(),
        threshold: c.threshold,
        false_positive_bound: c.false_positive_bound,
        samples: c.samples as u64,
        log_mean: c.log_mean,
        log_sd: c.log_sd,
        alarms_per_day: c.alarms_per_day,
        confidence: c.method.confidence(),
        source,
    }
}

/// Takes the scores after the packets left out.
struct Collect {
    skip: u64,
    scores: BenignScores,
}

impl Sink for Collect {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let held_out = batch.headers.iter().zip(&batch.scores).filter(|(header, _)| header.seq >= self.skip);
        for (header, score) in held_out {
            self.scores.push(*score, header.timestamp).map_err(Fault::new)?;
        }
        Ok(())
    }

    fn reads(&self) -> Columns {
        Columns::of(&[Column::Scores])
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
