//! One worker: a thread with a queue, some bricks, and perhaps the source or the sink.

use crate::order::Order;
use crate::route::{Detour, Marks, Routes};
use crate::stats::Stats;
use crate::sync::{Receiver, Sender};
use crate::{RunFault, Supply};
use legonf_core::{Batch, Brick, BrickError, Plan, Progress, Sink, Source, State};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// A batch on its way, or a free one in the pool.
#[derive(Default)]
pub(crate) struct Envelope {
    /// Its place in the order of arrival.
    number: u64,
    /// Bricks that it has passed: a batch that waits for its turn while bricks move passes none twice.
    pub passed: usize,
    /// Set where the stream ends here.
    ending: Option<Ending>,
    batch: Batch,
    /// Where the graph branches: the bricks that each packet has still to pass.
    marks: Marks,
}

/// How the stream ends.
pub(crate) enum Ending {
    Input,
    Fault(RunFault),
}

/// What a queue carries.
pub(crate) enum Message {
    Batch(Box<Envelope>),
    /// One worker of the stage hands back what it has.
    Retire,
}

/// What workers tell the supervisor.
pub(crate) enum Event<'a> {
    /// The sink has all there is, or the run ends by a fault.
    Over(Option<RunFault>),
    /// A worker is gone.
    Retired(Box<Retired<'a>>),
}

/// What is left of a worker.
pub(crate) struct Retired<'a> {
    pub serial: u64,
    pub job: Job<'a>,
}

/// Counters by name.
pub(crate) type Counters = Vec<(&'static str, u64)>;

/// A brick in its place, with the counters of those that were there before it.
pub(crate) struct Unit {
    pub index: usize,
    pub id: String,
    pub brick: Box<dyn Brick>,
    pub past: Counters,
}

/// The source, and the number of its next batch.
pub(crate) struct Head<'a> {
    pub source: &'a mut dyn Source,
    pub next: u64,
    pub ended: bool,
}

/// The sink.
pub(crate) struct Tail<'a> {
    pub sink: &'a mut dyn Sink,
    pub over: bool,
}

/// Batches that wait for those before them.
pub(crate) type Waiting = Order<Box<Envelope>>;

/// What a worker has in its hands, which can move to another.
#[derive(Default)]
pub(crate) struct Job<'a> {
    pub head: Option<Head<'a>>,
    pub units: Vec<Unit>,
    /// Where batches must come in order.
    pub order: Option<Waiting>,
    pub tail: Option<Tail<'a>>,
}

/// What all workers see.
pub(crate) struct Shared<'a> {
    /// Set from outside: nothing more is read.
    pub stop: &'a AtomicBool,
    /// Set at the end: what is still on its way is of no use.
    pub over: AtomicBool,
    pub supply: Option<Supply<'a>>,
    /// Where packets go, if not all go everywhere.
    pub routes: Option<Routes>,
    /// Packets that the source gave, and that the sink took.
    pub offered: AtomicU64,
    pub done: AtomicU64,
    /// Bricks that were made anew.
    pub restarts: AtomicU64,
    read_bytes: AtomicU64,
    total_bytes: AtomicU64,
}

impl<'a> Shared<'a> {
    pub fn new(stop: &'a AtomicBool, supply: Option<Supply<'a>>, routes: Option<Routes>) -> Self {
        let zero = AtomicU64::default;
        let (over, total_bytes) = (AtomicBool::new(false), AtomicU64::new(u64::MAX));
        let (offered, done, restarts) = (zero(), zero(), zero());
        Self { stop, over, supply, routes, offered, done, restarts, read_bytes: zero(), total_bytes }
    }

    fn publish(&self, progress: Progress) {
        self.read_bytes.store(progress.read_bytes, Relaxed);
        self.total_bytes.store(progress.total_bytes.unwrap_or(u64::MAX), Relaxed);
    }

    pub fn progress(&self) -> Progress {
        let total = self.total_bytes.load(Relaxed);
        let total_bytes = (total != u64::MAX).then_some(total);
        Progress { read_bytes: self.read_bytes.load(Relaxed), total_bytes }
    }

    fn fresh(&self, unit: &Unit) -> Option<Box<dyn Brick>> {
        let stateless = unit.brick.descriptor().state == State::Stateless;
        self.supply.filter(|_| stateless)?(&unit.id).ok()
    }
}

/// A worker at work.
pub(crate) struct Worker<'a> {
    pub serial: u64,
    pub job: Job<'a>,
    pub input: Receiver<Message>,
    pub output: Sender<Message>,
    pub events: Sender<Event<'a>>,
    pub stats: Arc<Stats>,
    pub shared: &'a Shared<'a>,
    pub detour: Detour,
}

impl Worker<'_> {
    /// Works until it is retired. An empty queue is looked at a few times, then the core is given up to others, then
    /// the thread sleeps until something comes.
    pub fn run(mut self) {
        self.stats.set_thread(nix::unistd::gettid().as_raw());
        while let Ok(Message::Batch(envelope)) = self.input.recv() {
            self.accept(envelope);
        }
        self.stats.set_thread(0);
        // Nobody listens where the supervisor itself has panicked.
        let _ = self.events.send(Event::Retired(Box::new(Retired { serial: self.serial, job: self.job })));
    }

    fn accept(&mut self, mut envelope: Box<Envelope>) {
        if self.job.head.is_some() && !self.fill(&mut envelope) {
            return;
        }
        let Some(order) = &mut self.job.order else { return self.pass(envelope) };
        order.put(envelope.number, envelope);
        while let Some(next) = self.job.order.as_mut().and_then(Order::take) {
            self.pass(next);
        }
    }

    /// Fills a free batch; `false` where the input has ended already and the batch is not needed any more.
    fn fill(&mut self, envelope: &mut Envelope) -> bool {
        let Some(head) = self.job.head.as_mut().filter(|head| !head.ended) else { return false };
        envelope.batch.clear();
        (envelope.number, envelope.passed, envelope.ending) = (head.next, 0, None);
        head.next += 1;
        if !self.shared.stop.load(Relaxed) && !self.shared.over.load(Relaxed) {
            envelope.ending = match guarded(|| head.source.fill(&mut envelope.batch)) {
                Ok(Ok(())) => None,
                Ok(Err(fault)) => Some(Ending::Fault(RunFault::Source(fault))),
                Err(message) => Some(Ending::Fault(panicked(Plan::SOURCE, message))),
            };
            self.shared.publish(head.source.progress());
        }
        if envelope.ending.is_none() && envelope.batch.is_empty() {
            envelope.ending = Some(Ending::Input);
        }
        head.ended = envelope.ending.is_some();
        if let Some(routes) = &self.shared.routes {
            routes.enter(&envelope.batch, &mut envelope.marks);
        }
        let offered = if head.ended { 0 } else { envelope.batch.len() as u64 };
        self.shared.offered.store(self.shared.offered.load(Relaxed) + offered, Relaxed);
        true
    }

    fn pass(&mut self, mut envelope: Box<Envelope>) {
        if envelope.ending.is_none() && !self.shared.over.load(Relaxed) {
            self.stats.count(envelope.batch.len());
            if let Err(fault) = self.process(&mut envelope) {
                envelope.ending = Some(Ending::Fault(fault));
            }
        }
        if self.job.tail.is_some() {
            self.deliver(&mut envelope);
        }
        // A queue has room for every batch that there is, so this never waits; and the receiver outlives the workers.
        let _ = self.output.send(Message::Batch(envelope));
    }

    fn process(&mut self, envelope: &mut Envelope) -> Result<(), RunFault> {
        let passed = envelope.passed;
        for unit in self.job.units.iter_mut().filter(|unit| unit.index >= passed) {
            envelope.passed = unit.index + 1;
            let Envelope { batch, marks, .. } = envelope;
            run_unit(unit, self.shared, &self.stats, &mut |brick, index| match &self.shared.routes {
                Some(routes) => routes.run(index, brick, batch, marks, &mut self.detour),
                None => brick.process(batch),
            })?;
        }
        Ok(())
    }

    /// Gives a batch to the sink, or notes how the stream ends; what comes behind the end is of no use.
    fn deliver(&mut self, envelope: &mut Envelope) {
        let Some(tail) = self.job.tail.as_mut().filter(|tail| !tail.over) else { return };
        let ended = match envelope.ending.take() {
            Some(Ending::Input) => Some(None),
            Some(Ending::Fault(fault)) => Some(Some(fault)),
            None => match guarded(|| tail.sink.write(&envelope.batch)) {
                Ok(Ok(())) => None,
                Ok(Err(fault)) => Some(Some(RunFault::Sink(fault))),
                Err(message) => Some(Some(panicked(Plan::SINK, message))),
            },
        };
        match ended {
            None => {
                let done = self.shared.done.load(Relaxed) + envelope.batch.len() as u64;
                self.shared.done.store(done, Relaxed);
            }
            Some(fault) => {
                tail.over = true;
                self.shared.over.store(true, Relaxed);
                let _ = self.events.send(Event::Over(fault));
            }
        }
    }
}

/// Lets a brick, of which the number is given, process a batch.
type Process<'a> = &'a mut dyn FnMut(&mut dyn Brick, usize) -> Result<(), BrickError>;

/// Runs a brick. A stateless one that panics is made anew and tried once more on the same batch: it reads what it has
/// not written, so its answer is the one it would have given.
fn run_unit(
    unit: &mut Unit,
    shared: &Shared<'_>,
    stats: &Stats,
    process: Process<'_>,
) -> Result<(), RunFault> {
    let message = match guarded(|| process(&mut *unit.brick, unit.index)) {
        Ok(result) => return Ok(result?),
        Err(message) => message,
    };
    let Some(fresh) = shared.fresh(unit) else { return Err(panicked(&unit.id, message)) };
    stats.restarted();
    shared.restarts.fetch_add(1, Relaxed);
    add(&mut unit.past, &unit.brick.counters());
    unit.brick = fresh;
    match guarded(|| process(&mut *unit.brick, unit.index)) {
        Ok(result) => Ok(result?),
        Err(message) => Err(panicked(&unit.id, message)),
    }
}

/// Adds counters up by name.
pub(crate) fn add(sum: &mut Counters, counters: &[(&'static str, u64)]) {
    for (name, value) in counters {
        match sum.iter_mut().find(|(known, _)| known == name) {
            Some((_, total)) => *total += value,
            None => sum.push((name, *value)),
        }
    }
}

/// Runs what may panic and gives the panic's message.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        text.unwrap_or("no message").to_owned()
    })
}

fn panicked(id: &str, message: String) -> RunFault {
    RunFault::Panic { id: id.to_owned(), message }
}
