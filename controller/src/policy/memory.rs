//! What a policy remembers of the ticks before.

use super::detect::{demand, key};
use legonf_core::{ShardLoad, Snapshot, Stage};
use std::collections::{BTreeMap, BTreeSet};

/// Ticks in a row, by the bricks of a stage (or of two that might be fused), or by the name of a worker.
#[derive(Clone, Debug, Default)]
pub(super) struct Streaks {
    pub overloaded: BTreeMap<String, u32>,
    pub idle: BTreeMap<String, u32>,
    pub silent: BTreeMap<String, u32>,
    pub uneven: BTreeMap<String, u32>,
    /// Those in which the workers wanted all cores.
    pub saturated: u32,
}

impl Streaks {
    /// Whether no stage is overloaded and cores are left.
    pub fn is_calm(&self) -> bool {
        self.saturated == 0 && self.overloaded.is_empty()
    }
}

/// Counts ticks in a row; what does not hold any more begins anew, and what is gone is forgotten.
pub(super) fn tally(streaks: &mut BTreeMap<String, u32>, now: Vec<(String, bool)>) {
    let next = now.into_iter().filter(|(_, holds)| *holds);
    let next = next.map(|(key, _)| (streaks.get(&key).map_or(1, |ticks| ticks.saturating_add(1)), key));
    *streaks = next.map(|(ticks, key)| (key, ticks)).collect();
}

/// Part of a tick in what others are taken to use of the cores.
const LEARNT: f64 = 0.05;

/// What loads were lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Loads {
    /// Seconds of processor time that a packet took when its stage was overloaded last, by the bricks of the stage.
    at_load: BTreeMap<String, f64>,
    /// Batches before each stage, the tick before.
    pub queues: Vec<usize>,
    /// Cores that other programs and other machines take from the workers all the time.
    pub others: f64,
    /// Packets of each slot in the last ticks, by brick and shard.
    slots: BTreeMap<(String, usize), Vec<u64>>,
}

impl Loads {
    /// Notes what a packet takes of a stage that is overloaded: less than when it waits, naps and is woken in between.
    pub fn note_cost(&mut self, snapshot: &Snapshot, stage: usize) {
        if snapshot.stages[stage].packets > 0 {
            let seconds = snapshot.busy(stage) * snapshot.span / snapshot.stages[stage].packets as f64;
            // A tick of a slow brick has few batches: half of what is known is from before.
            let known = self.at_load.entry(key(snapshot, stage)).or_insert(seconds);
            *known = f64::midpoint(*known, seconds);
        }
    }

    /// Seconds of processor time that a packet took when this stage was overloaded last, if it ever was.
    pub fn cost_at_load(&self, snapshot: &Snapshot, stage: usize) -> Option<f64> {
        self.at_load.get(&key(snapshot, stage)).copied()
    }

    /// Takes in what others used of so many cores: what the workers did not get of what they wanted. Where they got all, others
    /// used no more than what was left.
    pub fn note_others(&mut self, snapshot: &Snapshot, cores: f64) {
        let busy: f64 = snapshot.workers.iter().map(|worker| worker.busy).sum();
        let wanted = demand(snapshot).min(cores);
        let found = if wanted > busy * 1.05 { cores - busy } else { self.others.min(cores - wanted) };
        self.others += LEARNT * (found.max(0.0) - self.others);
    }

    /// Takes in the packets of each slot; what is long ago counts less.
    pub fn note_slots(&mut self, snapshot: &Snapshot) {
        for shard in snapshot.stages.iter().flat_map(|stage| &stage.shards) {
            let lately = self.slots.entry((shard.brick.clone(), shard.shard)).or_default();
            lately.resize(shard.packets.len(), 0);
            lately.iter_mut().zip(&shard.packets).for_each(|(lately, now)| *lately = *lately / 2 + now);
        }
    }

    /// The shards of a stage with the packets of the last ticks.
    pub fn shards(&self, snapshot: &Snapshot, stage: usize) -> Vec<ShardLoad> {
        let shard = |shard: &ShardLoad| {
            let packets = self.slots.get(&(shard.brick.clone(), shard.shard)).cloned().unwrap_or_default();
            ShardLoad { packets, ..shard.clone() }
        };
        snapshot.stages[stage].shards.iter().map(shard).collect()
    }
}

/// What is left alone, and until when.
#[derive(Clone, Debug)]
pub(super) struct Rests {
    /// Until when bricks are left alone, in seconds since the run began.
    bricks: BTreeMap<String, f64>,
    /// Ticks to come in which loads are not yet those of the new plan.
    settle: u32,
    /// Workers that have been given another one in their place.
    pub replaced: BTreeSet<String>,
}

impl Rests {
    /// Nothing is decided in the first `settle` ticks.
    pub fn new(settle: u32) -> Self {
        Self { bricks: BTreeMap::new(), settle, replaced: BTreeSet::new() }
    }

    /// Whether loads are not yet those of the plan in force.
    pub fn is_settling(&self) -> bool {
        self.settle > 0
    }

    /// Passes a tick, and says whether loads were still settling in it.
    pub fn pass(&mut self) -> bool {
        let settling = self.is_settling();
        self.settle = self.settle.saturating_sub(1);
        settling
    }

    /// A new plan: the next ticks say little.
    pub fn settle(&mut self, ticks: u32) {
        self.settle = ticks;
    }

    /// Leaves bricks alone until a time.
    pub fn leave(&mut self, bricks: &[String], until: f64) {
        self.bricks.extend(bricks.iter().map(|id| (id.clone(), until)));
    }

    /// Whether a brick of a stage is left alone.
    pub fn holds(&self, stage: &Stage, at: f64) -> bool {
        stage.bricks.iter().any(|id| self.bricks.get(id).is_some_and(|until| at < *until))
    }
}
