//! The first pass over a capture: its addresses and times.

use super::hosts::Census;
use super::stream::Stream;
use super::{ComposeError, Input};
use legonf_core::Timestamp;

/// What the first pass finds.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) census: Census,
    /// Earliest and latest stream time of a wanted packet.
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

impl Survey {
    /// Reads the wanted packets of a capture; see [`Stream::open`].
    pub(super) fn of(input: &Input, wanted: bool) -> Result<Self, ComposeError> {
        let mut stream = Stream::open(input, wanted)?;
        let mut census = Census::default();
        let mut times: Option<(Timestamp, Timestamp)> = None;
        while let Some((record, bytes)) = stream.advance()? {
            census.count(&legonf_wire::parse(record, bytes));
            let time = record.stream_time();
            times = Some(times.map_or((time, time), |(a, b)| (a.min(time), b.max(time))));
        }
        let wanted = if wanted { "an attack" } else { "benign" };
        let nothing = ComposeError::Nothing { file: stream.file().to_owned(), wanted };
        let (first, last) = times.ok_or(nothing)?;
        Ok(Self { census, first, last })
    }
}
