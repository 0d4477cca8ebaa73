//! What is overloaded, superfluous, or silent.

use super::Policy;
use super::memory::tally;
use crate::Scaling;
use legonf_core::{Snapshot, WorkerLoad};

/// A stage costs about as much as the dearest from this part of it.
const DEAR: f64 = 0.8;

impl Policy {
    /// Counts the ticks for which each stage has been overloaded, could do with less, or a worker was silent.
    pub(super) fn count(&mut self, snapshot: &Snapshot) {
        let stages = 0..snapshot.stages.len();
        let over = stages.clone().map(|stage| (key(snapshot, stage), self.is_overloaded(snapshot, stage)));
        let over: Vec<_> = over.collect();
        let dear = over.iter().enumerate().filter(|(_, (_, over))| *over);
        dear.for_each(|(stage, _)| self.loads.note_cost(snapshot, stage));
        let idle = stages.clone().map(|stage| (key(snapshot, stage), self.is_superfluous(snapshot, stage)));
        let pairs =
            stages.skip(1).map(|stage| (pair(snapshot, stage - 1), self.could_fuse(snapshot, stage - 1)));
        let idle: Vec<_> = idle.chain(pairs).collect();
        let silent = snapshot.workers.iter().map(|worker| {
            let waiting = snapshot.stages.get(worker.stage).is_some_and(|stage| stage.queue > 0);
            (worker.name.clone(), worker.packets == 0 && waiting)
        });
        tally(&mut self.streaks.silent, silent.collect());
        self.loads.note_slots(snapshot);
        let uneven =
            (0..snapshot.stages.len()).map(|stage| (key(snapshot, stage), self.is_uneven(snapshot, stage)));
        let uneven = uneven.collect();
        tally(&mut self.streaks.uneven, uneven);
        tally(&mut self.streaks.overloaded, over);
        tally(&mut self.streaks.idle, idle);
        self.loads.note_others(snapshot, self.cores(snapshot));
        let saturated = demand(snapshot) >= self.cores(snapshot) - self.config.spare;
        self.streaks.saturated = if saturated { self.streaks.saturated.saturating_add(1) } else { 0 };
        self.loads.queues = snapshot.stages.iter().map(|stage| stage.queue).collect();
    }

    /// Whether the workers of a stage compute nearly all the time and batches gather before it, or nowhere more than there
    /// while the source waits for batches to come back: then queues are as long as they can be. No batch gathers before the
    /// source; there it is that none does elsewhere.
    fn is_overloaded(&self, snapshot: &Snapshot, stage: usize) -> bool {
        let least = snapshot.of_stage(stage).map(|worker| worker.busy).fold(f64::INFINITY, f64::min);
        let starved = least < self.config.high && !self.is_dear(snapshot, stage);
        let pressed = snapshot.of_stage(stage).map(|worker| wanted(worker) + stolen(snapshot, worker.busy));
        if pressed.fold(f64::INFINITY, f64::min) < self.config.high || starved {
            return false;
        }
        if stage == 0 {
            let elsewhere: usize = snapshot.stages.iter().map(|stage| stage.queue).sum();
            return elsewhere * 4 <= snapshot.credits;
        }
        let queue = snapshot.stages[stage].queue;
        let queues = &self.loads.queues;
        let before = if queues.len() == snapshot.stages.len() { queues[stage] } else { queue };
        // A queue is seen for a moment only: one that was long the tick before has not gone for good.
        let longest = snapshot.stages.iter().map(|stage| stage.queue).max().unwrap_or(0);
        let held_up = snapshot.in_flight * 4 >= snapshot.credits * 3 && queue == longest;
        queue.max(before) >= 2 && (held_up || queue.max(before) * 4 >= snapshot.credits || queue > before)
    }

    /// Whether a worker of a stage costs about as much as any: a cheaper one that has too little of the cores has only to wait
    /// for them longest.
    fn is_dear(&self, snapshot: &Snapshot, stage: usize) -> bool {
        let all = (0..snapshot.stages.len()).map(|stage| self.burden(snapshot, stage));
        self.burden(snapshot, stage) >= DEAR * all.fold(0.0, f64::max)
    }

    /// Nanoseconds a packet of each worker of a stage.
    pub(super) fn burden(&self, snapshot: &Snapshot, stage: usize) -> f64 {
        let place = &snapshot.plan.stages[stage];
        self.costs.sum(&place.bricks) / place.replicas as f64
    }

    /// Whether a stage has a replica too many; none has where packets were dropped. The others must not be
    /// overloaded with what all compute now, and have room to spare for what its packets take when they are.
    fn is_superfluous(&self, snapshot: &Snapshot, stage: usize) -> bool {
        let others = snapshot.plan.stages[stage].replicas as f64 - 1.0;
        let total: f64 = snapshot.of_stage(stage).map(wanted).sum();
        let rate = snapshot.stages[stage].packets as f64 / snapshot.span.max(1e-9);
        let at_load = self.loads.cost_at_load(snapshot, stage).map_or(total, |seconds| rate * seconds);
        let enough = snapshot.dropped == 0 && !stands_still(snapshot, stage);
        snapshot.busy(stage) < self.config.high * others
            && total.min(at_load) < self.config.low * others
            && enough
    }

    /// Whether a stage and the next could share a worker; none could where packets were dropped.
    fn could_fuse(&self, snapshot: &Snapshot, stage: usize) -> bool {
        let both = [stage, stage + 1];
        let single = both.iter().all(|stage| snapshot.plan.stages[*stage].replicas == 1);
        let total: f64 = both.iter().flat_map(|stage| snapshot.of_stage(*stage)).map(wanted).sum();
        let flows = !both.iter().any(|stage| stands_still(snapshot, *stage));
        self.config.fuse
            && self.config.scaling == Scaling::Brick
            && single
            && flows
            && snapshot.dropped == 0
            && total < self.config.low
    }
}

/// Whether nothing goes through a stage although batches wait: then its workers are idle for another reason than too little
/// work.
fn stands_still(snapshot: &Snapshot, stage: usize) -> bool {
    snapshot.stages[stage].packets == 0 && snapshot.stages[stage].queue > 0
}

/// The part of the time that a worker wanted to compute.
pub(super) fn wanted(worker: &WorkerLoad) -> f64 {
    worker.busy + worker.starved
}

/// Cores that the workers wanted.
pub(super) fn demand(snapshot: &Snapshot) -> f64 {
    let busy: f64 = snapshot.workers.iter().map(|worker| worker.busy).sum();
    snapshot.workers.iter().map(wanted).sum::<f64>() + stolen(snapshot, busy)
}

/// Cores that were taken from those who used so many: cores that are stolen were in use, by all in proportion.
fn stolen(snapshot: &Snapshot, busy: f64) -> f64 {
    let all: f64 = snapshot.workers.iter().map(|worker| worker.busy).sum();
    snapshot.host.stolen * busy / snapshot.host.used.max(all).max(1e-9)
}

pub(super) fn key(snapshot: &Snapshot, stage: usize) -> String {
    snapshot.plan.stages[stage].bricks.join(" ")
}

pub(super) fn pair(snapshot: &Snapshot, stage: usize) -> String {
    format!("{} | {}", key(snapshot, stage), key(snapshot, stage + 1))
}
