//! A running graph in virtual time, to see what a policy makes of it.

use crate::{ControllerError, Costs, Decision, Policy};
use legonf_core::{
    HostLoad, Plan, SLOTS, ShardLoad, SlotMove, Snapshot, StageLoad, State, WorkerLoad, balanced, mean_wait,
};
use std::collections::{BTreeMap, BTreeSet};

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

/// What the machine does with a graph at present.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Nanoseconds of processor time a batch for each hop.
    pub hop_ns: f64,
    /// Processor time of everything, as a multiple of what it costs.
    pub slowness: f64,
    /// Cores that a hypervisor gives to other machines.
    pub stolen: f64,
    /// Seconds for which nothing flows when another layout comes into force.
    pub change: f64,
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
    /// Part of the packets of each slot, and for each brick with state that has replicas the owner of each.
    weights: Vec<f64>,
    owners: BTreeMap<String, Vec<u16>>,
    /// The greatest part of a stage's packets that one of its workers gets.
    most: Vec<f64>,
    at: f64,
    conditions: Conditions,
    /// Until when nothing flows.
    paused: f64,
}

/// Sums between two snapshots, by stage.
#[derive(Clone, Default)]
struct Sums {
    passed: Vec<f64>,
    computed: Vec<f64>,
    wanted: Vec<f64>,
    /// Packets before a stage, times seconds.
    waited: Vec<f64>,
    offered: f64,
    dropped: f64,
    /// Seconds of cores that would have been used.
    stolen: f64,
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
        let conditions = Conditions { hop_ns: costs.hop_ns, slowness: 1.0, stolen: 0.0, change: 0.0 };
        let mut this = Self {
            costs,
            cores,
            queues: vec![0.0; plan.stages.len()],
            plan,
            serial: 0,
            names: Vec::new(),
            stuck: BTreeSet::new(),
            weights: vec![1.0 / SLOTS as f64; SLOTS],
            owners: BTreeMap::new(),
            most: Vec::new(),
            at: 0.0,
            conditions,
            paused: 0.0,
        };
        this.name();
        this.place(&[]);
        Ok(this)
    }

    /// Gives some slots that one replica of a brick owns this part of all packets together, in equal shares; the others share
    /// the rest.
    pub fn heat(&mut self, brick: &str, replica: u16, slots: usize, part: f64) {
        let owners = self.owners.get(brick);
        let owned = |slot: &usize| owners.is_none_or(|owners| owners[*slot] == replica);
        let hot: Vec<usize> = (0..SLOTS).filter(owned).take(slots).collect();
        self.weights.fill((1.0 - part) / (SLOTS - hot.len()).max(1) as f64);
        hot.iter().for_each(|slot| self.weights[*slot] = part / hot.len() as f64);
    }

    /// Lets a worker of a stage do nothing from now on.
    pub fn jam(&mut self, stage: usize) {
        self.stuck.extend(self.names.get(stage).and_then(|names| names.first()));
    }

    /// Lets the machine be another one from now on.
    pub fn set(&mut self, conditions: Conditions) {
        self.conditions = conditions;
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
        let most = |stage| self.shares(stage).into_iter().fold(0.0, f64::max);
        self.most = (0..stages).map(most).collect();
        let zero = vec![0.0; stages];
        let (passed, computed, waited) = (zero.clone(), zero.clone(), zero.clone());
        let mut sums = Sums { passed, computed, waited, wanted: zero, ..Sums::default() };
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
        let hops = f64::from(hops) / 2.0 * self.conditions.hop_ns / self.costs.batch;
        let split = if self.divided(stage).is_some() { self.costs.split_ns } else { 0.0 };
        let ns = self.costs.sum(&self.plan.stages[stage].bricks) + hops + split;
        (ns * self.conditions.slowness).max(1e-3)
    }

    fn healthy(&self, stage: usize) -> f64 {
        self.names[stage].iter().filter(|serial| !self.stuck.contains(serial)).count() as f64
    }

    /// The brick of a stage whose work its replicas share by slots.
    fn divided(&self, stage: usize) -> Option<&String> {
        self.plan.stages[stage].bricks.iter().find(|id| self.owners.contains_key(*id))
    }

    /// The part of the packets of a stage that each of its workers gets.
    fn shares(&self, stage: usize) -> Vec<f64> {
        let names = &self.names[stage];
        let Some(owners) = self.divided(stage).and_then(|id| self.owners.get(id)) else {
            let part =
                |serial| if self.stuck.contains(serial) { 0.0 } else { 1.0 / self.healthy(stage).max(1.0) };
            return names.iter().map(part).collect();
        };
        let mut shares = vec![0.0; names.len()];
        for (owner, weight) in owners.iter().zip(&self.weights) {
            shares[usize::from(*owner)] += weight;
        }
        shares
    }

    /// Packets that a stage can take in `dt` seconds: as many as let its busiest worker compute all the time.
    fn able(&self, stage: usize, dt: f64) -> f64 {
        let most = self.most[stage];
        // Answers of which a part is missing wait.
        let whole = self.healthy(stage) >= self.names[stage].len() as f64 || self.divided(stage).is_none();
        let stuck = most == 0.0 || self.healthy(stage) == 0.0 || !whole;
        if stuck { 0.0 } else { dt / self.ns(stage) * 1e9 / most }
    }

    /// Places slots where a brick's replicas have come or gone, and moves those that shall.
    fn place(&mut self, moves: &[SlotMove]) {
        for stage in &self.plan.stages {
            let stateful = |id: &&String| self.costs.of(id).is_ok_and(|cost| cost.state == State::Keyed);
            let Some(id) = stage.bricks.iter().find(stateful) else { continue };
            if stage.replicas == 1 {
                self.owners.remove(id);
                continue;
            }
            let owners = self.owners.entry(id.clone()).or_insert_with(|| vec![0; SLOTS]);
            let count = owners.iter().max().map_or(1, |most| usize::from(*most) + 1);
            if count != stage.replicas {
                let loads: Vec<u64> = self.weights.iter().map(|weight| (weight * 1e9) as u64).collect();
                *owners = balanced(owners, &loads, stage.replicas);
            }
            moves.iter().filter(|m| m.brick == *id).for_each(|m| owners[usize::from(m.slot)] = m.to);
        }
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
            let able = this.able(stage, dt);
            let there = if stage == 0 { this.queues[0].min(room.max(0.0)) } else { this.queues[stage] };
            able.min(there)
        };
        let wanted: Vec<f64> = (0..stages).map(|stage| wants(self, stage)).collect();
        let work: f64 =
            wanted.iter().enumerate().map(|(stage, packets)| packets * self.ns(stage) / 1e9).sum();
        let part = |cores: f64| (cores.max(0.0) * dt / work.max(1e-12)).min(1.0);
        let flows = if self.at < self.paused { 0.0 } else { 1.0 };
        let (whole, share) = (part(self.cores) * flows, part(self.cores - self.conditions.stolen) * flows);
        sums.stolen += work * (whole - share);
        for (stage, wanted) in wanted.into_iter().enumerate() {
            let (packets, ns) = (wanted * share, self.ns(stage) / 1e9);
            self.queues[stage] -= packets;
            if let Some(next) = self.queues.get_mut(stage + 1) {
                *next += packets;
            }
            sums.passed[stage] += packets;
            sums.computed[stage] += packets * ns;
            // What is stolen is not waited for.
            sums.wanted[stage] += (packets + wanted * (flows - whole)) * ns;
            sums.waited[stage] += self.queues[stage] * dt;
        }
        // What waits before the source is in the kernel's ring, which has an end.
        let ring = self.costs.batch * 16.0;
        sums.dropped += (self.queues[0] - ring).max(0.0);
        self.queues[0] = self.queues[0].min(ring);
    }

    fn snapshot(&self, span: f64, sums: &Sums) -> Snapshot {
        let mut workers = Vec::new();
        for (stage, names) in self.names.iter().enumerate() {
            for (serial, part) in names.iter().zip(self.shares(stage)) {
                let name = format!("{stage}#{serial}");
                workers.push(WorkerLoad { name, ..self.load(stage, part, span, sums) });
            }
        }
        let stage = |stage: usize| StageLoad {
            queue: self.queue(stage),
            packets: sums.passed[stage] as u64,
            shards: self.shards(stage, sums.passed[stage]),
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
            host: HostLoad { cores: self.cores, used, memory: 1 << 40, stolen: sums.stolen / span },
            passages: None,
        }
    }

    /// What a worker did that gets some part of a stage's packets.
    fn load(&self, stage: usize, part: f64, span: f64, sums: &Sums) -> WorkerLoad {
        let (batches, packets) = (sums.passed[stage] / self.costs.batch, (sums.passed[stage] * part) as u64);
        let all = batches.ceil() as u64;
        let waited = mean_wait(sums.waited[stage] / self.costs.batch, all, span);
        WorkerLoad {
            stage,
            busy: sums.computed[stage] / span * part,
            starved: (sums.wanted[stage] - sums.computed[stage]) / span * part,
            computed: sums.computed[stage] * part,
            queue: self.queue(stage),
            batches: if self.divided(stage).is_some() { all } else { (batches * part).ceil() as u64 },
            waited: if stage == 0 { 0.0 } else { waited },
            received: packets,
            packets,
            dropped: if stage == 0 { sums.dropped as u64 } else { 0 },
            ..WorkerLoad::default()
        }
    }

    /// Batches before a stage; before the source packets wait, but no batch.
    fn queue(&self, stage: usize) -> usize {
        if stage == 0 { 0 } else { (self.queues[stage] / self.costs.batch) as usize }
    }

    fn shards(&self, stage: usize, passed: f64) -> Vec<ShardLoad> {
        let Some(id) = self.divided(stage) else { return Vec::new() };
        let packets = self.weights.iter().map(|weight| (weight * passed) as u64).collect();
        vec![ShardLoad { brick: id.clone(), shard: 0, packets, owners: self.owners[id].clone() }]
    }

    /// Puts a plan in force; what waits stays before the brick that it waits for.
    fn change(&mut self, mut plan: Plan) {
        let mut queues = vec![0.0; plan.stages.len()];
        for (old, packets) in self.plan.stages.iter().zip(&self.queues) {
            let stage = old.bricks.first().and_then(|id| plan.stage_of(id)).unwrap_or(0);
            queues[stage] += packets;
        }
        let moves = std::mem::take(&mut plan.moves);
        self.paused =
            if self.plan.stages == plan.stages { self.paused } else { self.at + self.conditions.change };
        (self.plan, self.queues) = (plan, queues);
        self.name();
        self.place(&moves);
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
