//! The side that hosts a brick: it makes one as ordered, and answers calls until the channel is closed.

use crate::channel::{Channel, ChannelError};
use crate::message::{PROGRAM, PROTOCOL, Reply, Request, describe, number, put};
use legonf_core::{
    Batch, BindError, Brick, BrickError, Columns, Division, HostLoad, LARGEST_BATCH, Layout, Storage,
    WestEast, guarded, like,
};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;
use std::error::Error;
use std::time::Duration;

/// A brick that was made as ordered.
pub struct Hosted {
    /// The brick, bound to the columns.
    pub brick: Box<dyn Brick>,
    /// The columns of its graph.
    pub layout: Layout,
}

/// Makes a brick as an order says, in bytes that whoever [connects](crate::Remote::connect) has written.
pub type Order<'a> = &'a dyn Fn(&[u8]) -> Result<Hosted, Box<dyn Error + Send + Sync>>;

/// What a host has, and what its agent does there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentLoad {
    /// What the host has, and has left.
    pub host: HostLoad,
    /// Bricks that the agent hosts, of all graphs.
    pub bricks: u32,
}

/// Says what a host has, and what its agent does there.
pub type Load<'a> = &'a dyn Fn() -> AgentLoad;

/// Hosts one brick, until the other side closes the channel.
///
/// A brick that panics ends it: the other side has been told.
///
/// # Errors
/// If the channel breaks otherwise, or what comes is not what this crate sends.
pub fn serve(channel: &mut dyn Channel, make: Order<'_>, load: Load<'_>) -> Result<(), ChannelError> {
    let mut host = Host { make, load, hosted: None };
    let (mut answer, mut last) = (Vec::new(), 0);
    loop {
        let frame = match channel.receive() {
            Ok(frame) => frame,
            Err(ChannelError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        };
        let (call, question) = number(frame).ok_or(ChannelError::Damaged)?;
        // A call that was lost or came twice shows by its number.
        if call != last + 1 {
            return Err(ChannelError::Damaged);
        }
        last = call;
        answer.clear();
        answer.extend_from_slice(&call.to_le_bytes());
        answer.extend_from_slice(&[0; TIME]);
        let before = processor_time();
        let answered = guarded(|| host.answer(question, &mut answer));
        let ended = answered.is_err();
        let failed = match &answered {
            Ok(Ok(())) => None,
            Ok(Err(Failure::Brick(error))) => Some(Reply::Fault(&error.reason)),
            Ok(Err(Failure::Refused(reason))) => Some(Reply::Refused(reason)),
            Ok(Err(Failure::Damaged)) => return Err(ChannelError::Damaged),
            Err(message) => Some(Reply::Panic(message)),
        };
        if let Some(reply) = failed {
            answer.truncate(2 * TIME);
            put(&reply, &mut answer);
        }
        let spent = processor_time().saturating_sub(before).as_nanos() as u64;
        answer[TIME..2 * TIME].copy_from_slice(&spent.to_le_bytes());
        channel.send(&answer)?;
        if ended {
            return Ok(());
        }
    }
}

/// Bytes of a number of a call, and of a time.
const TIME: usize = size_of::<u64>();

/// Processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

struct Host<'a> {
    make: Order<'a>,
    load: Load<'a>,
    hosted: Option<AtWork>,
}

/// A hosted brick, and what it works in.
struct AtWork {
    brick: Box<dyn Brick>,
    /// The column that it fills, where its work can be divided, and the cells of a whole row.
    fills: Option<(usize, usize)>,
    batch: Batch,
    part: Batch,
    flows: Batch,
    rows: Option<Box<dyn Storage>>,
    places: Vec<usize>,
}

impl AtWork {
    fn new(Hosted { mut brick, layout }: Hosted) -> Result<Self, Failure> {
        let division = brick.west_east().map(|keyed| keyed.division());
        let filled = |division: Division| Ok((layout.number(&division.fills)?, division.cells.len()));
        let fills = division.map(filled).transpose();
        let fills = fills.map_err(|error: BindError| Failure::Refused(error.to_string()))?;
        let [batch, part, flows] = std::array::from_fn(|_| Batch::new(&layout));
        let (rows, places) = Default::default();
        Ok(Self { brick, fills, batch, part, flows, rows, places })
    }
}

/// Why a call is not answered as it was asked.
enum Failure {
    Brick(BrickError),
    Refused(String),
    Damaged,
}

impl From<BrickError> for Failure {
    fn from(error: BrickError) -> Self {
        Self::Brick(error)
    }
}

impl Host<'_> {
    fn answer(&mut self, question: &[u8], answer: &mut Vec<u8>) -> Result<(), Failure> {
        let (request, columns) = postcard::take_from_bytes(question).map_err(|_| Failure::Damaged)?;
        match request {
            Request::Hello { .. } => put(&Reply::Hello { protocol: PROTOCOL, program: PROGRAM }, answer),
            Request::Load => put(&Reply::Load((self.load)()), answer),
            Request::Echo(bytes) => put(&Reply::Echo(bytes), answer),
            Request::Make(order) => {
                let hosted = (self.make)(order).map_err(|error| Failure::Refused(error.to_string()))?;
                let layout = describe(&hosted.layout);
                self.hosted = Some(AtWork::new(hosted)?);
                put(&Reply::Made(layout), answer);
            }
            request => {
                let none = || Failure::Refused("no brick was ordered".into());
                self.hosted.as_mut().ok_or_else(none)?.answer(request, columns, answer)?;
            }
        }
        Ok(())
    }
}

impl AtWork {
    fn answer(
        &mut self,
        request: Request<'_>,
        mut columns: &[u8],
        answer: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let wanted = match request {
            Request::Process { given, wanted } => {
                decode(&mut self.batch, given, &mut columns)?;
                self.brick.process(&mut self.batch)?;
                put(&Reply::Done, answer);
                self.batch.encode(Columns::from_bits(wanted), answer);
                return Ok(());
            }
            Request::Part { part, given, width } => {
                decode(&mut self.batch, given, &mut columns)?;
                return self.process_part(part as usize, width as usize, answer);
            }
            Request::Flows { part, places, packets, whole, given, wanted } => {
                let packets = packets as usize;
                self.places.clear();
                self.places.extend(places.iter().map(|place| *place as usize));
                if packets > LARGEST_BATCH || self.places.iter().any(|place| *place >= packets) {
                    return Err(Failure::Damaged);
                }
                decode(&mut self.batch, whole, &mut columns)?;
                decode(&mut self.part, given, &mut columns)?;
                self.batch.scatter(&self.part, &self.places, Columns::from_bits(given), packets);
                let Self { brick, batch, places, flows, .. } = self;
                flows.clear();
                west_east(&mut **brick)?.process_flows(part as usize, batch, places, flows)?;
                wanted
            }
            Request::Expire { part, watermarks, wanted } => {
                self.flows.clear();
                west_east(&mut *self.brick)?.expire(part as usize, &watermarks, &mut self.flows)?;
                wanted
            }
            Request::End { part, slots, wanted } => {
                self.flows.clear();
                west_east(&mut *self.brick)?.end(part as usize, &slots, &mut self.flows)?;
                wanted
            }
            Request::Counters => {
                put(&Reply::Counters(self.brick.counters()), answer);
                return Ok(());
            }
            Request::StateSize => {
                put(&Reply::Size(self.brick.state_size()), answer);
                return Ok(());
            }
            other => return of_state(west_east(&mut *self.brick)?, other, answer),
        };
        put(&Reply::Done, answer);
        self.flows.encode(Columns::from_bits(wanted), answer);
        Ok(())
    }

    /// Lets the brick process all packets of the batch for a part, into rows that are no wider than a whole one.
    fn process_part(&mut self, part: usize, width: usize, answer: &mut Vec<u8>) -> Result<(), Failure> {
        let Self { brick, fills, batch, rows, places, .. } = self;
        let keyed = west_east(&mut **brick)?;
        let (column, _) = fills.filter(|(_, cells)| width <= *cells).ok_or(Failure::Damaged)?;
        places.clear();
        places.extend(0..batch.len());
        let rows = like(rows, batch.column(column));
        rows.reshape(places.len(), width);
        keyed.process_part(part, batch, places, rows)?;
        put(&Reply::Done, answer);
        rows.encode(answer);
        Ok(())
    }
}

/// Answers a call that divides the work or moves state.
fn of_state(brick: &mut dyn WestEast, request: Request<'_>, answer: &mut Vec<u8>) -> Result<(), Failure> {
    match request {
        Request::Divide(parts) => brick.divide(&parts)?,
        Request::Import { part, state } => brick.import(part as usize, state)?,
        Request::ImportEach { part, states } => {
            let states: Vec<&[u8]> = states.into_iter().map(|state| &**state).collect();
            brick.import_each(part as usize, &states)?;
        }
        Request::Adopt { part, slots, state } => brick.adopt(part as usize, &slots, state)?,
        Request::Export { part, slots } => {
            put(&Reply::State(Bytes::new(&brick.export(part as usize, &slots)?)), answer);
            return Ok(());
        }
        Request::Copy { part, slots } => {
            put(&Reply::State(Bytes::new(&brick.copy(part as usize, &slots)?)), answer);
            return Ok(());
        }
        Request::CopyEach { part, slots } => {
            let states = brick.copy_each(part as usize, &slots)?;
            put(&Reply::States(states.iter().map(|state| Bytes::new(state)).collect()), answer);
            return Ok(());
        }
        _ => return Err(Failure::Damaged),
    }
    put(&Reply::Done, answer);
    Ok(())
}

/// Takes columns of a batch, in place of what it held.
fn decode(batch: &mut Batch, columns: u64, from: &mut &[u8]) -> Result<(), Failure> {
    batch.clear();
    batch.decode(Columns::from_bits(columns), from).map_err(|_| Failure::Damaged)
}

fn west_east(brick: &mut dyn Brick) -> Result<&mut dyn WestEast, Failure> {
    brick.west_east().ok_or_else(|| Failure::Refused("the brick has no west-east interface".into()))
}
