//! What a plan can carry, from what its bricks cost.

use crate::{ControllerError, Cost, Costs};
use legonf_core::{Plan, Stage, State};
use serde::Serialize;

/// What one stage does at a rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageForecast {
    /// Its bricks.
    pub bricks: Vec<String>,
    /// Its workers.
    pub replicas: usize,
    /// Nanoseconds a packet of one worker, queues included.
    pub ns: f64,
    /// Part of the time that each worker computes.
    pub load: f64,
    /// Whether its replicas need a splitter, since a brick keeps state.
    pub split: bool,
}

/// What a plan does at a rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// The plan.
    pub plan: Plan,
    /// Its workers.
    pub workers: usize,
    /// Packets a second that it can carry at most.
    pub capacity: f64,
    /// Packets a second that it does carry of those offered.
    pub throughput: f64,
    /// Milliseconds from source to sink, on average: filling a batch, computing, and waiting before each stage.
    pub latency_ms: f64,
    /// The same for 99 of 100 packets, with waits taken to fall off exponentially.
    pub latency_p99_ms: f64,
    /// Bricks of the stage that is the first to be overloaded.
    pub bottleneck: Vec<String>,
    /// Every stage.
    pub stages: Vec<StageForecast>,
}

/// The cost model: bricks with fixed costs, workers on cores of their own (or sharing them evenly, where there are more
/// workers than cores), and a hop between each two stages.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    costs: &'a Costs,
    /// Part of the time that a worker may compute at most in a plan that is made here.
    high: f64,
}

/// Waits fall off exponentially: the quantile of 99% lies at so many means.
const P99: f64 = 4.605_170_185_988_092;

/// Places between bricks at most for all layouts to be looked at.
const MOST_CUTS: usize = 12;

/// Bricks in stages, where bit `i` of `cut` stands for a hop behind brick `i`.
fn partition(ids: &[String], cut: u32) -> Plan {
    let mut stages = vec![Stage { bricks: Vec::new(), replicas: 1 }];
    for (index, id) in ids.iter().enumerate() {
        if index > 0 && cut & 1 << (index - 1) != 0 {
            stages.push(Stage { bricks: Vec::new(), replicas: 1 });
        }
        if let Some(last) = stages.last_mut() {
            last.bricks.push(id.clone());
        }
    }
    Plan { stages, ..Plan::default() }
}

impl<'a> Model<'a> {
    /// A model that plans for workers that compute for `high` of the time at most.
    pub fn new(costs: &'a Costs, high: f64) -> Self {
        Self { costs, high }
    }

    /// What bricks cost.
    pub(crate) fn costs(&self) -> &Costs {
        self.costs
    }

    /// Part of the time that a worker may compute at most.
    pub(crate) fn high(&self) -> f64 {
        self.high
    }

    /// What a plan does with `rate` packets a second (as many as it can carry, where none is given) on some cores.
    ///
    /// # Errors
    /// If a brick of the plan has no cost.
    pub fn forecast(&self, plan: &Plan, rate: Option<f64>, cores: f64) -> Result<Forecast, ControllerError> {
        let mut stages =
            (0..plan.stages.len()).map(|index| self.stage(plan, index)).collect::<Result<Vec<_>, _>>()?;
        let slowest =
            stages.iter().max_by(|a, b| (a.ns / a.replicas as f64).total_cmp(&(b.ns / b.replicas as f64)));
        let bottleneck = slowest.map_or_else(Vec::new, |stage| stage.bricks.clone());
        let pipe = stages.iter().map(|s| s.replicas as f64 / s.ns * 1e9).fold(f64::INFINITY, f64::min);
        let work: f64 = stages.iter().map(|s| s.ns).sum();
        let capacity = pipe.min(cores / work * 1e9);
        let throughput = rate.map_or(capacity, |rate| rate.min(capacity));
        for stage in &mut stages {
            stage.load = throughput * stage.ns / 1e9 / stage.replicas as f64;
        }
        let (busy, wait) = self.latency(&stages, throughput);
        Ok(Forecast {
            plan: plan.clone(),
            workers: plan.workers(),
            capacity,
            throughput,
            latency_ms: busy + wait,
            latency_p99_ms: busy + wait * P99,
            bottleneck,
            stages,
        })
    }

    /// Layouts of all bricks on some cores with up to `most` workers, the one that carries most first, of equal ones that
    /// with the fewest workers. `may` says whether a stage may have replicas; the slowest that may gets them as long as that
    /// helps.
    pub fn layouts(&self, cores: f64, most: usize, may: &dyn Fn(&Stage) -> bool) -> Vec<Forecast> {
        let ids: Vec<_> = self.costs.bricks.iter().map(|brick| brick.id.clone()).collect();
        let cuts = ids.len().saturating_sub(1);
        if cuts > MOST_CUTS {
            return Vec::new();
        }
        let plans = (0_u32..1 << cuts).map(|cut| partition(&ids, cut)).filter(|plan| plan.workers() <= most);
        let mut found: Vec<_> = plans.filter_map(|plan| self.widened(plan, cores, most, may)).collect();
        found.sort_by(|a, b| b.capacity.total_cmp(&a.capacity).then(a.workers.cmp(&b.workers)));
        found
    }

    /// A plan with replicas of its slowest stage as long as they help.
    fn widened(&self, plan: Plan, cores: f64, most: usize, may: &dyn Fn(&Stage) -> bool) -> Option<Forecast> {
        let mut best = self.forecast(&plan, None, cores).ok()?;
        while best.workers < most {
            let stage = best.plan.stages.iter().position(|stage| stage.bricks == best.bottleneck)?;
            if !may(&best.plan.stages[stage]) {
                break;
            }
            let mut wider = best.plan.clone();
            wider.stages[stage].replicas += 1;
            let next = self.forecast(&wider, None, cores).ok()?;
            if next.capacity <= best.capacity * (1.0 + 1e-9) {
                break;
            }
            best = next;
        }
        Some(best)
    }

    /// What a stage costs, with its queues.
    pub(crate) fn stage(&self, plan: &Plan, index: usize) -> Result<StageForecast, ControllerError> {
        let stage = &plan.stages[index];
        let hops = u8::from(index > 0) + u8::from(index + 1 < plan.stages.len());
        let mut ns = f64::from(hops) / 2.0 * self.costs.hop_ns / self.costs.batch;
        let mut split = false;
        for id in &stage.bricks {
            let cost = self.costs.of(id)?;
            ns += cost.ns;
            split |= stage.replicas > 1 && cost.state != State::Stateless;
        }
        ns += if split { self.costs.split_ns } else { 0.0 };
        let (bricks, replicas) = (stage.bricks.clone(), stage.replicas);
        Ok(StageForecast { bricks, replicas, ns: ns.max(1e-3), load: 0.0, split })
    }

    /// Milliseconds of filling and computing a batch, and of waiting: a queue with fixed service times before each stage.
    fn latency(&self, stages: &[StageForecast], rate: f64) -> (f64, f64) {
        let batch = self.costs.batch;
        let fill = (batch - 1.0) / 2.0 / rate.max(1e-9) * 1e3;
        let service = |s: &StageForecast| batch * s.ns / 1e6;
        let wait = |s: &StageForecast| {
            let load = s.load.min(0.999);
            service(s) * load / (2.0 * (1.0 - load)) / s.replicas as f64
        };
        (fill + stages.iter().map(service).sum::<f64>(), stages.iter().map(wait).sum())
    }

    /// The plan with the fewest workers that carries a rate: neighbours share a worker as long as it is not overloaded,
    /// and what is too much for one worker gets several.
    ///
    /// # Errors
    /// [`ControllerError::Impossible`] where the source or the sink, of which there is one, is too slow.
    pub fn plan_for(&self, rate: f64) -> Result<Plan, ControllerError> {
        let mut stages: Vec<Stage> = Vec::new();
        let (mut open, mut shared) = (0.0, false);
        for cost in &self.costs.bricks {
            let load = |ns: f64| rate * ns / 1e9 / self.high;
            let (alone, apart) = (load(cost.ns), load(cost.ns + self.costs.hop_ns / self.costs.batch));
            // Replicas of a brick with state also deal packets out and join the answers.
            let split = cost.state == State::Keyed && apart > 1.0;
            let need = apart + if split { load(self.costs.split_ns) } else { 0.0 };
            let replicas = (need.ceil() as usize).max(1);
            if cost.state == State::Serial && need > 1.0 {
                return Err(self.too_slow(cost, rate));
            }
            match stages.last_mut() {
                // A stage with replicas takes in what has no state; one without takes in anything.
                Some(last)
                    if open + alone <= last.replicas as f64
                        && (!shared || cost.state == State::Stateless) =>
                {
                    last.bricks.push(cost.id.clone());
                    open += alone;
                }
                _ => {
                    stages.push(Stage { bricks: vec![cost.id.clone()], replicas });
                    (open, shared) = (need, replicas > 1);
                }
            }
        }
        Ok(Plan { stages, ..Plan::default() })
    }

    fn too_slow(&self, cost: &Cost, rate: f64) -> ControllerError {
        let most = self.high * 1e9 / (cost.ns + self.costs.hop_ns / self.costs.batch);
        ControllerError::Impossible(format!(
            "there is one `{}`, which can take {most:.0} packets/s at a load of {:.2}, and {rate:.0} are asked for",
            cost.id, self.high
        ))
    }

    /// The highest rate that some workers carry, a core each, and the plan for it.
    ///
    /// # Errors
    /// If no plan is found: where there is no worker.
    pub fn best(&self, workers: usize) -> Result<(f64, Plan), ControllerError> {
        let fits = |rate: f64| self.plan_for(rate).ok().filter(|plan| plan.workers() <= workers);
        let (mut low, mut high) = (0.0, 1e12);
        let none = || ControllerError::Impossible(format!("{workers} workers carry nothing"));
        let mut plan = fits(low).ok_or_else(none)?;
        for _ in 0..100 {
            let middle = f64::midpoint(low, high);
            match fits(middle) {
                Some(better) => (low, plan) = (middle, better),
                None => high = middle,
            }
        }
        Ok((low, plan))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::costs::tests::kitsune;
    use proptest::prelude::*;

    fn plan(rate: f64) -> String {
        Model::new(&kitsune(), 0.9).plan_for(rate).unwrap().to_string()
    }

    #[test]
    fn plans_grow_with_the_rate() {
        assert_eq!(plan(300e3), "source batching extractor network decision sink");
        assert_eq!(plan(400e3), "source batching extractor | network decision sink");
        assert_eq!(plan(1000e3), "source batching extractor | network decision x3 | sink");
        assert_eq!(plan(4000e3), "source batching | extractor x3 | network decision x9 | sink");
    }

    #[test]
    fn a_rate_that_the_source_cannot_give_is_impossible() {
        let error = Model::new(&kitsune(), 0.9).plan_for(50e6).unwrap_err().to_string();
        assert!(error.contains("one `source`, which can take 16695652 packets/s"), "{error}");
    }

    #[test]
    fn forecasts_name_the_bottleneck() {
        let costs = kitsune();
        let model = Model::new(&costs, 0.9);
        let forecast = |plan: &str, cores: f64| model.forecast(&plan.parse().unwrap(), None, cores).unwrap();
        let one = forecast("source batching extractor network decision sink", 1.0);
        assert!((one.capacity - 1e9 / 2650.0).abs() < 1.0);
        let two = forecast("source batching extractor | network x2 | decision sink", 64.0);
        assert_eq!(two.bottleneck, ["network"]);
        assert!((two.capacity - 2e9 / (2000.0 + 1000.0 / 256.0)).abs() < 1.0);
        let shared = forecast("source batching extractor | network x2 | decision sink", 2.0);
        assert!(shared.capacity < two.capacity && shared.capacity > 1.9 * one.capacity);
        assert!(model.forecast(&"source nothing sink".parse().unwrap(), None, 1.0).is_err());
    }

    #[test]
    fn layouts_are_as_many_as_places_to_cut_and_the_best_is_first() {
        let costs = kitsune();
        let model = Model::new(&costs, 1.0);
        let may = |stage: &Stage| stage.bricks.iter().all(|id| id == "network" || id == "decision");
        let layouts = model.layouts(2.0, 9, &may);
        assert_eq!(layouts.len(), 32);
        assert_eq!(layouts[0].plan.to_string(), "source batching extractor | network x2 | decision sink");
        assert!(layouts.windows(2).all(|pair| pair[0].capacity >= pair[1].capacity));
        assert!(layouts.iter().all(|layout| layout.plan.workers() <= 9));
        let alone = model.layouts(1.0, 9, &may);
        assert_eq!(alone[0].plan.workers(), 1);
    }

    #[test]
    fn latency_rises_with_the_load() {
        let costs = kitsune();
        let model = Model::new(&costs, 0.9);
        let at = |rate: f64| model.forecast(&plan(1e6).parse().unwrap(), Some(rate), 64.0).unwrap();
        let (idle, busy) = (at(0.5e6), at(0.99e6));
        assert!(busy.stages[1].load > idle.stages[1].load);
        assert!(busy.latency_p99_ms - busy.latency_ms > idle.latency_p99_ms - idle.latency_ms);
    }

    proptest! {
        #[test]
        fn a_plan_carries_the_rate_that_it_is_for(rate in 1e3..9e6, high in 0.5..1.0, split_ns in 0.0..900.0) {
            let costs = Costs { split_ns, ..kitsune() };
            let model = Model::new(&costs, high);
            let plan = model.plan_for(rate).unwrap();
            let forecast = model.forecast(&plan, Some(rate), 1e6).unwrap();
            prop_assert!(forecast.capacity * (1.0 + 0.02) >= rate, "{} for {rate}: {plan}", forecast.capacity);
            let ids: Vec<_> = plan.stages.iter().flat_map(|s| s.bricks.clone()).collect();
            prop_assert_eq!(ids, costs.bricks.iter().map(|b| b.id.clone()).collect::<Vec<_>>());
        }

        #[test]
        fn more_workers_never_carry_less(workers in 1_usize..80) {
            let costs = kitsune();
            let model = Model::new(&costs, 0.9);
            let (fewer, plan) = model.best(workers).unwrap();
            prop_assert!(plan.workers() <= workers);
            prop_assert!(model.best(workers + 1).unwrap().0 >= fewer);
        }
    }
}
