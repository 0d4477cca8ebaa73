//! One replica of a stage whose brick with state is divided: it deals batches out, processes its parcels of all batches,
//! and finishes batches whose parcels are joined.

use crate::contain::guarded;
use crate::locker::Locker;
use crate::message::{Ending, Envelope, Event, Message, Queue, Retired, Waiting};
use crate::order::Order;
use crate::route::Detour;
use crate::split::{Arrival, Deal, Joint, Lane, Parcel, Piece, Split, Tally, Turning};
use crate::stats::Stats;
use crate::sync::{Choice, Receiver, Sender, recv_first};
use crate::unit::{Unit, attempt, pass};
use crate::worker::{Job, Shared};
use crate::{PlanError, RunFault};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The queues of a replica. Its own goes first: others wait for what it brings.
pub(crate) struct Desk {
    /// Its parcels.
    pub own: Receiver<Message>,
    /// Joined batches, for whichever replica is free.
    pub joined: Queue,
    /// Batches before the stage, likewise.
    pub input: Receiver<Message>,
    pub output: Sender<Message>,
}

/// A replica at work.
pub(crate) struct Replica<'a> {
    pub serial: u64,
    pub seat: usize,
    pub job: Job<'a>,
    pub split: Arc<Split>,
    /// Who owned which slots at the epochs that batches on their way can be of, the newest last.
    pub deals: VecDeque<Arc<Deal>>,
    /// The epoch of the last parcel.
    pub epoch: u64,
    /// Parcels in the order of the batches. A new replica does not know the first of its own before that has come.
    pub order: Order<Parcel>,
    pub born: bool,
    pub turning: Turning,
    pub desk: Desk,
    pub events: Sender<Event<'a>>,
    pub stats: Arc<Stats>,
    pub tally: Arc<Tally>,
    pub shared: &'a Shared<'a>,
    pub detour: Detour,
    /// Columns of joined batches that stay here.
    pub locker: Locker,
    /// Parcels that are being filled, or came too early.
    pub outbox: Vec<Parcel>,
    pub early: Vec<Parcel>,
    /// Whether it has panicked outside of a brick: it does nothing more, and waits to be retired.
    pub failed: bool,
}

/// Whether a replica goes on.
type Goes = bool;

impl<'a> Replica<'a> {
    /// Works until it is retired: first from the queue before the stage, then from its own, at last from that of joined
    /// batches; or until it has no seat any more.
    pub fn run(mut self) {
        self.stats.set_thread(nix::unistd::gettid().as_raw());
        let mut open = true;
        loop {
            let input = open.then_some(&self.desk.input);
            let idled = |time| self.stats.idle(time);
            let goes = match recv_first(&self.desk.own, &self.desk.joined.1, input, idled) {
                None | Some(Choice::Second(Message::Retire)) => false,
                Some(Choice::First(Message::Retire)) => self.tell(Event::Quiet(self.serial)),
                Some(Choice::Third(Message::Retire)) => {
                    open = false;
                    self.tell(Event::Quiet(self.serial))
                }
                Some(work) => self.failed || self.attend(work),
            };
            if !goes {
                break;
            }
        }
        self.stats.set_thread(0);
        self.leave();
    }

    /// Does what comes; a defect of the runtime itself ends the run, and not the thread, for which others would wait.
    fn attend(&mut self, work: Choice<Message>) -> Goes {
        let done = guarded(|| match work {
            Choice::First(message) => self.receive(message),
            Choice::Second(Message::Batch(envelope)) => self.finish(envelope),
            Choice::Third(Message::Batch(envelope)) => self.deal(envelope),
            Choice::Second(_) | Choice::Third(_) => false,
        });
        done.unwrap_or_else(|message| {
            self.failed = true;
            self.tell(Event::Over(Some(self.job.fault(message))))
        })
    }

    /// Takes what comes to this replica alone.
    fn receive(&mut self, message: Message) -> Goes {
        match message {
            Message::Parcel(parcel) => self.accept(parcel),
            Message::State(arrival) => self.arrive(*arrival),
            Message::Deal(deal) => {
                // Batches on their way are of this epoch or the one before.
                self.deals.drain(..self.deals.len() - 1);
                self.deals.push_back(deal);
                true
            }
            Message::Retire => self.tell(Event::Quiet(self.serial)),
            Message::Batch(_) => true,
        }
    }

    /// Lets a batch pass the bricks before the divided one, and sends every replica its parcel.
    fn deal(&mut self, mut envelope: Box<Envelope>) -> Goes {
        if !self.learn(envelope.epoch) {
            return false;
        }
        if envelope.ending.is_none() {
            self.stats.receive(envelope.batch.len());
        }
        self.pass(&mut envelope, 0..self.split.unit);
        let deal = self
            .deals
            .iter()
            .rev()
            .find(|deal| deal.epoch <= envelope.epoch)
            .unwrap_or(&self.deals[0])
            .clone();
        let turn = envelope.turn && deal.epoch == envelope.epoch;
        let leaving = if turn { &deal.leaving[..] } else { &[] };
        let seats = deal.ports.len() + leaving.len();
        self.fill(&mut envelope, &deal, turn, seats);
        let joint = envelope.joint.take().filter(|joint| joint.fits(seats));
        let joint = joint.unwrap_or_else(|| Arc::new(Joint::new(seats)));
        envelope.joint = Some(joint.clone());
        joint.expect(seats);
        self.bring(&joint, Piece::Batch(envelope));
        for (mut parcel, port) in self.outbox.drain(..).zip(deal.ports.iter().chain(leaving)) {
            parcel.joint = Some(joint.clone());
            // A queue has room for the parcels of every batch, and replicas retire behind them.
            let _ = port.send(Message::Parcel(parcel));
        }
        true
    }

    /// Waits until it knows who owns which slots at an epoch: word of it was sent before the first batch of it was read.
    fn learn(&mut self, epoch: u64) -> Goes {
        while self.deals.back().is_some_and(|deal| deal.epoch < epoch) {
            let Ok(message) = self.desk.own.recv() else { return false };
            if !self.receive(message) {
                return false;
            }
        }
        true
    }

    /// Fills a parcel for every replica.
    fn fill(&mut self, envelope: &mut Envelope, deal: &Deal, turn: bool, seats: usize) {
        self.outbox.append(&mut envelope.parcels);
        self.outbox.resize_with(seats, Parcel::default);
        let packets = envelope.loan.lend(&mut envelope.batch, self.split.reads());
        for (seat, parcel) in self.outbox.iter_mut().enumerate() {
            (parcel.number, parcel.epoch, parcel.turn) = (envelope.number, deal.epoch, turn);
            (parcel.seat, parcel.packets) = (seat, Some(packets.clone()));
            parcel.clear(self.split.lanes());
        }
        if envelope.ending.is_none() && !self.shared.over.load(Relaxed) {
            let bit = self.shared.routes.as_ref().map(|_| 1 << self.split.unit);
            let marks = &envelope.marks;
            let chosen = |place: usize| bit.is_none_or(|bit| marks[place] & bit != 0);
            self.split.deal(&packets, deal, chosen, &mut self.outbox, &self.tally);
        }
    }

    fn accept(&mut self, parcel: Parcel) -> Goes {
        self.stats.take_batch();
        if !self.born && !parcel.turn {
            self.early.push(parcel);
            return true;
        }
        if !std::mem::replace(&mut self.born, true) {
            self.order = Order::from(parcel.number);
            for early in self.early.drain(..) {
                self.order.put(early.number, early);
            }
        }
        self.order.put(parcel.number, parcel);
        let mut goes = true;
        while goes && let Some(parcel) = self.order.take() {
            goes = self.turn(&parcel);
            self.process(parcel);
        }
        goes
    }

    /// Begins the epoch of a parcel; nothing follows where this replica has no seat in it.
    fn turn(&mut self, parcel: &Parcel) -> Goes {
        if parcel.epoch <= self.epoch {
            return true;
        }
        self.epoch = parcel.epoch;
        let Some(deal) = self.deals.iter().find(|deal| deal.epoch == parcel.epoch).cloned() else {
            return true;
        };
        let packets = parcel.lanes.iter().map(|lane| lane.places.len() as u64).sum();
        if let Some(unit) = unit(&mut self.job.units, self.split.unit) {
            self.turning.begin(unit, (self.shared, &self.stats), self.seat, &deal, packets);
        }
        self.seat < deal.ports.len() && self.report()
    }

    fn arrive(&mut self, arrival: Arrival) -> Goes {
        if let Some(unit) = unit(&mut self.job.units, self.split.unit) {
            self.turning.arrive(unit, (self.shared, &self.stats), arrival);
        }
        while let Some(parcel) = self.turning.release() {
            self.process(parcel);
        }
        self.report()
    }

    /// Tells the supervisor when slots have moved and nothing waits for them any more.
    fn report(&mut self) -> Goes {
        match self.turning.report() {
            Some(turned) => self.tell(Event::Turned(self.serial, turned)),
            None => true,
        }
    }

    /// Processes what need not wait of a parcel, and brings it if that was all.
    fn process(&mut self, mut parcel: Parcel) {
        if !self.shared.over.load(Relaxed)
            && let Err(fault) = self.compute(&mut parcel)
        {
            parcel.fault.get_or_insert(Box::new(fault));
        }
        let waits = |lane: &Lane| !lane.done && !lane.places.is_empty();
        if self.turning.is_open() && parcel.lanes.iter().any(waits) {
            self.turning.hold(parcel);
        } else if let Some(joint) = parcel.joint.take() {
            parcel.packets = None;
            self.bring(&joint, Piece::Parcel(parcel));
        }
    }

    fn compute(&mut self, parcel: &mut Parcel) -> Result<(), RunFault> {
        let Some(unit) = unit(&mut self.job.units, self.split.unit) else { return Ok(()) };
        if let Some(reason) = self.turning.broken.take() {
            return Err(PlanError::Move { id: unit.id.clone(), reason }.into());
        }
        let Parcel { packets: Some(packets), lanes, rows, .. } = parcel else { return Ok(()) };
        let rows = self.split.renew(rows, packets);
        for (at, lane) in lanes[..self.split.lanes()].iter_mut().enumerate() {
            if lane.done || !self.turning.may_process(&self.split, at) {
                continue;
            }
            lane.done = true;
            if lane.places.is_empty() {
                continue;
            }
            let part = at % self.split.shards();
            attempt(unit, self.shared, Some(&self.stats), &mut |unit| {
                unit.process_part(part, packets, &lane.places, rows)
            })?;
        }
        Ok(())
    }

    /// Brings a piece of a batch; a batch that is whole is for whichever replica is free.
    fn bring(&self, joint: &Joint, piece: Piece) {
        if let Some(envelope) = joint.bring(piece) {
            // There is room for every batch, and this is both ends of the queue.
            let _ = self.desk.joined.0.send(Message::Batch(envelope));
        }
    }

    /// Joins the parts of a batch and lets it pass the bricks behind the divided one.
    fn finish(&mut self, mut envelope: Box<Envelope>) -> Goes {
        envelope.loan.reclaim(&mut envelope.batch, self.split.reads());
        self.locker.lend(&mut envelope.batch);
        if envelope.ending.is_none() && !self.shared.over.load(Relaxed) {
            match envelope.parcels.iter_mut().find_map(|parcel| parcel.fault.take()) {
                Some(fault) => envelope.ending = Some(Ending::Fault(*fault)),
                None => self.join(&mut envelope),
            }
        }
        self.pass(&mut envelope, self.split.unit + 1..usize::MAX);
        if envelope.ending.is_none() {
            self.stats.count(envelope.batch.len());
        }
        self.locker.take(&mut envelope.batch);
        self.measure();
        // There is room for every batch, and the receiver outlives the workers.
        let _ = self.desk.output.send(Message::Batch(envelope));
        true
    }

    fn join(&mut self, envelope: &mut Envelope) {
        let Envelope { batch, marks, parcels, .. } = envelope;
        // Where the graph branches, other bricks may have filled the rows of packets that do not come here.
        let seat = self.shared.routes.is_none().then_some(self.seat);
        self.split.join(parcels, seat, batch);
        envelope.passed = self.split.unit + 1;
        if let Some(routes) = &self.shared.routes {
            routes.leave(self.split.unit, batch, marks, &mut self.detour);
        }
    }

    fn pass(&mut self, envelope: &mut Envelope, units: Range<usize>) {
        if envelope.ending.is_none() && !self.shared.over.load(Relaxed) {
            let own = self.job.units.iter_mut().filter(|unit| units.contains(&unit.index));
            let passed = pass(own, envelope, self.shared, &self.stats, &mut self.detour);
            envelope.ending = passed.err().map(Ending::Fault);
        }
    }

    fn measure(&self) {
        self.stats.measure(|| self.job.units.iter().map(|unit| unit.brick.state_size()).sum());
    }

    /// Hands back what it has. Batches that wait for those before them are given back whole, by the first replica.
    fn leave(mut self) {
        let mut waiting = Waiting::from(self.order.next_number());
        for parcel in self.order.drain().filter(|_| self.seat == 0) {
            if let Some(mut envelope) = parcel.joint.and_then(|joint| joint.collect()) {
                envelope.loan.reclaim(&mut envelope.batch, self.split.reads());
                waiting.put(envelope.number, envelope);
            }
        }
        self.job.order = (self.seat == 0).then_some(waiting);
        let Self { serial, job, epoch, .. } = self;
        let _ = self.events.send(Event::Retired(Box::new(Retired { serial, job, epoch: Some(epoch) })));
    }

    fn tell(&self, event: Event<'a>) -> Goes {
        // Nobody listens where the supervisor itself has panicked.
        let _ = self.events.send(event);
        true
    }
}

/// The divided brick.
fn unit(units: &mut [Unit], index: usize) -> Option<&mut Unit> {
    units.iter_mut().find(|unit| unit.index == index)
}
