//! What a snapshot says of each replica: what it took and handed on, how long batches waited for it.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::streams::{self, Traffic};
use common::{Collect, Count, Scale, expected, go_with, graph, make};
use legonf_core::{
    Batch, BindError, Brick, BrickError, Descriptor, Layout as Columns, Passages, Plan, Snapshot, WorkerLoad,
};
use legonf_runtime::{Control, Layout, Options, PlanError, Time, run_under};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Holds every batch back until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicBool>);

impl Gate {
    fn pass(&self) {
        while !self.0.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

/// A brick behind a gate.
struct Gated(Box<dyn Brick>, Gate);

impl Brick for Gated {
    fn descriptor(&self) -> Descriptor {
        self.0.descriptor()
    }

    fn bind(&mut self, layout: &Columns) -> Result<(), BindError> {
        self.0.bind(layout)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        self.1.pass();
        self.0.process(batch)
    }
}

/// Looks until nothing has moved in two snapshots in a row and some batches wait before a stage, opens the gate, and looks on.
struct Look {
    gate: Gate,
    stage: usize,
    queue: usize,
    /// Snapshots up to the one in which that was found.
    before: Vec<Snapshot>,
    found: bool,
}

impl Look {
    fn until(gate: Gate, stage: usize, queue: usize) -> Self {
        Self { gate, stage, queue, before: Vec::new(), found: false }
    }

    fn is_quiet(&self, snapshot: &Snapshot) -> bool {
        let idle = |worker: &WorkerLoad| (worker.batches, worker.packets) == (0, 0);
        snapshot.workers.iter().all(idle) && snapshot.stages[self.stage].queue == self.queue
    }

    /// Sums over all snapshots of something of a worker.
    fn sum(&self, worker: usize, of: fn(&WorkerLoad) -> u64) -> u64 {
        self.before.iter().map(|snapshot| of(&snapshot.workers[worker])).sum()
    }
}

impl Control for Look {
    fn period(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan> {
        if !self.found {
            let again = self.before.last().is_some_and(|last| self.is_quiet(last));
            self.found = again && self.is_quiet(snapshot);
            self.before.push(snapshot.clone());
            self.gate.0.store(self.found, Ordering::Relaxed);
        }
        None
    }

    fn applied(&mut self, _: &Plan, _: Duration, _: Result<(), &PlanError>) {}
}

#[test]
fn batches_wait_before_the_brick_that_holds_them_up_and_nowhere_else() {
    let gate = Gate::default();
    let supply = |id: &str| match id {
        "scale" => Ok(Box::new(Gated(Box::<Scale>::default(), gate.clone())) as Box<dyn Brick>),
        other => make(other),
    };
    // Two batches for each queue, one for each worker and another one: one is at the gate, the others before it.
    let layout: Layout = "source | square | scale | sum score smooth sink".parse().unwrap();
    let batches = 2 * 3 + 4 + 1;
    let mut look = Look::until(gate.clone(), 2, batches - 1);
    let source = Count::to(5000);
    let (outcome, rows) =
        go_with(&supply, &layout, &mut graph(supply), source, Collect::default(), Some(&mut look));
    assert!(outcome.fault.is_none() && rows == expected(5000) && look.found);
    let last = look.before.last().unwrap();
    let [source, square, scale, rest] = &last.workers[..] else { panic!("{last:?}") };
    assert_eq!((scale.queue, scale.waited), (batches - 1, last.span));
    for other in [source, square, rest] {
        assert_eq!((other.queue, other.waited), (0, 0.0), "{other:?}");
    }
    assert_eq!(last.waiting(2), (last.span, 0.0));
    // What is read has come to the gate; one batch is in the hands of the brick behind it.
    let packets = 10 * batches as u64;
    let (received, sent) =
        (|worker| look.sum(worker, |w| w.received), |worker| look.sum(worker, |w| w.packets));
    assert_eq!([0, 1, 2, 3].map(received), [packets, packets, 10, 0]);
    assert_eq!([0, 1, 2, 3].map(sent), [packets, packets, 0, 0]);
    assert_eq!(look.sum(2, |worker| worker.batches), 1);
    // Who reads the source says what was lost before it.
    assert_eq!(look.sum(0, |worker| worker.dropped), packets / 10);
    assert_eq!(look.sum(2, |worker| worker.dropped), 0);
}

#[test]
fn each_replica_of_a_brick_with_state_says_how_much_it_keeps_and_took() {
    struct Watch(Vec<Snapshot>, Arc<AtomicBool>);
    impl Control for Watch {
        fn period(&self) -> Duration {
            Duration::from_millis(1)
        }
        fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan> {
            self.0.push(snapshot.clone());
            let stated = snapshot.of_stage(1).all(|worker| worker.state_bytes > 0);
            self.1.fetch_or(stated, Ordering::Relaxed);
            None
        }
        fn applied(&mut self, _: &Plan, _: Duration, _: Result<(), &PlanError>) {}
    }
    let mut watch = Watch(Vec::new(), Arc::default());
    let traffic = Traffic { until: Some(watch.1.clone()), ..Traffic::to(u64::MAX) };
    let layout = "source stamp | streams x3 | blend smooth sink";
    let (outcome, rows) =
        streams::go(&streams::make, layout, &mut streams::graph(streams::make), traffic, Some(&mut watch));
    assert!(outcome.fault.is_none() && rows == streams::expected(outcome.packets));
    let last = watch.0.last().unwrap();
    assert_eq!(last.of_stage(1).map(|worker| worker.state_bytes).sum::<u64>(), last.stages[1].state_bytes);
    let sum = |of: fn(&WorkerLoad) -> u64| watch.0.iter().flat_map(|s| s.of_stage(1)).map(of).sum::<u64>();
    let (received, sent, parts) = (sum(|w| w.received), sum(|w| w.packets), sum(|w| w.batches));
    assert!(sent > 0 && received > 0 && sent.max(received) <= outcome.packets, "{sent} {received}");
    // Each batch, of 16 packets at most, has three parts; some are on their way.
    let on_their_way = (last.credits * 16) as u64;
    assert!((parts * 16).min(received * 3) + 3 * on_their_way >= 3 * sent, "{parts} {received} {sent}");
    let finite = |worker: &WorkerLoad| worker.waited.is_finite() && worker.computing().is_finite();
    assert!(watch.0.iter().flat_map(|snapshot| &snapshot.workers).all(finite));
}

/// Keeps the last passages that it was shown.
#[derive(Default)]
struct LastPassages(Option<Arc<Passages>>);

impl Control for LastPassages {
    fn period(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn tick(&mut self, snapshot: &mut Snapshot) -> Option<Plan> {
        self.0 = snapshot.passages.clone().or(self.0.take());
        None
    }

    fn applied(&mut self, _: &Plan, _: Duration, _: Result<(), &PlanError>) {}
}

/// What passed the bricks in a run that goes on until something has been seen at the sink, by this clock.
fn passed(layout: &str, time: Option<Time<'_>>) -> (Option<Arc<Passages>>, u64) {
    let (mut last, stop) = (LastPassages::default(), AtomicBool::new(false));
    let until = Arc::new(AtomicBool::new(false));
    let mut source = Traffic { until: Some(until.clone()), ..Traffic::to(u64::MAX) };
    let layout: Layout = layout.parse().unwrap();
    let supply = &streams::make;
    let options = Options { queue: 2, supply: Some(supply), time, ..Options::new(&layout, &stop) };
    let mut graph = streams::graph(streams::make);
    let mut seen = |_, packets| until.store(packets > 5000, Ordering::Relaxed);
    let outcome =
        run_under(Some(&mut last), &mut graph, &mut source, &mut Collect::default(), options, &mut seen);
    assert!(outcome.fault.is_none() && outcome.packets > 5000);
    (last.0, outcome.packets)
}

#[test]
fn latencies_are_measured_by_the_clock_that_is_given() {
    for layout in ["fused", "pipeline", "source stamp | streams x3 | blend smooth sink"] {
        assert!(passed(layout, None).0.is_none());
        // A millisecond from look to look.
        let looks = AtomicU64::new(0);
        let time = || Duration::from_millis(looks.fetch_add(1, Ordering::Relaxed));
        let (passages, packets) = passed(layout, Some(&time));
        let passages = passages.unwrap();
        let whole = &passages.whole;
        assert!(whole.packets > 0 && whole.packets <= packets, "{layout}: {whole:?}");
        for passage in passages.bricks.iter().chain([whole]) {
            assert!(passage.packets >= whole.packets, "{layout}: {passage:?}");
            // Counters of one moment, but for a batch on its way.
            let of_packets = 60 * passage.packets;
            assert!(passage.bytes.abs_diff(of_packets) <= 60 * 16 * 8, "{layout}: {passage:?}");
            assert!(passage.seconds > 0.0 && passage.latency.quantile(0.01) >= Duration::from_millis(1));
        }
        if layout == "fused" {
            // Each brick looks once behind the one before, and the sink behind the last.
            assert!(
                passages.bricks.iter().all(|brick| brick.latency.quantile(1.0) < Duration::from_micros(1126))
            );
            assert!(whole.latency.quantile(0.01) >= Duration::from_millis(passages.bricks.len() as u64 + 1));
        }
    }
}
