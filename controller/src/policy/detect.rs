//! What is overloaded, superfluous, or silent.

use super::Policy;
use crate::Scaling;
use legonf_core::{Snapshot, WorkerLoad};
use std::collections::BTreeMap;

/// A stage costs about as much as the dearest from this part of it.
const DEAR: f64 = 0.8;

impl Policy {
    /// Counts the ticks for which each stage has been overloaded, could do with less, or a worker was silent.
    pub(super) fn count(&mut self, snapshot: &Snapshot) {
        let stages = 0..snapshot.stages.len();
        let over = stages.clone().map(|stage| (key(snapshot, stage), self.is_overloaded(snapshot, stage)));
        let over: Vec<_> = over.collect();
        self.note_costs(snapshot, &over);
        let idle = stages.clone().map(|stage| (key(snapshot, stage), self.is_superfluous(snapshot, stage)));
        let pairs =
            stages.skip(1).map(|stage| (pair(snapshot, stage - 1), self.could_fuse(snapshot, stage - 1)));
        let idle: Vec<_> = idle.chain(pairs).collect();
        let silent = snapshot.workers.iter().map(|worker| {
            let waiting = snapshot.stages.get(worker.stage).is_some_and(|stage| stage.queue > 0);
            (worker.name.clone(), worker.packets == 0 && waiting)
        });
        tally(&mut self.silent, silent.collect());
        self.note_slots(snapshot);
        let uneven =
            (0..snapshot.stages.len()).map(|stage| (key(snapshot, stage), self.is_uneven(snapshot, stage)));
        let uneven = uneven.collect();
        tally(&mut self.uneven, uneven);
        tally(&mut self.overloaded, over);
        tally(&mut self.idle, idle);
        let demand: f64 = snapshot.workers.iter().map(wanted).sum();
        let saturated = demand >= self.cores(snapshot) - self.config.spare;
        self.saturated = if saturated { self.saturated.saturating_add(1) } else { 0 };
        self.queues = snapshot.stages.iter().map(|stage| stage.queue).collect();
    }

    /// Whether the workers of a stage compute nearly all the time and batches gather before it, or nowhere more than there
    /// while the source waits for batches to come back: then queues are as long as they can be. No batch gathers before the
    /// source; there it is that none does elsewhere.
    fn is_overloaded(&self, snapshot: &Snapshot, stage: usize) -> bool {
        let least =
            |part: fn(&WorkerLoad) -> f64| snapshot.of_stage(stage).map(part).fold(f64::INFINITY, f64::min);
        let starved = least(|worker| worker.busy) < self.config.high && !self.is_dear(snapshot, stage);
        if least(wanted) < self.config.high || starved {
            return false;
        }
        if stage == 0 {
            let elsewhere: usize = snapshot.stages.iter().map(|stage| stage.queue).sum();
            return elsewhere * 4 <= snapshot.credits;
        }
        let queue = snapshot.stages[stage].queue;
        let before = if self.queues.len() == snapshot.stages.len() { self.queues[stage] } else { queue };
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

    /// Notes what a packet takes of the stages that are overloaded: less than when they wait, nap and are woken in between.
    fn note_costs(&mut self, snapshot: &Snapshot, overloaded: &[(String, bool)]) {
        for (stage, (key, _)) in overloaded.iter().enumerate().filter(|(_, (_, over))| *over) {
            if snapshot.stages[stage].packets > 0 {
                let seconds = snapshot.busy(stage) * snapshot.span / snapshot.stages[stage].packets as f64;
                // A tick of a slow brick has few batches: half of what is known is from before.
                let known = self.at_load.entry(key.clone()).or_insert(seconds);
                *known = f64::midpoint(*known, seconds);
            }
        }
    }

    /// Whether a stage has a replica too many; none has where packets were dropped. The others must not be
    /// overloaded with what all compute now, and have room to spare for what its packets take when they are.
    fn is_superfluous(&self, snapshot: &Snapshot, stage: usize) -> bool {
        let others = snapshot.plan.stages[stage].replicas as f64 - 1.0;
        let total: f64 = snapshot.of_stage(stage).map(wanted).sum();
        let rate = snapshot.stages[stage].packets as f64 / snapshot.span.max(1e-9);
        let at_load = self.at_load.get(&key(snapshot, stage)).map_or(total, |seconds| rate * seconds);
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

pub(super) fn key(snapshot: &Snapshot, stage: usize) -> String {
    snapshot.plan.stages[stage].bricks.join(" ")
}

pub(super) fn pair(snapshot: &Snapshot, stage: usize) -> String {
    format!("{} | {}", key(snapshot, stage), key(snapshot, stage + 1))
}

/// Counts ticks in a row; what does not hold any more begins anew, and what is gone is forgotten.
fn tally(streaks: &mut BTreeMap<String, u32>, now: Vec<(String, bool)>) {
    let next = now.into_iter().filter(|(_, holds)| *holds);
    let next = next.map(|(key, _)| (streaks.get(&key).map_or(1, |ticks| ticks.saturating_add(1)), key));
    *streaks = next.map(|(ticks, key)| (key, ticks)).collect();
}
