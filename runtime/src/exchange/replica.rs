//! One replica of a stage whose keyed brick is divided.

use super::home::Hands;
use super::part::{Label, Labelled};
use super::transition::Aid;
use super::{Begun, HomePart, HomeWork, Inbox, Join, OwnershipTable, Part, SlotState, Task, Transition};
use crate::RunFault;
use crate::graph::route::Scratch;
use crate::operator::{Operator, attempt, measure, pass};
use crate::sync::{Either, Receiver, Sender, recv_either, try_either};
use crate::worker::assignment::Assignment;
use crate::worker::envelope::{Ending, Envelope};
use crate::worker::message::{Event, Message, Retired, Turned};
use crate::worker::order::Waiting;
use crate::worker::shared::Shared;
use crate::worker::stats::Stats;
use legonf_core::{Columns, Storage, guarded};
use legonf_splitter::{SlotCounters, SubBatch};
use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The queues of a replica. Its own goes first: others wait for what it brings.
pub(crate) struct Queues {
    /// What comes to it alone.
    pub own: Receiver<Message>,
    /// Batches before the stage, for whichever replica is free.
    pub input: Receiver<Message>,
    pub output: Sender<Message>,
}

/// A replica at work.
pub(crate) struct Replica<'a> {
    pub serial: u64,
    /// Which replica of the stage it is.
    pub index: usize,
    pub assignment: Assignment<'a>,
    pub work: HomeWork,
    /// Who had which slots at the epochs that batches on their way can be of, the newest last.
    pub tables: VecDeque<Arc<OwnershipTable>>,
    pub first: Phase<Box<Part>>,
    pub last: Phase<Box<HomePart>>,
    /// Parts whose calls are all begun.
    pub begun: VecDeque<Task>,
    pub queues: Queues,
    pub events: Sender<Event<'a>>,
    pub stats: Arc<Stats>,
    pub counters: Arc<SlotCounters>,
    pub shared: &'a Shared<'a>,
    pub buffers: Buffers,
    /// Whether it has panicked outside of a brick: it does nothing more, and waits to be retired.
    pub failed: bool,
}

/// One of the two phases in which a replica works on its part of a batch.
pub(crate) struct Phase<T> {
    inbox: Inbox<T>,
    transition: Transition<T>,
    /// The epoch of the last part.
    epoch: u64,
    /// What the last transition has cost, until the other phase has made it, too.
    turned: Option<Turned>,
}

impl<T: Labelled> Phase<T> {
    /// From an epoch on, and from a batch on where that is known.
    pub fn from(epoch: u64, first: Option<u64>) -> Self {
        Self { inbox: Inbox::from(first), transition: Transition::default(), epoch, turned: None }
    }

    /// Begins the epoch of a part.
    fn turn(
        &mut self,
        part: &T,
        operator: &mut Operator,
        aid: Aid<'_>,
        replica: usize,
        has: &dyn Fn(usize) -> bool,
    ) {
        let label = part.label();
        let Some(table) = label.table.as_ref().filter(|table| table.epoch > self.epoch) else { return };
        self.epoch = table.epoch;
        self.transition.begin(operator, aid, replica, (table, has), part.waiting());
    }

    /// Whether it is in this epoch, and nothing waits for slots any more.
    fn is_settled(&self, epoch: Option<u64>) -> bool {
        epoch == Some(self.epoch) && self.transition.is_done()
    }

    fn note_turned(&mut self) {
        self.turned = self.turned.take().or_else(|| self.transition.report());
    }
}

/// Memory of a replica.
#[derive(Default)]
pub(crate) struct Buffers {
    pub scratch: Scratch,
    /// Rows of a travelling shard.
    rows: Option<Box<dyn Storage>>,
    /// Parts that are being filled or sent.
    subs: Vec<SubBatch>,
    parts: Vec<Box<Part>>,
    homes: Vec<Box<HomePart>>,
}

/// Whether a replica goes on.
type Flow = ControlFlow<()>;

const GO_ON: Flow = ControlFlow::Continue(());
const LEAVE: Flow = ControlFlow::Break(());

impl<'a> Replica<'a> {
    /// Works until it is retired, or has no part in the next epoch. While parts are begun, it waits for their results only where nothing else
    /// is to be done.
    pub fn run(mut self) {
        self.stats.set_thread(nix::unistd::gettid().as_raw());
        let mut is_open = true;
        loop {
            let input = is_open.then_some(&self.queues.input);
            let next = if self.begun.is_empty() {
                recv_either(&self.queues.own, input, |time| self.stats.idle(time))
            } else {
                try_either(&self.queues.own, input)
            };
            is_open &= !matches!(next, Some(Either::Second(Message::Drain)));
            if self.take(next).is_break() {
                break;
            }
        }
        self.stats.set_thread(0);
        self.leave();
    }

    /// Does what has come, or what is left to be done.
    fn take(&mut self, next: Option<Either<Message>>) -> Flow {
        match next {
            None if !self.begun.is_empty() => self.attend(Self::process_begun),
            None => LEAVE,
            Some(Either::First(Message::Retire)) => {
                self.process_all_begun()?;
                LEAVE
            }
            Some(Either::First(Message::Drain) | Either::Second(Message::Drain)) => {
                self.process_all_begun()?;
                self.tell(Event::Drained(self.serial))
            }
            Some(_) if self.failed => GO_ON,
            Some(Either::First(message)) => self.attend(|replica| replica.receive(message)),
            Some(Either::Second(Message::Batch(envelope))) => {
                self.attend(|replica| replica.partition(envelope))
            }
            Some(Either::Second(_)) => GO_ON,
        }
    }

    /// Does some work; a defect of the runtime itself ends the run, and not the thread, for which others would wait.
    fn attend(&mut self, work: impl FnOnce(&mut Self) -> Flow) -> Flow {
        guarded(|| work(self)).unwrap_or_else(|message| {
            self.failed = true;
            self.begun.clear();
            self.tell(Event::Over(Some(self.assignment.fault(message))))
        })
    }

    /// Takes what comes to this replica alone.
    fn receive(&mut self, message: Message) -> Flow {
        match message {
            Message::Part(part) => self.accept_part(part),
            Message::Home(part) => self.accept_home(part),
            Message::State(state) => self.arrive(*state),
            Message::Ownership(table) => {
                // Batches on their way are of this epoch or the one before.
                self.tables.drain(..self.tables.len() - 1);
                self.tables.push_back(table);
                GO_ON
            }
            Message::Drain => self.tell(Event::Drained(self.serial)),
            Message::Batch(_) | Message::Retire => GO_ON,
        }
    }

    /// Lets a batch pass the bricks before the divided one, and sends every replica its part.
    fn partition(&mut self, mut envelope: Box<Envelope>) -> Flow {
        if self.learn(envelope.epoch).is_break() {
            return LEAVE;
        }
        if envelope.ending.is_none() {
            self.stats.receive(envelope.batch.len());
        }
        self.pass(&mut envelope, 0..self.work.split.operator);
        let mut tables = self.tables.iter().rev();
        let table = tables.find(|table| table.epoch <= envelope.epoch).unwrap_or(&self.tables[0]);
        let label = Label {
            number: envelope.number,
            is_first: envelope.turn && table.epoch == envelope.epoch,
            table: Some(table.clone()),
            replica: 0,
        };
        self.fill(&mut envelope, &label);
        self.send(envelope, &label);
        GO_ON
    }

    /// Waits until it knows who has which slots at an epoch: word of it was sent before the first batch of it was read.
    fn learn(&mut self, epoch: u64) -> Flow {
        while self.tables.back().is_some_and(|table| table.epoch < epoch) {
            let Ok(message) = self.queues.own.recv() else { return LEAVE };
            self.receive(message)?;
        }
        GO_ON
    }

    /// Fills the parts of a batch, one for every replica.
    fn fill(&mut self, envelope: &mut Envelope, label: &Label) {
        let Some(table) = label.table.clone() else { return };
        let replicas = table.ports(label.is_first).count();
        envelope.parts.resize_with(replicas, Box::default);
        let packets = envelope.shared.lend(&mut envelope.batch, self.lent());
        let bit = self.shared.routes.as_ref().map(|_| 1 << self.work.split.operator);
        let is_over = envelope.ending.is_some() || self.shared.over.load(Relaxed);
        let marks = &envelope.marks;
        let chosen = |place: usize| !is_over && bit.is_none_or(|bit| marks[place] & bit != 0);
        let subs = &mut self.buffers.subs;
        subs.extend(envelope.parts.iter_mut().map(|part| std::mem::take(&mut part.sub)));
        let counters = &self.counters;
        let count = &mut |shard, slot| counters.count(shard, slot);
        self.work.split.partitioner.partition(&packets.headers, chosen, &table.ownership(), subs, count);
        for (replica, (part, sub)) in envelope.parts.iter_mut().zip(subs.drain(..)).enumerate() {
            part.label = Label { replica, ..label.clone() };
            (part.sub, part.packets) = (sub, Some(packets.clone()));
        }
    }

    /// Sends the parts of a batch to their replicas, and leaves the batch where they come together.
    fn send(&mut self, mut envelope: Box<Envelope>, label: &Label) {
        let Some(table) = &label.table else { return };
        let replicas = envelope.parts.len();
        let join = envelope.join.take().filter(|join| join.fits(replicas));
        let join = join.unwrap_or_else(|| Arc::new(Join::new(replicas)));
        join.expect(replicas);
        envelope.join = Some(join.clone());
        std::mem::swap(&mut self.buffers.parts, &mut envelope.parts);
        join.put(envelope);
        if self.work.split.shards() == 1 {
            let mut parts = std::mem::take(&mut self.buffers.parts);
            parts.drain(..).for_each(|part| self.bring_part(part, &join));
            self.buffers.parts = parts;
            return;
        }
        for (mut part, port) in self.buffers.parts.drain(..).zip(table.ports(label.is_first)) {
            part.join = Some(join.clone());
            // A queue has room for the parts of every batch, and replicas retire behind them.
            let _ = port.send(Message::Part(part));
        }
    }

    fn accept_part(&mut self, part: Box<Part>) -> Flow {
        self.stats.take_batch();
        self.first.inbox.put(part);
        while let Some(part) = self.first.inbox.take() {
            self.begin_or_process(Task::First(part))?;
        }
        GO_ON
    }

    /// Processes a part, behind those that are begun; where the brick works elsewhere, it begins it, and goes on with others.
    fn begin_or_process(&mut self, task: Task) -> Flow {
        loop {
            match self.begin(&task) {
                Begun::All => {
                    self.begun.push_back(task);
                    return GO_ON;
                }
                Begun::Nothing if !self.begun.is_empty() => self.process_begun()?,
                Begun::Nothing => return self.process(task),
                Begun::Some => {
                    self.process_all_begun()?;
                    return self.process(task);
                }
            }
        }
    }

    /// Begins a part, if that can be: not before slots that move have moved in both phases.
    fn begin(&mut self, task: &Task) -> Begun {
        let (split, epoch) = (&*self.work.split, task.epoch());
        let is_settled = self.last.is_settled(epoch) && (split.shards() == 1 || self.first.is_settled(epoch));
        let stays = split.flows.is_some() || self.shared.over.load(Relaxed) || !is_settled;
        match operator(&mut self.assignment.operators, split.operator).filter(|_| !stays) {
            Some(operator) if !operator.has_lost(!self.begun.is_empty()) => task.begin(split, operator),
            _ => Begun::Nothing,
        }
    }

    /// Processes the first part that is begun.
    fn process_begun(&mut self) -> Flow {
        self.begun.pop_front().map_or(GO_ON, |task| self.process(task))
    }

    fn process_all_begun(&mut self) -> Flow {
        while !self.begun.is_empty() {
            self.attend(Self::process_begun)?;
        }
        GO_ON
    }

    /// Processes a part. The first one of an epoch has slots move before.
    fn process(&mut self, task: Task) -> Flow {
        let (home, aid) = (self.work.split.partitioner.home(), (self.shared, &*self.stats));
        let operator = operator(&mut self.assignment.operators, self.work.split.operator);
        match task {
            Task::First(part) => {
                if let Some(operator) = operator {
                    self.first.turn(&part, operator, aid, self.index, &|shard| shard != home);
                }
                self.report()?;
                self.process_part(part);
                GO_ON
            }
            Task::Last(part) => {
                if let Some(operator) = operator {
                    self.last.turn(&part, operator, aid, self.index, &|shard| shard == home);
                }
                let table = part.label.table.as_ref();
                let leaves =
                    table.is_some_and(|table| part.label.is_first && self.index >= table.ports.len());
                self.process_home(part);
                if leaves { LEAVE } else { self.report() }
            }
        }
    }

    /// Computes the travelling cells of a part, as far as it need not wait.
    fn process_part(&mut self, mut part: Box<Part>) {
        if !self.shared.over.load(Relaxed)
            && let Err(fault) = self.compute(&mut part)
        {
            part.fault.get_or_insert(Box::new(fault));
        }
        if self.first.transition.is_open() && part.waiting() > 0 {
            self.first.transition.hold(part);
        } else if let Some(join) = part.join.take() {
            self.bring_part(part, &join);
        }
    }

    fn compute(&mut self, part: &mut Part) -> Result<(), RunFault> {
        let Some(operator) = operator(&mut self.assignment.operators, self.work.split.operator) else {
            return Ok(());
        };
        self.first.transition.check(operator)?;
        let (Some(packets), partitioner) = (&part.packets, &self.work.split.partitioner) else {
            return Ok(());
        };
        for (shard, lane) in partitioner.travelling().flat_map(|shard| [(shard, 0), (shard, 1)]) {
            let selection = &part.sub.selections[shard][lane];
            if selection.done || !self.first.transition.may_process(shard, lane == 1) {
                continue;
            }
            let model = packets.column(self.work.split.fills);
            partitioner.compute(
                (shard, lane),
                operator.at_once(selection.places.len()),
                &mut part.sub,
                model,
                &mut self.buffers.rows,
                &mut |places, rows| {
                    attempt(operator, self.shared, Some(&self.stats), &mut |operator| {
                        operator.process_part(shard, packets, places, rows)
                    })
                },
            )?;
        }
        Ok(())
    }

    /// Brings a part whose travelling cells are computed. Who brings the last one lets all replicas go on.
    fn bring_part(&mut self, mut part: Box<Part>, join: &Arc<Join>) {
        let (label, is_first) = (part.label.table.clone(), part.label.is_first);
        part.packets = None;
        if join.first.bring(part)
            && let (Some(table), Some(envelope)) = (label, join.take())
        {
            self.send_home(envelope, join, &table, is_first);
        }
    }

    /// Sends every replica those of its packets that have their home there.
    fn send_home(
        &mut self,
        mut envelope: Box<Envelope>,
        join: &Arc<Join>,
        table: &OwnershipTable,
        is_first: bool,
    ) {
        if Arc::get_mut(&mut envelope.gathered).is_none() {
            envelope.gathered = Arc::default();
        }
        let packets = envelope.shared.read();
        let gathered = Arc::get_mut(&mut envelope.gathered).expect("nobody else has it");
        gathered.packets = Some(packets);
        gathered.parts.clear();
        gathered.parts.extend(join.first.collect());
        gathered.parts.sort_unstable_by_key(|part| part.label.replica);
        let homes = &mut self.buffers.homes;
        homes.extend(gathered.parts.iter_mut().map(|part| part.take_home()));
        for home in homes.iter_mut() {
            (home.gathered, home.join) = (Some(envelope.gathered.clone()), Some(join.clone()));
        }
        join.put(envelope);
        for (home, port) in homes.drain(..).zip(table.ports(is_first)) {
            // As for parts.
            let _ = port.send(Message::Home(home));
        }
    }

    fn accept_home(&mut self, part: Box<HomePart>) -> Flow {
        self.last.inbox.put(part);
        while let Some(part) = self.last.inbox.take() {
            self.begin_or_process(Task::Last(part))?;
        }
        GO_ON
    }

    /// Lets the packets of a part go through, as far as they need not wait.
    fn process_home(&mut self, mut part: Box<HomePart>) {
        if self.work.split.flows.is_some() && self.last.transition.is_open() {
            // Time passes for flows of all slots, those on the move too, so that no batch goes before another.
            return self.last.transition.hold(part);
        }
        if !self.shared.over.load(Relaxed)
            && let Err(fault) = self.complete(&mut part)
        {
            part.fault.get_or_insert(Box::new(fault));
        }
        if self.last.transition.is_open() && part.waiting() > 0 {
            self.last.transition.hold(part);
        } else {
            self.bring_home(part);
        }
    }

    fn complete(&mut self, part: &mut HomePart) -> Result<(), RunFault> {
        let Some(gathered) = part.gathered.clone() else { return Ok(()) };
        if gathered.parts.iter().any(|part| part.fault.is_some()) {
            return Ok(());
        }
        if let Some(operator) = operator(&mut self.assignment.operators, self.work.split.operator) {
            self.last.transition.check(operator)?;
        }
        let mut hands =
            Hands { operators: &mut self.assignment.operators, shared: self.shared, stats: &self.stats };
        for lane in 0..2 {
            let home = self.work.split.partitioner.home();
            if !part.done[lane] && self.last.transition.may_process(home, lane == 1) {
                self.work.process(part, &gathered, lane, &mut hands)?;
                part.done[lane] = true;
            }
        }
        if !part.expired {
            self.work.expire(part, &gathered, &mut hands)?;
            part.expired = true;
        }
        Ok(())
    }

    /// Brings a part that is through. Who brings the last one sends the batch on.
    fn bring_home(&mut self, mut part: Box<HomePart>) {
        part.gathered = None;
        let Some(join) = part.join.take() else { return };
        if join.last.bring(part)
            && let Some(envelope) = join.take()
        {
            self.finish(envelope, &join);
        }
    }

    /// Joins the results of a batch, lets it pass what is left of the stage, and sends it on.
    fn finish(&mut self, mut envelope: Box<Envelope>, join: &Join) {
        let mut homes = std::mem::take(&mut self.buffers.homes);
        homes.extend(join.last.collect());
        let mut fault = homes.iter_mut().find_map(|part| part.fault.take());
        if let Some(gathered) = Arc::get_mut(&mut envelope.gathered) {
            gathered.packets = None;
            fault = gathered.parts.iter_mut().find_map(|part| part.fault.take()).or(fault);
            envelope.parts.append(&mut gathered.parts);
        }
        envelope.shared.reclaim(&mut envelope.batch, self.lent());
        if envelope.ending.is_none() && !self.shared.over.load(Relaxed) {
            let joined = fault.map_or_else(|| self.join(&mut envelope, &homes), |fault| Err(*fault));
            envelope.ending = joined.err().map(Ending::Fault);
        }
        for home in homes.drain(..) {
            if let Some(part) = envelope.parts.get_mut(home.label.replica) {
                part.home = Some(home);
            }
        }
        self.buffers.homes = homes;
        self.pass(&mut envelope, self.work.split.operator + 1..usize::MAX);
        if envelope.ending.is_none() {
            self.stats.count(envelope.batch.len());
        }
        measure(&self.assignment.operators, &self.stats);
        // There is room for every batch, and the receiver outlives the workers.
        let _ = self.queues.output.send(Message::Batch(envelope));
    }

    fn join(&mut self, envelope: &mut Envelope, homes: &[Box<HomePart>]) -> Result<(), RunFault> {
        let Envelope { batch, marks, .. } = envelope;
        let mut hands =
            Hands { operators: &mut self.assignment.operators, shared: self.shared, stats: &self.stats };
        self.work.finish(homes, batch, &mut hands)?;
        let operator = self.work.split.operator;
        if let Some(routes) = &self.shared.routes {
            routes.leave(operator, &self.shared.declared, batch, marks, &mut self.buffers.scratch);
        }
        envelope.passed = self.work.downstream.operators.end.max(operator + 1);
        self.shared.meter.passed(operator..envelope.passed, envelope);
        Ok(())
    }

    /// Takes state that came from another replica, and processes what has waited for it.
    fn arrive(&mut self, state: SlotState) -> Flow {
        let aid = (self.shared, &*self.stats);
        if let Some(operator) = operator(&mut self.assignment.operators, self.work.split.operator) {
            if state.shard == self.work.split.partitioner.home() {
                self.last.transition.arrive(operator, aid, state);
            } else {
                self.first.transition.arrive(operator, aid, state);
            }
        }
        while let Some(part) = self.first.transition.release() {
            self.process_part(part);
        }
        while let Some(part) = self.last.transition.release() {
            self.process_home(part);
        }
        self.report()
    }

    /// Tells the supervisor when slots have moved in both phases and nothing waits for them any more.
    fn report(&mut self) -> Flow {
        self.first.note_turned();
        self.last.note_turned();
        let travelling = self.work.split.shards() > 1;
        if self.last.turned.is_none() || travelling && self.first.turned.is_none() {
            return GO_ON;
        }
        let mut turned = self.last.turned.take().unwrap_or_default();
        let first = self.first.turned.take().unwrap_or_default();
        turned.spent += first.spent;
        turned.bytes += first.bytes;
        turned.pauses.extend(first.pauses);
        self.tell(Event::Turned(self.serial, turned))
    }

    fn pass(&mut self, envelope: &mut Envelope, operators: Range<usize>) {
        if envelope.ending.is_none() && !self.shared.over.load(Relaxed) {
            let own =
                self.assignment.operators.iter_mut().filter(|operator| operators.contains(&operator.index));
            let passed = pass(own, envelope, self.shared, &self.stats, &mut self.buffers.scratch);
            envelope.ending = passed.err().map(Ending::Fault);
        }
    }

    /// The columns that replicas read together.
    fn lent(&self) -> Columns {
        self.work.split.reads().union(self.work.downstream.inputs)
    }

    /// Hands back what it has. Batches that wait for those before them are given back whole, by the first replica.
    fn leave(mut self) {
        let lent = self.lent();
        let firsts = [self.first.inbox.next_number(), self.last.inbox.next_number()];
        let mut waiting = Waiting::from(firsts[usize::from(self.work.split.shards() == 1)]);
        let parts = self.first.inbox.drain().map(|part| (part.label.number, part.join));
        let homes = self.last.inbox.drain().map(|part| (part.label.number, part.join));
        for (number, join) in parts.chain(homes).filter(|_| self.index == 0) {
            if let Some(mut envelope) = join.and_then(|join| join.take()) {
                envelope.shared.reclaim(&mut envelope.batch, lent);
                waiting.put(number, envelope);
            }
        }
        self.assignment.order = (self.index == 0).then_some(waiting);
        let Self { serial, assignment, last, .. } = self;
        let retired = Retired { serial, assignment, epoch: Some(last.epoch) };
        let _ = self.events.send(Event::Retired(Box::new(retired)));
    }

    fn tell(&self, event: Event<'a>) -> Flow {
        // Nobody listens where the supervisor itself has panicked.
        let _ = self.events.send(event);
        GO_ON
    }
}

/// The divided brick.
fn operator(operators: &mut [Operator], index: usize) -> Option<&mut Operator> {
    operators.iter_mut().find(|operator| operator.index == index)
}
