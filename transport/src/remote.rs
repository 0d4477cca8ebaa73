//! A brick whose work is done elsewhere.

use crate::caller::{CallError, Caller, Loss, Unexpected};
use crate::channel::Channel;
use crate::message::{PROTOCOL, Reply, Request, describe};
use crate::peer::{failed, hello};
use legonf_core::{
    Batch, BindError, Brick, BrickError, Columns, Descriptor, Division, Layout, Port, Storage, Table,
    WestEast,
};
use serde_bytes::Bytes;
use std::cell::RefCell;
use std::time::Duration;

/// A brick that another process hosts.
pub struct Remote {
    declared: Declared,
    /// Where it is, for messages.
    place: String,
    caller: RefCell<Caller>,
    /// The columns of the graph over there.
    layout: Vec<String>,
    uses: Uses,
    /// Packets that go out, results that come back, and the places of these.
    sent: Batch,
    found: Batch,
    indices: Vec<usize>,
}

/// What there is to say of a brick without asking it.
struct Declared {
    descriptor: Descriptor,
    division: Option<Division>,
    takes_compact_rows: bool,
    ports: Vec<Port>,
    counters: Vec<&'static str>,
}

impl Declared {
    fn of(brick: &mut dyn Brick) -> Self {
        let (descriptor, ports) = (brick.descriptor(), brick.ports());
        let counters = brick.counters().into_iter().map(|(name, _)| name).collect();
        let keyed = brick.west_east();
        let takes_compact_rows = keyed.as_ref().is_some_and(|brick| brick.takes_compact_rows());
        let division = keyed.map(|brick| brick.division());
        Self { descriptor, division, takes_compact_rows, ports, counters }
    }
}

/// The columns that a brick reads and fills.
#[derive(Clone, Copy, Default)]
struct Uses {
    reads: Columns,
    writes: Columns,
    /// Those of flows.
    flows: Columns,
}

/// Why a brick is not hosted elsewhere.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The other side speaks another version.
    #[error(
        "{place} runs legonf {theirs} (protocol {protocol}), and this is {ours} (protocol {PROTOCOL}): both must have the same protocol"
    )]
    Version {
        /// The other side.
        place: String,
        /// Its program.
        theirs: String,
        /// Its protocol.
        protocol: u32,
        /// This program.
        ours: String,
    },
    /// The other side cannot make the brick.
    #[error("{place}: {reason}")]
    Refused {
        /// The other side.
        place: String,
        /// Why.
        reason: String,
    },
    /// The other side does not answer.
    #[error("{place}: {reason}")]
    Lost {
        /// The other side.
        place: String,
        /// Why.
        reason: String,
    },
}

impl Remote {
    /// Has a brick made at the other side of a channel, by an order that the [host](crate::serve) there understands. `like` is such a brick
    /// here: the remote one declares what it declares. The other side may take as long as `lease` for a call, and ten times as long
    /// where it moves state.
    ///
    /// # Errors
    /// If the other side is of another version, cannot make the brick, or does not answer.
    pub fn connect(
        like: &mut dyn Brick,
        channel: Box<dyn Channel>,
        place: &str,
        lease: Duration,
        order: &[u8],
    ) -> Result<Self, ConnectError> {
        let mut caller = Caller::new(channel, lease);
        hello(&mut caller, place)?;
        let made = |reply: Reply<'_>| match reply {
            Reply::Made(layout) => Ok(layout),
            _ => Err(Unexpected),
        };
        let layout =
            caller.ask(&Request::Make(Bytes::new(order)), made).map_err(|error| failed(place, error))?;
        let place = place.to_owned();
        let (uses, sent, found, indices) = Default::default();
        let declared = Declared::of(like);
        Ok(Self { declared, place, caller: caller.into(), layout, uses, sent, found, indices })
    }

    /// Tells whether the other side was lost, from wherever that is asked.
    pub fn loss(&self) -> Loss {
        self.caller.borrow().loss()
    }

    fn ask<T>(
        &self,
        question: &Request<'_>,
        take: impl FnOnce(Reply<'_>) -> Result<T, Unexpected>,
    ) -> Result<T, BrickError> {
        self.caller.borrow_mut().ask(question, take).map_err(|error| self.failed(error))
    }

    fn tell(&self, question: &Request<'_>) -> Result<(), BrickError> {
        self.ask(question, done)
    }

    fn state(&self, question: &Request<'_>) -> Result<Vec<u8>, BrickError> {
        self.ask(question, |reply| match reply {
            Reply::State(state) => Ok(state.to_vec()),
            _ => Err(Unexpected),
        })
    }

    /// An error of a call as one of the brick.
    fn failed(&self, error: CallError) -> BrickError {
        let reason = match error {
            CallError::Fault(reason) => reason,
            CallError::Lost(reason) => format!("its instance in {} is lost: {reason}", self.place),
        };
        BrickError { brick: self.declared.descriptor.kind, reason }
    }

    /// Asks for flows, and appends their rows. Origins are below `packets`.
    fn find_flows(
        &mut self,
        question: &Request<'_>,
        columns: impl FnOnce(&Batch, &mut Vec<u8>),
        packets: usize,
        flows: &mut Batch,
    ) -> Result<(), BrickError> {
        let Self { uses: Uses { writes, .. }, found, sent, .. } = self;
        let called = self.caller.get_mut().call(
            question,
            |frame| columns(sent, frame),
            |reply, mut rest| {
                done(reply)?;
                found.decode(*writes, &mut rest).map_err(|_| Unexpected)?;
                let known = found.flows.iter().all(|row| (row.origin as usize) < packets);
                if known { Ok(()) } else { Err(Unexpected) }
            },
        );
        called.map_err(|error| self.failed(error))?;
        let start = flows.flows.len();
        flows.flows.extend_from_slice(&self.found.flows);
        self.indices.clear();
        self.indices.extend(start..flows.flows.len());
        if !self.indices.is_empty() {
            flows.scatter(&self.found, &self.indices, self.uses.writes, flows.flows.len());
        }
        Ok(())
    }
}

impl Uses {
    /// What is asked for some packets and a part of the work.
    fn question(self, part: usize, cells: usize) -> Request<'static> {
        Request::Part { part: part as u32, given: self.reads.bits(), width: cells as u32 }
    }

    /// The packets of a batch at some places, as they go out: where these are not all, a copy.
    fn packets<'a>(self, batch: &'a Batch, places: &[usize], part: &'a mut Batch) -> &'a Batch {
        if is_whole(batch, places) {
            return batch;
        }
        let of_flows = self.reads.intersection(self.flows);
        batch.gather(places, self.reads.without(of_flows), part);
        if !of_flows.is_empty() {
            batch.gather_flows(places, of_flows, part);
        }
        part
    }
}

/// Whether places are those of a whole batch, which can go out as it is.
fn is_whole(batch: &Batch, places: &[usize]) -> bool {
    places.len() == batch.len() && places.iter().copied().eq(0..batch.len())
}

fn done(reply: Reply<'_>) -> Result<(), Unexpected> {
    if matches!(reply, Reply::Done) { Ok(()) } else { Err(Unexpected) }
}

impl Brick for Remote {
    fn descriptor(&self) -> Descriptor {
        self.declared.descriptor.clone()
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        let ours = describe(layout);
        if let Some((expected, found)) = ours.iter().zip(&self.layout).find(|(ours, theirs)| ours != theirs) {
            let (expected, found) = (expected.clone(), found.clone());
            return Err(BindError::Other { name: format!("of {}", self.place), expected, found });
        }
        if ours.len() != self.layout.len() {
            let missing = ours.len().min(self.layout.len());
            let longer = if ours.len() > missing { &ours } else { &self.layout };
            return Err(BindError::Missing(longer[missing].clone()));
        }
        let Descriptor { reads, writes, .. } = &self.declared.descriptor;
        self.uses = Uses {
            reads: layout.columns(&**reads),
            writes: layout.columns(&**writes),
            flows: layout.of_table(Table::Flows),
        };
        (self.sent, self.found) = (Batch::new(layout), Batch::new(layout));
        Ok(())
    }

    fn begin(&mut self, batch: &Batch) -> bool {
        let Uses { reads, writes, .. } = self.uses;
        let question = Request::Process { given: reads.bits(), wanted: writes.bits() };
        // Whoever is lost now is found to be so when the answer is taken.
        self.caller.get_mut().begin(&question, |frame| batch.encode(reads, frame)).unwrap_or(false)
    }

    fn process(&mut self, batch: &mut Batch) -> Result<(), BrickError> {
        let Uses { reads, writes, flows } = self.uses;
        let found = &mut self.found;
        let take = |reply: Reply<'_>, mut rest: &[u8]| {
            done(reply)?;
            found.decode(writes, &mut rest).map_err(|_| Unexpected)
        };
        let caller = self.caller.get_mut();
        let called = if caller.has_begun() {
            caller.finish(take)
        } else {
            let question = Request::Process { given: reads.bits(), wanted: writes.bits() };
            caller.call(&question, |frame| batch.encode(reads, frame), take)
        };
        called.map_err(|error| self.failed(error))?;
        batch.exchange(&mut self.found, writes);
        if !writes.intersection(flows).is_empty() {
            std::mem::swap(&mut batch.flows, &mut self.found.flows);
        }
        Ok(())
    }

    fn is_lost(&self) -> bool {
        self.caller.borrow().is_lost()
    }

    fn spent_elsewhere(&self) -> Duration {
        self.caller.borrow().spent()
    }

    /// Nothing of one that is lost: its checkpoint has what it had counted.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        let counters = self.ask(&Request::Counters, |reply| match reply {
            Reply::Counters(told) => {
                let of = |name: &&'static str| {
                    told.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count)
                };
                Ok(self.declared.counters.iter().map(|name| (*name, of(name))).collect())
            }
            _ => Err(Unexpected),
        });
        counters.unwrap_or_default()
    }

    fn state_size(&self) -> u64 {
        let size = self.ask(&Request::StateSize, |reply| match reply {
            Reply::Size(size) => Ok(size),
            _ => Err(Unexpected),
        });
        size.unwrap_or(0)
    }

    fn ports(&self) -> Vec<Port> {
        self.declared.ports.clone()
    }

    fn west_east(&mut self) -> Option<&mut dyn WestEast> {
        if self.declared.division.is_some() { Some(self) } else { None }
    }
}

impl WestEast for Remote {
    fn division(&self) -> Division {
        self.declared.division.clone().expect("only a keyed brick has this interface")
    }

    fn takes_compact_rows(&self) -> bool {
        self.declared.takes_compact_rows
    }

    fn takes_all_at_once(&self) -> bool {
        true
    }

    fn divide(&mut self, parts: &[Vec<String>]) -> Result<(), BrickError> {
        self.tell(&Request::Divide(parts.to_vec()))
    }

    fn begin_part(&mut self, part: usize, batch: &Batch, places: &[usize], cells: usize) -> bool {
        let Self { uses, sent, caller, .. } = self;
        let packets = uses.packets(batch, places, sent);
        let question = uses.question(part, cells);
        // As for whole batches.
        caller.get_mut().begin(&question, |frame| packets.encode(uses.reads, frame)).unwrap_or(false)
    }

    fn process_part(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        rows: &mut dyn Storage,
    ) -> Result<(), BrickError> {
        let shape = (rows.filled(), rows.cells());
        let take = |reply: Reply<'_>, mut rest: &[u8]| {
            done(reply)?;
            rows.decode(&mut rest).map_err(|_| Unexpected)?;
            if (rows.filled(), rows.cells()) == shape { Ok(()) } else { Err(Unexpected) }
        };
        let Self { uses, sent, caller, .. } = self;
        let caller = caller.get_mut();
        let called = if caller.has_begun() {
            caller.finish(take)
        } else {
            let packets = uses.packets(batch, places, sent);
            caller.call(&uses.question(part, shape.1), |frame| packets.encode(uses.reads, frame), take)
        };
        called.map_err(|error| {
            // Whoever is asked next finds the rows as this one did.
            rows.reshape(shape.0, shape.1);
            self.failed(error)
        })
    }

    fn process_flows(
        &mut self,
        part: usize,
        batch: &Batch,
        places: &[usize],
        flows: &mut Batch,
    ) -> Result<(), BrickError> {
        let Uses { reads, writes, flows: of_flows } = self.uses;
        // Of packets and headers those at the places go out. All else goes whole: when a flow was over depends on the time of every packet.
        let large = Columns::PACKETS.union(Columns::HEADERS);
        let is_part = !is_whole(batch, places) && reads.intersection(of_flows).is_empty();
        let given = if is_part { reads.intersection(large) } else { Columns::NONE };
        let whole = reads.without(given);
        batch.gather(places, given, &mut self.sent);
        let question = Request::Flows {
            part: part as u32,
            places: places.iter().map(|place| *place as u32).collect(),
            packets: batch.len() as u32,
            whole: whole.bits(),
            given: given.bits(),
            wanted: writes.bits(),
        };
        let columns = |sent: &Batch, frame: &mut Vec<u8>| {
            batch.encode(whole, frame);
            sent.encode(given, frame);
        };
        self.find_flows(&question, columns, batch.len(), flows)
    }

    fn expire(&mut self, part: usize, watermarks: &[i64], flows: &mut Batch) -> Result<(), BrickError> {
        let wanted = self.uses.writes.bits();
        let question = Request::Expire { part: part as u32, watermarks: watermarks.to_vec(), wanted };
        self.find_flows(&question, |_, _| (), watermarks.len(), flows)
    }

    fn end(&mut self, part: usize, slots: &[u16], flows: &mut Batch) -> Result<(), BrickError> {
        let wanted = self.uses.writes.bits();
        let question = Request::End { part: part as u32, slots: slots.to_vec(), wanted };
        // Their origin is 0.
        self.find_flows(&question, |_, _| (), 1, flows)
    }

    fn export(&mut self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        self.state(&Request::Export { part: part as u32, slots: slots.to_vec() })
    }

    fn copy(&self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        self.state(&Request::Copy { part: part as u32, slots: slots.to_vec() })
    }

    fn copy_each(&self, part: usize, slots: &[u16]) -> Result<Vec<Vec<u8>>, BrickError> {
        self.ask(&Request::CopyEach { part: part as u32, slots: slots.to_vec() }, |reply| match reply {
            Reply::States(states) if states.len() == slots.len() => {
                Ok(states.into_iter().map(|state| state.to_vec()).collect())
            }
            _ => Err(Unexpected),
        })
    }

    fn import(&mut self, part: usize, state: &[u8]) -> Result<(), BrickError> {
        self.tell(&Request::Import { part: part as u32, state: Bytes::new(state) })
    }

    fn import_each(&mut self, part: usize, states: &[&[u8]]) -> Result<(), BrickError> {
        let states = states.iter().map(|state| Bytes::new(state)).collect();
        self.tell(&Request::ImportEach { part: part as u32, states })
    }

    fn adopt(&mut self, part: usize, slots: &[u16], state: &[u8]) -> Result<(), BrickError> {
        let (part, slots, state) = (part as u32, slots.to_vec(), Bytes::new(state));
        self.tell(&Request::Adopt { part, slots, state })
    }
}
