//! The replicas of a stage whose keyed brick is divided, as the supervisor sees them.

use crate::PlanError;
use crate::exchange::{Buffers, HomeWork, OwnershipTable, Phase, Pool, Queues, Replica, Split, prepare};
use crate::layout::MAX_WORKERS;
use crate::layout::StageSpec;
use crate::supervisor::handover::Handover;
use crate::supervisor::{Running, RunningStage, Supervisor, retire_from};
use crate::sync::{Sender, bounded};
use crate::worker::message::{Event, Message, Queue};
use legonf_core::SLOTS;
use legonf_splitter::SlotCounters;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// State that may be on its way to one replica at a time, in pieces: one of each shard from each of the others.
pub(crate) const ARRIVALS: usize = 2 * MAX_WORKERS;

/// What the supervisor knows of the replicas of a stage.
pub(crate) struct ReplicaSet {
    pub split: Arc<Split>,
    /// The queue of each replica.
    pub own: Vec<Queue>,
    /// Who has which slots, and who will.
    pub table: Arc<OwnershipTable>,
    pub next: Option<Arc<OwnershipTable>>,
    /// Packets of each slot: those that replicas have counted, those of replicas that are gone, and those when they were
    /// last looked at.
    counters: Vec<Arc<SlotCounters>>,
    base: Vec<Vec<u32>>,
    seen: Vec<Vec<u32>>,
    /// What its replicas work in.
    memory: Pool,
}

impl ReplicaSet {
    /// Packets of each slot of a shard since this was last asked.
    pub fn packets(&mut self, shard: usize) -> Vec<u64> {
        let mut now = self.base[shard].clone();
        self.counters.iter().for_each(|counters| counters.add_to(shard, &mut now));
        let before = std::mem::replace(&mut self.seen[shard], now);
        self.seen[shard].iter().zip(before).map(|(now, before)| now.wrapping_sub(before).into()).collect()
    }

    /// Forgets the replicas behind the first so many.
    pub fn truncate(&mut self, replicas: usize) {
        self.own.truncate(replicas);
        for counters in self.counters.drain(replicas..) {
            self.base.iter_mut().enumerate().for_each(|(shard, base)| counters.add_to(shard, base));
        }
    }
}

impl<'env> Supervisor<'_, 'env> {
    /// Puts up a stage of replicas that share the work of a brick with state: of those that have any.
    pub fn build_replicas(
        &mut self,
        mut place: StageSpec,
        handover: &mut Handover<'env>,
        input: Queue,
        output: &Sender<Message>,
    ) -> Result<RunningStage, PlanError> {
        let split = self.shape.split(&place).expect("the caller found the stage to be divided").clone();
        place.replicas = handover.with_state(split.operator);
        let owners = self.slots.owners.entry(split.operator).or_insert_with(|| split.alone()).clone();
        let own: Vec<Queue> = (0..place.replicas).map(|_| bounded(self.room() + ARRIVALS)).collect();
        let ports = own.iter().map(|queue| queue.0.clone()).collect();
        let epoch = self.shared.epoch.load(Relaxed);
        let none = vec![vec![0; SLOTS]; split.shards()];
        let set = ReplicaSet {
            split,
            own,
            table: Arc::new(OwnershipTable::new(epoch, owners, ports, Vec::new())),
            next: None,
            counters: Vec::new(),
            base: none.clone(),
            seen: none,
            memory: Pool::default(),
        };
        let (replicas, first) = (place.replicas, handover.next_number());
        let mut live = RunningStage { place, input, workers: Vec::new(), replicas: Some(set), area: 0.0 };
        for index in 0..replicas {
            self.add_replica(&mut live, index, Some(first), handover, output)?;
        }
        Ok(live)
    }

    /// Starts one replica, whose first batch is known or will be the first of an epoch.
    pub fn add_replica(
        &mut self,
        live: &mut RunningStage,
        index: usize,
        first: Option<u64>,
        handover: &mut Handover<'env>,
        output: &Sender<Message>,
    ) -> Result<(), PlanError> {
        let Some(set) = &mut live.replicas else { return Ok(()) };
        let (serial, stats, core) = self.enlist();
        let (split, counters) = (set.split.clone(), Arc::new(SlotCounters::new(set.split.shards())));
        let queues =
            Queues { own: set.own[index].1.clone(), input: live.input.1.clone(), output: output.clone() };
        let mut assignment = handover.assignment(&live.place, false);
        for operator in assignment.operators.iter_mut().filter(|operator| operator.index == split.operator) {
            operator.replica = index;
            prepare(&split, operator, self.shared)?;
        }
        set.counters.push(counters.clone());
        let downstream = Arc::new(self.shape.downstream(&live.place, split.operator));
        let epoch = set.table.epoch;
        let replica = Replica {
            serial,
            index,
            assignment,
            work: HomeWork { split, downstream, memory: set.memory.clone() },
            tables: [set.table.clone()].into(),
            first: Phase::from(epoch, first),
            last: Phase::from(epoch, first),
            begun: VecDeque::new(),
            queues,
            events: self.events(),
            stats: stats.clone(),
            counters,
            shared: self.shared,
            buffers: Buffers::default(),
            failed: false,
        };
        let running: Running = self.spawn(serial, stats, core, move || replica.run())?;
        live.workers.push(running);
        Ok(())
    }

    /// Takes a stage of replicas down: first no further batch is partitioned, then the travelling cells of all are computed, then
    /// every packet is through.
    pub fn retire_replicas(&mut self, stage: usize, handover: &mut Handover<'env>) {
        let live = &self.stages[stage];
        let Some(set) = &live.replicas else { return };
        let (workers, own, input) = (live.workers.len(), set.own.clone(), live.input.0.clone());
        (0..workers).for_each(|_| _ = input.send(Message::Drain));
        self.await_drained(stage, handover);
        for _ in 0..2 {
            own.iter().for_each(|queue| _ = queue.0.send(Message::Drain));
            self.await_drained(stage, handover);
        }
        own.iter().for_each(|queue| retire_from(&queue.0, 1));
        while !self.stages[stage].workers.is_empty() {
            let Some(event) = self.next_event() else { return };
            self.hear(event, handover);
        }
        self.keep_owners(stage, handover);
    }

    /// Waits until all replicas of a stage that are still there have done what came before a word to drain.
    fn await_drained(&mut self, stage: usize, handover: &mut Handover<'env>) {
        let mut drained = Vec::new();
        while self.stages[stage].workers.iter().any(|worker| !drained.contains(&worker.serial)) {
            let Some(event) = self.next_event() else { return };
            if let Event::Drained(serial) = event {
                drained.push(serial);
            }
            self.hear(event, handover);
        }
    }

    /// Notes who had which slots at the end: where the input has ended before an epoch began, those before it.
    fn keep_owners(&mut self, stage: usize, handover: &Handover<'env>) {
        let Some(set) = &self.stages[stage].replicas else { return };
        let begun = set.next.as_ref().filter(|next| handover.epoch >= Some(next.epoch));
        let table = begun.unwrap_or(&set.table);
        self.slots.owners.insert(set.split.operator, table.owners.clone());
    }
}
