//! What a primary says to its standby, and what that answers.
//!
//! A frame is a message in postcard; behind [`Message::Packets`] are the columns of the batch.

use crate::channel::ChannelError;
use crate::message::{PROGRAM, PROTOCOL, put};
use serde::{Deserialize, Serialize};

/// A message of either side.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Message<'a> {
    /// The first one of each connection, from both sides.
    Hello { protocol: u32, program: &'a str },
    /// What a connection is for, from the primary: the packets of a run, or heartbeats.
    Run { run: &'a str, seed: Option<u64>, heartbeats: bool },
    /// What the primary's results depend on, each with a digest.
    Agree(Vec<(&'a str, Digest)>),
    /// The standby has the same, and takes packets.
    Ready,
    /// Why the standby takes no packets.
    Refused(&'a str),
    /// The batch behind, whose first packet has this number. So many packets were lost before the primary's source could read them.
    Packets { first: u64, dropped: u64 },
    /// The standby has all packets before this number.
    Accepted(u64),
    /// No packets came for a while.
    Idle,
    /// The input is at its end.
    End,
    /// The primary ends before its input does.
    HandOver,
    /// A heartbeat, which the other side sends back.
    Heartbeat(u64),
}

/// What the results of a run depend on, by name, each with a digest: graph, models and the like. A standby must have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement(pub Vec<(String, Digest)>);

/// SHA-256 of something.
pub type Digest = [u8; 32];

impl Agreement {
    /// The first thing in which another one differs.
    pub(super) fn difference<'a>(&'a self, other: &'a [(&str, Digest)]) -> Option<&'a str> {
        let own = || self.0.iter().map(|(name, digest)| (name.as_str(), *digest));
        let differs = own().find(|one| !other.contains(one));
        let more = || other.iter().copied().find(|one| !own().any(|own| own == *one));
        differs.or_else(more).map(|(name, _)| name)
    }
}

/// Why a primary and its standby do not work together.
#[derive(Debug, thiserror::Error)]
pub enum StandbyError {
    /// The other side is of another version.
    #[error(
        "it runs legonf {theirs} with protocol {protocol}, this one {PROGRAM} with protocol {PROTOCOL}: run the same on both"
    )]
    Version {
        /// Its version.
        theirs: String,
        /// That of its protocol.
        protocol: u32,
    },
    /// The standby does not take the packets of this run.
    #[error("{0}")]
    Refused(String),
    /// What came is not what this crate sends.
    #[error("what came is not what a primary and its standby say to each other")]
    Damaged,
    /// The connection broke.
    #[error("{0}")]
    Channel(#[from] ChannelError),
    /// The system has no further thread or socket.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Reads a message, and gives what is behind it.
pub(super) fn read(frame: &[u8]) -> Result<(Message<'_>, &[u8]), StandbyError> {
    postcard::take_from_bytes(frame).map_err(|_| StandbyError::Damaged)
}

/// Writes a message into an empty frame.
pub(super) fn write(message: &Message<'_>, frame: &mut Vec<u8>) {
    frame.clear();
    put(message, frame);
}

pub(super) const HELLO: Message<'static> = Message::Hello { protocol: PROTOCOL, program: PROGRAM };

/// Checks the other side's version.
pub(super) fn check(hello: &Message<'_>) -> Result<(), StandbyError> {
    match hello {
        Message::Hello { protocol: PROTOCOL, .. } => Ok(()),
        Message::Hello { protocol, program } => {
            Err(StandbyError::Version { theirs: (*program).to_owned(), protocol: *protocol })
        }
        _ => Err(StandbyError::Damaged),
    }
}
