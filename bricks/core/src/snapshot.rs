//! What the controller sees of a running graph, once a tick.

use crate::Plan;
use serde::{Deserialize, Serialize};

/// What one worker did since the snapshot before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerLoad {
    /// The stage of the plan that it belongs to.
    pub stage: usize,
    /// Identifier of the replica: graph, bricks and serial number, such as `kitsune/mapping+autoencoder#2` (LEGO §III-B).
    pub name: String,
    /// Part of the time that it computed, from 0 to 1: processor time of its thread.
    pub busy: f64,
    /// Part of the time that it could have computed but had no core.
    pub starved: f64,
    /// Packets through it.
    pub packets: u64,
    /// Bricks that panicked in it and were made anew, since the run began.
    pub restarts: u64,
}

/// What one stage has before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageLoad {
    /// Batches in its queue.
    pub queue: usize,
    /// Packets through all of its workers since the snapshot before.
    pub packets: u64,
    /// Bytes that its bricks keep from packet to packet, where they say so.
    pub state_bytes: u64,
}

/// What the machine has left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HostLoad {
    /// Cores that this process may use, within the limits of its cgroup.
    pub cores: f64,
    /// Cores that are in use, by this process and others.
    pub used: f64,
    /// Bytes of memory that are left, within the limit of the cgroup.
    pub memory: u64,
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
}

impl Snapshot {
    /// The workers of a stage.
    pub fn of_stage(&self, stage: usize) -> impl Iterator<Item = &WorkerLoad> {
        self.workers.iter().filter(move |worker| worker.stage == stage)
    }

    /// Busy part of the busiest worker of a stage, with the time it wanted to be.
    pub fn load(&self, stage: usize) -> f64 {
        self.of_stage(stage).map(|worker| worker.busy + worker.starved).fold(0.0, f64::max)
    }
}
