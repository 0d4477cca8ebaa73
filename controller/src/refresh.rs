//! Costs as they are now: what the workers' processor time says of those that were profiled.

use crate::costs::split;
use crate::{Cost, Costs};
use legonf_core::{Snapshot, State};

/// Nanoseconds of processor time a batch that a hop is taken to cost where it was not measured: most of it goes for the
/// columns, which come from another core's cache.
const HOP: f64 = 10_000.0;

impl Costs {
    /// Costs of bricks of which nothing is known yet. `batch` is the packets of a full batch.
    pub fn unknown(graph: &str, batch: usize, bricks: impl IntoIterator<Item = (String, State)>) -> Self {
        let cost = |(id, state)| Cost { id, state, ..Cost::default() };
        let bricks = bricks.into_iter().map(cost).collect();
        Self {
            graph: graph.to_owned(),
            hop_ns: HOP,
            split_ns: split(),
            batch: batch.max(1) as f64,
            bricks,
            ..Self::default()
        }
    }

    /// The costs after another snapshot, which counts as `weight` (from 0 to 1) of what is known.
    ///
    /// What is measured is processor time a packet of a stage, less its part of the hops; bricks that share a stage keep
    /// their proportions, and where nothing is known of them have the same cost. Stages through which less than a batch
    /// went stay as they are.
    #[must_use]
    pub fn refreshed(&self, snapshot: &Snapshot, weight: f64) -> Self {
        let mut costs = self.clone();
        let last = snapshot.plan.stages.len().saturating_sub(1);
        for (index, (stage, load)) in snapshot.plan.stages.iter().zip(&snapshot.stages).enumerate() {
            if load.packets as f64 >= self.batch {
                let hops = f64::from(u8::from(index > 0) + u8::from(index < last)) / 2.0;
                let spent = snapshot.busy(index) * snapshot.span;
                let split = if load.shards.is_empty() { 0.0 } else { self.split_ns };
                let ns = spent * 1e9 / load.packets as f64 - hops * self.hop_ns / self.batch - split;
                costs.learn(&stage.bricks, ns.max(0.0), weight);
                costs.note_state(&stage.bricks, load.state_bytes);
            }
        }
        costs
    }

    /// Nanoseconds a packet of some bricks together.
    pub fn sum(&self, ids: &[String]) -> f64 {
        ids.iter().filter_map(|id| self.of(id).ok()).map(|cost| cost.ns).sum()
    }

    /// Bytes of state of some bricks together.
    pub fn state_bytes(&self, ids: &[String]) -> u64 {
        ids.iter().filter_map(|id| self.of(id).ok()).map(|cost| cost.state_bytes).fold(0, u64::saturating_add)
    }

    /// Moves bricks that took `ns` together towards it.
    fn learn(&mut self, ids: &[String], ns: f64, weight: f64) {
        let known = self.sum(ids);
        for cost in self.bricks.iter_mut().filter(|cost| ids.contains(&cost.id)) {
            cost.ns = match known {
                0.0 => ns / ids.len() as f64,
                known => cost.ns * (1.0 + weight * (ns / known - 1.0)),
            };
        }
    }

    /// Notes the bytes of state of a stage, where one brick of it keeps any.
    fn note_state(&mut self, ids: &[String], bytes: u64) {
        let mut keepers =
            self.bricks.iter_mut().filter(|cost| cost.state == State::Keyed && ids.contains(&cost.id));
        if let (Some(one), None) = (keepers.next(), keepers.next())
            && bytes > 0
        {
            one.state_bytes = bytes;
        }
    }

    /// The greatest difference of a brick's cost to that in other costs, as a part of the dearer of both graphs.
    pub fn drift(&self, other: &Self) -> f64 {
        let change = |cost: &Cost| (cost.ns - other.of(&cost.id).map_or(0.0, |cost| cost.ns)).abs();
        let most = self.bricks.iter().map(change).fold(0.0, f64::max);
        most / self.total().max(other.total()).max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::costs::tests::kitsune;
    use legonf_core::{StageLoad, WorkerLoad};
    use proptest::prelude::*;

    /// A tick of 0.1 s with the busy part and packets of each stage.
    fn snapshot(plan: &str, loads: &[(f64, u64)]) -> Snapshot {
        let worker = |(stage, (busy, _)): (usize, &(f64, u64))| WorkerLoad {
            stage,
            busy: *busy,
            ..WorkerLoad::default()
        };
        let stage = |(_, packets): &(f64, u64)| StageLoad { packets: *packets, ..StageLoad::default() };
        Snapshot {
            span: 0.1,
            plan: plan.parse().unwrap(),
            workers: loads.iter().enumerate().map(worker).collect(),
            stages: loads.iter().map(stage).collect(),
            ..Snapshot::default()
        }
    }

    fn ns(costs: &Costs, id: &str) -> f64 {
        costs.of(id).unwrap().ns
    }

    #[test]
    fn a_brick_that_has_become_dearer_is_seen() {
        let plan = "source batching extractor | network decision sink";
        // 0.1 s of the second stage's core for 25,000 packets are 4,000 ns each; they were profiled as 2,050.
        let mut costs = kitsune();
        let tick = snapshot(plan, &[(0.15, 25_000), (1.0, 25_000)]);
        for _ in 0..30 {
            costs = costs.refreshed(&tick, 0.2);
        }
        let hop = 0.5 * 1000.0 / 256.0;
        assert!((costs.sum(&tick.plan.stages[1].bricks) - (4000.0 - hop)).abs() < 5.0);
        assert!((ns(&costs, "network") / ns(&costs, "decision") - 400.0).abs() < 1e-6);
        assert!((costs.sum(&tick.plan.stages[0].bricks) - (600.0 - hop)).abs() < 0.01);
        assert!((costs.drift(&kitsune()) - 1943.0 / 4594.0).abs() < 0.01);
    }

    #[test]
    fn what_nothing_is_known_of_is_learnt_as_stages_part() {
        let states = kitsune().bricks.into_iter().map(|cost| (cost.id, cost.state));
        let mut costs = Costs::unknown("kitsune", 256, states);
        costs = costs
            .refreshed(&snapshot("source batching extractor network decision sink", &[(0.6, 100_000)]), 0.2);
        assert!((ns(&costs, "source") - 100.0).abs() < 1e-9 && (ns(&costs, "sink") - 100.0).abs() < 1e-9);
        let parted = snapshot(
            "source batching extractor | network | decision sink",
            &[(0.2, 100_000), (0.4, 100_000), (0.0, 0)],
        );
        for _ in 0..30 {
            costs = costs.refreshed(&parted, 0.2);
        }
        // A hop to it and one from it are taken off.
        let network = 400.0 - HOP / 256.0;
        assert!((ns(&costs, "network") - network).abs() < 1.0, "{}", ns(&costs, "network"));
        // Nothing went through the last stage.
        assert_eq!(ns(&costs, "decision"), 100.0);
    }

    proptest! {
        #[test]
        fn costs_stay_costs(loads in prop::collection::vec((0.0..8.0_f64, 0..1_000_000_u64), 3), weight in 0.0..=1.0_f64) {
            let tick = snapshot("source batching extractor | network | decision sink", &loads);
            let costs = kitsune().refreshed(&tick, weight);
            prop_assert!(costs.bricks.iter().all(|cost| cost.ns.is_finite() && cost.ns >= 0.0));
        }
    }
}
