//! Whether what was promised is kept.

use crate::sla::divide;
use crate::{Costs, Sla};
use legonf_core::Snapshot;
use std::collections::BTreeMap;

/// Ticks in a row in which a promise is not kept before that is reported.
const LATE: u32 = 3;

/// A promise that is not kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// `rate` (packets a second), `latency` (milliseconds), or `deadline of` a brick (milliseconds).
    pub promise: String,
    /// What was promised.
    pub promised: f64,
    /// What was measured.
    pub measured: f64,
}

/// Watches the promises of a graph, and counts the ticks in which each was not kept.
///
/// Latencies follow from what is on its way and what comes out, by Little's law: no packet carries a clock.
#[derive(Clone, Debug)]
pub struct Promises {
    sla: Sla,
    /// A worker that wants to compute for more than this part of the time is not waiting for packets.
    high: f64,
    /// Packets between source and sink.
    on_their_way: u64,
    streaks: BTreeMap<String, u32>,
    violations: BTreeMap<String, u64>,
}

impl Promises {
    /// Promises of which none was broken so far. `high` is that of the policy.
    pub fn new(sla: Sla, high: f64) -> Self {
        Self { sla, high, on_their_way: 0, streaks: BTreeMap::new(), violations: BTreeMap::new() }
    }

    /// Other promises from now on; what was broken before stays counted.
    pub fn set(&mut self, sla: Sla, high: f64) {
        (self.sla, self.high) = (sla, high);
    }

    /// Ticks in which each promise was not kept; those that were always kept are left out.
    pub fn violations(&self) -> &BTreeMap<String, u64> {
        &self.violations
    }

    /// Looks at a tick, and gives those promises that have not been kept for some ticks in a row now.
    pub fn watch(&mut self, snapshot: &Snapshot, costs: &Costs) -> Vec<Broken> {
        self.on_their_way = (self.on_their_way + snapshot.offered).saturating_sub(snapshot.done);
        let broken: Vec<_> = self
            .rate(snapshot)
            .into_iter()
            .chain(self.latency(snapshot))
            .chain(self.late(snapshot, costs))
            .collect();
        self.streaks.retain(|promise, _| broken.iter().any(|broken| broken.promise == *promise));
        let mut reported = Vec::new();
        for broken in broken {
            *self.violations.entry(broken.promise.clone()).or_default() += 1;
            let streak = self.streaks.entry(broken.promise.clone()).or_default();
            *streak = streak.saturating_add(1);
            if *streak == LATE {
                reported.push(broken);
            }
        }
        reported
    }

    /// The rate is not kept where less comes out although more comes in: a worker computes all the time, or packets are
    /// dropped.
    fn rate(&self, snapshot: &Snapshot) -> Option<Broken> {
        let (promised, measured) = (self.sla.rate?, rate(snapshot.done, snapshot));
        let pressed = (0..snapshot.stages.len()).any(|stage| snapshot.load(stage) >= self.high);
        let broken = measured < promised && (pressed || snapshot.dropped > 0);
        broken.then(|| Broken { promise: "rate".into(), promised, measured })
    }

    fn latency(&self, snapshot: &Snapshot) -> Option<Broken> {
        let promised = self.sla.latency_ms?;
        let measured = sojourn(self.on_their_way as f64, rate(snapshot.done, snapshot), snapshot.span);
        (measured > promised).then(|| Broken { promise: "latency".into(), promised, measured })
    }

    /// Bricks that take more than their part of the latency. Those that share a stage share its time as its deadline, in
    /// proportion to cost.
    fn late(&self, snapshot: &Snapshot, costs: &Costs) -> Vec<Broken> {
        let deadlines = self.sla.latency_ms.map_or_else(Vec::new, |ms| divide(costs, ms));
        let batch = self.on_their_way as f64 / snapshot.in_flight.max(1) as f64;
        let mut late = Vec::new();
        for (index, (stage, load)) in snapshot.plan.stages.iter().zip(&snapshot.stages).enumerate() {
            let computing: f64 = snapshot.of_stage(index).map(|worker| worker.busy + worker.starved).sum();
            let ms =
                sojourn((load.queue as f64 + computing) * batch, rate(load.packets, snapshot), snapshot.span);
            let own: Vec<_> =
                deadlines.iter().filter(|deadline| stage.bricks.contains(&deadline.id)).collect();
            let allowed: f64 = own.iter().map(|deadline| deadline.ms).sum();
            late.extend(own.iter().filter(|deadline| ms > allowed && deadline.ms > 0.0).map(|deadline| {
                Broken {
                    promise: format!("deadline of {}", deadline.id),
                    promised: deadline.ms,
                    measured: ms * deadline.ms / allowed,
                }
            }));
        }
        late
    }
}

/// Packets a second.
fn rate(packets: u64, snapshot: &Snapshot) -> f64 {
    packets as f64 / snapshot.span.max(1e-9)
}

/// Milliseconds that each of `packets` takes where `rate` come out; the tick, at least, where none does.
fn sojourn(packets: f64, rate: f64, span: f64) -> f64 {
    let seconds = if rate > 0.0 { packets / rate } else { span };
    if packets > 0.0 { seconds * 1e3 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::costs::tests::kitsune;
    use legonf_core::{StageLoad, WorkerLoad};

    /// A tick of 0.1 s, in which each of three stages computes for a part of the time and batches of 256 packets wait.
    fn tick(done: u64, loads: [(f64, usize); 3]) -> Snapshot {
        let worker = |(stage, (busy, _)): (usize, &(f64, usize))| WorkerLoad {
            stage,
            busy: *busy,
            ..WorkerLoad::default()
        };
        let stage =
            |(_, queue): &(f64, usize)| StageLoad { queue: *queue, packets: done, ..StageLoad::default() };
        Snapshot {
            span: 0.1,
            plan: "source batching extractor | network | decision sink".parse().unwrap(),
            workers: loads.iter().enumerate().map(worker).collect(),
            stages: loads.iter().map(stage).collect(),
            offered: done,
            done,
            in_flight: 10,
            credits: 20,
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_deadline_is_missed_by_the_brick_before_which_batches_wait() {
        let sla = Sla { rate: None, latency_ms: Some(10.0) };
        let mut promises = Promises::new(sla, 0.85);
        // 10 batches on their way, 200,000 packets/s: 12.8 ms, of which 11.5 ms before and in the network.
        let steady = tick(20_000, [(0.5, 0), (1.0, 8), (0.1, 0)]);
        let first = Snapshot { offered: 20_000 + 2560, ..steady.clone() };
        let ticks = [&first, &steady, &steady, &steady];
        let reported = ticks.map(|tick| promises.watch(tick, &kitsune()));
        assert_eq!(reported.each_ref().map(Vec::len), [0, 0, 2, 0], "{reported:?}");
        let [latency, network] = &reported[2][..] else { panic!("{reported:?}") };
        assert_eq!((latency.promise.as_str(), network.promise.as_str()), ("latency", "deadline of network"));
        assert!(
            (latency.measured - 12.8).abs() < 1e-9 && (network.measured - 9.0 * 256.0 / 200.0).abs() < 1e-9
        );
        assert!((network.promised - 10.0 * 2000.0 / 2650.0).abs() < 1e-9);
        let counted: Vec<_> =
            promises.violations().iter().map(|(promise, ticks)| (promise.as_str(), *ticks)).collect();
        assert_eq!(counted, [("deadline of network", 4), ("latency", 4)]);
    }

    #[test]
    fn a_rate_is_not_kept_only_where_more_comes() {
        let mut promises = Promises::new(Sla { rate: Some(300e3), latency_ms: None }, 0.85);
        promises.watch(&tick(20_000, [(0.2, 0), (0.4, 0), (0.1, 0)]), &kitsune());
        assert!(promises.violations().is_empty());
        promises.watch(&tick(20_000, [(0.2, 0), (0.9, 3), (0.1, 0)]), &kitsune());
        promises.watch(&tick(30_000, [(0.2, 0), (0.9, 3), (0.1, 0)]), &kitsune());
        promises.watch(&Snapshot { dropped: 1, ..tick(20_000, [(0.2, 0), (0.4, 0), (0.1, 0)]) }, &kitsune());
        assert_eq!(promises.violations()["rate"], 2);
    }
}
