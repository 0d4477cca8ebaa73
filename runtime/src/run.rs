//! Moves batches from a source through the bricks to a sink.

use crate::graph::{Graph, Node};
use crossbeam_channel::{Receiver, Sender, bounded};
use legonf_core::{Batch, BrickError, Fault, Progress, Sink, Source};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// How bricks are laid out over threads. The results are the same bytes either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Source, bricks and sink in the calling thread.
    Monolithic,
    /// The source and every brick in a worker of its own, over bounded queues; the sink in the calling thread.
    Bricks,
}

/// How a graph is run.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Layout over threads.
    pub layout: Layout,
    /// Batches that a queue between two workers holds before its producer waits.
    pub queue: usize,
    /// Set from outside to end the run: packets already read are still processed and written.
    pub stop: &'a AtomicBool,
}

/// Why a run ended before the end of its input.
#[derive(Debug, thiserror::Error)]
pub enum RunFault {
    /// The input is damaged.
    #[error("{0}")]
    Source(Fault),
    /// A brick failed.
    #[error("brick {0}")]
    Brick(#[from] BrickError),
    /// The results cannot be written.
    #[error("{0}")]
    Sink(Fault),
    /// A brick panicked: a defect of legonf.
    #[error("brick `{id}` panicked ({message}); please report this with the capture")]
    Panic {
        /// The brick.
        id: String,
        /// The panic's message.
        message: String,
    },
}

/// Counters of one brick at the end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrickCounters {
    /// Identifier of the brick.
    pub id: String,
    /// Name and value of each counter.
    pub counters: Vec<(&'static str, u64)>,
}

/// What a run did.
#[derive(Debug)]
pub struct Outcome {
    /// Packets whose results the sink took.
    pub packets: u64,
    /// Counters of every brick, in order.
    pub counters: Vec<BrickCounters>,
    /// Whether the run was ended by [`Options::stop`].
    pub stopped: bool,
    /// Why the run ended early, if it did. What the sink took before is complete and in order.
    pub fault: Option<RunFault>,
}

/// Runs `graph` from `source` to `sink` until the input ends, a fault occurs or `options.stop` is set.
///
/// `observe` is called in the calling thread after each batch, with the progress of the source and the packets done.
/// The sink is not finished: that is the caller's, who knows whether the results shall be kept.
pub fn run(
    graph: &mut Graph,
    source: &mut dyn Source,
    sink: &mut dyn Sink,
    options: Options<'_>,
    observe: &mut dyn FnMut(Progress, u64),
) -> Outcome {
    let mut packets = 0;
    let result = match options.layout {
        Layout::Monolithic => monolithic(graph, source, sink, options, observe, &mut packets),
        Layout::Bricks => bricks(graph, source, sink, options, observe, &mut packets),
    };
    let counters = |n: &Node| BrickCounters { id: n.id.clone(), counters: n.brick.counters() };
    Outcome {
        packets,
        counters: graph.nodes().iter().map(counters).collect(),
        stopped: options.stop.load(Ordering::Relaxed),
        fault: result.err(),
    }
}

fn monolithic(
    graph: &mut Graph,
    source: &mut dyn Source,
    sink: &mut dyn Sink,
    options: Options<'_>,
    observe: &mut dyn FnMut(Progress, u64),
    packets: &mut u64,
) -> Result<(), RunFault> {
    let mut batch = Batch::default();
    while !options.stop.load(Ordering::Relaxed) {
        batch.clear();
        source.fill(&mut batch).map_err(RunFault::Source)?;
        if batch.is_empty() {
            break;
        }
        for node in graph.nodes_mut() {
            node.brick.process(&mut batch)?;
        }
        sink.write(&batch).map_err(RunFault::Sink)?;
        *packets += batch.len() as u64;
        observe(source.progress(), *packets);
    }
    Ok(())
}

/// What workers share besides their queues.
struct Shared<'a> {
    stop: &'a AtomicBool,
    /// The first fault; later ones follow from it.
    fault: Mutex<Option<RunFault>>,
    read_bytes: AtomicU64,
    total_bytes: AtomicU64,
}

impl Shared<'_> {
    fn report(&self, fault: RunFault) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
    }

    fn publish(&self, progress: Progress) {
        self.read_bytes.store(progress.read_bytes, Ordering::Relaxed);
        self.total_bytes.store(progress.total_bytes.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn progress(&self) -> Progress {
        let total = self.total_bytes.load(Ordering::Relaxed);
        let total_bytes = (total != u64::MAX).then_some(total);
        Progress { read_bytes: self.read_bytes.load(Ordering::Relaxed), total_bytes }
    }
}

/// A worker's queues. Dropping them is how the end of the input, or a fault, travels on.
struct Hop {
    input: Receiver<Box<Batch>>,
    output: Sender<Box<Batch>>,
}

fn bricks(
    graph: &mut Graph,
    source: &mut dyn Source,
    sink: &mut dyn Sink,
    options: Options<'_>,
    observe: &mut dyn FnMut(Progress, u64),
    packets: &mut u64,
) -> Result<(), RunFault> {
    let shared = Shared {
        stop: options.stop,
        fault: Mutex::new(None),
        read_bytes: AtomicU64::new(0),
        total_bytes: AtomicU64::new(u64::MAX),
    };
    // Every batch in flight is in a queue or in the hands of a worker, so the pool never blocks on return.
    let pool_size = (options.queue + 1) * (graph.nodes().len() + 1) + 2;
    let (free, pool) = bounded(pool_size);
    for _ in 0..pool_size {
        free.send(Box::new(Batch::default())).expect("the pool has room for its own size");
    }
    thread::scope(|scope| {
        let (first, mut next) = bounded(options.queue);
        let state = &shared;
        scope.spawn(move || read(source, &Hop { input: pool, output: first }, state));
        for node in graph.nodes_mut() {
            let (output, following) = bounded(options.queue);
            let hop = Hop { input: std::mem::replace(&mut next, following), output };
            scope.spawn(move || guarded(node, &hop, state));
        }
        drain(sink, &Hop { input: next, output: free }, state, observe, packets);
    });
    shared.fault.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

fn read(source: &mut dyn Source, hop: &Hop, shared: &Shared<'_>) {
    while !shared.stop.load(Ordering::Relaxed) {
        let Ok(mut batch) = hop.input.recv() else { return };
        batch.clear();
        if let Err(fault) = source.fill(&mut batch) {
            return shared.report(RunFault::Source(fault));
        }
        shared.publish(source.progress());
        if batch.is_empty() || hop.output.send(batch).is_err() {
            return;
        }
    }
}

/// Runs a worker and turns a panic into a fault, so that the results before it are still written.
fn guarded(node: &mut Node, hop: &Hop, shared: &Shared<'_>) {
    let id = node.id.clone();
    let work = std::panic::AssertUnwindSafe(|| work(node, hop));
    match std::panic::catch_unwind(work) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => shared.report(error.into()),
        Err(payload) => shared.report(RunFault::Panic { id, message: panic_message(&*payload) }),
    }
}

fn work(node: &mut Node, hop: &Hop) -> Result<(), BrickError> {
    for mut batch in &hop.input {
        node.brick.process(&mut batch)?;
        if hop.output.send(batch).is_err() {
            break;
        }
    }
    Ok(())
}

fn drain(
    sink: &mut dyn Sink,
    hop: &Hop,
    shared: &Shared<'_>,
    observe: &mut dyn FnMut(Progress, u64),
    packets: &mut u64,
) {
    for batch in &hop.input {
        if let Err(fault) = sink.write(&batch) {
            return shared.report(RunFault::Sink(fault));
        }
        *packets += batch.len() as u64;
        observe(shared.progress(), *packets);
        // The source is gone at the end of the input; then the batch is simply freed.
        let _ = hop.output.send(batch);
    }
}

fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GraphSpec;
    use legonf_core::{Brick, Column, Columns, Descriptor, Headers, State};

    /// `left` packets, then the end or a fault.
    struct Count {
        next: u64,
        end: u64,
        damaged: bool,
    }

    impl Source for Count {
        fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
            while self.next < self.end && batch.headers.len() < 10 {
                batch.headers.push(Headers { seq: self.next, ..Headers::default() });
                self.next += 1;
            }
            let over = self.damaged && batch.headers.is_empty();
            if over { Err(Fault::new("cut off")) } else { Ok(()) }
        }

        fn progress(&self) -> Progress {
            Progress { read_bytes: self.next, total_bytes: Some(self.end) }
        }
    }

    /// Adds up what it has seen: a stateful brick whose result depends on the order.
    struct Sum {
        total: f64,
        panics_at: Option<u64>,
        fails_at: Option<u64>,
    }

    impl Brick for Sum {
        fn descriptor(&self) -> Descriptor {
            let (reads, writes) = (Columns::of(&[Column::Headers]), Columns::of(&[Column::Scores]));
            Descriptor { kind: "sum", title: "sum", reads, writes, state: State::Stateful }
        }

        fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
            batch.scores.clear();
            for header in &batch.headers {
                assert_ne!(Some(header.seq), self.panics_at, "bad packet");
                if Some(header.seq) == self.fails_at {
                    return Err(BrickError { brick: "sum", reason: "failed".into() });
                }
                self.total = self.total * 0.5 + header.seq as f64;
                batch.scores.push(self.total);
            }
            Ok(())
        }

        fn counters(&self) -> Vec<(&'static str, u64)> {
            vec![("total", self.total as u64)]
        }
    }

    #[derive(Default)]
    struct Collect {
        rows: Vec<(u64, u64)>,
        room: Option<usize>,
    }

    impl Sink for Collect {
        fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
            if self.room.is_some_and(|room| self.rows.len() >= room) {
                return Err(Fault::new("no space left"));
            }
            self.rows.extend(batch.headers.iter().zip(&batch.scores).map(|(h, s)| (h.seq, s.to_bits())));
            Ok(())
        }

        fn finish(&mut self) -> Result<(), Fault> {
            Ok(())
        }
    }

    fn go(
        layout: Layout,
        source: Count,
        room: Option<usize>,
        sum: fn() -> Sum,
    ) -> (Outcome, Vec<(u64, u64)>) {
        let text = "name = \"t\"\n[[brick]]\nid = \"a\"\nkind = \"sum\"\nnext = \"b\"\n[[brick]]\nid = \"b\"\nkind = \"sum\"\n";
        let spec = GraphSpec::from_toml(text).unwrap();
        let given = Columns::of(&[Column::Headers]);
        let mut graph = Graph::assemble(&spec, given, Columns::NONE, |_| {
            Ok::<_, String>(Box::new(sum()) as Box<dyn Brick>)
        })
        .unwrap();
        let (mut source, mut sink) = (source, Collect { room, ..Collect::default() });
        let stop = AtomicBool::new(false);
        let options = Options { layout, queue: 2, stop: &stop };
        let outcome = run(&mut graph, &mut source, &mut sink, options, &mut |_, _| {});
        (outcome, sink.rows)
    }

    const PLAIN: fn() -> Sum = || Sum { total: 0.0, panics_at: None, fails_at: None };

    #[test]
    fn both_layouts_give_the_same_results() {
        let count = || Count { next: 0, end: 1005, damaged: false };
        let (one, a) = go(Layout::Monolithic, count(), None, PLAIN);
        let (many, b) = go(Layout::Bricks, count(), None, PLAIN);
        assert_eq!((one.packets, many.packets, a.len()), (1005, 1005, 1005));
        assert_eq!(a, b);
        assert_eq!(one.counters, many.counters);
        assert!(one.fault.is_none() && many.fault.is_none());
    }

    #[test]
    fn a_damaged_input_loses_nothing_before_the_damage() {
        for layout in [Layout::Monolithic, Layout::Bricks] {
            let (outcome, rows) = go(layout, Count { next: 0, end: 95, damaged: true }, None, PLAIN);
            assert_eq!((outcome.packets, rows.len()), (95, 95));
            assert_eq!(outcome.fault.unwrap().to_string(), "cut off");
        }
    }

    #[test]
    fn a_full_disk_ends_the_run() {
        for layout in [Layout::Monolithic, Layout::Bricks] {
            let (outcome, rows) = go(layout, Count { next: 0, end: 10_000, damaged: false }, Some(50), PLAIN);
            assert_eq!((outcome.packets, rows.len()), (50, 50));
            assert!(matches!(outcome.fault, Some(RunFault::Sink(_))));
        }
    }

    #[test]
    fn faults_of_bricks_come_after_whole_results() {
        let failing: fn() -> Sum = || Sum { total: 0.0, panics_at: None, fails_at: Some(41) };
        for layout in [Layout::Monolithic, Layout::Bricks] {
            let (outcome, rows) = go(layout, Count { next: 0, end: 100, damaged: false }, None, failing);
            assert_eq!((outcome.packets, rows.len()), (40, 40));
            assert!(matches!(outcome.fault, Some(RunFault::Brick(_))));
        }
        let panicking: fn() -> Sum = || Sum { total: 0.0, panics_at: Some(41), fails_at: None };
        let (outcome, rows) =
            go(Layout::Bricks, Count { next: 0, end: 100, damaged: false }, None, panicking);
        assert_eq!(rows.len(), 40);
        assert!(outcome.fault.unwrap().to_string().contains("`a` panicked"));
    }
}
