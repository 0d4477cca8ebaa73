//! Finds the bottleneck, and decides what to do about it.

mod arrange;
mod detect;
mod grow;
mod rebalance;
mod shrink;

use crate::{Action, Config, Costs, Decision, Figures, Scaling, State};
use arrange::Trial;
use legonf_core::{BATCH, Plan, Snapshot, Stage};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

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
    /// Ticks in a row, by the bricks of a stage (or of two that might be fused).
    overloaded: BTreeMap<String, u32>,
    idle: BTreeMap<String, u32>,
    silent: BTreeMap<String, u32>,
    uneven: BTreeMap<String, u32>,
    /// Seconds of processor time that a packet took when its stage was overloaded last.
    at_load: BTreeMap<String, f64>,
    /// Until when bricks are left alone.
    resting: BTreeMap<String, f64>,
    settle: u32,
    replaced: BTreeSet<String>,
    queues: Vec<usize>,
    /// Packets of each slot in the last ticks, by brick and shard.
    slots: BTreeMap<(String, usize), Vec<u64>>,
    /// Ticks in a row in which the workers wanted all cores.
    saturated: u32,
    /// Packets a second that the layout in force has carried in the last ticks.
    yields: Vec<f64>,
    trial: Option<Trial>,
    /// When layouts were compared last, and what the bricks cost then.
    arranged: Option<(f64, Costs)>,
}

impl Policy {
    /// A policy for bricks, in the order of the graph with its ends. What they cost decides how stages are divided, and is
    /// learnt as the graph runs.
    pub fn new(config: Config, facts: Vec<Facts>, costs: Option<Costs>) -> Self {
        let (overloaded, idle, silent, uneven, at_load, resting, replaced, slots) = Default::default();
        let costs = costs.unwrap_or_else(|| Costs::unknown("", BATCH, facts.clone()));
        let facts = facts.into_iter().collect();
        let (settle, queues, saturated, trial, arranged) = (config.settle, Vec::new(), 0, None, None);
        Self {
            config,
            facts,
            costs,
            overloaded,
            idle,
            silent,
            uneven,
            at_load,
            resting,
            settle,
            replaced,
            queues,
            slots,
            saturated,
            yields: Vec::new(),
            trial,
            arranged,
        }
    }

    /// What the bricks cost, as far as is known by now.
    pub fn costs(&self) -> &Costs {
        &self.costs
    }

    /// Whether layouts are being tried: that in force is not one that was chosen.
    pub fn is_trying(&self) -> bool {
        self.trial.is_some()
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
        self.note_yield(snapshot);
        let decision = self.replace(snapshot).or_else(|| match self.trial.take() {
            Some(trial) => self.go_on(trial, snapshot),
            None => {
                self.rebalance(snapshot).or_else(|| self.grow(snapshot)).or_else(|| self.shrink(snapshot))
            }
        })?;
        self.remember(&decision, snapshot.at);
        Some(decision)
    }

    /// Whether a stage may have several workers.
    fn can_replicate(&self, place: &Stage) -> bool {
        place.bricks.iter().all(|id| match self.facts.get(id) {
            Some(State::Stateless | State::Stateful) => true,
            Some(State::Single) | None => false,
        })
    }

    fn keeps_state(&self, place: &Stage) -> bool {
        place.bricks.iter().any(|id| self.facts.get(id) == Some(&State::Stateful))
    }

    /// What a part of a stage would weigh as a stage of its own; half, if it could then be replicated.
    fn weight(&self, place: &Stage, part: Range<usize>) -> f64 {
        let bricks = place.bricks[part].to_vec();
        let sum = self.costs.sum(&bricks);
        if self.can_replicate(&Stage { bricks, replicas: 1 }) { sum / 2.0 } else { sum }
    }

    /// Workers at most.
    fn most_workers(&self, snapshot: &Snapshot) -> usize {
        match self.config.max_workers {
            0 => self.facts.len() + (2.0 * self.cores(snapshot)).ceil() as usize,
            most => most,
        }
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
            self.uneven.clear();
            self.saturated = 0;
            self.yields.clear();
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
        let (waited, computing) = snapshot.waiting(stage);
        let figures = Figures {
            load: snapshot.load(stage),
            queue: load.queue,
            waiting_ms: waited * 1e3,
            computing_ms: computing * 1e3,
            rate: load.packets as f64 / snapshot.span.max(1e-9),
            ns: self.costs.sum(&place.bricks),
            replicas: place.replicas,
            imbalance: self.imbalance(snapshot, stage),
            ticks,
            free_cores: self.free_cores(snapshot),
            dropped: snapshot.dropped as f64 / snapshot.span.max(1e-9),
            each: snapshot.of_stage(stage).cloned().collect(),
        };
        Decision { action, bricks: place.bricks.clone(), reason, figures, plan }
    }
}
