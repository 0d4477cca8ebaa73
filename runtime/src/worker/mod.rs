//! One worker: a thread with a queue, some bricks, and perhaps the source or the sink. Beside its loop: the messages between
//! workers, arrival order, and the counters that it writes for the supervisor.

pub(crate) mod assignment;
pub(crate) mod columns;
pub(crate) mod envelope;
pub(crate) mod message;
pub(crate) mod meter;
pub(crate) mod order;
pub(crate) mod pacing;
pub(crate) mod pin;
pub(crate) mod shared;
pub(crate) mod stats;
pub(crate) mod totals;

use crate::RunFault;
use crate::graph::route::Scratch;
use crate::operator::{measure, panicked, pass};
use crate::sync::{Receiver, Sender, recv, recv_tending};
use assignment::{Assignment, Tail};
use columns::WorkerColumns;
use envelope::{Ending, Envelope};
use legonf_core::{Plan, guarded};
use message::{Event, Message, Retired};
use order::Order;
use shared::Shared;
use stats::{At, Stats};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

impl<'a> Tail<'a> {
    /// Lets the sink do what is due.
    fn tend(&mut self, shared: &Shared<'a>, events: &Sender<Event<'a>>) {
        if self.over {
            return;
        }
        match guarded(|| self.sink.tend()) {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => self.end(Some(RunFault::Sink(fault)), shared, events),
            Err(message) => self.end(Some(panicked(Plan::SINK, message)), shared, events),
        }
    }

    /// Takes nothing more, and says why.
    fn end(&mut self, fault: Option<RunFault>, shared: &Shared<'a>, events: &Sender<Event<'a>>) {
        self.over = true;
        shared.over.store(true, Relaxed);
        let _ = events.send(Event::Over(fault));
    }
}

/// A worker at work.
pub(crate) struct Worker<'a> {
    pub serial: u64,
    pub assignment: Assignment<'a>,
    pub input: Receiver<Message>,
    pub output: Sender<Message>,
    pub events: Sender<Event<'a>>,
    pub stats: Arc<Stats>,
    pub shared: &'a Shared<'a>,
    pub scratch: Scratch,
    /// The number of its first brick, and the columns that stay here.
    pub first: usize,
    pub columns_kept: WorkerColumns,
    /// Batches that its first brick has begun to process elsewhere.
    pub begun: VecDeque<Box<Envelope>>,
    /// Whether it has panicked outside of a brick: it does nothing more, and waits to be retired.
    pub failed: bool,
}

impl Worker<'_> {
    /// Works until it is retired. An empty queue is looked at a few times, then the core is given up to others, then the
    /// thread naps between looks, and then it sleeps until it is woken.
    pub fn run(mut self) {
        self.stats.set_thread(nix::unistd::gettid().as_raw());
        let spare = self.assignment.head.as_mut().and_then(|head| head.spare.take());
        let mut next = spare.map(Message::Batch).or_else(|| self.wait());
        while let Some(Message::Batch(envelope)) = next {
            self.attend(|worker| worker.accept(envelope));
            let leaves = self.assignment.head.is_some() && self.shared.leaves();
            next = if leaves { None } else { self.next() };
        }
        while !self.begun.is_empty() {
            self.attend(Self::pass_first);
        }
        self.stats.set_thread(0);
        // Nobody listens where the supervisor itself has panicked.
        let _ = self.events.send(Event::Retired(Box::new(Retired {
            serial: self.serial,
            assignment: self.assignment,
            epoch: None,
        })));
    }

    /// What comes next. Batches that are begun pass while nothing does.
    fn next(&mut self) -> Option<Message> {
        while !self.begun.is_empty() {
            if let Ok(message) = self.input.try_recv() {
                return Some(message);
            }
            self.attend(Self::pass_first);
        }
        self.wait()
    }

    /// What comes next.
    fn wait(&mut self) -> Option<Message> {
        let Self { assignment, input, stats, shared, events, .. } = self;
        let idled = |time| stats.idle(time);
        match &mut assignment.tail {
            Some(tail) => recv_tending(input, idled, || tail.tend(shared, events)),
            None => recv(input, idled),
        }
    }

    /// Does some work; a defect of the runtime itself ends the run, and not the thread, for which others would wait.
    fn attend(&mut self, work: impl FnOnce(&mut Self)) {
        if self.failed {
            return;
        }
        if let Err(message) = guarded(|| work(self)) {
            self.failed = true;
            self.begun.clear();
            let _ = self.events.send(Event::Over(Some(self.assignment.fault(message))));
        }
    }

    fn accept(&mut self, mut envelope: Box<Envelope>) {
        while self.assignment.head.is_some() && !self.fill(&mut envelope) {
            let Some(head) = self.assignment.head.as_mut().filter(|head| !head.ended) else { return };
            match &mut self.assignment.tail {
                Some(tail) if !self.shared.leaves() => tail.tend(self.shared, &self.events),
                _ => return head.spare = Some(envelope),
            }
        }
        self.stats.take_batch();
        if envelope.ending.is_none() {
            self.stats.receive(envelope.batch.len());
        }
        let Some(order) = &mut self.assignment.order else { return self.begin_or_pass(envelope) };
        order.put(envelope.number, envelope);
        while let Some(next) = self.assignment.order.as_mut().and_then(Order::take) {
            self.begin_or_pass(next);
        }
    }

    /// Lets a batch pass, behind those that are begun; where the first brick works elsewhere, it begins it, and goes on with others.
    fn begin_or_pass(&mut self, envelope: Box<Envelope>) {
        loop {
            if self.begin(&envelope) {
                return self.begun.push_back(envelope);
            }
            if self.begun.is_empty() {
                return self.pass(envelope);
            }
            self.pass_first();
        }
    }

    /// Begins the work of the first brick on a batch, if that can be. A worker that reads the input does not: it waits there.
    fn begin(&mut self, envelope: &Envelope) -> bool {
        let stays = self.assignment.head.is_some() || self.shared.routes.is_some();
        let is_over = envelope.ending.is_some() || self.shared.over.load(Relaxed);
        let Some(operator) = self.assignment.operators.first_mut().filter(|_| !stays && !is_over) else {
            return false;
        };
        let is_next = envelope.passed <= operator.index && !operator.has_lost(!self.begun.is_empty());
        is_next && operator.begin(&envelope.batch)
    }

    /// Lets the first batch pass that is begun.
    fn pass_first(&mut self) {
        if let Some(envelope) = self.begun.pop_front() {
            self.pass(envelope);
        }
    }

    /// Fills a free batch; `false` where the input has ended already and the batch is not needed any more, or nothing came.
    fn fill(&mut self, envelope: &mut Envelope) -> bool {
        let Some(head) = self.assignment.head.as_mut().filter(|head| !head.ended) else { return false };
        envelope.batch.clear();
        self.columns_kept.lend(&mut envelope.batch);
        let before = (head.next, head.epoch);
        (envelope.number, envelope.passed, envelope.ending) = (head.next, 0, None);
        head.next += 1;
        envelope.epoch = self.shared.epoch.load(Acquire);
        envelope.turn = std::mem::replace(&mut head.epoch, envelope.epoch) != envelope.epoch;
        if !self.shared.is_over() {
            self.stats.begin(At::Source);
            let tended = self.assignment.tail.is_some();
            envelope.ending =
                match guarded(|| self.shared.fill(head.source, &mut envelope.batch, (before.1, tended))) {
                    Ok(Ok(())) => None,
                    Ok(Err(fault)) => Some(Ending::Fault(RunFault::Source(fault))),
                    Err(message) => Some(Ending::Fault(panicked(Plan::SOURCE, message))),
                };
            self.stats.begin(At::Nothing);
            self.shared.totals.publish(head.source.progress());
            self.shared.totals.dropped.store(head.source.dropped(), Relaxed);
        }
        if envelope.ending.is_none() && envelope.batch.is_empty() {
            if !head.source.is_idle() || self.shared.is_over() {
                envelope.ending = Some(Ending::Input);
            } else if self.shared.turns(before.1) {
                // A barrier without packets: who awaits it need not wait for some.
                (head.epoch, envelope.turn) = (self.shared.epoch.load(Acquire), true);
                envelope.epoch = head.epoch;
            } else {
                (head.next, head.epoch) = before;
                return false;
            }
        }
        head.clock.mark(&mut envelope.batch);
        self.shared.declared.begin(&mut envelope.batch, &head.clock);
        envelope.clock = head.clock;
        head.ended = envelope.ending.is_some();
        if let Some(routes) = &self.shared.routes {
            routes.enter(&envelope.batch, &mut envelope.marks);
        }
        let offered = if head.ended { 0 } else { envelope.batch.len() as u64 };
        self.shared.totals.offered.store(self.shared.totals.offered.load(Relaxed) + offered, Relaxed);
        self.shared.meter.read(envelope);
        true
    }

    fn pass(&mut self, mut envelope: Box<Envelope>) {
        // A batch that has passed some of these bricks in another layout has its columns with it.
        let whole = envelope.passed <= self.first;
        if whole && self.assignment.head.is_none() {
            self.columns_kept.lend(&mut envelope.batch);
        }
        if envelope.ending.is_none() && !self.shared.over.load(Relaxed) {
            match pass(
                self.assignment.operators.iter_mut(),
                &mut envelope,
                self.shared,
                &self.stats,
                &mut self.scratch,
            ) {
                Ok(()) => self.stats.count(envelope.batch.len()),
                Err(fault) => envelope.ending = Some(Ending::Fault(fault)),
            }
        }
        if self.assignment.tail.is_some() {
            self.deliver(&mut envelope);
        }
        if whole {
            self.columns_kept.take(&mut envelope.batch);
        }
        measure(&self.assignment.operators, &self.stats);
        // A queue has room for every batch that there is, so this never waits; and the receiver outlives the workers.
        let _ = self.output.send(Message::Batch(envelope));
    }

    /// Gives a batch to the sink, or notes how the stream ends; what comes behind the end is of no use.
    fn deliver(&mut self, envelope: &mut Envelope) {
        let over = self.shared.over.load(Relaxed);
        let Some(tail) = self.assignment.tail.as_mut().filter(|tail| !tail.over && !over) else { return };
        self.stats.begin(At::Sink);
        let ended = match envelope.ending.take() {
            Some(Ending::Input) => Some(None),
            Some(Ending::Fault(fault)) => Some(Some(fault)),
            None => match guarded(|| tail.sink.write(&envelope.batch)) {
                Ok(Ok(())) => None,
                Ok(Err(fault)) => Some(Some(RunFault::Sink(fault))),
                Err(message) => Some(Some(panicked(Plan::SINK, message))),
            },
        };
        self.stats.begin(At::Nothing);
        match ended {
            None => {
                let done = self.shared.totals.done.load(Relaxed) + envelope.batch.len() as u64;
                self.shared.totals.done.store(done, Relaxed);
                self.shared.meter.done(envelope);
                tail.clock = envelope.clock;
            }
            Some(fault) => tail.end(fault, self.shared, &self.events),
        }
    }
}
