//! The side of the standby.

use super::heartbeat::{Heartbeat, Side};
use super::message::{Agreement, HELLO, Message, StandbyError, check, read, write};
use crate::channel::{Channel, ChannelError};
use crate::stream::Stream;
use legonf_core::{Batch, Columns, LARGEST_BATCH};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Bytes of the name of a run at most.
const LONGEST_NAME: usize = 64;

/// A connection whose other side has said what it is for.
pub struct Introduction {
    stream: Stream,
    run: String,
    seed: Option<u64>,
    heartbeats: bool,
}

impl Introduction {
    /// Learns who has connected, which may take as long as `patience`.
    ///
    /// # Errors
    /// If it is of another version, no primary, or does not answer.
    pub fn of(mut stream: Stream, patience: Duration) -> Result<Self, StandbyError> {
        let mut frame = Vec::new();
        stream.set_patience(Some(patience))?;
        let met = check(&read(stream.receive()?)?.0);
        write(&HELLO, &mut frame);
        stream.send(&frame)?;
        met?;
        let (run, seed, heartbeats) = match read(stream.receive()?)? {
            (Message::Run { run, seed, heartbeats }, []) if run.len() <= LONGEST_NAME => {
                (run.to_owned(), seed, heartbeats)
            }
            _ => return Err(StandbyError::Damaged),
        };
        Ok(Self { stream, run, seed, heartbeats })
    }

    /// Whether it is for heartbeats.
    pub fn is_of_heartbeats(&self) -> bool {
        self.heartbeats
    }

    /// Whether both are of one run.
    pub fn is_of_the_same_run(&self, other: &Self) -> bool {
        self.run == other.run
    }
}

/// What a standby hears of its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Packets, which are in the batch.
    Packets,
    /// That none came for a while.
    Idle,
    /// That the input is at its end.
    End,
    /// That the primary ends before its input does.
    HandOver,
}

/// A standby, connected to its primary.
pub struct Replica {
    channel: Box<dyn Channel>,
    frame: Vec<u8>,
    run: String,
    seed: Option<u64>,
    /// Packets that it has.
    accepted: u64,
    /// Packets that were lost before the primary's source could read them.
    dropped: u64,
    heartbeat: Option<Heartbeat>,
}

impl Replica {
    /// Begins with the two connections of a primary, which must not be silent for longer than `lease` from now on.
    ///
    /// # Errors
    /// If the system has no further thread.
    pub fn new(
        packets: Introduction,
        heartbeats: Introduction,
        lease: Duration,
        stop: &'static AtomicBool,
    ) -> Result<Self, StandbyError> {
        let Introduction { mut stream, run, seed, .. } = packets;
        stream.set_patience(None)?;
        let heartbeat = Heartbeat::begin(Side::Standby, heartbeats.stream, stream.handle()?, lease, stop)?;
        Ok(Self { run, seed, heartbeat: Some(heartbeat), ..Self::over(Box::new(stream)) })
    }

    /// Follows whoever is at the other side of a channel, without heartbeats: a primary that is silent is waited for.
    pub fn over(channel: Box<dyn Channel>) -> Self {
        let (frame, run, seed) = Default::default();
        Self { channel, frame, run, seed, accepted: 0, dropped: 0, heartbeat: None }
    }

    /// The name of the run.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The seed by which streams are divided into slots, if the primary's graph has one.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Packets that it has.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Packets that were lost before the primary's source could read them.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Says whether the results here depend on the same.
    ///
    /// # Errors
    /// If they do not, as the primary is told, or it is gone.
    pub fn agree(&mut self, own: &Agreement) -> Result<(), StandbyError> {
        let difference = match read(self.channel.receive()?)? {
            (Message::Agree(theirs), []) => own.difference(&theirs).map(str::to_owned),
            _ => return Err(StandbyError::Damaged),
        };
        let Some(difference) = difference else {
            write(&Message::Ready, &mut self.frame);
            return Ok(self.channel.send(&self.frame)?);
        };
        let reason = format!("primary and standby differ in this: {difference}; give both the same");
        write(&Message::Refused(&reason), &mut self.frame);
        self.channel.send(&self.frame)?;
        Err(StandbyError::Refused(reason))
    }

    /// Waits for what the primary says next. Packets come into the batch, which is empty otherwise, and the primary is told.
    ///
    /// # Errors
    /// If the primary is lost, or what came is not what it sends.
    pub fn hear(&mut self, batch: &mut Batch, columns: Columns) -> Result<Heard, StandbyError> {
        batch.clear();
        let received = self.channel.receive();
        let explain = |error: ChannelError| match &self.heartbeat {
            Some(heartbeat) => heartbeat.explain(error),
            None => error.into(),
        };
        let (message, mut behind) = read(received.map_err(explain)?)?;
        match message {
            Message::Packets { first, dropped } if first == self.accepted && dropped >= self.dropped => {
                batch.decode(columns, &mut behind).map_err(|_| StandbyError::Damaged)?;
                if !behind.is_empty() || !is_in_order(batch, first) {
                    batch.clear();
                    return Err(StandbyError::Damaged);
                }
                (self.accepted, self.dropped) = (first + batch.len() as u64, dropped);
                write(&Message::Accepted(self.accepted), &mut self.frame);
                // A primary that does not hear it is lost, which shows with the next call. The packets are here.
                let _ = self.channel.send(&self.frame);
                Ok(Heard::Packets)
            }
            Message::Idle if behind.is_empty() => Ok(Heard::Idle),
            Message::End if behind.is_empty() => Ok(Heard::End),
            Message::HandOver if behind.is_empty() => Ok(Heard::HandOver),
            _ => Err(StandbyError::Damaged),
        }
    }
}

/// Whether there are packets, as many as a batch may have, numbered from here without a gap.
fn is_in_order(batch: &Batch, first: u64) -> bool {
    let (packets, headers) = (batch.packets.len(), batch.headers.len());
    let whole =
        (packets == 0 || headers == 0 || packets == headers) && (1..=LARGEST_BATCH).contains(&batch.len());
    whole
        && batch.packets.iter().map(|(record, _)| record.seq).zip(first..).all(|(seq, number)| seq == number)
        && batch.headers.iter().map(|headers| headers.seq).zip(first..).all(|(seq, number)| seq == number)
}
