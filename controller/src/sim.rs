//! A running graph in virtual time, to see what a policy makes of it.

use crate::{ControllerError, Costs, Decision, Policy};
use legonf_core::{HostLoad, Plan, Snapshot, StageLoad, WorkerLoad};
use std::collections::BTreeSet;

/// Steps of virtual time between two snapshots.
const STEPS: u32 = 100;
/// Batches of each queue on average, as in the runtime.
const DEPTH: usize = 8;

/// What happened between two snapshots.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Seconds since the beginning.
    pub at: f64,
    /// Packets a second that came.
    pub offered: f64,
    /// Packets a second that went through.
    pub done: f64,
    /// Packets that found no room.
    pub dropped: f64,
    /// The plan that was in force.
    pub plan: Plan,
    /// What the policy decided then.
    pub decision: Option<Decision>,
}

/// A graph as a fluid: packets flow from stage to stage as fast as its workers, which share the cores evenly, let them.
#[derive(Clone, Debug)]
pub struct Simulation {
    costs: Costs,
    cores: f64,
    plan: Plan,
    /// Packets before each stage.
    queues: Vec<f64>,
    serial: u64,
    names: Vec<Vec<u64>>,
    stuck: BTreeSet<u64>,
    at: f64,
}

/// Sums between two snapshots, by stage.
#[derive(Clone, Default)]
struct Sums {
    passed: Vec<f64>,
    computed: Vec<f64>,
    wanted: Vec<f64>,
    offered: f64,
    dropped: f64,
}

impl Simulation {
    /// A graph with these costs in this plan on some cores.
    ///
    /// # Errors
    /// If a brick of the plan has no cost.
    pub fn new(costs: Costs, plan: Plan, cores: f64) -> Result<Self, ControllerError> {
        for id in plan.stages.iter().flat_map(|stage| &stage.bricks) {
            costs.of(id)?;
        }
        let (queues, names) = (vec![0.0; plan.stages.len()], Vec::new());
        let mut this = Self { costs, cores, plan, queues, serial: 0, names, stuck: BTreeSet::new(), at: 0.0 };
        this.name();
        Ok(this)
    }

    /// Lets a worker of a stage do nothing from now on.
    pub fn jam(&mut self, stage: usize) {
        self.stuck.extend(self.names.get(stage).and_then(|names| names.first()));
    }

    /// Runs for some seconds with a rate that changes in time, in snapshots of `tick` seconds.
    pub fn run(
        &mut self,
        policy: &mut Policy,
        seconds: f64,
        tick: f64,
        rate: impl Fn(f64) -> f64,
    ) -> Vec<Step> {
        let ticks = (seconds / tick).round() as u64;
        (0..ticks).map(|_| self.tick(policy, tick, &rate)).collect()
    }

    fn tick(&mut self, policy: &mut Policy, tick: f64, rate: &impl Fn(f64) -> f64) -> Step {
        let stages = self.plan.stages.len();
        let zero = vec![0.0; stages];
        let mut sums = Sums { passed: zero.clone(), computed: zero.clone(), wanted: zero, ..Sums::default() };
        let dt = tick / f64::from(STEPS);
        for _ in 0..STEPS {
            self.flow(dt, rate(self.at), &mut sums);
            self.at += dt;
        }
        let (plan, snapshot) = (self.plan.clone(), self.snapshot(tick, &sums));
        let decision = policy.decide(&snapshot);
        if let Some(next) = decision.as_ref().and_then(|decision| decision.plan.clone()) {
            self.change(next);
        }
        let done = sums.passed.last().copied().unwrap_or(0.0) / tick;
        Step { at: self.at, offered: sums.offered / tick, done, dropped: sums.dropped, plan, decision }
    }

    /// Nanoseconds a packet of one worker of a stage, half of each hop included.
    fn ns(&self, stage: usize) -> f64 {
        let hops = u8::from(stage > 0) + u8::from(stage + 1 < self.plan.stages.len());
        let hops = f64::from(hops) / 2.0 * self.costs.hop_ns / self.costs.batch;
        (self.costs.sum(&self.plan.stages[stage].bricks) + hops).max(1e-3)
    }

    fn healthy(&self, stage: usize) -> f64 {
        self.names[stage].iter().filter(|serial| !self.stuck.contains(serial)).count() as f64
    }

    fn credits(&self) -> usize {
        let workers = self.plan.workers();
        if workers <= 1 { 1 } else { DEPTH * (self.plan.stages.len() - 1) + workers + 1 }
    }

    /// Lets packets flow for `dt` seconds: as many as each stage can and may take, where all want cores, in proportion.
    fn flow(&mut self, dt: f64, rate: f64, sums: &mut Sums) {
        let stages = self.plan.stages.len();
        let on_their_way = self.queues.iter().skip(1).sum::<f64>();
        // One worker finishes a batch before it takes the next.
        let room =
            if stages == 1 { f64::INFINITY } else { self.credits() as f64 * self.costs.batch - on_their_way };
        let arrived = rate * dt;
        sums.offered += arrived;
        self.queues[0] += arrived;
        let wants = |this: &Self, stage: usize| {
            let able = this.healthy(stage) * dt / this.ns(stage) * 1e9;
            let there = if stage == 0 { this.queues[0].min(room.max(0.0)) } else { this.queues[stage] };
            able.min(there)
        };
        let wanted: Vec<f64> = (0..stages).map(|stage| wants(self, stage)).collect();
        let work: f64 =
            wanted.iter().enumerate().map(|(stage, packets)| packets * self.ns(stage) / 1e9).sum();
        let share = (self.cores * dt / work.max(1e-12)).min(1.0);
        for (stage, wanted) in wanted.into_iter().enumerate() {
            let (packets, ns) = (wanted * share, self.ns(stage) / 1e9);
            self.queues[stage] -= packets;
            if let Some(next) = self.queues.get_mut(stage + 1) {
                *next += packets;
            }
            sums.passed[stage] += packets;
            sums.computed[stage] += packets * ns;
            sums.wanted[stage] += wanted * ns;
        }
        // What waits before the source is in the kernel's ring, which has an end.
        let ring = self.costs.batch * 16.0;
        sums.dropped += (self.queues[0] - ring).max(0.0);
        self.queues[0] = self.queues[0].min(ring);
    }

    fn snapshot(&self, span: f64, sums: &Sums) -> Snapshot {
        let mut workers = Vec::new();
        for (stage, names) in self.names.iter().enumerate() {
            let healthy = self.healthy(stage).max(1.0);
            for serial in names {
                let part = if self.stuck.contains(serial) { 0.0 } else { 1.0 / healthy };
                let busy = sums.computed[stage] / span * part;
                let starved = (sums.wanted[stage] - sums.computed[stage]) / span * part;
                let (name, packets) = (format!("{stage}#{serial}"), (sums.passed[stage] * part) as u64);
                workers.push(WorkerLoad { stage, name, busy, starved, packets, restarts: 0 });
            }
        }
        let stage = |stage: usize| StageLoad {
            queue: if stage == 0 { 0 } else { (self.queues[stage] / self.costs.batch) as usize },
            packets: sums.passed[stage] as u64,
            ..StageLoad::default()
        };
        let used = sums.computed.iter().sum::<f64>() / span;
        Snapshot {
            at: self.at,
            span,
            plan: self.plan.clone(),
            stages: (0..self.plan.stages.len()).map(stage).collect(),
            workers,
            offered: sums.offered as u64,
            done: sums.passed.last().map_or(0, |packets| *packets as u64),
            dropped: sums.dropped as u64,
            in_flight: (self.queues.iter().skip(1).sum::<f64>() / self.costs.batch) as usize,
            credits: self.credits(),
            host: HostLoad { cores: self.cores, used, memory: 1 << 40 },
        }
    }

    /// Puts a plan in force; what waits stays before the brick that it waits for.
    fn change(&mut self, plan: Plan) {
        let mut queues = vec![0.0; plan.stages.len()];
        for (old, packets) in self.plan.stages.iter().zip(&self.queues) {
            let stage = old.bricks.first().and_then(|id| plan.stage_of(id)).unwrap_or(0);
            queues[stage] += packets;
        }
        (self.plan, self.queues) = (plan, queues);
        self.name();
    }

    /// Gives workers numbers: those of stages that stay keep theirs.
    fn name(&mut self) {
        let mut names = std::mem::take(&mut self.names);
        names.resize(self.plan.stages.len(), Vec::new());
        for (stage, serials) in self.plan.stages.iter().zip(&mut names) {
            serials.truncate(stage.replicas);
            while serials.len() < stage.replicas {
                serials.push(self.serial);
                self.serial += 1;
            }
        }
        self.names = names;
    }
}
