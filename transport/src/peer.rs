//! What a host has, and how far away it is.

use crate::caller::{CallError, Caller, Unexpected};
use crate::channel::Channel;
use crate::host::AgentLoad;
use crate::message::{PROGRAM, PROTOCOL, Reply, Request};
use crate::remote::ConnectError;
use serde_bytes::Bytes;
use std::time::{Duration, Instant};

/// Bytes by which the rate of a link is measured, and how often it is tried.
const SAMPLE: usize = 4 << 20;
const TRIES: usize = 5;

/// The agent of a host.
pub struct Peer {
    caller: Caller,
    place: String,
    program: String,
}

/// A link, as it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// The shortest time of a call that carries nothing.
    pub round_trip: Duration,
    /// Bytes a second there and back, both counted, at the best try.
    pub bytes_per_second: f64,
}

impl Peer {
    /// Meets the agent at the other side of a channel, which may take as long as `lease` for an answer.
    ///
    /// # Errors
    /// If it is of another version, or does not answer.
    pub fn meet(channel: Box<dyn Channel>, place: &str, lease: Duration) -> Result<Self, ConnectError> {
        let mut caller = Caller::new(channel, lease);
        let program = hello(&mut caller, place)?;
        Ok(Self { caller, place: place.to_owned(), program })
    }

    /// The version of its program.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// What the host has, and what the agent does there.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn load(&mut self) -> Result<AgentLoad, ConnectError> {
        self.ask(&Request::Load, |reply| match reply {
            Reply::Load(load) => Ok(load),
            _ => Err(Unexpected),
        })
    }

    /// Measures the link.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn link(&mut self) -> Result<Link, ConnectError> {
        let bytes = vec![7; SAMPLE];
        let (mut round_trip, mut whole) = (Duration::MAX, Duration::MAX);
        for _ in 0..TRIES {
            round_trip = round_trip.min(self.echo(&[])?);
            whole = whole.min(self.echo(&bytes)?);
        }
        let seconds = whole.saturating_sub(round_trip).as_secs_f64().max(1e-9);
        Ok(Link { round_trip, bytes_per_second: (2 * SAMPLE) as f64 / seconds })
    }

    fn echo(&mut self, bytes: &[u8]) -> Result<Duration, ConnectError> {
        let start = Instant::now();
        self.ask(&Request::Echo(Bytes::new(bytes)), |reply| match reply {
            Reply::Echo(again) if again.len() == bytes.len() => Ok(()),
            _ => Err(Unexpected),
        })?;
        Ok(start.elapsed())
    }

    fn ask<T>(
        &mut self,
        question: &Request<'_>,
        take: impl FnOnce(Reply<'_>) -> Result<T, Unexpected>,
    ) -> Result<T, ConnectError> {
        self.caller.ask(question, take).map_err(|error| failed(&self.place, error))
    }
}

/// Learns which program is at the other side.
///
/// # Errors
/// If it is of another version, or does not answer.
pub(crate) fn hello(caller: &mut Caller, place: &str) -> Result<String, ConnectError> {
    let hello = |reply: Reply<'_>| match reply {
        Reply::Hello { protocol, program } => Ok((protocol, program.to_owned())),
        _ => Err(Unexpected),
    };
    let asked = Request::Hello { protocol: PROTOCOL, program: PROGRAM };
    let (protocol, theirs) = caller.ask(&asked, hello).map_err(|error| failed(place, error))?;
    if protocol == PROTOCOL {
        return Ok(theirs);
    }
    Err(ConnectError::Version { place: place.to_owned(), theirs, protocol, ours: PROGRAM.to_owned() })
}

/// Why the other side does not do what it is asked.
pub(crate) fn failed(place: &str, error: CallError) -> ConnectError {
    let place = place.to_owned();
    match error {
        CallError::Fault(reason) => ConnectError::Refused { place, reason },
        CallError::Lost(reason) => ConnectError::Lost { place, reason },
    }
}
