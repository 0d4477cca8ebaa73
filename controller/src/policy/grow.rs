//! What is done about the bottleneck.

use super::Policy;
use super::arrange::Cause;
use super::detect::key;
use crate::moves::{best_parts, parted, resized};
use crate::{Action, Decision, Model, Scaling};
use legonf_core::{Plan, Snapshot, Stage};

/// Ticks without a packet, while batches wait, after which a worker is stuck; a multiple of [`Config::ticks_up`](crate::Config).
const STUCK: u32 = 5;

/// Replicas that have less than this part of a core each are not helped by another one.
const CROWDED: f64 = 0.6;

/// Cores that are idle, and not only waited on in turn, when so much is free.
const IDLE: f64 = 0.8;

/// Part by which the cost model must expect more of a larger plan.
const GAIN: f64 = 0.03;

/// A stage that is overloaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bottleneck {
    pub stage: usize,
    /// Ticks in a row for which it has been.
    pub ticks: u32,
}

impl Policy {
    /// Gives a stage another worker for one that is stuck.
    pub(super) fn replace(&mut self, snapshot: &Snapshot) -> Option<Decision> {
        let limit = self.config.ticks_up.saturating_mul(STUCK);
        let stuck = snapshot.workers.iter().find(|worker| {
            self.streaks.silent.get(&worker.name).is_some_and(|ticks| *ticks >= limit)
                && !self.rests.replaced.contains(&worker.name)
        })?;
        let (stage, ticks) = (stuck.stage, self.streaks.silent[&stuck.name]);
        self.rests.replaced.insert(stuck.name.clone());
        let reason = format!("`{}` takes no batch, though some wait", stuck.name);
        // State is with the worker that has it: one that takes no batch gives none to another.
        let place = &snapshot.plan.stages[stage];
        if !self.can_replicate(place) || self.keeps_state(place) {
            return Some(self.refuse(snapshot, stage, ticks, format!("{reason}; its bricks keep state")));
        }
        let plan = resized(&snapshot.plan, stage, snapshot.plan.stages[stage].replicas + 1);
        Some(self.decision(snapshot, stage, Action::Replace, ticks, reason, Some(plan)))
    }

    /// Does something about the bottleneck: gives it another worker, or, where that cannot be or the layout in force is one that
    /// was found to carry most, lets another layout have a turn.
    pub(super) fn grow(&mut self, snapshot: &Snapshot) -> Option<Decision> {
        let rate = snapshot.done as f64 / snapshot.span.max(1e-9);
        if self.config.sla.rate.is_some_and(|promised| rate >= promised) {
            return None;
        }
        let overloaded = self.bottleneck(snapshot);
        if self.streaks.saturated >= self.config.ticks_up
            && let Some(decision) = self.challenge(snapshot, Cause { overloaded, relief: None })
        {
            return Some(decision);
        }
        let Bottleneck { stage, ticks } = overloaded?;
        let decision = self.answer(snapshot, stage, ticks);
        let held = self.challenges.holds(&snapshot.plan);
        if decision.plan.is_some() && !held {
            return Some(decision);
        }
        let challenge = self.challenge(snapshot, Cause { overloaded, relief: decision.plan.clone() });
        challenge.or_else(|| Some(decision).filter(|decision| decision.plan.is_none()))
    }

    /// What a bottleneck calls for, or why nothing can be done.
    fn answer(&self, snapshot: &Snapshot, stage: usize, ticks: u32) -> Decision {
        if let Some(reason) = self.obstacle(snapshot, stage) {
            return self.refuse(snapshot, stage, ticks, reason);
        }
        let decision = self.relieve(snapshot, stage, ticks);
        match decision.plan.as_ref().filter(|plan| !self.pays(snapshot, plan)) {
            Some(plan) => {
                let reason = format!("no core is idle, and no more is expected of {plan}");
                self.refuse(snapshot, stage, ticks, reason)
            }
            None => decision,
        }
    }

    /// Whether a larger plan is worth its hops. With an idle core it is; else the cost model decides, as far as costs are known.
    fn pays(&self, snapshot: &Snapshot, plan: &Plan) -> bool {
        if self.config.scaling == Scaling::Graph || self.free_cores(snapshot) >= IDLE {
            return true;
        }
        let (model, cores) = (Model::new(&self.costs, 1.0), self.cores(snapshot));
        let capacity = |plan: &Plan| model.forecast(plan, None, cores).map(|forecast| forecast.capacity);
        match (capacity(plan), capacity(&snapshot.plan)) {
            (Ok(larger), Ok(present)) if self.costs.total() > 0.0 => larger >= present * (1.0 + GAIN),
            _ => true,
        }
    }

    /// The stage that has been overloaded for long enough, with the longest queue.
    fn bottleneck(&self, snapshot: &Snapshot) -> Option<Bottleneck> {
        let streak = |stage: usize| self.streaks.overloaded.get(&key(snapshot, stage)).copied().unwrap_or(0);
        let stages = (0..snapshot.stages.len()).map(|stage| Bottleneck { stage, ticks: streak(stage) });
        let is_due =
            |found: &Bottleneck| found.ticks >= self.config.ticks_up && !self.rests(snapshot, found.stage);
        let due = stages.filter(is_due);
        due.max_by_key(|found| snapshot.stages[found.stage].queue)
    }

    /// Why there can be no further worker.
    fn obstacle(&self, snapshot: &Snapshot, stage: usize) -> Option<String> {
        let replicas = snapshot.plan.stages[stage].replicas;
        let computing = snapshot.busy(stage);
        let (free, workers) = (self.free_cores(snapshot), snapshot.plan.workers());
        let state = self.costs.state_bytes(&snapshot.plan.stages[stage].bricks) / (replicas as u64 + 1);
        let most = self.most_workers(snapshot);
        if free < self.config.spare {
            Some(format!(
                "{free:.2} of {:.1} cores are free, and a worker needs {:.2}",
                self.cores(snapshot),
                self.config.spare
            ))
        } else if replicas > 1 && computing < CROWDED * replicas as f64 {
            Some(format!(
                "its {replicas} workers have {computing:.2} cores between them: other programs take the rest"
            ))
        } else if replicas as f64 >= self.cores(snapshot).ceil() {
            let cores = self.cores(snapshot);
            Some(format!("it has {replicas} workers on {cores:.1} cores: another one would only share them"))
        } else if workers >= most {
            Some(format!("there are {workers} workers, and at most {most} are allowed"))
        } else if snapshot.host.memory > 0 && snapshot.host.memory < self.config.memory.saturating_add(state)
        {
            Some(format!(
                "{} MiB of memory are left, {} of them are left alone, and a replica may take {}",
                snapshot.host.memory >> 20,
                self.config.memory >> 20,
                state >> 20
            ))
        } else {
            None
        }
    }

    fn relieve(&self, snapshot: &Snapshot, stage: usize, ticks: u32) -> Decision {
        let place = &snapshot.plan.stages[stage];
        let stateless = "the bottleneck: its workers compute all the time and batches wait".to_owned();
        if self.config.scaling == Scaling::Graph {
            return self.grow_graph(snapshot, stage, ticks);
        }
        if self.can_replicate(place) {
            let plan = resized(&snapshot.plan, stage, place.replicas + 1);
            return self.decision(snapshot, stage, Action::Replicate, ticks, stateless, Some(plan));
        }
        let parts = best_parts(place.bricks.len(), |part| self.weight(place, part));
        match parts.filter(|_| self.config.fuse && place.replicas == 1) {
            Some(parts) => {
                let plan = parted(&snapshot.plan, stage, &parts);
                let reason = "the bottleneck, and several bricks in one worker".to_owned();
                self.decision(snapshot, stage, Action::Unfuse, ticks, reason, Some(plan))
            }
            None => {
                let reason =
                    "the bottleneck, but it keeps state: its traffic would have to be split".to_owned();
                self.refuse(snapshot, stage, ticks, reason)
            }
        }
    }

    /// Gives every brick between source and sink another replica.
    fn grow_graph(&self, snapshot: &Snapshot, stage: usize, ticks: u32) -> Decision {
        let inner = |place: &Stage| !place.bricks.iter().any(|id| id == Plan::SOURCE || id == Plan::SINK);
        if !snapshot.plan.stages.iter().filter(|place| inner(place)).all(|place| self.can_replicate(place)) {
            let reason = "whole graphs cannot be replicated: a brick keeps state".to_owned();
            return self.refuse(snapshot, stage, ticks, reason);
        }
        if snapshot.plan.stages.iter().any(|place| inner(place) && self.is_pinned(place)) {
            let reason = "whole graphs cannot be replicated: a brick is pinned".to_owned();
            return self.refuse(snapshot, stage, ticks, reason);
        }
        let mut plan = snapshot.plan.clone();
        plan.stages.iter_mut().filter(|place| inner(place)).for_each(|place| place.replicas += 1);
        if plan == snapshot.plan {
            let reason = "there is no whole graph apart from its source and sink".to_owned();
            return self.refuse(snapshot, stage, ticks, reason);
        }
        let reason = "a stage is overloaded: another whole graph".to_owned();
        self.decision(snapshot, stage, Action::Replicate, ticks, reason, Some(plan))
    }
}
