//! Calibration: a threshold from held-out benign traffic.

use crate::assembly::{AS_MADE, Execution, assemble, built_in};
use crate::captures::{Captures, Series};
use crate::models::Models;
use crate::network::Network;
use crate::summary::ClockReport;
use crate::supply::Maker;
use crate::{Error, Extent, Session, Workers};
use legonf_core::{Batch, BindError, Clock, ColumnSpec, Fault, Handle, Headers, Layout, Sink};
use legonf_decide::DecideError;
use legonf_decide::calibrate::{
    BenignScores, Calibration, Check, DEFAULT_CONFIDENCE, Extreme, HeldOut, Method,
};
use legonf_infer::SCORES;
use legonf_models::{CalibratedOn, CaptureProvenance};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// A search for a threshold among the scores of benign traffic that the model was not trained on. The threshold comes from the
/// first part of the packets, and its bound is checked on the rest.
///
/// Scores before the schema's statistics have [settled](legonf_core::Schema::settling_time) are left out, since later ones are
/// unlike them. Where the settled ones are too few for what is asked, all are taken, and the threshold says nothing of later ones.
#[derive(Clone, Debug)]
pub struct Calibrating {
    /// Model to calibrate.
    pub model: PathBuf,
    /// Benign captures, or tables of their features.
    pub captures: Captures,
    /// How the threshold is found.
    pub method: Method,
    /// How its bound is checked.
    pub check: Check,
    /// Leave out the first packets; they still build up the features' state.
    pub skip: u64,
    /// Read only the first packets, those left out included.
    pub limit: Option<u64>,
    /// Where the calibrated model goes; without it the model itself is changed.
    pub output: Option<PathBuf>,
    /// How bricks are laid out over threads.
    pub workers: Workers,
}

/// The fewest minutes that are taken to show how much minutes differ.
const MINUTES: usize = 5;

/// A model's threshold, and how it came about.
#[derive(Serialize)]
pub struct Calibrated {
    /// The threshold and its bound.
    #[serde(flatten)]
    pub calibration: Calibration,
    /// The packets that decide the threshold, where they are few.
    pub decided_by: Vec<Packet>,
    /// Whether the threshold comes from settled statistics alone; always so of rows of a table, of which it is not known.
    pub settled: bool,
    /// Seconds of stream time after which they have settled.
    pub settled_after_seconds: f64,
    /// Of what traffic the bound is claimed.
    pub holds_for: &'static str,
    /// Packets before that, which were left out where the threshold comes from settled statistics.
    pub unsettled: usize,
    /// Packets without a score, since their link type is not parsed.
    pub rejected: u64,
    /// Packets that the filter left out, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filtered_out: Option<u64>,
    /// What was wrong with the capture's clock; none where it was in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockReport>,
}

/// A packet that decides the threshold, with a few others.
#[derive(Clone, Debug, Serialize)]
pub struct Packet {
    /// Its number, from 0.
    pub seq: u64,
    /// Its time stamp.
    pub timestamp: String,
    /// Its score.
    pub score: f64,
}

impl Calibrating {
    /// A calibration of a model by the quantiles of single minutes, for at most 0.1% of benign packets.
    pub fn new(model: impl Into<PathBuf>, capture: impl Into<PathBuf>) -> Self {
        let (false_positive_rate, confidence) = (0.001, DEFAULT_CONFIDENCE);
        Self {
            model: model.into(),
            captures: Captures::from(capture.into()),
            method: Method::MinuteQuantile { false_positive_rate, confidence },
            check: Check::default(),
            skip: 0,
            limit: None,
            output: None,
            workers: Workers::default(),
        }
    }

    /// Scores the capture, and stores the threshold in the model.
    ///
    /// # Errors
    /// If the model was trained on these packets, they give no threshold or contradict its bound, or nothing can be read or
    /// written. The model is unchanged then.
    pub fn run(&self, session: &Session) -> Result<Calibrated, Error> {
        self.method.validate()?;
        self.check.validate()?;
        let model = Network::load(session, &self.model)?;
        let series = self.captures.find(session, Some(model.schema()))?;
        let origins = series.origins()?;
        self.check_overlap(&model, (&series, &origins))?;
        let (benign, clock) = self.score(session, &series, &model)?;
        let (calibration, settled) = self.find(&benign).map_err(|error| refusal(&series, &error))?;
        let output = self.output.as_ref().unwrap_or(&self.model);
        let clock = ClockReport::of(&clock, &model.schema().name);
        let packets = self.packets(origins, &benign);
        let stored = self.stored(&calibration, settled, (series.title(), packets));
        model.with_calibration(stored)?.save(output)?;
        let decided_by = benign.named(&calibration, settled);
        let settled_after_seconds = model.schema().settling_time().as_secs_f64();
        Ok(Calibrated {
            holds_for: holds_for(&calibration, settled),
            calibration,
            decided_by,
            settled,
            settled_after_seconds,
            unsettled: benign.unsettled,
            rejected: benign.rejected,
            filtered_out: series.left_out(),
            clock,
        })
    }

    /// The threshold from the settled scores or, where these are too few, from all, and whether it is from the settled ones.
    fn find(&self, benign: &Collect) -> Result<(Calibration, bool), DecideError> {
        let from = |first| benign.scores.from(first).calibrate(self.method, self.check);
        match from(benign.unsettled) {
            Err(error) if benign.unsettled > 0 && error.is_of_too_few() => Ok((from(0)?, false)),
            found => Ok((found?, true)),
        }
    }

    /// Refuses packets that the model was trained on: they score too low to set a threshold by.
    fn check_overlap(
        &self,
        model: &Network,
        (series, origins): (&Series, &[CaptureProvenance]),
    ) -> Result<(), Error> {
        let trained: Vec<_> = origins.iter().map(|origin| model.trained_packets(origin)).collect();
        let leading = trained.iter().take_while(|packets| **packets > 0).count();
        let later = (leading..trained.len()).find(|place| trained[*place] > 0);
        let otherwise = origins.iter().position(|origin| model.trained_otherwise(origin));
        if let Some(place) = otherwise.or(later) {
            let reason = "the model was trained on it, with other packets before or under another filter; leave it out";
            return Err(Error::file(&series.files()[place], reason));
        }
        let trained: u64 = trained.iter().sum();
        if self.skip >= trained {
            return Ok(());
        }
        let packets = if trained == 1 { "packet; leave it" } else { "packets; leave them" };
        Err(series.fault(format!(
            "the model was trained on its first {trained} {packets} out with --skip {trained}, or give another capture"
        )))
    }

    /// The packets of the calibration; none where it is not known of which captures they are.
    fn packets(&self, captures: Vec<CaptureProvenance>, benign: &Collect) -> Option<CalibratedOn> {
        let known = captures.iter().all(|capture| !capture.sha256.is_empty());
        known.then(|| CalibratedOn { captures, first: self.skip, end: benign.end.max(self.skip) })
    }

    fn score(&self, session: &Session, series: &Series, model: &Network) -> Result<(Collect, Clock), Error> {
        let (content, mut source) = series.open_any(session, self.limit, model.schema())?;
        let spec = built_in(model, content, Execution::default())?;
        let models = Models::one(model.clone());
        let mut graph = assemble(&spec, content, (&models, None), None, AS_MADE)?;
        self.workers.check(&mut graph)?;
        let settling = model.schema().settling_time();
        let mut sink = Collect { skip: self.skip, settling, ..Collect::default() };
        let bar = session.begin("calibration", Extent::Bytes);
        let maker = Maker { spec: &spec, models: &models, threshold: None, swaps: None };
        let options = self.workers.options(session, Some(&maker));
        let mut observe = |progress, packets| bar.update(progress, packets);
        let outcome = legonf_runtime::run(&mut graph, &mut *source, &mut sink, options, &mut observe);
        let kept = "the model is unchanged".to_owned();
        match outcome.fault {
            Some(fault) => Err(Error::Run { fault, kept }),
            None if outcome.stopped => Err(Error::Interrupted(kept)),
            None => Ok((sink, outcome.clock)),
        }
    }

    /// The calibration as the model keeps it.
    fn stored(
        &self,
        c: &Calibration,
        settled: bool,
        (source, packets): (String, Option<CalibratedOn>),
    ) -> legonf_models::Calibration {
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
            confidence: if c.seen { Some(self.check.confidence) } else { c.method.confidence() },
            source,
            held_out: c.held_out.map(held_out),
            seen: c.seen,
            minutes: c.minutes.map(|minutes| minutes as u64),
            holds_for: Some(holds_for(c, settled).into()),
            packets,
        }
    }
}

/// Why there is no threshold, and what can be done.
fn refusal(series: &Series, error: &DecideError) -> Error {
    let force = if error.yields_to_force() { ", or store what was seen with --as-seen" } else { "" };
    series.fault(format!("{error}{force}; the model is unchanged"))
}

/// Of what traffic a bound is claimed.
fn holds_for(c: &Calibration, settled: bool) -> &'static str {
    match (settled, c.minutes) {
        (false, _) => {
            "traffic as that of the calibration, before the statistics have settled; nothing is known of later packets"
        }
        (true, Some(minutes)) if minutes < MINUTES => {
            "traffic as that of the calibration, whose few minutes do not show how much minutes differ"
        }
        (true, Some(_)) => {
            "stationary traffic, each minute as those of the calibration; this was tried on such traffic alone"
        }
        (true, None) => "packets that are drawn as those of the calibration, one independent of the other",
    }
}

/// Takes the scores after the packets left out.
#[derive(Default)]
struct Collect {
    skip: u64,
    /// Stream time until the statistics have settled.
    settling: Duration,
    /// That of all packets, those left out included.
    clock: Clock,
    /// Scores before that time.
    unsettled: usize,
    column: Handle<Vec<f64>>,
    scores: BenignScores,
    /// Packets without a score, since their link type is not parsed.
    rejected: u64,
    /// Where the packets' numbers do not go on from those before: the score's position, and the number.
    numbers: Vec<(usize, u64)>,
    /// Number of the first packet behind all.
    end: u64,
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

    /// The packets that decide the threshold, which is from the settled scores or from all.
    fn named(&self, calibration: &Calibration, settled: bool) -> Vec<Packet> {
        let first = if settled { self.unsettled } else { 0 };
        let packet = |extreme: &Extreme| {
            let seq = self.number(first + extreme.index)?;
            Some(Packet { seq, timestamp: extreme.timestamp.to_string(), score: extreme.score })
        };
        calibration.decided_by.iter().filter_map(packet).collect()
    }
}

impl Sink for Collect {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let mut packets = batch.headers.iter().zip(batch.columns.get(self.column));
        packets.try_for_each(|(header, score)| {
            self.clock.shift(header.seq, header.timestamp);
            self.end = header.seq + 1;
            if header.seq < self.skip {
                return Ok(());
            }
            if header.is_unread() {
                self.rejected += 1;
                return Ok(());
            }
            self.push(*score, header)?;
            let settled = batch.timeless || Duration::from_nanos(self.clock.elapsed()) >= self.settling;
            self.unsettled += usize::from(!settled);
            Ok(())
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
