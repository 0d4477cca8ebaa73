//! What is taken away again.

use super::Policy;
use super::detect::{key, pair};
use crate::moves::{fused, resized};
use crate::{Action, Decision, Scaling};
use legonf_core::Snapshot;

impl Policy {
    /// Takes away what is not needed: a replica, or a hop.
    pub(super) fn shrink(&self, snapshot: &Snapshot) -> Option<Decision> {
        let ripe = |key: String| {
            self.streaks.idle.get(&key).copied().filter(|ticks| *ticks >= self.config.ticks_down)
        };
        let stages = 0..snapshot.stages.len();
        if self.config.scaling == Scaling::Graph {
            return self.shrink_graph(snapshot, ripe);
        }
        let merge = stages.clone().rev().filter(|stage| !self.rests(snapshot, *stage));
        if let Some((stage, ticks)) =
            merge.filter_map(|stage| Some((stage, ripe(key(snapshot, stage))?))).next()
        {
            let plan = resized(&snapshot.plan, stage, snapshot.plan.stages[stage].replicas - 1);
            let reason = "the other workers carry the load".to_owned();
            return Some(self.decision(snapshot, stage, Action::Merge, ticks, reason, Some(plan)));
        }
        let fuse = stages.skip(1).map(|stage| stage - 1);
        let fuse = fuse.filter(|stage| !self.rests(snapshot, *stage) && !self.rests(snapshot, stage + 1));
        let (stage, ticks) = fuse.filter_map(|stage| Some((stage, ripe(pair(snapshot, stage))?))).next()?;
        let reason =
            format!("one worker carries it with {}", snapshot.plan.stages[stage + 1].bricks.join(" "));
        let plan = fused(&snapshot.plan, stage);
        Some(self.decision(snapshot, stage, Action::Fuse, ticks, reason, Some(plan)))
    }

    fn shrink_graph(&self, snapshot: &Snapshot, ripe: impl Fn(String) -> Option<u32>) -> Option<Decision> {
        let replicated: Vec<_> =
            (0..snapshot.stages.len()).filter(|stage| snapshot.plan.stages[*stage].replicas > 1).collect();
        let ticks = replicated.iter().map(|stage| ripe(key(snapshot, *stage))).min()??;
        let stage = *replicated.first()?;
        let mut plan = snapshot.plan.clone();
        replicated.iter().for_each(|stage| plan.stages[*stage].replicas -= 1);
        let reason = "the other graphs carry the load".to_owned();
        let rests = replicated.iter().any(|stage| self.rests(snapshot, *stage));
        (!rests).then(|| self.decision(snapshot, stage, Action::Merge, ticks, reason, Some(plan)))
    }
}
