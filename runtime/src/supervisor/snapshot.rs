//! What the supervisor tells the controller.

use crate::operator::interface::add;
use crate::supervisor::{Running, RunningStage, Supervisor};
use crate::worker::totals::Totals;
use legonf_core::{HostLoad, Passages, SLOTS, ShardLoad, Snapshot, StageLoad, State, WorkerLoad, mean_wait};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

impl Supervisor<'_, '_> {
    /// Looks at how long all queues are; that stands for the time since the last look.
    pub fn look(&mut self) {
        let now = Instant::now();
        let seconds = now.duration_since(std::mem::replace(&mut self.observed.queues, now)).as_secs_f64();
        for live in &mut self.stages {
            live.area += shared(live) as f64 * seconds;
            let own = live.replicas.iter().flat_map(|set| &set.own);
            let lengths = own.map(|queue| queue.1.len() as f64);
            live.workers.iter_mut().zip(lengths).for_each(|(worker, length)| worker.area += length * seconds);
        }
    }

    /// What the workers did in the time since the snapshot before.
    pub fn snapshot(&mut self, at: Duration, span: Duration) -> Snapshot {
        let (plan, seconds) = (self.plan(), span.as_secs_f64().max(1e-9));
        let in_flight = self.pool.needed().saturating_sub(self.free());
        let (mut workers, mut stages) = (Vec::new(), Vec::new());
        for (index, live) in self.stages.iter_mut().enumerate() {
            let names = format!("{}/{}", self.shape.name, plan.stages[index].bricks.join("+"));
            let first = workers.len();
            workers.extend(live.workers.iter_mut().map(|worker| load(worker, index, &names, seconds)));
            measure_waits(live, &mut workers[first..], seconds);
            let packets = workers[first..].iter().map(|worker| worker.packets).sum();
            let state_bytes = workers[first..].iter().map(|worker| worker.state_bytes).sum();
            let shards = shards(live, &self.shape.bricks, &mut self.slots.loads);
            stages.push(StageLoad { queue: waiting(live), packets, state_bytes, shards });
        }
        let Totals { offered, done, dropped, .. } = &self.shared.totals;
        let now = [offered, done, dropped].map(|count| count.load(Relaxed));
        let [offered, done, dropped] = std::array::from_fn(|at| now[at] - self.observed.totals[at]);
        self.observed.totals = now;
        let passages = self.shared.meter.passages().map(|mut passages| {
            self.count_bricks(&mut passages);
            Arc::new(passages)
        });
        // One worker reads the source, the first of all.
        workers.iter_mut().take(1).for_each(|worker| worker.dropped = dropped);
        Snapshot {
            at: at.as_secs_f64(),
            span: span.as_secs_f64(),
            plan,
            workers,
            stages,
            offered,
            done,
            dropped,
            in_flight,
            credits: self.pool.needed(),
            host: HostLoad::default(),
            passages,
        }
    }
}

impl Supervisor<'_, '_> {
    /// Adds up the counters of bricks that are gone and of those that work.
    fn count_bricks(&self, passages: &mut Passages) {
        for (passage, past) in passages.bricks.iter_mut().zip(&self.past) {
            passage.counters = past.clone();
        }
        let workers = self.stages.iter().flat_map(|live| &live.workers);
        for (brick, counters) in workers.flat_map(|worker| worker.stats.counters()) {
            if let Some(passage) = passages.bricks.get_mut(brick) {
                add(&mut passage.counters, &counters);
            }
        }
    }
}

/// Batches before a stage, or before the replica of it that has most to do.
fn waiting(live: &RunningStage) -> usize {
    let own = live.replicas.iter().flat_map(|set| &set.own).map(|queue| queue.1.len()).max();
    shared(live) + own.unwrap_or(0)
}

/// Batches in the queues that all workers of a stage take from; before the source there are free ones, which wait for nothing.
fn shared(live: &RunningStage) -> usize {
    if live.place.source { 0 } else { live.input.1.len() }
}

/// How long batches waited for each worker of a stage since the snapshot before, and how many do now. Of the batches that are
/// partitioned each has a part for every replica, of the others each is for one worker.
fn measure_waits(live: &mut RunningStage, loads: &mut [WorkerLoad], seconds: f64) {
    let all = loads.iter().map(|load| load.batches).sum();
    let (before, area) = (shared(live), std::mem::take(&mut live.area));
    for (at, (worker, load)) in live.workers.iter_mut().zip(loads).enumerate() {
        let own = std::mem::take(&mut worker.area);
        let queue = live.replicas.as_ref().and_then(|set| set.own.get(at));
        load.queue = before + queue.map_or(0, |queue| queue.1.len());
        load.waited = mean_wait(area + own, if queue.is_some() { load.batches } else { all }, seconds);
    }
}

/// Packets of each slot and its owner, where replicas share a brick's work. What is long ago counts less for placement.
fn shards(
    live: &mut RunningStage,
    bricks: &[(String, State)],
    loads: &mut BTreeMap<usize, Vec<Vec<u64>>>,
) -> Vec<ShardLoad> {
    let Some(set) = &mut live.replicas else { return Vec::new() };
    let (operator, count) = (set.split.operator, set.split.shards());
    let lately = loads.entry(operator).or_insert_with(|| vec![vec![0; SLOTS]; count]);
    let shard = |(shard, lately): (usize, &mut Vec<u64>)| {
        let (packets, owners) = (set.packets(shard), set.table.owners[shard].to_vec());
        lately.iter_mut().zip(&packets).for_each(|(lately, now)| *lately = *lately / 2 + now);
        ShardLoad { brick: bricks[operator].0.clone(), shard, packets, owners }
    };
    lately.iter_mut().enumerate().map(shard).collect()
}

/// What a worker did; how long batches waited for it follows from what all of its stage did.
fn load(worker: &mut Running, stage: usize, bricks: &str, seconds: f64) -> WorkerLoad {
    let now = worker.stats.done(&mut worker.scheduling);
    let done = now.since(&std::mem::replace(&mut worker.seen, now));
    let part = |time: Duration| (time.as_secs_f64() / seconds).min(1.0);
    WorkerLoad {
        stage,
        name: format!("{bricks}#{}", worker.serial),
        busy: part(done.computed),
        starved: part(done.starved()),
        computed: done.computed.as_secs_f64(),
        batches: done.batches,
        received: done.received,
        packets: done.packets,
        state_bytes: worker.stats.state_bytes(),
        restarts: worker.stats.restarts(),
        ..WorkerLoad::default()
    }
}
