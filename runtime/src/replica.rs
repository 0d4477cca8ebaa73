//! One replica of a stage whose brick with state is divided: it deals batches out, processes its parcels of all batches,
//! and finishes batches whose parcels are joined.

use crate::RunFault;
use crate::message::{Ending, Envelope, Event, Message, Queue, Retired, Waiting};
use crate::order::Order;
use crate::route::Detour;
use crate::split::{Deal, Joint, Parcel, Piece, Split};
use crate::stats::Stats;
use crate::sync::{Choice, Receiver, Sender, recv_first};
use crate::unit::{guarded, panicked, pass};
use crate::worker::{Job, Shared};
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
    pub deal: Arc<Deal>,
    pub order: Order<Parcel>,
    pub desk: Desk,
    pub events: Sender<Event<'a>>,
    pub stats: Arc<Stats>,
    pub shared: &'a Shared<'a>,
    pub detour: Detour,
    /// Parcels that are being filled.
    pub outbox: Vec<Parcel>,
}

impl<'a> Replica<'a> {
    /// Works until it is retired: first from the queue before the stage, then from its own, at last from that of joined
    /// batches.
    pub fn run(mut self) {
        self.stats.set_thread(nix::unistd::gettid().as_raw());
        let mut open = true;
        loop {
            let input = open.then_some(&self.desk.input);
            match recv_first(&self.desk.own, &self.desk.joined.1, input) {
                Some(Choice::First(Message::Parcel(parcel))) => self.accept(parcel),
                Some(Choice::Second(Message::Batch(envelope))) => self.finish(envelope),
                Some(Choice::Third(Message::Batch(envelope))) => self.deal(envelope),
                Some(Choice::Third(Message::Retire)) => {
                    open = false;
                    self.tell(Event::Quiet);
                }
                Some(Choice::First(Message::Retire)) => self.tell(Event::Quiet),
                _ => break,
            }
        }
        self.stats.set_thread(0);
        self.leave();
    }

    /// Lets a batch pass the bricks before the divided one, and sends every replica its parcel.
    fn deal(&mut self, mut envelope: Box<Envelope>) {
        self.pass(&mut envelope, 0..self.split.unit);
        let seats = self.deal.ports.len();
        self.outbox.append(&mut envelope.parcels);
        self.outbox.resize_with(seats, Parcel::default);
        let (number, lanes) = (envelope.number, self.split.shards());
        self.outbox.iter_mut().for_each(|parcel| parcel.clear(number, lanes));
        if envelope.ending.is_none() && !self.shared.over.load(Relaxed) {
            let bit = self.shared.routes.as_ref().map(|_| 1 << self.split.unit);
            let marks = &envelope.marks;
            let chosen = |place: usize| bit.is_none_or(|bit| marks[place] & bit != 0);
            self.split.deal(&envelope.batch, &self.deal.owners, chosen, &mut self.outbox);
        }
        let joint = envelope.joint.take().filter(|joint| joint.fits(seats));
        let joint = joint.unwrap_or_else(|| Arc::new(Joint::new(seats)));
        envelope.joint = Some(joint.clone());
        joint.expect(seats);
        self.bring(&joint, Piece::Batch(envelope));
        for (mut parcel, port) in self.outbox.drain(..).zip(&self.deal.ports) {
            parcel.joint = Some(joint.clone());
            // A queue has room for the parcels of every batch, and replicas retire behind them.
            let _ = port.send(Message::Parcel(parcel));
        }
    }

    fn accept(&mut self, parcel: Parcel) {
        self.order.put(parcel.number, parcel);
        while let Some(parcel) = self.order.take() {
            self.process(parcel);
        }
    }

    fn process(&mut self, mut parcel: Parcel) {
        if !self.shared.over.load(Relaxed) {
            parcel.fault = self.compute(&mut parcel).err().map(Box::new);
        }
        if let Some(joint) = parcel.joint.take() {
            self.bring(&joint, Piece::Parcel(parcel));
        }
    }

    fn compute(&mut self, parcel: &mut Parcel) -> Result<(), RunFault> {
        let Some(unit) = self.job.units.iter_mut().find(|unit| unit.index == self.split.unit) else {
            return Ok(());
        };
        match guarded(|| self.split.process(&mut *unit.brick, parcel)) {
            Ok(result) => Ok(result?),
            Err(message) => Err(panicked(&unit.id, message)),
        }
    }

    /// Brings a piece of a batch; a batch that is whole is for whichever replica is free.
    fn bring(&self, joint: &Joint, piece: Piece) {
        if let Some(envelope) = joint.bring(piece) {
            // There is room for every batch, and this is both ends of the queue.
            let _ = self.desk.joined.0.send(Message::Batch(envelope));
        }
    }

    /// Joins the parts of a batch and lets it pass the bricks behind the divided one.
    fn finish(&mut self, mut envelope: Box<Envelope>) {
        if envelope.ending.is_none() && !self.shared.over.load(Relaxed) {
            match envelope.parcels.iter_mut().find_map(|parcel| parcel.fault.take()) {
                Some(fault) => envelope.ending = Some(Ending::Fault(*fault)),
                None => self.join(&mut envelope),
            }
            self.stats.count(envelope.batch.len());
        }
        self.pass(&mut envelope, self.split.unit + 1..usize::MAX);
        // There is room for every batch, and the receiver outlives the workers.
        let _ = self.desk.output.send(Message::Batch(envelope));
    }

    fn join(&mut self, envelope: &mut Envelope) {
        let Envelope { batch, marks, parcels, .. } = envelope;
        self.split.join(parcels, batch);
        envelope.passed = self.split.unit + 1;
        if let Some(routes) = &self.shared.routes {
            routes.leave(self.split.unit, batch, marks, &mut self.detour);
        }
    }

    fn pass(&mut self, envelope: &mut Envelope, units: std::ops::Range<usize>) {
        if envelope.ending.is_none() && !self.shared.over.load(Relaxed) {
            let own = self.job.units.iter_mut().filter(|unit| units.contains(&unit.index));
            let passed = pass(own, envelope, self.shared, &self.stats, &mut self.detour);
            envelope.ending = passed.err().map(Ending::Fault);
        }
    }

    /// Hands back what it has. Batches that wait for those before them are given back whole, by the first replica.
    fn leave(mut self) {
        let mut waiting = Waiting::from(self.order.next_number());
        for parcel in self.order.drain().filter(|_| self.seat == 0) {
            if let Some(envelope) = parcel.joint.and_then(|joint| joint.collect()) {
                waiting.put(envelope.number, envelope);
            }
        }
        self.job.order = (self.seat == 0).then_some(waiting);
        let Self { serial, job, .. } = self;
        let _ = self.events.send(Event::Retired(Box::new(Retired { serial, job })));
    }

    fn tell(&self, event: Event<'a>) {
        // Nobody listens where the supervisor itself has panicked.
        let _ = self.events.send(event);
    }
}
