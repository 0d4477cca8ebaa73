//! What the controller sees of a running graph, once a tick.

use crate::{Histogram, Plan, SlotMove, balanced};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What one worker, which is a replica of its stage's bricks, did since the snapshot before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerLoad {
    /// The stage of the plan that it belongs to.
    pub stage: usize,
    /// Identifier of the replica: graph, bricks and serial number, such as `kitsune/mapping+autoencoder#2` (LEGO §III-B).
    pub name: String,
    /// Useful-work ratio: part of the time that it computed, from 0 to 1.
    pub busy: f64,
    /// Part of the time that it could have computed but had no core.
    pub starved: f64,
    /// Seconds that it computed: processor time of its thread, as the system counts it.
    pub computed: f64,
    /// Batches that wait for it at this moment: in the stage's queues, from which each of its replicas takes what is next,
    /// and as parts of them in its own, where replicas share a brick's work by slot. Free batches before the source wait for
    /// nothing.
    pub queue: usize,
    /// Batches that it took; where replicas share a brick's work by slot, its parts of them: each has one of every batch.
    pub batches: u64,
    /// Seconds that a batch waited in those queues, on average, by Little's law ([`mean_wait`]): no packet carries a clock.
    pub waited: f64,
    /// Packets of the batches that it took: in.
    pub received: u64,
    /// Packets of the batches that it handed on: out. The others are still with it, or with the replicas that have parts
    /// of them.
    pub packets: u64,
    /// Packets that were lost on their way to it. Queues have room for all batches there are, so that only who reads the
    /// source can lose any.
    pub dropped: u64,
    /// Bytes that its bricks keep from packet to packet, where they say so; as of the snapshot before.
    pub state_bytes: u64,
    /// Bricks that panicked in it and were made anew, since the run began.
    pub restarts: u64,
}

impl WorkerLoad {
    /// Seconds that it computed for a batch, on average: what `waited` is to be held against. 0 where it took none.
    pub fn computing(&self) -> f64 {
        if self.batches == 0 { 0.0 } else { self.computed / self.batches as f64 }
    }
}

/// Seconds that each of `batches` waited in a queue, on average, by Little's law (L = λW): `area` is the length of the queue
/// integrated over `span` seconds (batches times seconds), in which so many batches left it. Where none has left, those that
/// there were waited all the time.
pub fn mean_wait(area: f64, batches: u64, span: f64) -> f64 {
    match batches {
        0 if area > 0.0 => span,
        0 => 0.0,
        batches => area / batches as f64,
    }
}

/// What one stage has before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageLoad {
    /// Batches in its queue.
    pub queue: usize,
    /// Packets through all of its workers since the snapshot before.
    pub packets: u64,
    /// Bytes that the bricks of all of its workers keep from packet to packet, as [`WorkerLoad::state_bytes`].
    pub state_bytes: u64,
    /// How the replicas share the work of a brick with state, where they do, for each shard of it.
    #[serde(skip)]
    pub shards: Vec<ShardLoad>,
}

/// How replicas share one shard of a brick's work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardLoad {
    /// Identifier of the brick.
    pub brick: String,
    /// The shard, from 0.
    pub shard: usize,
    /// Packets of each slot since the snapshot before.
    pub packets: Vec<u64>,
    /// The replica that owns each slot, from 0.
    pub owners: Vec<u16>,
}

impl ShardLoad {
    /// Packets of each of so many replicas.
    pub fn by_replica(&self, replicas: usize) -> Vec<u64> {
        let mut sums = vec![0; replicas];
        for (owner, packets) in self.owners.iter().zip(&self.packets) {
            if let Some(sum) = sums.get_mut(usize::from(*owner)) {
                *sum += packets;
            }
        }
        sums
    }

    /// Moves of hot slots that even the load out among so many replicas.
    pub fn relief(&self, replicas: usize) -> Vec<SlotMove> {
        let next = balanced(&self.owners, &self.packets, replicas.max(1));
        let to = |slot: usize| SlotMove {
            brick: self.brick.clone(),
            shard: self.shard,
            slot: slot as u16,
            to: next[slot],
        };
        let hot = |slot: &usize| next[*slot] != self.owners[*slot] && self.packets[*slot] > 0;
        (0..next.len()).filter(hot).map(to).collect()
    }
}

/// What the machine has left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostLoad {
    /// Cores that this process may use, within the limits of its cgroup.
    pub cores: f64,
    /// Cores that are in use, by this process and others.
    pub used: f64,
    /// Cores beyond these that a hypervisor gave to other machines although this one would have used them (steal time).
    #[serde(default)]
    pub stolen: f64,
    /// Bytes of memory that are left, within the limit of the cgroup.
    pub memory: u64,
}

/// What several machines have left together.
impl std::ops::Add for HostLoad {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cores: self.cores + other.cores,
            used: self.used + other.used,
            stolen: self.stolen + other.stolen,
            memory: self.memory + other.memory,
        }
    }
}

impl Passages {
    /// What has passed since it was as `before`.
    pub fn since(&self, before: &Self) -> Self {
        let none = Passage::default();
        let earlier = before.bricks.iter().chain(std::iter::repeat(&none));
        Self {
            bricks: self.bricks.iter().zip(earlier).map(|(now, before)| now.since(before)).collect(),
            whole: self.whole.since(&before.whole),
        }
    }
}

impl Passage {
    fn since(&self, before: &Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(before.packets),
            bytes: self.bytes.saturating_sub(before.bytes),
            seconds: (self.seconds - before.seconds).max(0.0),
            latency: self.latency.since(&before.latency),
            counters: self.counters.clone(),
        }
    }
}

/// The state of a running graph at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Seconds since the run began.
    pub at: f64,
    /// Seconds since the snapshot before.
    pub span: f64,
    /// The plan in force.
    pub plan: Plan,
    /// Every worker, stage after stage.
    pub workers: Vec<WorkerLoad>,
    /// Every stage of the plan.
    pub stages: Vec<StageLoad>,
    /// Packets that the source gave since the snapshot before.
    pub offered: u64,
    /// Packets whose results the sink took since the snapshot before.
    pub done: u64,
    /// Packets that were lost for want of capacity since the snapshot before.
    pub dropped: u64,
    /// Batches on their way.
    pub in_flight: usize,
    /// Batches that may be on their way at most; then the source waits.
    pub credits: usize,
    /// The machine.
    pub host: HostLoad,
    /// What has passed each brick, where that is measured.
    #[serde(skip)]
    pub passages: Option<Arc<Passages>>,
}

/// What has passed the bricks of a graph since the run began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Passages {
    /// What has passed each brick, in the graph's order.
    pub bricks: Vec<Passage>,
    /// What has gone from the source to the sink.
    pub whole: Passage,
}

/// Packets that were handed on, and how long that took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Passage {
    /// Packets.
    pub packets: u64,
    /// Their bytes, as they were on the wire when they were read.
    pub bytes: u64,
    /// Seconds that they took, all added up.
    pub seconds: f64,
    /// Packets by how long they took: from when their batch was handed on before until the brick handed it on, so that waiting
    /// is a part of it. Bricks that replicas run together on parts of a batch take as long as all of them.
    pub latency: Histogram,
    /// The brick's own counters ([`Brick::counters`](crate::Brick::counters)), as they were some time ago; none of bricks that run elsewhere.
    pub counters: Vec<(&'static str, u64)>,
}

impl Snapshot {
    /// The workers of a stage.
    pub fn of_stage(&self, stage: usize) -> impl Iterator<Item = &WorkerLoad> {
        self.workers.iter().filter(move |worker| worker.stage == stage)
    }

    /// Cores on which the workers of a stage computed.
    pub fn busy(&self, stage: usize) -> f64 {
        self.of_stage(stage).map(|worker| worker.busy).sum()
    }

    /// Busy part of the busiest worker of a stage, with the time it wanted to be.
    pub fn load(&self, stage: usize) -> f64 {
        self.of_stage(stage).map(|worker| worker.busy + worker.starved).fold(0.0, f64::max)
    }

    /// Seconds that a batch waited for a worker of a stage and that this one computed for it, on average, of the worker for
    /// which it waited longest.
    pub fn waiting(&self, stage: usize) -> (f64, f64) {
        let longest = self.of_stage(stage).max_by(|a, b| a.waited.total_cmp(&b.waited));
        longest.map_or((0.0, 0.0), |worker| (worker.waited, worker.computing()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_follows_from_the_length_of_a_queue() {
        // Four batches at each moment of 0.1 s, in which 200 went: each waited 2 ms. Without one that went, all the time.
        assert!((mean_wait(4.0 * 0.1, 200, 0.1) - 0.002).abs() < 1e-12);
        assert_eq!((mean_wait(0.4, 0, 0.1), mean_wait(0.0, 0, 0.1), mean_wait(0.0, 7, 0.1)), (0.1, 0.0, 0.0));
        // One that takes longer than the time looked at.
        assert_eq!(mean_wait(0.4, 2, 0.1), 0.2);
        let load = WorkerLoad { computed: 0.05, batches: 200, ..WorkerLoad::default() };
        assert_eq!((load.computing(), WorkerLoad::default().computing()), (0.05 / 200.0, 0.0));
    }

    #[test]
    fn hot_slots_are_moved_from_the_replica_that_has_most_of_them() {
        let packets = vec![50, 30, 20, 0, 100, 1];
        let load = ShardLoad { brick: "b".into(), shard: 1, packets, owners: vec![0, 0, 0, 0, 0, 1] };
        assert_eq!(load.by_replica(2), [200, 1]);
        let moves = load.relief(2);
        let moved: u64 = moves.iter().map(|m| load.packets[usize::from(m.slot)]).sum();
        assert!((80..=100).contains(&moved) && moves.iter().all(|m| m.to == 1 && m.shard == 1), "{moves:?}");
        assert!(ShardLoad { owners: vec![0, 1], packets: vec![5, 5], ..load }.relief(2).is_empty());
    }
}
