//! Finds the bottleneck, and decides what to do about it.

mod arrange;
mod challenge;
mod challenges;
mod detect;
mod grow;
mod memory;
mod rebalance;
mod shrink;

use crate::{Action, Config, Costs, Decision, Figures, Scaling};
use challenges::{Budget, Challenges, Intervals};
use legonf_core::{BATCH, Plan, Snapshot, Stage, State};
use memory::{Loads, Rests, Streaks};
use std::collections::BTreeMap;
use std::ops::Range;

/// What is known of a brick: identifier and state.
pub type Facts = (String, State);

/// A policy and what it remembers: how long each stage has been overloaded or idle, when it was last changed, and what other
/// layouts carried.
///
/// It depends on nothing but the snapshots: the same ones give the same decisions.
#[derive(Clone, Debug)]
pub struct Policy {
    config: Config,
    facts: BTreeMap<String, State>,
    costs: Costs,
    streaks: Streaks,
    loads: Loads,
    rests: Rests,
    challenges: Challenges,
    is_paused: bool,
}

/// No comparison of layouts so far.
fn challenges(config: &Config) -> Challenges {
    let intervals = Intervals { least: config.challenge_every, most: config.arrange_every };
    Challenges::new(Budget::new(config.challenge, config.turn()), intervals)
}

impl Policy {
    /// A policy for bricks, in the order of the graph with its ends. What they cost decides how stages are divided, and is
    /// learnt as the graph runs.
    pub fn new(config: Config, facts: Vec<Facts>, costs: Option<Costs>) -> Self {
        let costs = costs.unwrap_or_else(|| Costs::unknown("", BATCH, facts.clone()));
        Self {
            facts: facts.into_iter().collect(),
            costs,
            streaks: Streaks::default(),
            loads: Loads::default(),
            rests: Rests::new(config.settle),
            challenges: challenges(&config),
            is_paused: false,
            config,
        }
    }

    /// Decides nothing until it is told to go on; what bricks cost is learnt all the same.
    pub fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
        self.streaks = Streaks::default();
    }

    /// Decides by another configuration from now on. What bricks cost stays known; layouts that were compared are forgotten.
    pub fn set_config(&mut self, config: Config) {
        self.streaks = Streaks::default();
        self.rests = Rests::new(config.settle);
        self.challenges = challenges(&config);
        self.config = config;
    }

    /// What the bricks cost, as far as is known by now.
    pub fn costs(&self) -> &Costs {
        &self.costs
    }

    /// Whether a layout has its turn that was never seen before: that in force may not be one that was chosen.
    pub fn is_trying(&self) -> bool {
        let seen = |plan| self.challenges.candidate(plan).is_some_and(|candidate| candidate.ratio.is_some());
        self.challenges.current.as_ref().is_some_and(|challenge| !seen(&challenge.challenger))
    }

    /// The layout that is held, where another one has turns beside it at present.
    pub fn held(&self) -> Option<&Plan> {
        self.challenges.incumbent.as_ref().filter(|_| self.challenges.current.is_some())
    }

    /// Looks at a snapshot and decides, at most one thing at a time.
    pub fn decide(&mut self, snapshot: &Snapshot) -> Option<Decision> {
        if snapshot.stages.len() != snapshot.plan.stages.len() {
            return None;
        }
        self.charge(snapshot);
        if self.rests.pass() {
            return None;
        }
        self.costs = self.costs.refreshed(snapshot, self.config.refresh);
        if self.config.scaling == Scaling::Fixed || self.is_paused {
            return None;
        }
        self.count(snapshot);
        self.note_yield(snapshot);
        let decision = self.replace(snapshot).or_else(|| self.act(snapshot))?;
        self.remember(&decision, snapshot.at);
        Some(decision)
    }

    fn act(&mut self, snapshot: &Snapshot) -> Option<Decision> {
        if self.challenges.current.is_some() {
            return self.go_on(snapshot);
        }
        self.rebalance(snapshot).or_else(|| self.grow(snapshot)).or_else(|| self.shrink(snapshot))
    }

    /// Whether a stage may have several workers.
    fn can_replicate(&self, place: &Stage) -> bool {
        place.bricks.iter().all(|id| match self.facts.get(id) {
            Some(State::Stateless | State::Keyed) => true,
            Some(State::Serial) | None => false,
        })
    }

    fn keeps_state(&self, place: &Stage) -> bool {
        place.bricks.iter().any(|id| self.facts.get(id) == Some(&State::Keyed))
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
        let place = &snapshot.plan.stages[stage];
        self.is_pinned(place) || self.rests.holds(place, snapshot.at)
    }

    /// Whether a stage is to stay as it is.
    fn is_pinned(&self, place: &Stage) -> bool {
        place.bricks.iter().any(|id| self.config.pinned.contains(id))
    }

    /// Whether a plan leaves what is pinned as it is in another.
    fn keeps_pinned(&self, present: &Plan, plan: &Plan) -> bool {
        present.stages.iter().filter(|place| self.is_pinned(place)).all(|place| plan.stages.contains(place))
    }

    fn remember(&mut self, decision: &Decision, at: f64) {
        self.rests.leave(&decision.bricks, at + self.config.cooldown);
        if decision.plan.is_some() {
            self.rests.settle(self.config.settle);
            self.streaks = Streaks::default();
            self.challenges.yields.clear();
            self.loads.queues.clear();
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
