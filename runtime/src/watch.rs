//! What the supervisor tells the controller.

use crate::floor::{Floor, Live, Running};
use crate::worker::Shared;
use legonf_core::{HostLoad, SLOTS, ShardLoad, Snapshot, StageLoad, State, WorkerLoad};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

impl Floor<'_, '_> {
    /// What the workers did in the time since the snapshot before.
    pub fn snapshot(&mut self, at: Duration, span: Duration) -> Snapshot {
        let (plan, seconds) = (self.plan(), span.as_secs_f64().max(1e-9));
        let in_flight = (self.credits - self.surplus).saturating_sub(self.free());
        let (mut workers, mut stages) = (Vec::new(), Vec::new());
        for (index, live) in self.stages.iter_mut().enumerate() {
            let names = format!("{}/{}", self.shape.name, plan.stages[index].bricks.join("+"));
            let first = workers.len();
            workers.extend(live.workers.iter_mut().map(|worker| load(worker, index, &names, seconds)));
            let packets = workers[first..].iter().map(|worker: &WorkerLoad| worker.packets).sum();
            let state_bytes = live.workers.iter().map(|worker| worker.stats.state_bytes()).sum();
            let shards = shards(live, &self.shape.bricks, &mut self.loads);
            stages.push(StageLoad { queue: waiting(live), packets, state_bytes, shards });
        }
        let Shared { offered, done, dropped, .. } = self.shared;
        let now = [offered, done, dropped].map(|count| count.load(Relaxed));
        let [offered, done, dropped] = std::array::from_fn(|at| now[at] - self.seen[at]);
        self.seen = now;
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
            credits: self.credits - self.surplus,
            host: HostLoad::default(),
        }
    }
}

/// Batches before a stage, or before the replica of it that has most to do; before the source there are free ones, which
/// wait for nothing.
fn waiting(live: &Live) -> usize {
    let own = live.crew.iter().flat_map(|crew| &crew.own).map(|queue| queue.1.len()).max();
    let joined = live.crew.as_ref().map_or(0, |crew| crew.joined.1.len());
    if live.place.source { 0 } else { live.input.1.len() + joined + own.unwrap_or(0) }
}

/// Packets of each slot and its owner, where replicas share a brick's work. What is long ago counts less for placement.
fn shards(
    live: &mut Live,
    bricks: &[(String, State)],
    loads: &mut BTreeMap<usize, Vec<Vec<u64>>>,
) -> Vec<ShardLoad> {
    let Some(crew) = &mut live.crew else { return Vec::new() };
    let (unit, count) = (crew.split.unit, crew.split.shards());
    let lately = loads.entry(unit).or_insert_with(|| vec![vec![0; SLOTS]; count]);
    let shard = |(shard, lately): (usize, &mut Vec<u64>)| {
        let (packets, owners) = (crew.packets(shard), crew.deal.owners[shard].to_vec());
        lately.iter_mut().zip(&packets).for_each(|(lately, now)| *lately = *lately / 2 + now);
        ShardLoad { brick: bricks[unit].0.clone(), shard, packets, owners }
    };
    lately.iter_mut().enumerate().map(shard).collect()
}

fn load(worker: &mut Running, stage: usize, bricks: &str, seconds: f64) -> WorkerLoad {
    let (packets, (computed, starved)) = (worker.stats.packets(), worker.stats.times());
    let (seen_packets, seen_computed, seen_starved) = worker.seen;
    worker.seen = (packets, computed, starved);
    let part = |now: Duration, then: Duration| (now.saturating_sub(then).as_secs_f64() / seconds).min(1.0);
    WorkerLoad {
        stage,
        name: format!("{bricks}#{}", worker.serial),
        busy: part(computed, seen_computed),
        starved: part(starved, seen_starved),
        packets: packets - seen_packets,
        restarts: worker.stats.restarts(),
    }
}
