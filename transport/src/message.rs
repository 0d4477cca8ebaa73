//! What is asked of a hosted brick, and what it answers.
//!
//! A frame is the number of the call (eight bytes, the least first), of an answer the nanoseconds of processor time that it took (likewise), the
//! question or answer, and behind it columns of a batch where there are any. A question without columns is postcard alone.

use crate::host::AgentLoad;
use legonf_core::Layout;
use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

/// Version of all of this, and of the state that bricks export. Sides of different versions refuse each other.
pub const PROTOCOL: u32 = 3;

/// The version of this program.
pub(crate) const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// A question.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request<'a> {
    /// The first one of a channel: versions of the protocol and of the program.
    Hello {
        protocol: u32,
        program: &'a str,
    },
    /// Makes the brick that the channel is for.
    Make(&'a Bytes),
    /// Processes the batch behind, of which these columns are given; wanted are others.
    Process {
        given: u64,
        wanted: u64,
    },
    /// Divides the work into parts of some groups.
    Divide(Vec<Vec<String>>),
    /// Processes all packets of the batch behind for a part. Rows are to be of this width.
    Part {
        part: u32,
        given: u64,
        width: u32,
    },
    /// Processes the packets at some places, of so many, for a part of a brick of flows. Behind are columns of all packets, and a batch with
    /// further columns of those at the places; wanted are others.
    Flows {
        part: u32,
        places: Vec<u32>,
        packets: u32,
        whole: u64,
        given: u64,
        wanted: u64,
    },
    /// Ends flows by these times.
    Expire {
        part: u32,
        watermarks: Vec<i64>,
        wanted: u64,
    },
    /// Ends the flows of some slots that are open; wanted are these columns.
    End {
        part: u32,
        slots: Vec<u16>,
        wanted: u64,
    },
    Export {
        part: u32,
        slots: Vec<u16>,
    },
    Copy {
        part: u32,
        slots: Vec<u16>,
    },
    CopyEach {
        part: u32,
        slots: Vec<u16>,
    },
    Import {
        part: u32,
        state: &'a Bytes,
    },
    ImportEach {
        part: u32,
        states: Vec<&'a Bytes>,
    },
    Adopt {
        part: u32,
        slots: Vec<u16>,
        state: &'a Bytes,
    },
    Counters,
    StateSize,
    /// What the host has, and has left.
    Load,
    /// The same bytes again.
    Echo(&'a Bytes),
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply<'a> {
    /// Versions here.
    Hello {
        protocol: u32,
        program: &'a str,
    },
    /// The brick is made, and bound to these columns.
    Made(Vec<String>),
    /// It is done; what was wanted is behind.
    Done,
    State(&'a Bytes),
    States(Vec<&'a Bytes>),
    Counters(Vec<(&'a str, u64)>),
    Size(u64),
    Load(AgentLoad),
    Echo(&'a Bytes),
    /// The brick has failed, as it would anywhere.
    Fault(&'a str),
    /// The brick has panicked, and is no more.
    Panic(&'a str),
    /// What was asked cannot be.
    Refused(&'a str),
}

/// The columns of a layout, a line each: both sides must have the same.
pub(crate) fn describe(layout: &Layout) -> Vec<String> {
    let line = |spec: &legonf_core::ColumnSpec| format!("{} ({}, {:?})", spec.name, spec.kind(), spec.table);
    layout.specs().iter().map(line).collect()
}

/// Puts a message behind what is in a frame.
pub(crate) fn put(message: &impl Serialize, frame: &mut Vec<u8>) {
    let bytes = std::mem::take(frame);
    *frame = postcard::to_extend(message, bytes).expect("plain values into memory cannot fail");
}

/// The number of a frame, and what is behind it.
pub(crate) fn number(frame: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = frame.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}
