//! Finds the bottleneck, and decides what to do about it.

use crate::moves::{best_parts, fused, parted, resized};
use crate::{Action, Config, Costs, Decision, Figures, Scaling, State};
use legonf_core::{BATCH, Plan, Snapshot, Stage};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Ticks without a packet, while batches wait, after which a worker is stuck; a multiple of [`Config::ticks_up`].
const STUCK: u32 = 5;

/// Replicas that have less than this part of a core each are not helped by another one.
const CROWDED: f64 = 0.6;

/// What is known of a brick: identifier and statefulness.
pub type Facts = (String, State);

/// A policy and what it remembers: how long each stage has been overloaded or idle, and when it was last changed.
///
/// It depends on nothing but the snapshots: the same ones give the same decisions.
#[derive(Clone, Debug)]
pub struct Policy {
    config: Config,
    facts: BTreeMap<String, State>,
    costs: Costs,
    splitter: bool,
    /// Ticks in a row, by the bricks of a stage (or of two that might be fused).
    overloaded: BTreeMap<String, u32>,
    idle: BTreeMap<String, u32>,
    silent: BTreeMap<String, u32>,
    /// Until when bricks are left alone.
    resting: BTreeMap<String, f64>,
    settle: u32,
    replaced: BTreeSet<String>,
    queues: Vec<usize>,
}

impl Policy {
    /// A policy for bricks, in the order of the graph with its ends. What they cost decides how stages are divided, and is
    /// learnt as the graph runs. `splitter` says whether bricks with state can be replicated.
    pub fn new(config: Config, facts: Vec<Facts>, costs: Option<Costs>, splitter: bool) -> Self {
        let (overloaded, idle, silent, resting) = Default::default();
        let costs = costs.unwrap_or_else(|| Costs::unknown("", BATCH, facts.clone()));
        let facts = facts.into_iter().collect();
        let (settle, replaced, queues) = (config.settle, BTreeSet::new(), Vec::new());
        Self { config, facts, costs, splitter, overloaded, idle, silent, resting, settle, replaced, queues }
    }

    /// What the bricks cost, as far as is known by now.
    pub fn costs(&self) -> &Costs {
        &self.costs
    }

    /// Looks at a snapshot and decides, at most one thing at a time.
    pub fn decide(&mut self, snapshot: &Snapshot) -> Option<Decision> {
        if snapshot.stages.len() != snapshot.plan.stages.len() {
            return None;
        }
        if self.settle > 0 {
            self.settle -= 1;
            return None;
        }
        self.costs = self.costs.refreshed(snapshot, self.config.refresh);
        if self.config.scaling == Scaling::Fixed {
            return None;
        }
        self.count(snapshot);
        let decision =
            self.replace(snapshot).or_else(|| self.grow(snapshot)).or_else(|| self.shrink(snapshot))?;
        self.remember(&decision, snapshot.at);
        Some(decision)
    }

    /// Counts the ticks for which each stage has been overloaded, could do with less, or a worker was silent.
    fn count(&mut self, snapshot: &Snapshot) {
        let stages = 0..snapshot.stages.len();
        let over = stages.clone().map(|stage| (key(snapshot, stage), self.is_overloaded(snapshot, stage)));
        let over: Vec<_> = over.collect();
        let idle = stages.clone().map(|stage| (key(snapshot, stage), self.is_superfluous(snapshot, stage)));
        let pairs =
            stages.skip(1).map(|stage| (pair(snapshot, stage - 1), self.could_fuse(snapshot, stage - 1)));
        let idle: Vec<_> = idle.chain(pairs).collect();
        let silent = snapshot.workers.iter().map(|worker| {
            let waiting = snapshot.stages.get(worker.stage).is_some_and(|stage| stage.queue > 0);
            (worker.name.clone(), worker.packets == 0 && waiting)
        });
        tally(&mut self.silent, silent.collect());
        tally(&mut self.overloaded, over);
        tally(&mut self.idle, idle);
        self.queues = snapshot.stages.iter().map(|stage| stage.queue).collect();
    }

    /// Whether the workers of a stage compute nearly all the time and batches gather before it. No batch gathers before the
    /// source; there it is that none does elsewhere.
    fn is_overloaded(&self, snapshot: &Snapshot, stage: usize) -> bool {
        if snapshot.of_stage(stage).map(wanted).fold(f64::INFINITY, f64::min) < self.config.high {
            return false;
        }
        if stage == 0 {
            let elsewhere: usize = snapshot.stages.iter().map(|stage| stage.queue).sum();
            return elsewhere * 4 <= snapshot.credits;
        }
        let queue = snapshot.stages[stage].queue;
        let before = if self.queues.len() == snapshot.stages.len() { self.queues[stage] } else { queue };
        // A queue is seen for a moment only: one that was long the tick before has not gone for good.
        queue.max(before) >= 2 && (queue.max(before) * 4 >= snapshot.credits || queue > before)
    }

    /// Whether a stage has a replica too many.
    fn is_superfluous(&self, snapshot: &Snapshot, stage: usize) -> bool {
        let replicas = snapshot.plan.stages[stage].replicas;
        let total: f64 = snapshot.of_stage(stage).map(wanted).sum();
        replicas > 1 && total < self.config.low * (replicas - 1) as f64
    }

    /// Whether a stage and the next could share a worker.
    fn could_fuse(&self, snapshot: &Snapshot, stage: usize) -> bool {
        let both = [stage, stage + 1];
        let single = both.iter().all(|stage| snapshot.plan.stages[*stage].replicas == 1);
        let total: f64 = both.iter().flat_map(|stage| snapshot.of_stage(*stage)).map(wanted).sum();
        self.config.fuse && self.config.scaling == Scaling::Brick && single && total < self.config.low
    }

    /// Gives a stage another worker for one that is stuck.
    fn replace(&mut self, snapshot: &Snapshot) -> Option<Decision> {
        let limit = self.config.ticks_up.saturating_mul(STUCK);
        let stuck = snapshot.workers.iter().find(|worker| {
            self.silent.get(&worker.name).is_some_and(|ticks| *ticks >= limit)
                && !self.replaced.contains(&worker.name)
        })?;
        let (stage, ticks) = (stuck.stage, self.silent[&stuck.name]);
        self.replaced.insert(stuck.name.clone());
        let reason = format!("`{}` takes no batch, though some wait", stuck.name);
        if !self.can_replicate(&snapshot.plan.stages[stage]) {
            return Some(self.refuse(snapshot, stage, ticks, format!("{reason}; its bricks keep state")));
        }
        let plan = resized(&snapshot.plan, stage, snapshot.plan.stages[stage].replicas + 1);
        Some(self.decision(snapshot, stage, Action::Replace, ticks, reason, Some(plan)))
    }

    /// Does something about the bottleneck.
    fn grow(&self, snapshot: &Snapshot) -> Option<Decision> {
        let stages = 0..snapshot.stages.len();
        let streak = |stage: usize| self.overloaded.get(&key(snapshot, stage)).copied().unwrap_or(0);
        let due =
            stages.filter(|stage| streak(*stage) >= self.config.ticks_up && !self.rests(snapshot, *stage));
        let stage = due.max_by_key(|stage| snapshot.stages[*stage].queue)?;
        if self.config.sla.rate.is_some_and(|rate| snapshot.done as f64 / snapshot.span.max(1e-9) >= rate) {
            return None;
        }
        if let Some(reason) = self.obstacle(snapshot, stage) {
            return Some(self.refuse(snapshot, stage, streak(stage), reason));
        }
        Some(self.relieve(snapshot, stage, streak(stage)))
    }

    /// Why there can be no further worker.
    fn obstacle(&self, snapshot: &Snapshot, stage: usize) -> Option<String> {
        let replicas = snapshot.plan.stages[stage].replicas;
        let computing: f64 = snapshot.of_stage(stage).map(|worker| worker.busy).sum();
        let (free, workers) = (self.free_cores(snapshot), snapshot.plan.workers());
        let state = self.costs.state_bytes(&snapshot.plan.stages[stage].bricks) / (replicas as u64 + 1);
        let most = match self.config.max_workers {
            0 => self.facts.len() + (2.0 * self.cores(snapshot)).ceil() as usize,
            most => most,
        };
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
        } else if workers >= most.max(1) {
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
        let mut plan = snapshot.plan.clone();
        plan.stages.iter_mut().filter(|place| inner(place)).for_each(|place| place.replicas += 1);
        if plan == snapshot.plan {
            let reason = "there is no whole graph apart from its source and sink".to_owned();
            return self.refuse(snapshot, stage, ticks, reason);
        }
        let reason = "a stage is overloaded: another whole graph".to_owned();
        self.decision(snapshot, stage, Action::Replicate, ticks, reason, Some(plan))
    }

    /// Takes away what is not needed: a replica, or a hop.
    fn shrink(&self, snapshot: &Snapshot) -> Option<Decision> {
        let ripe =
            |key: String| self.idle.get(&key).copied().filter(|ticks| *ticks >= self.config.ticks_down);
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

    /// Whether a stage may have several workers.
    fn can_replicate(&self, place: &Stage) -> bool {
        place.bricks.iter().all(|id| match self.facts.get(id) {
            Some(State::Stateless) => true,
            Some(State::Stateful) => self.splitter,
            Some(State::Single) | None => false,
        })
    }

    /// What a part of a stage would weigh as a stage of its own; half, if it could then be replicated.
    fn weight(&self, place: &Stage, part: Range<usize>) -> f64 {
        let bricks = place.bricks[part].to_vec();
        let sum = self.costs.sum(&bricks);
        if self.can_replicate(&Stage { bricks, replicas: 1 }) { sum / 2.0 } else { sum }
    }

    fn cores(&self, snapshot: &Snapshot) -> f64 {
        if self.config.cores > 0.0 { self.config.cores } else { snapshot.host.cores }
    }

    /// Cores that the workers leave to others.
    fn free_cores(&self, snapshot: &Snapshot) -> f64 {
        self.cores(snapshot) - snapshot.workers.iter().map(|worker| worker.busy).sum::<f64>()
    }

    fn rests(&self, snapshot: &Snapshot, stage: usize) -> bool {
        let resting = |id: &String| self.resting.get(id).is_some_and(|until| snapshot.at < *until);
        snapshot.plan.stages[stage].bricks.iter().any(resting)
    }

    fn remember(&mut self, decision: &Decision, at: f64) {
        for id in &decision.bricks {
            self.resting.insert(id.clone(), at + self.config.cooldown);
        }
        if decision.plan.is_some() {
            self.settle = self.config.settle;
            self.overloaded.clear();
            self.idle.clear();
            self.silent.clear();
            self.queues.clear();
        }
    }

    fn refuse(&self, snapshot: &Snapshot, stage: usize, ticks: u32, reason: String) -> Decision {
        self.decision(snapshot, stage, Action::Refuse, ticks, reason, None)
    }

    fn decision(
        &self,
        snapshot: &Snapshot,
        stage: usize,
        action: Action,
        ticks: u32,
        reason: String,
        plan: Option<Plan>,
    ) -> Decision {
        let (place, load) = (&snapshot.plan.stages[stage], &snapshot.stages[stage]);
        let figures = Figures {
            load: snapshot.load(stage),
            queue: load.queue,
            rate: load.packets as f64 / snapshot.span.max(1e-9),
            ns: self.costs.sum(&place.bricks),
            replicas: place.replicas,
            ticks,
            free_cores: self.free_cores(snapshot),
        };
        Decision { action, bricks: place.bricks.clone(), reason, figures, plan }
    }
}

/// The part of the time that a worker wanted to compute.
fn wanted(worker: &legonf_core::WorkerLoad) -> f64 {
    worker.busy + worker.starved
}

fn key(snapshot: &Snapshot, stage: usize) -> String {
    snapshot.plan.stages[stage].bricks.join(" ")
}

fn pair(snapshot: &Snapshot, stage: usize) -> String {
    format!("{} | {}", key(snapshot, stage), key(snapshot, stage + 1))
}

/// Counts ticks in a row; what does not hold any more begins anew, and what is gone is forgotten.
fn tally(streaks: &mut BTreeMap<String, u32>, now: Vec<(String, bool)>) {
    let next = now.into_iter().filter(|(_, holds)| *holds);
    let next = next.map(|(key, _)| (streaks.get(&key).map_or(1, |ticks| ticks.saturating_add(1)), key));
    *streaks = next.map(|(ticks, key)| (key, ticks)).collect();
}
