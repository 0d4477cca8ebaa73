//! What all file sources have in common: batches, numbering, the limit and the fault at the end.

use super::input::Input;
use crate::error::{SourceError, SourceErrorKind};
use legonf_core::{BATCH, Batch, Fault, Progress, Source};

/// Decodes one capture format.
pub(crate) trait Decode: Send {
    /// Appends packet number `seq` to the batch; `false` at the end of the input.
    fn decode(&mut self, input: &mut Input, seq: u64, batch: &mut Batch) -> Result<bool, SourceErrorKind>;
}

/// A source over a file of the format that `D` decodes.
pub(crate) struct Reader<D> {
    name: String,
    input: Input,
    decoder: D,
    delivered: u64,
    limit: u64,
    pending: Option<SourceErrorKind>,
}

impl<D: Decode> Reader<D> {
    pub(crate) fn new(name: &str, input: Input, decoder: D, limit: Option<u64>) -> Self {
        let limit = limit.unwrap_or(u64::MAX);
        Self { name: name.to_owned(), input, decoder, delivered: 0, limit, pending: None }
    }

    /// Decodes up to a batch, and up to the limit.
    fn fill_batch(&mut self, batch: &mut Batch) -> Result<(), SourceErrorKind> {
        let end = self.limit.min(self.delivered.saturating_add((BATCH - batch.len().min(BATCH)) as u64));
        while self.delivered < end {
            if !self.decoder.decode(&mut self.input, self.delivered, batch)? {
                self.limit = self.delivered;
                break;
            }
            self.delivered += 1;
        }
        Ok(())
    }
}

impl<D: Decode> Source for Reader<D> {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        if self.pending.is_none()
            && let Err(kind) = self.fill_batch(batch)
        {
            self.limit = self.delivered;
            self.pending = Some(kind);
        }
        if !batch.is_empty() {
            return Ok(());
        }
        match self.pending.take() {
            Some(kind) => Err(Fault::new(SourceError::new(&*self.name, self.delivered, kind))),
            None => Ok(()),
        }
    }

    fn progress(&self) -> Progress {
        self.input.progress()
    }
}
