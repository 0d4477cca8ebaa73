//! Statistics of traffic that came before: a decision on scores is worth something only once they have settled.

use crate::assembly::{AS_MADE, assemble};
use crate::captures::{Captures, Series};
use crate::models::Models;
use crate::supply::Maker;
use crate::{Error, Extent, Session, Workers, state};
use legonf_core::{Batch, Clock, Discard, Schema, Source, count};
use legonf_decide::SampleResultQuantization;
use legonf_extract::FeatureQuantization;
use legonf_io::Content;
use legonf_runtime::{Graph, GraphSpec, Options, Outcome, run};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which packets are scored but not judged, since the statistics behind their scores have not settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WarmUp {
    /// Those of the first 4/λ seconds, for the slowest decay λ of the schema ([`Schema::settling_time`]). With a saved state that
    /// time goes on from there.
    #[default]
    Settling,
    /// Those of the first so much packet time.
    For(Duration),
    /// As `Settling`, but the packets of this capture go through the extractor first, without scores.
    Capture(PathBuf),
    /// None: the first packet is judged, as in the papers.
    Off,
}

impl WarmUp {
    /// How long the stream must be before it is judged, with features of this schema. Without an extractor there is nothing that
    /// settles.
    fn time(&self, spec: &GraphSpec, schema: &Schema) -> Duration {
        let extracts = spec.bricks.iter().any(|brick| brick.kind == FeatureQuantization::KIND);
        match self {
            Self::For(time) => *time,
            Self::Settling | Self::Capture(_) if extracts => schema.settling_time(),
            Self::Off | Self::Settling | Self::Capture(_) => Duration::ZERO,
        }
    }

    /// Tells the decisions of a graph how long they have to wait. What a graph file says holds where nothing else is asked for.
    pub(crate) fn set(&self, spec: &mut GraphSpec, schema: &Schema) {
        let asked = matches!(self, Self::Off | Self::For(_));
        let seconds = self.time(spec, schema).as_secs_f64();
        for brick in spec.bricks.iter_mut().filter(|brick| brick.kind == SampleResultQuantization::KIND) {
            if asked || !brick.config.contains_key(KEY) {
                brick.config.insert(KEY.into(), seconds.into());
            }
        }
    }

    /// Refuses a time that is longer than a capture, before anything is written: nothing of it would be judged. What cannot be read
    /// twice is not looked at.
    ///
    /// # Errors
    /// If it is longer, or the input is a table, which has no time.
    pub(crate) fn check(
        &self,
        session: &Session,
        (series, content): (&Series, Content),
        limit: Option<u64>,
    ) -> Result<(), Error> {
        if content == Content::Features && matches!(self, Self::For(_) | Self::Capture(_)) {
            return Err(series
                .fault("a table of features has no time, and nothing that warms up; leave --warm-up out"));
        }
        let Self::For(time) = self else { return Ok(()) };
        if !series.can_be_read_twice() {
            return Ok(());
        }
        let mut source = series.open_again(session, limit)?;
        let Some(span) = shorter(&mut *source, *time) else { return Ok(()) };
        let (span, time) = (span.as_secs_f64(), time.as_secs_f64());
        let reason = format!(
            "its packets span {span:.3} s, and --warm-up takes {time} s, so that none would be judged"
        );
        Err(series.fault(format!("{reason}; give a shorter time, or --no-warm-up")))
    }
}

/// Key of a decision's configuration.
const KEY: &str = "warm_up";

/// The seconds for which a graph's decisions wait; none where none of them does.
pub(crate) fn seconds(spec: &GraphSpec) -> Option<f64> {
    let waits = |brick: &legonf_runtime::BrickSpec| {
        let value = brick.config.get(KEY).filter(|_| brick.kind == SampleResultQuantization::KIND)?;
        value.as_float().or_else(|| value.as_integer().map(|seconds| seconds as f64))
    };
    spec.bricks.iter().filter_map(waits).filter(|seconds| *seconds > 0.0).reduce(f64::max)
}

/// How long a source is, if it is shorter than a time. One that ends in a fault is left to the run, which tells of it.
fn shorter(source: &mut dyn Source, time: Duration) -> Option<Duration> {
    let (mut batch, mut clock) = (Batch::default(), Clock::default());
    loop {
        batch.clear();
        source.fill(&mut batch).ok()?;
        let over = batch.is_empty() && !source.is_idle();
        clock.mark(&mut batch);
        let span = Duration::from_nanos(clock.elapsed());
        if span >= time {
            return None;
        }
        if over {
            return Some(span);
        }
    }
}

/// A graph whose bricks with state learn from packets, and its clock.
pub(crate) struct Learner<'a> {
    pub spec: &'a GraphSpec,
    pub models: &'a Models,
    pub workers: &'a Workers,
    pub clock: Clock,
}

impl Learner<'_> {
    /// Lets the packets of a capture pass a graph, up to `limit`; nothing is written.
    ///
    /// # Errors
    /// If the capture cannot be read to its end, or the session is stopped.
    pub fn learn(
        &mut self,
        session: &Session,
        graph: &mut Graph,
        series: &Series,
        limit: Option<u64>,
    ) -> Result<(), Error> {
        let mut source = series.open(session, limit)?;
        let maker = Maker { spec: self.spec, models: self.models, threshold: None, swaps: None };
        let options = Options { clock: self.clock, ..self.workers.options(session, Some(&maker)) };
        let bar = session.begin("warming up", Extent::Bytes);
        let mut observe = |progress, packets| bar.update(progress, packets);
        let outcome = run(graph, &mut *source, &mut Discard, options, &mut observe);
        drop(bar);
        self.clock = outcome.clock;
        whole(outcome)
    }
}

fn whole(outcome: Outcome) -> Result<(), Error> {
    let kept = format!("while warming up, after {}; nothing was scored", count(outcome.packets, "packet"));
    match outcome.fault {
        Some(fault) => Err(Error::Run { fault, kept }),
        None if outcome.stopped => Err(Error::Interrupted(format!("stopped {kept}"))),
        None => Ok(()),
    }
}

/// Lets the packets of a capture pass the front of a graph, and gives its bricks the state that results, and the run its clock.
///
/// # Errors
/// If no brick has state, or one's cannot be taken out; if the capture cannot be read.
pub(crate) fn play(
    session: &Session,
    capture: &Path,
    (spec, models): (&GraphSpec, &Models),
    graph: &mut Graph,
) -> Result<Clock, Error> {
    state::check(graph, "--warm-up")?;
    let (front, workers) = (front(spec), Workers::default());
    let mut before = assemble(&front, Content::Packets, (models, None), None, AS_MADE)?;
    let mut learner = Learner { spec: &front, models, workers: &workers, clock: Clock::default() };
    let series = Captures::from(capture.to_owned()).find(session, None)?;
    learner.learn(session, &mut before, &series, None)?;
    state::hand_over(&mut before, graph)?;
    Ok(learner.clock.resumed())
}

/// The bricks of a graph up to its last extractor, where it is a plain sequence; else all of it. Scores are not needed.
fn front(spec: &GraphSpec) -> GraphSpec {
    let plain = spec.ports.is_empty()
        && spec.bricks.iter().all(|brick| brick.branch.is_empty() && brick.next.len() <= 1);
    let sequence = spec.sequence().unwrap_or_default();
    let last = sequence.iter().rposition(|brick| brick.kind == FeatureQuantization::KIND);
    let Some(last) = last.filter(|_| plain) else { return spec.clone() };
    let mut bricks: Vec<_> = sequence[..=last].iter().map(|brick| (*brick).clone()).collect();
    bricks[last].next.clear();
    GraphSpec { bricks, ..spec.clone() }
}
