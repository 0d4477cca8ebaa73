//! A load in steps: what the controller makes of it, and what that costs.

use crate::ExperimentError;
use crate::figure4::{Learnt, lines, watch::Checksum};
use crate::lap::Track;
use crate::offer::{Load, Offer};
use clap::Args;
use legonf_controller::{Action, Config, Event, Scaling, Sla};
use legonf_core::{
    BATCH, Batch, BindError, ColumnSpec, Fault, Layout as Columns, Pace, Plan, Sink, Snapshot,
};
use legonf_datasets::generate;
use legonf_engine::agent::Agent;
use legonf_engine::measure::{Trial, median};
use legonf_engine::{Disturbances, EngineKind, Error, Execution, Folder, Placement, Session};
use legonf_io::sink::{Panel, Timeline};
use legonf_runtime::{Control, Layout, Outcome, PlanError};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Steps before the top, in parts of what the first layout carries; behind it they come in reverse. The top is halfway, by ratio,
/// between what it and two replicas carry, and lasts two steps.
const RISE: [f64; 2] = [0.4, 0.8];

/// Where two replicas carry hardly more than one, the top is still an overload.
const LEAST_TOP: f64 = 1.05;

/// Offers a load that rises, holds and falls in steps (StatelessNF, Figure 4.8) to Kitsune under the controller, which begins with
/// one worker for all bricks between source and sink. Its replicas share the extractor's state: slots move while packets flow.
/// What finds no room is lost, and counted; scores are compared with those of one worker.
///
/// With --place '*#1=NAME' and --host the second replica runs on another host.
///
/// The network engine is the generic one (`onnx`) by default: on two cores two replicas carry nearly twice what one does, while
/// with legonf's own, for which a packet is hardly more work than its way to another core, they carry little more.
#[derive(Args)]
pub struct Arguments {
    /// Time of each of six steps.
    #[arg(long, alias = "seconds", default_value = "4s", value_name = "TIME", value_parser = legonf_engine::arguments::time)]
    pub(crate) step: Duration,
    /// Packets a second that stand for 1: the steps are 0.4, 0.8, twice the top, 0.8 and 0.4 of them. Without it what the
    /// first layout carries, as measured first.
    #[arg(long, value_name = "PPS", value_parser = legonf_engine::arguments::positive)]
    pub(crate) unit: Option<f64>,
    /// The top in units. Without it halfway, by ratio, between what the first layout and two replicas carry, as measured first.
    #[arg(long, value_name = "UNITS", value_parser = legonf_engine::arguments::positive)]
    pub(crate) top: Option<f64>,
    /// Packets that may wait before the source.
    #[arg(long, default_value_t = 500_000, value_name = "N", value_parser = clap::value_parser!(u64).range(256..))]
    pub(crate) ring: u64,
    /// Milliseconds after which a batch that is not full is closed, where no --latency says so. Without it the time in which the
    /// unit fills one, 1 ms at least.
    #[arg(long, value_name = "MS", value_parser = legonf_engine::arguments::positive)]
    pub(crate) hold: Option<f64>,
    /// Milliseconds from source to sink that are promised: the deadline of packet batching, as bricks cost by then, closes a batch
    /// that is not full.
    #[arg(long, value_name = "MS", value_parser = legonf_engine::arguments::positive)]
    pub(crate) latency: Option<f64>,
    /// Time between two looks of the controller.
    #[arg(long, default_value = "50ms", value_name = "TIME", value_parser = legonf_engine::arguments::time)]
    pub(crate) tick: Duration,
    #[command(flatten)]
    pub(crate) execution: Execution,
    #[command(flatten)]
    pub(crate) placement: Placement,
    /// A folder for report.json, events.json, and elasticity.svg: load, workers and latency over one axis, with the decisions.
    #[arg(long, short, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Packets by which it is measured what a layout carries, and how often.
const CAPACITY_PACKETS: f64 = 100_000.0;
const CAPACITY_RUNS: usize = 3;

/// Packets that took longer than this from when they were due to the sink are late: so many times what a batch waits to be full.
const LATE_HOLDS: f64 = 5.0;

/// One tick.
#[derive(Clone, Serialize)]
pub(crate) struct Sample {
    pub at: f64,
    offered: f64,
    pub done: f64,
    workers: usize,
    /// Cores on which workers computed, and more on which they would have.
    busy: f64,
    starved: f64,
    /// Cores that a hypervisor gave to other machines.
    stolen: f64,
    plan: String,
    /// The longest that a packet took of those that came out.
    latency_ms: f64,
}

/// What became of the load.
#[derive(Serialize)]
pub struct Report {
    /// Packets a second that the first layout carries, and that two replicas do, and of the top step.
    pub(crate) unit: f64,
    pub(crate) of_two: Option<f64>,
    pub(crate) top: f64,
    pub(crate) packets: u64,
    pub(crate) lost: u64,
    /// Greatest difference of a score to that of one worker: 0, or nothing where packets were lost.
    pub(crate) deviation: Option<f64>,
    identical: bool,
    /// Milliseconds from the beginning of an overload to the replica that answers it, at most.
    reaction_ms: Option<f64>,
    latency_ms_p50: f64,
    latency_ms_p99: f64,
    pub(crate) latency_ms_max: f64,
    #[serde(flatten)]
    pub(crate) incidents: Disturbances,
    /// Milliseconds until a plan is in force.
    plan_change_ms_p99: f64,
    actions: usize,
    most_workers: usize,
    /// Seconds of cores that a hypervisor gave to other machines meanwhile, and the most that it did within a tick.
    stolen_s: f64,
    stolen_ms_max: f64,
    pub(crate) samples: Vec<Sample>,
    /// What the controller did.
    #[serde(skip)]
    pub(crate) events: Vec<Event>,
}

/// A sink that notes how late batches are.
struct Late {
    checksum: Checksum,
    start: Instant,
    longest: Arc<AtomicU64>,
    all: Arc<Mutex<Vec<f64>>>,
}

impl Sink for Late {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        if let Some(first) = batch.headers.first() {
            let due = Duration::from_nanos(first.timestamp.as_nanos().max(0).unsigned_abs());
            let late = self.start.elapsed().saturating_sub(due);
            self.longest.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
            self.all.lock().unwrap_or_else(PoisonError::into_inner).push(late.as_secs_f64() * 1e3);
        }
        self.checksum.write(batch)
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        self.checksum.reads()
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.checksum.bind(layout)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

/// An agent, with a sample of each tick.
struct Watch {
    agent: Agent,
    load: Load,
    longest: Arc<AtomicU64>,
    samples: Vec<Sample>,
    /// Seconds at which a second replica comes and goes, where the agent's policy leaves the layout as it is.
    by_hand: Option<[f64; 2]>,
}

impl Watch {
    /// The plan that somebody wants who does not ask the controller.
    fn plan_by_hand(&self, snapshot: &Snapshot) -> Option<Plan> {
        let [comes, goes] = self.by_hand?;
        let replicas = if (comes..goes).contains(&snapshot.at) { 2 } else { 1 };
        let mut plan = snapshot.plan.clone();
        let is_end = |id: &String| id == Plan::SOURCE || id == Plan::SINK;
        let between = plan.stages.iter_mut().filter(|stage| !stage.bricks.iter().any(is_end));
        between.for_each(|stage| stage.replicas = replicas);
        (plan != snapshot.plan).then_some(plan)
    }
}

impl Control for Watch {
    fn period(&self) -> Duration {
        self.agent.period()
    }

    fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan> {
        let plan = self.agent.tick(snapshot);
        self.samples.push(Sample {
            at: snapshot.at,
            offered: self.load.rate(snapshot.at - snapshot.span / 2.0),
            done: snapshot.done as f64 / snapshot.span.max(1e-9),
            workers: snapshot.plan.workers(),
            busy: snapshot.workers.iter().map(|worker| worker.busy).sum(),
            starved: snapshot.workers.iter().map(|worker| worker.starved).sum(),
            stolen: snapshot.host.stolen,
            plan: snapshot.plan.to_string(),
            latency_ms: self.longest.swap(0, Ordering::Relaxed) as f64 / 1e3,
        });
        plan.or_else(|| self.plan_by_hand(snapshot))
    }

    fn pace(&self) -> Pace {
        self.agent.pace()
    }

    fn applied(&mut self, plan: &Plan, took: Duration, result: Result<(), &PlanError>) {
        self.agent.applied(plan, took, result);
    }
}

/// Packets a second of one and of two replicas: the middle of some runs in turn.
fn capacities(trial: &Trial<'_>, track: &Arc<Track>) -> Result<[f64; 2], ExperimentError> {
    let load = Load { seconds: 1.0, rates: vec![CAPACITY_PACKETS] };
    let once = |replicas| -> Result<f64, ExperimentError> {
        let mut source = Offer::at_once(load.clone(), track.clone());
        let ran = trial.run(None, &trial.between(replicas)?, &mut source, &mut Checksum::default())?;
        Ok(ran.outcome.packets as f64 / ran.seconds)
    };
    let runs =
        (0..CAPACITY_RUNS).map(|_| Ok([once(1)?, once(2)?])).collect::<Result<Vec<_>, ExperimentError>>()?;
    Ok([0, 1].map(|replicas| median(runs.iter().map(|run| run[replicas]))))
}

/// A load, and how it is answered.
pub(crate) struct Steps {
    /// In parts of what the first layout carries.
    pub rates: Vec<f64>,
    /// The part of the time that may be left to the other workers when the controller takes one away.
    pub low: f64,
    /// The steps with which a second replica comes and goes, where that is not the controller's to decide.
    pub by_hand: Option<[usize; 2]>,
}

/// The steps for a top, in units.
pub(crate) type Shape = fn(f64) -> Steps;

/// A replica is superfluous at the lowest step and not at the middle one.
fn past_overload(top: f64) -> Steps {
    let [low, middle] = RISE;
    let rates = [low, middle, top, top, middle, low].into();
    Steps { rates, low: f64::midpoint(low, middle), by_hand: None }
}

/// What is offered.
struct Demand {
    unit: f64,
    of_two: Option<f64>,
    /// In units.
    top: f64,
    steps: Steps,
    /// Seconds for which a batch waits to be full.
    hold: f64,
}

/// Offers the load, under the controller.
///
/// # Errors
/// If a score differs from that of one worker, a run does not come to its end, or nothing can be written.
pub fn run(arguments: &Arguments, session: &Session) -> Result<Report, ExperimentError> {
    session.check_folder(arguments.out.as_deref())?;
    let top = |[one, two]: [f64; 2]| (two / one).sqrt().max(LEAST_TOP);
    let (report, _) = offered(arguments, session, top, past_overload)?;
    arguments.write(&report)?;
    Ok(report)
}

/// Offers steps to a top, which follows from what one and two replicas carry where it is not given.
pub(crate) fn offered(
    arguments: &Arguments,
    session: &Session,
    top: fn([f64; 2]) -> f64,
    shape: Shape,
) -> Result<(Report, Load), ExperimentError> {
    let config = generate::Config { packets: 200_000, rate: 10_000.0, ..generate::Config::default() };
    let track = Arc::new(Track::generate(config)?);
    let learnt = Learnt::of(session, &track)?;
    let engine = arguments.execution.engine.or(Some(EngineKind::Onnx));
    let trial = learnt.trial(session, Execution { engine, ..arguments.execution })?;
    let trial = trial.placed(arguments.placement.clone());
    let demand = arguments.demand((&trial, &track), top, shape)?;
    let rates = demand.steps.rates.iter().map(|part| part * demand.unit).collect();
    let load = Load { seconds: arguments.step.as_secs_f64(), rates };
    let case = Case { trial: &trial, track: &track, demand, load };
    Ok((arguments.measure(&case)?, case.load))
}

/// What is run, and what is offered to it.
struct Case<'a> {
    trial: &'a Trial<'a>,
    track: &'a Arc<Track>,
    demand: Demand,
    load: Load,
}

impl Case<'_> {
    /// The checksum of the scores of one worker.
    fn checksum_alone(&self) -> Result<u64, ExperimentError> {
        let mut alone = Checksum::default();
        let mut source = Offer::at_once(self.load.clone(), self.track.clone());
        self.trial.run(None, &Layout::Fused, &mut source, &mut alone)?;
        Ok(alone.value())
    }
}

/// What became of the load under the controller.
struct Offered {
    outcome: Outcome,
    /// Packets that found no room.
    lost: u64,
    checksum: u64,
    /// Milliseconds by which batches were late, the longest last.
    late_ms: Vec<f64>,
    samples: Vec<Sample>,
    events: Vec<Event>,
}

impl Offered {
    /// The report, where the scores of a run that lost nothing are those of one worker.
    fn report(self, demand: &Demand) -> Report {
        let Self { outcome, lost, late_ms, samples, events, .. } = self;
        let identical = lost == 0;
        Report {
            unit: demand.unit,
            of_two: demand.of_two,
            top: demand.top * demand.unit,
            packets: outcome.packets + lost,
            lost,
            deviation: identical.then_some(0.0),
            identical,
            reaction_ms: reaction(&events, &samples, 1e3 * LATE_HOLDS * demand.hold),
            latency_ms_p50: quantile(&late_ms, 0.5),
            latency_ms_p99: quantile(&late_ms, 0.99),
            latency_ms_max: quantile(&late_ms, 1.0),
            incidents: Disturbances::of(&outcome),
            plan_change_ms_p99: quantile(&sorted(changes(&events).map(|(_, took)| took).collect()), 0.99),
            actions: changes(&events).count(),
            most_workers: samples.iter().map(|sample| sample.workers).max().unwrap_or(0),
            stolen_s: stolen(&samples).sum(),
            stolen_ms_max: stolen(&samples).fold(0.0, f64::max) * 1e3,
            samples,
            events,
        }
    }
}

impl Arguments {
    fn demand(
        &self,
        (trial, track): (&Trial<'_>, &Arc<Track>),
        top: fn([f64; 2]) -> f64,
        shape: Shape,
    ) -> Result<Demand, ExperimentError> {
        let (unit, of_two) = match (self.unit, self.top) {
            (Some(unit), Some(_)) => (unit, None),
            (given, _) => {
                let [one, two] = capacities(trial, track)?;
                (given.unwrap_or(one), Some(two))
            }
        };
        let top = self.top.unwrap_or_else(|| of_two.map_or(LEAST_TOP, |two| top([unit, two])));
        let hold = self.hold.map_or_else(|| (BATCH as f64 / unit).max(1e-3), |ms| ms / 1e3);
        Ok(Demand { unit, of_two, top, steps: shape(top), hold })
    }

    /// Runs under the controller, and again in one worker where nothing was lost.
    fn measure(&self, case: &Case<'_>) -> Result<Report, ExperimentError> {
        let offered = self.offer(case)?;
        if offered.lost == 0 && case.checksum_alone()? != offered.checksum {
            let reason = "the scores differ from those of one worker; please report this";
            return Err(Error::refused(reason).into());
        }
        Ok(offered.report(&case.demand))
    }

    fn offer(&self, case: &Case<'_>) -> Result<Offered, ExperimentError> {
        let (load, start) = (case.load.clone(), Instant::now());
        let (longest, all) = (Arc::<AtomicU64>::default(), Arc::<Mutex<Vec<f64>>>::default());
        let hold = Duration::try_from_secs_f64(case.demand.hold).unwrap_or(Duration::MAX);
        let mut source = Offer::timed(load.clone(), case.track.clone(), start, self.ring, hold);
        let mut sink =
            Late { checksum: Checksum::default(), start, longest: longest.clone(), all: all.clone() };
        let steps = &case.demand.steps;
        let by_hand = steps.by_hand.map(|steps| steps.map(|step| step as f64 * load.seconds));
        let agent = case.trial.agent(self.policy(steps))?;
        let mut watch = Watch { agent, load, longest, samples: Vec::new(), by_hand };
        let lost = source.lost();
        let layout = case.trial.between(1)?;
        let outcome = case.trial.run(Some(&mut watch), &layout, &mut source, &mut sink)?.outcome;
        let late = all.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Offered {
            lost: lost.load(Ordering::Relaxed),
            checksum: sink.checksum.value(),
            late_ms: sorted(late),
            events: watch.agent.finish(outcome.packets)?.to_vec(),
            samples: watch.samples,
            outcome,
        })
    }

    fn policy(&self, steps: &Steps) -> Config {
        let (defaults, low) = (Config::default(), steps.low);
        let scaling = if steps.by_hand.is_some() { Scaling::Fixed } else { defaults.scaling };
        let sla = Sla { rate: None, latency_ms: self.latency };
        Config { tick: self.tick.as_secs_f64(), ticks_down: 5, fuse: false, scaling, low, sla, ..defaults }
    }

    fn write(&self, report: &Report) -> Result<(), ExperimentError> {
        let Some(folder) = &self.out else { return Ok(()) };
        let folder = Folder::create(folder)?;
        folder.report(report)?;
        folder.put("events.json", &lines(&report.events))?;
        let curve =
            |value: fn(&Sample) -> f64| report.samples.iter().map(|s| (s.at, value(s))).collect::<Vec<_>>();
        let panel = |up: &str, series| Panel { up: up.into(), series, bound: None };
        let rates = vec![
            ("offered".to_owned(), curve(|s| s.offered / 1e3)),
            ("achieved".to_owned(), curve(|s| s.done / 1e3)),
        ];
        let workers = vec![("workers".to_owned(), curve(|s| s.workers as f64))];
        let latency = vec![("longest of each tick".to_owned(), curve(|s| s.latency_ms))];
        let timeline = Timeline {
            title: "A load in steps, and what the controller made of it".into(),
            panels: vec![
                panel("thousand packets/s", rates),
                panel("workers", workers),
                panel("latency in ms", latency),
            ],
            marks: report.events.iter().filter_map(mark).collect(),
        };
        Ok(folder.timeline("elasticity.svg", &timeline)?)
    }
}

/// When a decision that changes something was made, and what it was.
fn mark(event: &Event) -> Option<(f64, String)> {
    let Event::Decision { at, decision } = event else { return None };
    decision.plan.as_ref()?;
    let (action, bricks) = (decision.action.label(), decision.bricks.join(" "));
    Some((*at, format!("{action} {bricks}: {}", decision.reason)))
}

/// Seconds of cores that a hypervisor gave to other machines, tick after tick.
fn stolen(samples: &[Sample]) -> impl Iterator<Item = f64> {
    let before = std::iter::once(0.0).chain(samples.iter().map(|sample| sample.at));
    samples.iter().zip(before).map(|(sample, before)| sample.stolen * (sample.at - before))
}

/// When plans came into force, and the milliseconds that each took.
fn changes(events: &[Event]) -> impl Iterator<Item = (f64, f64)> {
    events.iter().filter_map(|event| match event {
        Event::Applied { at, took_ms, refused: None, .. } => Some((*at, *took_ms)),
        _ => None,
    })
}

/// The longest time from an overload to the replica that answers it. An overload begins with the first of the ticks in a row before
/// the decision in which packets were late, or in which the controller found its stage overloaded, whichever is earlier.
fn reaction(events: &[Event], samples: &[Sample], late_ms: f64) -> Option<f64> {
    let begin = |at: f64, ticks: u32| {
        let before: Vec<_> = samples.iter().take_while(|sample| sample.at <= at).collect();
        let late = before.iter().rev().take_while(|sample| sample.latency_ms > late_ms).count();
        let ticks = late.max(ticks as usize).min(before.len());
        before.len().checked_sub(ticks + 1).map_or(0.0, |last| before[last].at)
    };
    let replicated = events.iter().filter_map(|event| match event {
        Event::Decision { at, decision } if decision.action == Action::Replicate => {
            Some((*at, begin(*at, decision.figures.ticks)))
        }
        _ => None,
    });
    let answers = replicated.filter_map(|(at, begin)| {
        changes(events).find(|(applied, _)| *applied >= at).map(|(applied, _)| (applied - begin) * 1e3)
    });
    answers.fold(None, |longest, ms| Some(longest.map_or(ms, |longest: f64| longest.max(ms))))
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn quantile(sorted: &[f64], part: f64) -> f64 {
    let index = ((sorted.len() as f64 - 1.0) * part).ceil().max(0.0) as usize;
    sorted.get(index).copied().unwrap_or(0.0)
}

/// What became of the load, in words.
pub fn text(report: &Report) -> String {
    let lines: String = report.events.iter().map(|event| event.text() + "\n").collect();
    let reaction =
        report.reaction_ms.map_or_else(|| "none was needed".to_owned(), |ms| format!("{ms:.0} ms at most"));
    let of_two = report.of_two.map_or_else(String::new, |rate| format!(", two {rate:.0}"));
    lines
        + &format!(
            "load        {} packets in steps of up to {:.0} packets/s (one worker {:.0}{of_two}); {} lost, scores {}\n\
             latency     {:.2} ms, {:.2} ms for 99 of 100 batches, {:.2} ms at most\n\
             {}\
             controller  {} plans in force, each within {:.2} ms, up to {} workers; from an overload to the replica that answers it: {reaction}\n\
             host        {:.0} ms of the cores went to other machines, {:.0} ms within one tick at most\n",
            report.packets,
            report.top,
            report.unit,
            report.lost,
            if report.identical {
                "identical to those of one worker"
            } else {
                "not compared, since packets were lost"
            },
            report.latency_ms_p50,
            report.latency_ms_p99,
            report.latency_ms_max,
            report.incidents.pauses(),
            report.actions,
            report.plan_change_ms_p99,
            report.most_workers,
            report.stolen_s * 1e3,
            report.stolen_ms_max
        )
}
