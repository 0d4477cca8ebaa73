//! Where packets enter a graph and where results leave it.

use crate::{BATCH, Batch, BindError, ColumnSpec, Layout};
use std::error::Error;
use std::time::Duration;

/// A fault of a source or a sink: one line that names the file and what was expected.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Fault(Box<dyn Error + Send + Sync>);

impl Fault {
    /// Wraps the error of a crate.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }

    /// The wrapped error, for callers that tell its kinds apart.
    pub fn get_ref(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

/// How far a source has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the input (as stored, so compressed ones where it is compressed) read so far.
    pub read_bytes: u64,
    /// Bytes of the whole input, where that is known.
    pub total_bytes: Option<u64>,
}

/// Where packets come from: a capture file, a table of headers, an interface.
pub trait Source: Send {
    /// Appends packets to an empty batch until it holds [`BATCH`](crate::BATCH) of them, or as many as the [pace](Self::pace) says, or the input ends; a batch
    /// left empty means the end, unless the source [is idle](Self::is_idle). Packets are numbered by `seq` from 0 without a gap.
    ///
    /// # Errors
    /// When the input is damaged or of another kind. Packets before the damage are delivered first, the
    /// fault comes with the next call, and after a fault the source is at its end.
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault>;

    /// Finds the handles of the columns that it fills in those of a graph, before the first batch. A source of nothing but
    /// packets or headers has nothing to do.
    ///
    /// # Errors
    /// If one is not there as the source fills it.
    fn bind(&mut self, _layout: &Layout) -> Result<(), BindError> {
        Ok(())
    }

    /// Whether the batch was left empty only because nothing has come for a while. Whoever waits for packets says so now and
    /// then, so that what else is to be done can be done.
    fn is_idle(&self) -> bool {
        false
    }

    /// How far the input has been read.
    fn progress(&self) -> Progress;

    /// Packets that were lost so far before they could be read, for want of capacity.
    fn dropped(&self) -> u64 {
        0
    }

    /// Goes on behind the first `packets` packets, which another source of the same packets has delivered. To be called before the first
    /// batch. Reads them and leaves them out, unless the source can do better.
    ///
    /// # Errors
    /// As [`fill`](Self::fill), and if the input ends before.
    fn skip(&mut self, packets: u64) -> Result<(), Fault> {
        let (mut batch, mut left) = (Batch::default(), packets);
        while left > 0 {
            self.pace(Pace { full: left.min(BATCH as u64) as usize, patience: None });
            batch.clear();
            self.fill(&mut batch)?;
            if batch.is_empty() && !self.is_idle() {
                let had = packets - left;
                return Err(Fault::new(format!(
                    "it ends at packet {had}, but {packets} were delivered by another source: both must read the same"
                )));
            }
            left -= batch.len() as u64;
        }
        self.pace(Pace::default());
        Ok(())
    }

    /// Says when batches are closed from now on. A source whose packets are there already has nothing to wait for, but should
    /// heed how many make a batch full.
    fn pace(&mut self, _pace: Pace) {}
}

/// When a batch is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Packets that make it full: at most [`LARGEST_BATCH`](crate::LARGEST_BATCH).
    pub full: usize,
    /// How long its first packet may wait for it to be full: the deadline of the brick that batches. None leaves it to the source.
    pub patience: Option<Duration>,
}

impl Default for Pace {
    /// Batches as large as they may be, for as long as the source finds right.
    fn default() -> Self {
        Self { full: BATCH, patience: None }
    }
}

/// Where results go.
pub trait Sink: Send {
    /// Takes the results of one batch. Batches come in arrival order.
    ///
    /// # Errors
    /// When the results cannot be written.
    fn write(&mut self, batch: &Batch) -> Result<(), Fault>;

    /// The columns that it looks at beside the headers; none where it looks at every one. Others may be empty when they come
    /// here: where bricks work in several threads they stay in that of the last brick that reads them.
    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        None
    }

    /// Finds the handles of its columns in those of a graph, before the first batch.
    ///
    /// # Errors
    /// If one is not there as [`reads`](Self::reads) declares it.
    fn bind(&mut self, _layout: &Layout) -> Result<(), BindError> {
        Ok(())
    }

    /// Hands what was gathered to the system, so that others can read it. Does nothing where an output cannot be read before
    /// its end.
    ///
    /// # Errors
    /// When the results cannot be written.
    fn flush(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// Does what is due now and then. Whoever has the sink calls it some times a second while there is nothing to write.
    ///
    /// # Errors
    /// When the results cannot be written.
    fn tend(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    /// Completes the output: after this everything written is on its way to the disk and well-formed.
    ///
    /// # Errors
    /// When the results cannot be written.
    fn finish(&mut self) -> Result<(), Fault>;
}

/// A sink that looks at nothing and keeps nothing: for packets that are there for the state that they leave behind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl Sink for Discard {
    fn write(&mut self, _: &Batch) -> Result<(), Fault> {
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(Vec::new())
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}
