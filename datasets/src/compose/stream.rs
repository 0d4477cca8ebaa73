//! The packets of one capture that are wanted, one by one.

use super::{ComposeError, Input};
use legonf_core::{BATCH, Batch, Clock, PacketRecord, Progress, Source};
use legonf_io::SourceOptions;
use legonf_io::labels::Labels;

/// A capture under way, a batch of it in memory.
pub(super) struct Stream {
    source: Box<dyn Source>,
    file: String,
    labels: Option<Labels>,
    /// The label of packets that are wanted.
    wanted: bool,
    batch: Batch,
    /// Over all packets, wanted or not.
    clock: Clock,
    at: usize,
    received: u64,
    unwanted: u64,
}

impl Stream {
    /// Opens a capture before its first packet. Where there are labels, `wanted` is the label of what is passed on.
    pub(super) fn open(input: &Input, wanted: bool) -> Result<Self, ComposeError> {
        if input.path.as_os_str() == "-" {
            return Err(ComposeError::StandardInput);
        }
        let file = input.path.display().to_string();
        if std::fs::metadata(&input.path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            return Err(ComposeError::Stream { file });
        }
        Ok(Self {
            source: legonf_io::open_with(&input.path, &SourceOptions::default())?,
            file,
            labels: input.labels.as_deref().map(Labels::open).transpose()?,
            wanted,
            batch: Batch::default(),
            clock: Clock::default(),
            at: 0,
            received: 0,
            unwanted: 0,
        })
    }

    /// The next wanted packet; none at the end.
    pub(super) fn advance(&mut self) -> Result<Option<(&PacketRecord, &[u8])>, ComposeError> {
        while self.next_in_batch()? {
            self.received += 1;
            let label = self.labels.as_mut().map_or(Ok(self.wanted), Labels::require)?;
            self.at += 1;
            if label == self.wanted {
                return Ok(self.current());
            }
            self.unwanted += 1;
        }
        if let Some(mut labels) = self.labels.take() {
            labels.finish(self.received)?;
        }
        Ok(None)
    }

    /// The packet that [`advance`](Self::advance) last gave.
    pub(super) fn current(&self) -> Option<(&PacketRecord, &[u8])> {
        let at = self.at.checked_sub(1).filter(|at| *at < self.batch.packets.len())?;
        Some((self.batch.packets.record(at), self.batch.packets.bytes(at)))
    }

    /// Makes sure that packet `at` of the batch is there; `false` at the end.
    fn next_in_batch(&mut self) -> Result<bool, ComposeError> {
        if self.at < self.batch.packets.len() {
            return Ok(true);
        }
        self.batch.clear();
        self.at = 0;
        self.source.fill(&mut self.batch)?;
        self.clock.mark(&mut self.batch);
        if self.batch.packets.is_empty() && !self.batch.headers.is_empty() {
            return Err(ComposeError::HeadersOnly { file: self.file.clone() });
        }
        debug_assert!(self.batch.len() <= BATCH);
        Ok(!self.batch.packets.is_empty())
    }

    /// What the capture is called in messages.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// Packets read, and those of them with another label.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.received, self.unwanted)
    }

    /// How far the capture has been read.
    pub(super) fn progress(&self) -> Progress {
        self.source.progress()
    }
}
