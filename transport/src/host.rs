//! The side that hosts a brick: it makes one as ordered, and answers calls until the channel is closed.

use crate::channel::{Channel, ChannelError};
use crate::message::{PROGRAM, PROTOCOL, Reply, Request, describe, number, put};
use legonf_core::{
    Batch, Brick, BrickError, Columns, HostLoad, LARGEST_BATCH, Layout, Storage, WestEast, like,
};
use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
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

/// Says what a host has, and has left.
pub type Load<'a> = &'a dyn Fn() -> HostLoad;

/// Hosts one brick, until the other side closes the channel.
///
/// A brick that panics ends it: the other side has been told.
///
/// # Errors
/// If the channel breaks otherwise, or what comes is not what this crate sends.
pub fn serve(channel: &mut dyn Channel, make: Order<'_>, load: Load<'_>) -> Result<(), ChannelError> {
    let mut host = Host { make, load, hosted: None, room: Room::default() };
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
        let answered = catch_unwind(AssertUnwindSafe(|| host.answer(question, &mut answer)));
        let ended = match answered {
            Ok(Ok(())) => false,
            Ok(Err(failure)) => {
                answer.truncate(2 * TIME);
                match &failure {
                    Failure::Brick(error) => put(&Reply::Fault(&error.reason), &mut answer),
                    Failure::Refused(reason) => put(&Reply::Refused(reason), &mut answer),
                    Failure::Damaged => return Err(ChannelError::Damaged),
                }
                false
            }
            Err(panic) => {
                answer.truncate(2 * TIME);
                let text = panic.downcast_ref::<&str>().copied();
                let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
                put(&Reply::Panic(text.unwrap_or("no message")), &mut answer);
                true
            }
        };
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
    hosted: Option<Hosted>,
    room: Room,
}

/// Memory from call to call.
#[derive(Default)]
struct Room {
    batch: Batch,
    part: Batch,
    flows: Batch,
    rows: Option<Box<dyn Storage>>,
    places: Vec<usize>,
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
        let (request, mut columns) = postcard::take_from_bytes(question).map_err(|_| Failure::Damaged)?;
        match request {
            Request::Hello { .. } => {
                put(&Reply::Hello { protocol: PROTOCOL, program: PROGRAM }, answer);
                return Ok(());
            }
            Request::Make(order) => {
                let hosted = (self.make)(order).map_err(|error| Failure::Refused(error.to_string()))?;
                put(&Reply::Made(describe(&hosted.layout)), answer);
                let batch = || Batch::new(&hosted.layout);
                self.room = Room { batch: batch(), part: batch(), flows: batch(), ..Room::default() };
                self.hosted = Some(hosted);
                return Ok(());
            }
            Request::Load => {
                put(&Reply::Load((self.load)()), answer);
                return Ok(());
            }
            Request::Echo(bytes) => {
                put(&Reply::Echo(bytes), answer);
                return Ok(());
            }
            _ => {}
        }
        let hosted = self.hosted.as_mut().ok_or_else(|| Failure::Refused("no brick was ordered".into()))?;
        let Room { batch, part, flows, rows, places } = &mut self.room;
        match request {
            Request::Process { given, wanted } => {
                decode(batch, given, &mut columns)?;
                hosted.brick.process(batch)?;
                put(&Reply::Done, answer);
                batch.encode(Columns::from_bits(wanted), answer);
            }
            Request::Part { part: number, given, width } => {
                let keyed = west_east(&mut *hosted.brick)?;
                let fills = keyed.division().fills;
                let index =
                    hosted.layout.number(&fills).map_err(|error| Failure::Refused(error.to_string()))?;
                decode(batch, given, &mut columns)?;
                places.clear();
                places.extend(0..batch.len());
                let rows = like(rows, batch.column(index));
                rows.reshape(places.len(), width as usize);
                keyed.process_part(number as usize, batch, places, rows)?;
                put(&Reply::Done, answer);
                rows.encode(answer);
            }
            Request::Flows { part: number, places: at, packets, whole, given, wanted } => {
                let packets = packets as usize;
                places.clear();
                places.extend(at.iter().map(|place| *place as usize));
                if packets > LARGEST_BATCH || places.iter().any(|place| *place >= packets) {
                    return Err(Failure::Damaged);
                }
                decode(batch, whole, &mut columns)?;
                decode(part, given, &mut columns)?;
                batch.scatter(part, places, Columns::from_bits(given), packets);
                flows.clear();
                west_east(&mut *hosted.brick)?.process_flows(number as usize, batch, places, flows)?;
                put(&Reply::Done, answer);
                flows.encode(Columns::from_bits(wanted), answer);
            }
            Request::Expire { part: number, watermarks, wanted } => {
                flows.clear();
                west_east(&mut *hosted.brick)?.expire(number as usize, &watermarks, flows)?;
                put(&Reply::Done, answer);
                flows.encode(Columns::from_bits(wanted), answer);
            }
            Request::End { part: number, slots, wanted } => {
                flows.clear();
                west_east(&mut *hosted.brick)?.end(number as usize, &slots, flows)?;
                put(&Reply::Done, answer);
                flows.encode(Columns::from_bits(wanted), answer);
            }
            Request::Counters => put(&Reply::Counters(hosted.brick.counters()), answer),
            Request::StateSize => put(&Reply::Size(hosted.brick.state_size()), answer),
            Request::Hello { .. } | Request::Make(_) | Request::Load | Request::Echo(_) => {}
            other => of_state(west_east(&mut *hosted.brick)?, other, answer)?,
        }
        Ok(())
    }
}

/// Answers a call that divides the work or moves state.
fn of_state(brick: &mut dyn WestEast, request: Request<'_>, answer: &mut Vec<u8>) -> Result<(), Failure> {
    let reply = match request {
        Request::Divide(parts) => {
            brick.divide(&parts)?;
            Reply::Done
        }
        Request::Export { part, slots } => {
            put(&Reply::State(&brick.export(part as usize, &slots)?), answer);
            return Ok(());
        }
        Request::Copy { part, slots } => {
            put(&Reply::State(&brick.copy(part as usize, &slots)?), answer);
            return Ok(());
        }
        Request::CopyEach { part, slots } => Reply::States(brick.copy_each(part as usize, &slots)?),
        Request::Import { part, state } => {
            brick.import(part as usize, state)?;
            Reply::Done
        }
        Request::ImportEach { part, states } => {
            brick.import_each(part as usize, &states)?;
            Reply::Done
        }
        _ => return Err(Failure::Damaged),
    };
    put(&reply, answer);
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
