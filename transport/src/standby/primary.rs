//! The side of the primary.

use super::heartbeat::{Heartbeat, Side};
use super::message::{Agreement, HELLO, Message, StandbyError, check, read, write};
use crate::channel::Channel;
use crate::stream::Stream;
use legonf_core::{Batch, Columns};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A primary, connected to its standby.
pub struct Primary {
    stream: Stream,
    frame: Vec<u8>,
    /// Keeps the heartbeats up.
    heartbeat: Heartbeat,
}

/// What a run is to its standby.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Its name, which no other run has.
    pub name: &'a str,
    /// The seed by which streams are divided into slots, if the graph has one.
    pub seed: Option<u64>,
    /// What its results depend on.
    pub agreement: &'a Agreement,
}

/// A connection to a standby that has answered.
pub struct Introduced(Stream);

impl Introduced {
    /// Says over a connection to a standby that it is for the packets of a run, or for heartbeats. The standby takes one connection after
    /// the other. It has to answer within `patience`.
    ///
    /// # Errors
    /// If it is of another version, or does not answer.
    pub fn of(
        mut stream: Stream,
        run: Run<'_>,
        of_heartbeats: bool,
        patience: Duration,
    ) -> Result<Self, StandbyError> {
        let (mut frame, Run { name, seed, .. }) = (Vec::new(), run);
        stream.set_patience(Some(patience))?;
        write(&HELLO, &mut frame);
        stream.send(&frame)?;
        check(&read(stream.receive()?)?.0)?;
        write(&Message::Run { run: name, seed, heartbeats: of_heartbeats }, &mut frame);
        stream.send(&frame)?;
        Ok(Self(stream))
    }
}

impl Primary {
    /// Waits until the standby at the other side of two connections is ready for the packets of a run. From now on it must not be silent
    /// for longer than `lease`.
    ///
    /// # Errors
    /// If it has another graph or model, or does not answer.
    pub fn meet(
        packets: Introduced,
        heartbeats: Introduced,
        run: Run<'_>,
        lease: Duration,
        stop: &'static AtomicBool,
    ) -> Result<Self, StandbyError> {
        let (Introduced(mut stream), Introduced(heartbeats)) = (packets, heartbeats);
        let (mut frame, agreement) = (Vec::new(), run.agreement);
        // What it may take long for is to read its models; that it is alive meanwhile is heard over the other connection.
        stream.set_patience(None)?;
        let heartbeat = Heartbeat::begin(Side::Primary, heartbeats, stream.handle()?, lease, stop)?;
        let pairs = agreement.0.iter().map(|(name, digest)| (name.as_str(), *digest));
        write(&Message::Agree(pairs.collect()), &mut frame);
        stream.send(&frame)?;
        match read(stream.receive()?)? {
            (Message::Ready, []) => heartbeat.ignore_stop(),
            (Message::Refused(reason), []) => return Err(StandbyError::Refused(reason.to_owned())),
            _ => return Err(StandbyError::Damaged),
        }
        Ok(Self { stream, frame, heartbeat })
    }

    /// Gives the standby a batch whose first packet has this number, with some columns, and returns once it has it. `dropped` packets were
    /// lost so far before they could be read.
    ///
    /// # Errors
    /// If the standby cannot be reached any more. Whether it has the batch is not known then.
    pub fn pass_on(
        &mut self,
        batch: &Batch,
        columns: Columns,
        first: u64,
        dropped: u64,
    ) -> Result<(), StandbyError> {
        write(&Message::Packets { first, dropped }, &mut self.frame);
        batch.encode(columns, &mut self.frame);
        let answered = self.stream.send(&self.frame).and_then(|()| self.stream.receive());
        let answer = answered.map_err(|error| self.heartbeat.explain(error))?;
        let until = first + batch.len() as u64;
        match read(answer)? {
            (Message::Accepted(number), []) if number == until => Ok(()),
            _ => Err(StandbyError::Damaged),
        }
    }

    /// Says that no packets came for a while.
    ///
    /// # Errors
    /// As [`pass_on`](Self::pass_on).
    pub fn idle(&mut self) -> Result<(), StandbyError> {
        self.say(&Message::Idle)
    }

    /// Says that the input is at its end.
    ///
    /// # Errors
    /// As [`pass_on`](Self::pass_on).
    pub fn end(&mut self) -> Result<(), StandbyError> {
        self.say(&Message::End)
    }

    /// Says that this side ends before its input does, so that the standby goes on.
    ///
    /// # Errors
    /// As [`pass_on`](Self::pass_on).
    pub fn hand_over(&mut self) -> Result<(), StandbyError> {
        self.say(&Message::HandOver)
    }

    fn say(&mut self, message: &Message<'_>) -> Result<(), StandbyError> {
        write(message, &mut self.frame);
        let said = self.stream.send(&self.frame);
        said.map_err(|error| self.heartbeat.explain(error))
    }
}
