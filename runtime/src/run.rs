//! Moves batches from a source through the bricks to a sink.

use crate::PlanError;
use crate::graph::{Graph, Node};
use crate::layout::{MAX_WORKERS, Shape};
use crate::operator::Operator;
use crate::options::Options;
use crate::outcome::{BrickCounters, Outcome};
use crate::supervisor::stuck::watch_supervisor;
use crate::supervisor::{Leftovers, Supervisor};
use crate::sync::{self, bounded};
use crate::worker::assignment::{Assignment, Head, Tail};
use crate::worker::pin::Cores;
use crate::worker::shared::Shared;
use legonf_core::{Pace, Plan, Progress, Sink, Snapshot, Source, guarded};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What watches a run and changes its layout: the northbound interface of the bricks (LEGO §III-B).
pub trait Control {
    /// Time between two snapshots.
    fn period(&self) -> Duration;

    /// Looks at what the workers did since the last call; a plan is put into force at once. The runtime knows nothing of
    /// the host: that part of the snapshot is the control's to fill.
    fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan>;

    /// When batches are closed, for [`Source::pace`]: asked before the run and after each tick.
    fn pace(&self) -> Pace {
        Pace::default()
    }

    /// Hears what became of the plan, and how long it took to put it in force.
    fn applied(&mut self, plan: &Plan, took: Duration, result: Result<(), &PlanError>);
}

/// How often progress is shown.
const OBSERVATION: Duration = Duration::from_millis(50);

/// How often the lengths of queues are looked at where there is a control.
const LOOK: Duration = Duration::from_millis(10);

/// Runs `graph` from `source` to `sink` until the input ends, a fault occurs or `options.stop` is set.
///
/// `observe` is called in the calling thread some times a second and at the end, with the progress of the source and
/// the packets done. The sink is not finished: that is the caller's, who knows whether the results shall be kept.
pub fn run(
    graph: &mut Graph,
    source: &mut dyn Source,
    sink: &mut dyn Sink,
    options: Options<'_>,
    observe: &mut dyn FnMut(Progress, u64),
) -> Outcome {
    run_under(None, graph, source, sink, options, observe)
}

/// [`run`] under a control that may change the layout.
pub fn run_under(
    control: Option<&mut dyn Control>,
    graph: &mut Graph,
    source: &mut dyn Source,
    sink: &mut dyn Sink,
    options: Options<'_>,
    observe: &mut dyn FnMut(Progress, u64),
) -> Outcome {
    if let Err(error) = source.bind(graph.layout()).and_then(|()| sink.bind(graph.layout())) {
        return Outcome::refused(graph, &options, error.into());
    }
    let declared = graph.declared();
    let shape = Shape::of(graph, declared.wanted(sink.reads()), options.partition);
    let plan = options.layout.plan(graph);
    let shared = Shared::new(&options, (declared, graph.nodes().len()), graph.routes());
    if let Some(control) = &control {
        shared.pacing.set(control.pace());
    }
    let clock = options.clock;
    let head = Some(Head { source, next: 0, ended: false, clock, epoch: 0, spare: None });
    let ends = Assignment { head, tail: Some(Tail { sink, over: false, clock }), ..Assignment::default() };
    let cores = if options.pin { Cores::allowed() } else { Cores::default() };
    let run = || {
        sync::scope(|scope| {
            let (_alive, ended) = bounded::<()>(1);
            if let Some(watchdog) = options.watchdog {
                let (shared, ids) = (&shared, shape.ids());
                let watch = move || watch_supervisor(watchdog, shared, &ids, &ended);
                // Where there is no thread for it, there is none for a worker either, and that is told.
                let _ = sync::spawn(scope, "watchdog".into(), watch);
            }
            let supervisor = Supervisor::new(scope, &shared, shape, options.queue, cores, options.watchdog);
            go(supervisor, &plan, ends, operators(graph), control, observe)
        })
    };
    let left = guarded(run).unwrap_or_else(Leftovers::of_panic);
    let Leftovers { operators, counters: past, pauses, clock, fault } = left;
    graph.set_nodes(
        operators.into_iter().map(|operator| Node { id: operator.id, brick: operator.brick }).collect(),
    );
    let stopped = options.stop.load(Ordering::Relaxed);
    let counters = graph
        .nodes()
        .iter()
        .zip(past)
        .map(|(node, counters)| BrickCounters { id: node.id.clone(), counters });
    let (counters, totals) = (counters.collect(), &shared.totals);
    let [packets, restarts] = [&totals.done, &totals.restarts].map(|count| count.load(Ordering::Relaxed));
    Outcome { packets, counters, restarts, losses: totals.losses(), pauses, clock, stopped, fault }
}

/// Puts the workers up, watches them until the run is over, and takes them down.
fn go<'env>(
    mut supervisor: Supervisor<'_, 'env>,
    plan: &Plan,
    ends: Assignment<'env>,
    operators: Vec<Operator>,
    control: Option<&mut dyn Control>,
    observe: &mut dyn FnMut(Progress, u64),
) -> Leftovers {
    match supervisor.shape.resolve(plan, MAX_WORKERS) {
        Err(error) => return Leftovers { operators, fault: Some(error.into()), ..Leftovers::default() },
        Ok(places) => {
            if let Err(error) = supervisor.open(places, ends, operators) {
                supervisor.over = Some(Some(error.into()));
            }
        }
    }
    supervise(&mut supervisor, control, observe);
    supervisor.close()
}

fn operators(graph: &mut Graph) -> Vec<Operator> {
    let operator = |(index, node): (usize, Node)| Operator {
        index,
        replica: 0,
        number: 0,
        id: node.id,
        brick: node.brick,
        past: Vec::new(),
        checkpointer: None,
        begun: 0,
    };
    graph.take_nodes().into_iter().enumerate().map(operator).collect()
}

/// Watches the run until it is over.
fn supervise(
    supervisor: &mut Supervisor<'_, '_>,
    mut control: Option<&mut dyn Control>,
    observe: &mut dyn FnMut(Progress, u64),
) {
    let start = Instant::now();
    let (mut last, mut shown) = (start, start);
    while supervisor.over.is_none() {
        let period = control.as_ref().map(|control| control.period());
        let pause = period.map_or(OBSERVATION, |period| period.saturating_sub(last.elapsed()).min(LOOK));
        supervisor.listen(pause);
        supervisor.withdraw();
        if shown.elapsed() >= OBSERVATION {
            shown = Instant::now();
            observe(
                supervisor.shared.totals.progress(),
                supervisor.shared.totals.done.load(Ordering::Relaxed),
            );
        }
        let (Some(control), Some(period)) = (control.as_deref_mut(), period) else { continue };
        supervisor.look();
        let span = last.elapsed();
        if span >= period && supervisor.over.is_none() {
            last += span;
            steer(supervisor, control, last - start, span);
        }
    }
    observe(supervisor.shared.totals.progress(), supervisor.shared.totals.done.load(Ordering::Relaxed));
}

/// Shows the control a snapshot and does what it says.
fn steer(supervisor: &mut Supervisor<'_, '_>, control: &mut dyn Control, at: Duration, span: Duration) {
    let mut snapshot = supervisor.snapshot(at, span);
    let plan = control.tick(&mut snapshot);
    supervisor.shared.pacing.set(control.pace());
    let Some(plan) = plan else { return };
    let begin = Instant::now();
    let result = supervisor.apply(&plan);
    control.applied(&plan, begin.elapsed(), result.as_ref().copied());
    // Without its workers a stage does nothing any more: the run cannot go on.
    if let Err(error @ (PlanError::Thread(_) | PlanError::Move { .. })) = result {
        supervisor.over.get_or_insert(Some(error.into()));
    }
}
