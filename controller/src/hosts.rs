//! Which replicas of a plan run on other hosts: a free core here first, then another host, by what its link carries (LEGO §III-C).

use crate::{ControllerError, Model};
use legonf_core::{Plan, Stage, State};
use serde::Serialize;

/// What another host has to offer, as it was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct HostOffer {
    /// Its name.
    pub name: String,
    /// Cores that are free there.
    pub cores: f64,
    /// Bytes a second that the link to it carries, there and back counted together.
    pub bytes_per_second: f64,
    /// Seconds of a call that carries nothing.
    pub round_trip: f64,
}

/// A replica of a brick on another host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hosted {
    /// The brick.
    pub brick: String,
    /// The replica, from 0.
    pub replica: usize,
}

/// What a host does in a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostShare {
    /// Its name.
    pub name: String,
    /// Cores that are busy there.
    pub busy: f64,
    /// Cores that are free without the plan.
    pub cores: f64,
    /// Bytes a second that go over the link, there and back.
    pub bytes_per_second: f64,
    /// Part of what the link carries.
    pub link: f64,
    /// What runs there.
    pub bricks: Vec<Hosted>,
}

/// A plan over several hosts, and what it carries.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HostPlan {
    /// The plan.
    pub plan: Plan,
    /// Packets a second that it can carry at most.
    pub capacity: f64,
    /// Packets a second that it does carry.
    pub throughput: f64,
    /// Cores that are busy here. What goes over links counts as work of this side for as long as it takes.
    pub cores: f64,
    /// Other hosts that do something.
    pub hosts: Vec<HostShare>,
}

/// A replica of a stage, in a worker of its own.
struct Worker {
    stage: usize,
    replica: usize,
    /// Where some of its bricks run, if not here.
    host: Option<usize>,
    cost: WorkerCost,
}

/// What a packet costs a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct WorkerCost {
    /// Nanoseconds of this host: of bricks that stay, of queues, and of the link.
    here: f64,
    /// Nanoseconds of the other host.
    there: f64,
    /// Bytes over the link.
    bytes: f64,
}

impl WorkerCost {
    /// Calls are answered one after the other: what is done there is waited for here.
    fn ns(self) -> f64 {
        self.here + self.there
    }
}

/// Plans of as many workers that are looked at, at most.
const CANDIDATES: usize = 64;
/// Workers beyond the number of cores that are looked at: those of both ends have little to do, and share a core with others.
const ENDS: usize = 2;
/// From so many workers on plans of each further number are not looked at, but every second, third and so on.
const STEP: usize = 32;

impl HostPlan {
    /// Whether it carries more, or as much with fewer bytes over links.
    fn is_better_than(&self, other: &Self) -> bool {
        let bytes = |plan: &Self| plan.hosts.iter().map(|host| host.bytes_per_second).sum::<f64>();
        let equal = (self.throughput / other.throughput - 1.0).abs() <= 1e-3;
        if equal { bytes(self) < bytes(other) } else { self.throughput > other.throughput }
    }
}

impl Model<'_> {
    /// The plan that carries a rate with the fewest workers, or as much as it can where none is given. No host is used whose cores are not
    /// needed. A brick goes elsewhere only if it computes for longer than its columns take on the link, and those with the
    /// fewest bytes for what they compute go first. Both ends of the graph, what shares a worker with them, and serial bricks stay here.
    ///
    /// # Errors
    /// If no plan fits the cores and the links.
    pub fn over_hosts(
        &self,
        cores: f64,
        hosts: &[HostOffer],
        rate: Option<f64>,
    ) -> Result<HostPlan, ControllerError> {
        let all: f64 = hosts.iter().map(|host| host.cores.floor()).sum();
        let most = (cores.floor() + all).max(1.0) as usize + ENDS;
        let mut best: Option<HostPlan> = None;
        let mut workers = 1;
        while workers <= most {
            for plan in self.candidates(workers) {
                let Some(found) = self.spread(&plan, cores, hosts, rate) else { continue };
                if best.as_ref().is_none_or(|best| found.is_better_than(best)) {
                    best = Some(found);
                }
            }
            if best.as_ref().zip(rate).is_some_and(|(best, rate)| best.throughput >= rate) {
                break;
            }
            workers += 1 + workers / STEP;
        }
        best.ok_or_else(|| ControllerError::Impossible(format!("{cores} cores here carry nothing")))
    }

    /// Plans of so many workers at most that carry much where each has a core.
    fn candidates(&self, workers: usize) -> Vec<Plan> {
        let may = |stage: &Stage| {
            let divides = |id: &String| self.costs().of(id).is_ok_and(|brick| brick.state != State::Serial);
            stage.bricks.iter().all(divides)
        };
        let layouts = self.layouts(workers as f64, workers, &may);
        if layouts.is_empty() {
            return self.best(workers).map(|(_, plan)| plan).into_iter().collect();
        }
        layouts.into_iter().take(CANDIDATES).map(|forecast| forecast.plan).collect()
    }

    /// Puts replicas of a plan on other hosts as long as the cores here are what bounds it, and more is asked for.
    fn spread(&self, plan: &Plan, cores: f64, hosts: &[HostOffer], rate: Option<f64>) -> Option<HostPlan> {
        let mut workers = self.workers(plan).ok()?;
        let mut free: Vec<f64> = hosts.iter().map(|host| host.cores).collect();
        let mut best = self.carried(plan, &workers, hosts, cores, rate);
        loop {
            let is_enough = rate.is_some_and(|rate| best.throughput >= rate);
            if is_enough || best.cores < cores * self.high() * (1.0 - 1e-6) {
                return Some(best);
            }
            let Some((worker, host, cost)) = self.cheapest(plan, &workers, hosts, &free) else {
                return Some(best);
            };
            free[host] -= 1.0;
            (workers[worker].host, workers[worker].cost) = (Some(host), cost);
            let found = self.carried(plan, &workers, hosts, cores, rate);
            if !found.is_better_than(&best) {
                return Some(best);
            }
            best = found;
        }
    }

    /// All workers of a plan, here.
    fn workers(&self, plan: &Plan) -> Result<Vec<Worker>, ControllerError> {
        let mut workers = Vec::with_capacity(plan.workers());
        for stage in 0..plan.stages.len() {
            let forecast = self.stage(plan, stage)?;
            let cost = WorkerCost { here: forecast.ns, ..WorkerCost::default() };
            let worker = |replica| Worker { stage, replica, host: None, cost };
            workers.extend((0..forecast.replicas).map(worker));
        }
        Ok(workers)
    }

    /// Of the workers here that can go elsewhere the one that moves the fewest bytes for what it computes, with where it goes: to the host
    /// with the most free cores. Later replicas go first.
    fn cheapest(
        &self,
        plan: &Plan,
        workers: &[Worker],
        hosts: &[HostOffer],
        free: &[f64],
    ) -> Option<(usize, usize, WorkerCost)> {
        let hosts_with_room = (0..hosts.len()).filter(|host| free[*host] >= 1.0);
        let host = hosts_with_room.reduce(|a, b| if free[b] > free[a] { b } else { a })?;
        let moved = |(index, worker): (usize, &Worker)| {
            let cost = self.elsewhere(plan, worker, &hosts[host])?;
            Some((index, host, cost))
        };
        let here = workers.iter().enumerate().rev().filter(|(_, worker)| worker.host.is_none());
        let weight = |cost: WorkerCost| cost.bytes / cost.there;
        here.filter_map(moved).reduce(|a, b| if weight(b.2) < weight(a.2) { b } else { a })
    }

    /// What a packet costs a worker that is here when its bricks run on a host, as far as that is worth it; nothing if none is.
    fn elsewhere(&self, plan: &Plan, worker: &Worker, host: &HostOffer) -> Option<WorkerCost> {
        let mut cost = worker.cost;
        for id in self.movable(plan, worker.stage, host) {
            let brick = self.costs().of(&id).ok()?;
            cost.here += self.link_ns(brick.moved, host) - brick.ns;
            cost.there += brick.ns;
            cost.bytes += brick.moved;
        }
        (cost.there > 0.0).then_some(cost)
    }

    /// Bricks of a stage that are worth the way to a host.
    fn movable(&self, plan: &Plan, stage: usize, host: &HostOffer) -> Vec<String> {
        let bricks = &plan.stages[stage].bricks;
        if bricks.iter().any(|id| id == Plan::SOURCE || id == Plan::SINK) {
            return Vec::new();
        }
        let is_worth_it = |id: &&String| {
            let brick = self.costs().of(id);
            brick
                .is_ok_and(|brick| brick.state != State::Serial && brick.ns > self.link_ns(brick.moved, host))
        };
        bricks.iter().filter(is_worth_it).cloned().collect()
    }

    /// Nanoseconds a packet on the link, of a call that carries a batch.
    fn link_ns(&self, bytes: f64, host: &HostOffer) -> f64 {
        (bytes / host.bytes_per_second + host.round_trip / self.costs().batch) * 1e9
    }

    /// What workers carry. Replicas get traffic by how fast they are, as slots are balanced.
    fn carried(
        &self,
        plan: &Plan,
        workers: &[Worker],
        hosts: &[HostOffer],
        cores: f64,
        rate: Option<f64>,
    ) -> HostPlan {
        let speed = |worker: &Worker| 1e9 / worker.cost.ns();
        let stage_speed =
            |stage: usize| -> f64 { workers.iter().filter(|worker| worker.stage == stage).map(speed).sum() };
        let speeds: Vec<f64> = (0..plan.stages.len()).map(stage_speed).collect();
        // Part of the packets that a worker gets.
        let part = |worker: &Worker| speed(worker) / speeds[worker.stage];
        let on = |host: usize| workers.iter().filter(move |worker| worker.host == Some(host));
        let bytes = |host: usize| -> f64 { on(host).map(|worker| part(worker) * worker.cost.bytes).sum() };
        let links = (0..hosts.len()).filter(|host| bytes(*host) > 0.0);
        let links = links.map(|host| hosts[host].bytes_per_second / bytes(host));
        let here: f64 = workers.iter().map(|worker| part(worker) * worker.cost.here).sum();
        let bounds = speeds.iter().copied().chain(links).chain([cores / here * 1e9]);
        let capacity = bounds.fold(f64::INFINITY, f64::min);
        let most = capacity * self.high();
        let throughput = rate.map_or(most, |rate| rate.min(most));
        let share = |(index, host): (usize, &HostOffer)| {
            let busy: f64 = on(index).map(|worker| part(worker) * worker.cost.there).sum();
            let bytes = bytes(index) * throughput;
            let bricks = |worker: &Worker| {
                let replica = worker.replica;
                let movable = self.movable(plan, worker.stage, host).into_iter();
                movable.map(move |brick| Hosted { brick, replica }).collect::<Vec<_>>()
            };
            HostShare {
                name: host.name.clone(),
                busy: busy * throughput / 1e9,
                cores: host.cores,
                bytes_per_second: bytes,
                link: bytes / host.bytes_per_second,
                bricks: on(index).flat_map(bricks).collect(),
            }
        };
        let hosts = hosts.iter().enumerate().map(share).filter(|host| !host.bricks.is_empty()).collect();
        HostPlan { plan: plan.clone(), capacity, throughput, cores: here * throughput / 1e9, hosts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::costs::tests::kitsune;
    use crate::{Cost, Costs};

    fn costs() -> Costs {
        let mut costs = kitsune();
        let moved = |brick: &mut Cost| {
            brick.moved = match &*brick.id {
                "extractor" => 1000.0,
                "network" => 930.0,
                "decision" => 10.0,
                _ => 0.0,
            };
        };
        costs.bricks.iter_mut().for_each(moved);
        costs
    }

    fn host(name: &str, cores: f64, bytes_per_second: f64) -> HostOffer {
        HostOffer { name: name.into(), cores, bytes_per_second, round_trip: 50e-6 }
    }

    fn hosted(found: &HostPlan) -> Vec<String> {
        let of = |host: &HostShare| {
            let name = host.name.clone();
            host.bricks
                .iter()
                .map(move |at| format!("{}#{}={name}", at.brick, at.replica))
                .collect::<Vec<_>>()
        };
        found.hosts.iter().flat_map(of).collect()
    }

    #[test]
    fn no_host_is_used_whose_cores_are_not_needed() {
        let costs = costs();
        let found = Model::new(&costs, 0.9).over_hosts(8.0, &[host("b", 8.0, 1e9)], Some(1e6)).unwrap();
        assert_eq!((found.hosts.len(), found.throughput), (0, 1e6));
    }

    #[test]
    fn the_brick_that_moves_fewest_bytes_for_its_work_goes_and_what_is_cheap_stays() {
        let costs = costs();
        let model = Model::new(&costs, 0.9);
        let found = model.over_hosts(4.0, &[host("b", 2.0, 2e9), host("c", 3.0, 2e9)], Some(1.8e6)).unwrap();
        assert_eq!(found.throughput, 1.8e6);
        let hosted = hosted(&found);
        assert!(!hosted.is_empty() && hosted.iter().all(|at| at.starts_with("network#")), "{hosted:?}");
        // The one with more free cores first.
        assert!(hosted[hosted.len() - 1].ends_with("=c"), "{hosted:?}");
        assert!(found.cores <= 4.0 * 0.9 + 1e-9, "{}", found.cores);
        for host in &found.hosts {
            assert!(host.busy <= host.bricks.len() as f64 && host.link < 1.0, "{host:?}");
        }
    }

    #[test]
    fn a_slow_link_bounds_what_a_plan_carries_or_is_not_used() {
        let costs = costs();
        let model = Model::new(&costs, 0.9);
        let alone = model.over_hosts(2.0, &[], None).unwrap();
        let fast = model.over_hosts(2.0, &[host("b", 8.0, 2e9)], None).unwrap();
        let slow = model.over_hosts(2.0, &[host("b", 8.0, 0.6e9)], None).unwrap();
        let useless = model.over_hosts(2.0, &[host("b", 8.0, 0.3e9)], None).unwrap();
        assert!(fast.throughput > slow.throughput && slow.throughput > alone.throughput);
        // A packet takes 3.1 us on that link, and the network 2 us.
        assert_eq!(useless, alone);
        for host in fast.hosts.iter().chain(&slow.hosts) {
            assert!(host.link <= 0.9 + 1e-9, "{host:?}");
        }
    }

    #[test]
    fn what_no_host_can_carry_is_told_by_its_throughput() {
        let costs = costs();
        let found = Model::new(&costs, 0.9).over_hosts(2.0, &[host("b", 1.0, 1e9)], Some(1e7)).unwrap();
        assert!(found.throughput < 1e7);
    }
}
