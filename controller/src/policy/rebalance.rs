//! Hot slots go from the replica that has most of them to the others.

use super::Policy;
use super::detect::{key, wanted};
use crate::{Action, Decision, Scaling};
use legonf_core::{Plan, ShardLoad, Snapshot};

/// Part of the present imbalance above 1 that must go for slots to move: a slot that alone is too much stays where it is.
const RELIEF: f64 = 0.3;

impl Policy {
    /// Whether one replica of a stage gets many more packets than the others and is busy with them.
    pub(super) fn is_uneven(&self, snapshot: &Snapshot, stage: usize) -> bool {
        let busiest = snapshot.of_stage(stage).map(wanted).fold(0.0, f64::max);
        busiest >= self.config.low && self.imbalance(snapshot, stage) >= self.config.imbalance
    }

    /// Packets of the replica that gets most, as a multiple of an even share; of all shards together.
    pub(super) fn imbalance(&self, snapshot: &Snapshot, stage: usize) -> f64 {
        self.imbalance_under(snapshot, stage, |shard| shard.owners.clone())
    }

    /// The imbalance under other owners.
    fn imbalance_under(
        &self,
        snapshot: &Snapshot,
        stage: usize,
        owners: impl Fn(&ShardLoad) -> Vec<u16>,
    ) -> f64 {
        let replicas = snapshot.plan.stages[stage].replicas;
        let mut sums = vec![0; replicas];
        for shard in self.loads.shards(snapshot, stage) {
            let shard = ShardLoad { owners: owners(&shard), ..shard };
            sums.iter_mut().zip(shard.by_replica(replicas)).for_each(|(sum, packets)| *sum += packets);
        }
        let total: u64 = sums.iter().sum();
        let most = sums.into_iter().max().unwrap_or(0);
        most as f64 * replicas as f64 / total.max(1) as f64
    }

    /// Moves hot slots of a stage that has been uneven for long enough.
    pub(super) fn rebalance(&self, snapshot: &Snapshot) -> Option<Decision> {
        let streak = |stage: usize| self.streaks.uneven.get(&key(snapshot, stage)).copied().unwrap_or(0);
        let due = |stage: &usize| streak(*stage) >= self.config.ticks_up && !self.rests(snapshot, *stage);
        let stage = (0..snapshot.stages.len()).find(due).filter(|_| self.config.scaling == Scaling::Brick)?;
        let replicas = snapshot.plan.stages[stage].replicas;
        let moves: Vec<_> =
            self.loads.shards(snapshot, stage).iter().flat_map(|shard| shard.relief(replicas)).collect();
        let before = self.imbalance(snapshot, stage);
        let after = self.imbalance_under(snapshot, stage, |shard| {
            let mut owners = shard.owners.clone();
            let own = moves.iter().filter(|m| (&m.brick, m.shard) == (&shard.brick, shard.shard));
            own.for_each(|m| owners[usize::from(m.slot)] = m.to);
            owners
        });
        let ticks = streak(stage);
        let share = format!("a replica gets {before:.2} times an even share of the packets");
        if after - 1.0 > (before - 1.0) * (1.0 - RELIEF) {
            let reason = format!("{share}, and no move of slots helps: few slots have most packets");
            return Some(self.refuse(snapshot, stage, ticks, reason));
        }
        let reason = format!("{share}: {} hot slots move, for {after:.2} times", moves.len());
        let plan = Plan { moves, ..snapshot.plan.clone() };
        Some(self.decision(snapshot, stage, Action::Rebalance, ticks, reason, Some(plan)))
    }
}
