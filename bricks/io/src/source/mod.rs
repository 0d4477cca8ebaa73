//! Sources: captures and tables in.
//!
//! [`open`] recognizes a file by its content. Every source streams: whatever the length of the file, a window of
//! it is in memory and, once the batches have grown to their size, no packet allocates.
//!
//! Pipes, sockets and terminals are read as they come: a batch has what is there, as that of an interface, and a source
//! with a [`Stop`] is idle where nothing is.

mod detect;
mod features;
mod filtered;
mod input;
mod open;
mod order;
mod pcap;
mod pcapng;
mod pipe;
mod reader;
mod sequence;
mod stored;
mod tsv;

pub use filtered::{Filter, Filtered, Positions};
pub use open::{Content, SourceOptions, any_from_reader, from_reader, open, open_any, open_with};
pub use pipe::Stop;
pub use sequence::{Sequence, open_all};

pub(crate) use input::{Input, Line};
pub(crate) use open::{display_name, open_input};

/// The longest captured packet in bytes; more stands for a corrupt file.
pub const MAX_CAPTURED: u32 = 262_144;
