//! The supervisor: starts stages and their workers, changes them while they run, and stops them. It applies plans, moves slots,
//! takes snapshots for the controller, and finds workers that are stuck.

pub(crate) mod handover;
pub(crate) mod migration;
pub(crate) mod replica_set;
mod snapshot;
pub(crate) mod stuck;

use crate::exchange::{Owners, prepare};
use crate::graph::route::Scratch;
use crate::layout::{Shape, StageSpec};
use crate::operator::checkpointer::Checkpointer;
use crate::operator::interface::{Counters, add};
use crate::operator::{MOST_LOSSES, Operator};
use crate::outcome::Pauses;
use crate::supervisor::handover::Handover;
use crate::supervisor::replica_set::ReplicaSet;
use crate::supervisor::stuck::{Still, Stuck};
use crate::sync::{self, Receiver, Scope, Sender, bounded, unbounded};
use crate::watchdog::Watchdog;
use crate::worker::Worker;
use crate::worker::assignment::Assignment;
use crate::worker::columns::WorkerColumns;
use crate::worker::envelope::Envelope;
use crate::worker::message::{Event, Message, Queue};
use crate::worker::order::Order;
use crate::worker::pin::{Core, Cores};
use crate::worker::shared::{Shared, supplied};
use crate::worker::stats::{Done, Scheduling, Stats};
use crate::{MAX_WORKERS, PlanError, RunFault, SupplyError};
use legonf_core::{BATCH, Brick, Clock, Histogram, LARGEST_BATCH, Plan, guarded};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Batches of each queue at least, and of a stage whose replicas divide them at most.
const SHALLOW: usize = 1;
const SHARING: usize = 3;

/// A worker that runs.
pub(crate) struct Running {
    pub serial: u64,
    pub stats: Arc<Stats>,
    pub scheduling: Scheduling,
    /// What it had done at the last snapshot, and how long its own queue was since, in batches times seconds.
    pub seen: Done,
    pub area: f64,
    /// Since when it has been where it is.
    pub still: Still,
}

/// A stage that runs.
pub(crate) struct RunningStage {
    pub place: StageSpec,
    pub input: Queue,
    pub workers: Vec<Running>,
    /// What the workers share where one of their bricks has state.
    pub replicas: Option<ReplicaSet>,
    /// How long the queues that all workers take from were since the last snapshot, in batches times seconds.
    pub area: f64,
}

/// The batches of a run.
pub(crate) struct Pool {
    /// Free ones, on their way back from the sink to the source.
    free: Queue,
    /// Batches of each queue.
    depth: usize,
    /// How many there are.
    pub credits: usize,
    /// Those of them that the plan in force does not need.
    pub surplus: usize,
}

impl Pool {
    /// Batches that the plan in force needs.
    pub fn needed(&self) -> usize {
        self.credits - self.surplus
    }
}

/// What the last snapshot has seen.
pub(crate) struct Observed {
    /// Packets offered, done and dropped.
    pub totals: [u64; 3],
    /// When queues were last looked at.
    pub queues: Instant,
}

/// The slots of bricks that have or had several replicas, by brick.
#[derive(Default)]
pub(crate) struct Slots {
    /// Which replica owns which.
    pub owners: BTreeMap<usize, Owners>,
    /// Packets of each lately.
    pub loads: BTreeMap<usize, Vec<Vec<u64>>>,
    /// How many have moved.
    pub moved: u64,
    /// Bytes of their state.
    pub moved_bytes: u64,
    /// How long packets waited for them.
    pub pauses: Histogram,
}

/// Whether workers come back from their bricks.
pub(crate) struct Watch<'env> {
    /// What ends a run that cannot go on.
    pub watchdog: Option<Watchdog<'env>>,
    /// When workers were last watched.
    pub last: Instant,
    /// The one that does not move.
    pub stuck: Option<Stuck>,
}

/// All stages of a run.
pub(crate) struct Supervisor<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    pub shared: &'env Shared<'env>,
    pub shape: Shape,
    pub stages: Vec<RunningStage>,
    pub pool: Pool,
    pub events: (Sender<Event<'env>>, Receiver<Event<'env>>),
    serial: u64,
    cores: Cores,
    pub observed: Observed,
    pub slots: Slots,
    /// Counters of bricks that are gone, by brick.
    past: Vec<Counters>,
    /// How the run ended, once it has.
    pub over: Option<Option<RunFault>>,
    pub watch: Watch<'env>,
    /// What workers had left when a change of the layout was given up.
    left: Handover<'env>,
}

impl<'scope, 'env> Supervisor<'scope, 'env> {
    pub fn new(
        scope: &'scope Scope<'scope, 'env>,
        shared: &'env Shared<'env>,
        shape: Shape,
        depth: usize,
        cores: Cores,
        watchdog: Option<Watchdog<'env>>,
    ) -> Self {
        let (bricks, depth, now) = (shape.bricks.len(), depth.max(1), Instant::now());
        Self {
            scope,
            shared,
            shape,
            stages: Vec::new(),
            pool: Pool { free: bounded(room(depth, bricks)), depth, credits: 0, surplus: 0 },
            events: unbounded(),
            serial: 0,
            cores,
            observed: Observed { totals: [0; 3], queues: now },
            slots: Slots::default(),
            past: vec![Vec::new(); bricks],
            over: None,
            watch: Watch { watchdog, last: now, stuck: None },
            left: Handover::default(),
        }
    }

    /// Puts up the stages of a plan, with the bricks of a graph and its ends.
    pub fn open(
        &mut self,
        places: Vec<StageSpec>,
        ends: Assignment<'env>,
        operators: Vec<Operator>,
    ) -> Result<(), PlanError> {
        let present = |index| operators.iter().filter(|operator| operator.index == index).count();
        let extra = self.extra(&places, present)?;
        let mut handover = Handover { ends, waiting: Some(Order::from(0)), operators, epoch: None };
        handover.operators.extend(extra);
        // First: a brick that panics while its state moves goes on from what was kept.
        let mut new = handover.operators.iter_mut().filter(|operator| operator.checkpointer.is_none());
        new.try_for_each(|operator| self.keep(operator))?;
        for place in &places {
            if let Some(operator) = self.shape.split(place).map(|split| split.operator) {
                self.regroup(operator, place.replicas, &mut handover)?;
            }
        }
        let (input, output) = (self.pool.free.clone(), self.pool.free.0.clone());
        self.stages = self.build(places, &mut handover, input, &output)?;
        self.balance();
        Ok(())
    }

    /// Waits for what workers have to tell, for some time at most.
    pub fn listen(&mut self, patience: Duration) {
        if let Ok(event) = self.events.1.recv_timeout(patience) {
            self.hear(event, &mut Handover::default());
        }
        self.watch();
    }

    /// Puts another plan in force, at a batch boundary: nothing is lost, and order stays.
    ///
    /// Stages whose bricks stay together only gain or lose replicas; where these share a brick's work, slots move from one
    /// to another while all go on. Of the others the workers retire, each behind the last batch that was before it, and
    /// hand their bricks on; batches that come meanwhile wait in the first queue.
    ///
    /// # Errors
    /// If the plan does not fit or a replica cannot be made: the plan before stays in force.
    pub fn apply(&mut self, plan: &Plan) -> Result<(), PlanError> {
        let places = self.shape.resolve(plan, MAX_WORKERS)?;
        self.shape.check_change(plan, &self.plan())?;
        let operators = self.extra(&places, |operator| self.present(operator))?;
        let mut handover = Handover { operators, ..Handover::default() };
        self.change(plan, &places, &mut handover)?;
        if self.watch.stuck.is_some() {
            self.left = handover;
            return Ok(());
        }
        handover.operators.iter().for_each(|operator| self.collect_counters(operator));
        self.balance();
        Ok(())
    }

    /// Brings workers to where a plan wants them.
    fn change(
        &mut self,
        plan: &Plan,
        places: &[StageSpec],
        handover: &mut Handover<'env>,
    ) -> Result<(), PlanError> {
        self.shrink_replicas(places, handover)?;
        let same = |(a, b): &(&RunningStage, &StageSpec)| self.stays(a, b);
        let head = self.stages.iter().zip(places).take_while(same).count();
        let most = self.stages.len().min(places.len()) - head;
        let tail = self.stages.iter().rev().zip(places.iter().rev()).take(most).take_while(same).count();
        let changed = places[head..places.len() - tail].to_vec();
        if self.over.is_none() {
            self.rebuild(head..self.stages.len() - tail, changed, handover)?;
        }
        for (stage, place) in places.iter().enumerate() {
            if self.over.is_none() {
                self.resize(stage, place.replicas, handover)?;
            }
        }
        self.shift_as_told(plan)
    }

    /// Replaces some stages by others with the same bricks.
    fn rebuild(
        &mut self,
        old: Range<usize>,
        new: Vec<StageSpec>,
        handover: &mut Handover<'env>,
    ) -> Result<(), PlanError> {
        if old.is_empty() {
            return Ok(());
        }
        for stage in old.clone() {
            self.retire(stage, self.stages[stage].workers.len(), handover);
        }
        if self.watch.stuck.is_some() {
            return Ok(());
        }
        let input = self.stages[old.start].input.clone();
        let output = self.after(old.end);
        let stages = self.build(new, handover, input, &output)?;
        self.stages.splice(old, stages);
        Ok(())
    }

    /// Whether a stage only gains or loses workers.
    fn stays(&self, old: &RunningStage, new: &StageSpec) -> bool {
        old.place.same_bricks(new) && old.replicas.is_some() == self.shape.split(new).is_some()
    }

    /// Moves the state of a brick, whose replicas stand still, to as many as there shall be.
    fn regroup(
        &mut self,
        operator: usize,
        replicas: usize,
        handover: &mut Handover<'env>,
    ) -> Result<(), PlanError> {
        let Ok(split) = &self.shape.splits[operator] else { return Ok(()) };
        let owners = self.slots.owners.remove(&operator).unwrap_or_else(|| split.alone());
        let owners = split.regroup(&mut handover.replicas(operator), &owners, replicas, self.shared)?;
        self.slots.owners.insert(operator, owners);
        Ok(())
    }

    /// Gives a stage more workers or fewer.
    fn resize(
        &mut self,
        stage: usize,
        replicas: usize,
        handover: &mut Handover<'env>,
    ) -> Result<(), PlanError> {
        if self.stages[stage].replicas.is_some() {
            return self.grow_replicas(stage, replicas, handover);
        }
        let present = self.stages[stage].workers.len();
        self.retire(stage, present.saturating_sub(replicas), handover);
        if self.watch.stuck.is_some() {
            return Ok(());
        }
        self.stages[stage].place.replicas = replicas;
        let (place, input) = (self.stages[stage].place.clone(), self.stages[stage].input.1.clone());
        for _ in present..replicas {
            let assignment = handover.assignment(&place, false);
            let worker = self.start(&place, assignment, input.clone(), self.after(stage + 1))?;
            self.stages[stage].workers.push(worker);
        }
        Ok(())
    }

    /// The queue that leads to a stage; behind the last one free batches go back to the first.
    pub fn after(&self, stage: usize) -> Sender<Message> {
        self.stages.get(stage).unwrap_or(&self.stages[0]).input.0.clone()
    }

    /// Lets workers of a stage end behind what is in its queue now, and takes over what they have.
    pub fn retire(&mut self, stage: usize, workers: usize, handover: &mut Handover<'env>) {
        if workers > 0 && self.stages[stage].replicas.is_some() {
            return self.retire_replicas(stage, handover);
        }
        let left = self.stages[stage].workers.len() - workers;
        let source = self.stages[stage].place.source && workers > 0;
        self.shared.set_leave(source);
        retire_from(&self.stages[stage].input.0, workers);
        while self.stages[stage].workers.len() > left {
            let Some(event) = self.next_event() else { return };
            self.hear(event, handover);
        }
        if source {
            self.shared.set_leave(false);
            unsay(&self.stages[stage].input);
        }
    }

    /// Takes in what a worker tells.
    pub fn hear(&mut self, event: Event<'env>, handover: &mut Handover<'env>) {
        match event {
            Event::Over(fault) => _ = self.over.get_or_insert(fault),
            Event::Drained(_) => {}
            Event::Turned(_, turned) => {
                self.slots.moved_bytes += turned.bytes;
                turned.pauses.into_iter().for_each(|pause| self.slots.pauses.add(pause.time, pause.packets))
            }
            Event::Retired(retired) => {
                self.strike(retired.serial);
                handover.add(*retired);
            }
            Event::Lost(serial, message) => {
                self.strike(serial);
                let fault = RunFault::Worker { name: format!("worker {serial}"), message };
                self.over.get_or_insert(Some(fault));
            }
        }
    }

    /// Takes a worker that is gone off the list.
    fn strike(&mut self, serial: u64) {
        for live in &mut self.stages {
            live.workers.retain(|worker| worker.serial != serial);
        }
    }

    /// Makes stages of what was handed over. The first has a queue already, and the last one leads to one.
    fn build(
        &mut self,
        places: Vec<StageSpec>,
        handover: &mut Handover<'env>,
        input: Queue,
        output: &Sender<Message>,
    ) -> Result<Vec<RunningStage>, PlanError> {
        let mut queues = vec![input];
        queues.extend(places.iter().skip(1).map(|_| bounded(self.room())));
        handover.send_on(&places, &queues);
        let mut stages = Vec::with_capacity(places.len());
        for (index, place) in places.into_iter().enumerate() {
            let next = queues.get(index + 1).map_or(output, |queue| &queue.0);
            if self.shape.split(&place).is_some() {
                stages.push(self.build_replicas(place, handover, queues[index].clone(), next)?);
                continue;
            }
            let mut workers = Vec::with_capacity(place.replicas);
            for _ in 0..place.replicas {
                let assignment = handover.assignment(&place, self.shape.is_ordered(&place));
                workers.push(self.start(&place, assignment, queues[index].1.clone(), next.clone())?);
            }
            stages.push(RunningStage {
                place,
                input: queues[index].clone(),
                workers,
                replicas: None,
                area: 0.0,
            });
        }
        Ok(stages)
    }

    fn start(
        &mut self,
        place: &StageSpec,
        assignment: Assignment<'env>,
        input: Receiver<Message>,
        output: Sender<Message>,
    ) -> Result<Running, PlanError> {
        let (serial, stats, core) = self.enlist();
        let (events, shared, scratch) = (self.events.0.clone(), self.shared, Scratch::default());
        let (first, kept) =
            (place.operators.start, self.shape.kept(place.source, place.operators.clone(), place.sink));
        let columns_kept = WorkerColumns::of(kept);
        let worker = Worker {
            serial,
            assignment,
            input,
            output,
            events,
            stats: stats.clone(),
            shared,
            scratch,
            first,
            columns_kept,
            begun: VecDeque::new(),
            failed: false,
        };
        self.spawn(serial, stats, core, move || worker.run())
    }

    /// The number, the counters and the core of a new worker.
    pub fn enlist(&mut self) -> (u64, Arc<Stats>, Core) {
        self.serial += 1;
        (self.serial - 1, Arc::default(), self.cores.next())
    }

    /// Where workers report.
    pub fn events(&self) -> Sender<Event<'env>> {
        self.events.0.clone()
    }

    /// Starts a worker.
    pub fn spawn(
        &mut self,
        serial: u64,
        stats: Arc<Stats>,
        core: Core,
        work: impl FnOnce() + Send + 'scope,
    ) -> Result<Running, PlanError> {
        let events = self.events();
        let body = move || {
            let worked = guarded(|| {
                core.pin();
                work();
            });
            // Nobody listens where the supervisor itself has panicked.
            let _ = worked.map_err(|message| events.send(Event::Lost(serial, message)));
        };
        sync::spawn(self.scope, format!("worker {serial}"), body).map_err(PlanError::Thread)?;
        let (scheduling, seen, still) = Default::default();
        Ok(Running { serial, stats, scheduling, seen, area: 0.0, still })
    }

    /// Bricks that a plan needs beyond those there are.
    fn extra(
        &self,
        places: &[StageSpec],
        present: impl Fn(usize) -> usize,
    ) -> Result<Vec<Operator>, PlanError> {
        let bricks = places
            .iter()
            .flat_map(|place| place.operators.clone().map(|operator| (operator, place.replicas)));
        let missing = bricks
            .flat_map(|(operator, wanted)| (present(operator)..wanted).map(move |number| (operator, number)));
        missing.map(|(operator, number)| self.make(operator, number)).collect()
    }

    /// A further instance of a brick. One that is lost before it is ready gives way to another.
    fn make(&self, index: usize, number: usize) -> Result<Operator, PlanError> {
        let mut losses = 0;
        loop {
            let mut operator = self.supply(index, number, losses)?;
            match self.keep(&mut operator) {
                Err(_) if operator.brick.is_lost() && losses + 1 < MOST_LOSSES => self.shared.totals.lost(),
                kept => return kept.map(|()| operator),
            }
            losses += 1;
        }
    }

    /// Replicas of a brick.
    fn present(&self, operator: usize) -> usize {
        let holds = self.stages.iter().find(|live| live.place.operators.contains(&operator));
        holds.map_or(0, |live| live.workers.len())
    }

    /// An instance of a brick for a place in which so many were lost in turn.
    fn supply(&self, index: usize, number: usize, losses: usize) -> Result<Operator, PlanError> {
        let id = self.shape.bricks[index].0.clone();
        let refused = |error: SupplyError| PlanError::Replica { id: id.clone(), reason: error.to_string() };
        let supply = self.shared.supply.ok_or(SupplyError::Nobody).map_err(refused)?;
        let brick: Box<dyn Brick> = self
            .shared
            .at(index, || supplied(supply, (&id, number), losses, &self.shared.declared.layout))
            .map_err(refused)?;
        let (replica, past) = (usize::MAX, Vec::new());
        Ok(Operator { index, replica, number, id, brick, past, checkpointer: None, begun: 0 })
    }

    /// Has a brick's state kept from now on, if that is wanted and possible.
    fn keep(&self, operator: &mut Operator) -> Result<(), PlanError> {
        let (Some(least), Ok(split)) = (self.shared.checkpoint, &self.shape.splits[operator.index]) else {
            return Ok(());
        };
        prepare(split, operator, self.shared)?;
        let keep = || guarded(|| Checkpointer::new(split.clone(), least, &mut *operator.brick));
        let made = self.shared.at(operator.index, keep);
        let failed = |reason| PlanError::Move { id: operator.id.clone(), reason };
        let made = made.map_err(|message| failed(format!("it panicked ({message})")))?;
        operator.checkpointer = Some(Box::new(made.map_err(|error| failed(error.reason))?));
        Ok(())
    }

    fn collect_counters(&mut self, operator: &Operator) {
        add(&mut self.past[operator.index], &operator.past);
        add(&mut self.past[operator.index], &operator.brick.counters());
    }

    pub fn room(&self) -> usize {
        room(self.pool.depth, self.shape.bricks.len())
    }

    /// Batches that the plan in force needs. Replicas that divide a batch all work on it, and it is as large as they are many: what
    /// is under way does not grow with them.
    fn wanted(&self) -> usize {
        let sharing = |live: &RunningStage| live.replicas.as_ref().map(|_| live.workers.len());
        let most = self.stages.iter().filter_map(sharing).max().unwrap_or(1);
        self.shared.pacing.coalesce(most.min(LARGEST_BATCH / BATCH));
        let workers: usize = self.stages.iter().map(|live| live.workers.len()).sum();
        let hands: usize = self
            .stages
            .iter()
            .map(|live| sharing(live).map_or(live.workers.len(), |all| all.min(SHARING)))
            .sum();
        let depth = if most > 1 { self.pool.depth.div_ceil(most).max(SHALLOW) } else { self.pool.depth };
        if workers <= 1 { 1 } else { depth * (self.stages.len() - 1) + hands + 1 }
    }

    /// Puts as many batches into circulation as the plan in force needs: one where there is nothing to overlap, so that
    /// it stays in the core's cache.
    fn balance(&mut self) {
        let wanted = self.wanted();
        let kept = self.pool.surplus.min(wanted.saturating_sub(self.pool.needed()));
        self.pool.surplus -= kept;
        let present = self.pool.needed();
        self.pool.surplus += present.saturating_sub(wanted);
        for _ in present..wanted {
            self.pool.credits += 1;
            let envelope = Envelope::of(&self.shared.declared.layout);
            let _ = self.pool.free.0.send(Message::Batch(Box::new(envelope)));
        }
        self.withdraw();
    }

    /// Takes batches that are not needed any more out of the pool, as far as they are free now.
    pub fn withdraw(&mut self) {
        while self.pool.surplus > 0 {
            let Ok(Message::Batch(_)) = self.pool.free.1.try_recv() else { return };
            self.pool.surplus -= 1;
            self.pool.credits -= 1;
        }
    }

    /// The plan in force.
    pub fn plan(&self) -> Plan {
        self.shape.plan(self.stages.iter().map(|live| &live.place))
    }

    /// Free batches.
    pub fn free(&self) -> usize {
        self.pool.free.1.len()
    }

    /// Lets all workers end.
    fn take_down(&mut self, handover: &mut Handover<'env>) {
        self.shared.over.store(true, Relaxed);
        for stage in 0..self.stages.len() {
            self.retire(stage, self.stages[stage].workers.len(), handover);
        }
    }

    /// Takes all stages down and gives the bricks back, one of each, with all counters.
    pub fn close(mut self) -> Leftovers {
        let mut handover = std::mem::take(&mut self.left);
        if self.watch.stuck.is_none() {
            self.take_down(&mut handover);
        }
        if self.watch.stuck.is_some() {
            self.abandon(&mut handover);
            self.take_down(&mut handover);
        }
        let shared: Vec<usize> = self.slots.owners.keys().copied().collect();
        if !matches!(self.over, Some(Some(_)))
            && let Err(error) =
                shared.into_iter().try_for_each(|operator| self.regroup(operator, 1, &mut handover))
        {
            self.over = Some(Some(error.into()));
        }
        let mut kept: Vec<Operator> = Vec::new();
        handover.operators.sort_by_key(|operator| (operator.index, operator.replica));
        for operator in handover.operators {
            self.collect_counters(&operator);
            if kept.last().is_none_or(|last| last.index != operator.index) {
                kept.push(operator);
            }
        }
        let pauses = Pauses {
            slots: self.slots.moved,
            bytes: self.slots.moved_bytes,
            packets: self.slots.pauses.packets(),
            p99: self.slots.pauses.quantile(0.99),
            longest: self.slots.pauses.longest(),
        };
        let clock = handover.ends.tail.map(|tail| tail.clock).unwrap_or_default();
        let (counters, fault) = (std::mem::take(&mut self.past), self.over.take().flatten());
        Leftovers { operators: kept, counters, pauses, clock, fault }
    }
}

/// What is left of a run.
#[derive(Default)]
pub(crate) struct Leftovers {
    /// The bricks, one of each.
    pub operators: Vec<Operator>,
    /// Counters of each.
    pub counters: Vec<Counters>,
    pub pauses: Pauses,
    pub clock: Clock,
    pub fault: Option<RunFault>,
}

impl Leftovers {
    /// What is left where the supervisor itself has panicked: no brick, and the reason.
    pub fn of_panic(message: String) -> Self {
        let fault = Some(RunFault::Worker { name: "the supervisor".into(), message });
        Self { fault, ..Self::default() }
    }
}

/// Tells so many readers of a queue to retire.
pub(crate) fn retire_from(queue: &Sender<Message>, readers: usize) {
    // The queue has room for it, and the supervisor holds the other end.
    (0..readers).for_each(|_| _ = queue.send(Message::Retire));
}

/// Takes words that nobody heard out of a queue that nobody reads.
fn unsay(queue: &Queue) {
    for _ in 0..queue.1.len() {
        match queue.1.try_recv() {
            Ok(Message::Retire) => {}
            Ok(other) => _ = queue.0.send(other),
            Err(_) => return,
        }
    }
}

/// What a queue must have room for: every batch that there may ever be, and a word to every worker.
fn room(depth: usize, bricks: usize) -> usize {
    depth * (bricks + 1) + 2 * MAX_WORKERS + 1
}

/// A supervisor that panics leaves no worker behind that waits for ever.
impl Drop for Supervisor<'_, '_> {
    fn drop(&mut self) {
        self.shared.over.store(true, Relaxed);
        for live in &self.stages {
            retire_from(&live.input.0, live.workers.len());
            if let Some(set) = &live.replicas {
                set.own.iter().for_each(|queue| retire_from(&queue.0, 1));
            }
        }
    }
}
