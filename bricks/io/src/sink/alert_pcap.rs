//! The packets behind the alerts, as a capture file.

use super::scored::scored;
use super::{PacketFile, SinkError};
use legonf_core::{Batch, Column, Columns, Fault, Sink, Verdict};
use std::path::Path;

/// Writes the packets with [`Verdict::Anomalous`] as pcapng.
#[derive(Debug)]
pub struct AlertPcap {
    out: PacketFile,
    skipped: u64,
}

impl AlertPcap {
    /// Creates the file, which only its owner can read: it holds what others sent. `-` is standard output.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        Ok(Self { out: PacketFile::create_private(path)?, skipped: 0 })
    }

    /// Packets written.
    pub fn written(&self) -> u64 {
        self.out.written()
    }

    /// Alerts whose packet could not be written because the input has no packet bytes (a table of headers).
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

impl Sink for AlertPcap {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        for (i, row) in scored(batch, || self.out.name())?.enumerate() {
            match row.verdict {
                Verdict::Anomalous if i < batch.packets.len() => {
                    self.out.packet(batch.packets.record(i), batch.packets.bytes(i))?;
                }
                Verdict::Anomalous => self.skipped += 1,
                Verdict::Benign | Verdict::Rejected => {}
            }
        }
        Ok(())
    }

    fn reads(&self) -> Columns {
        Columns::RESULTS.union(Columns::of(&[Column::Packets]))
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(self.out.finish()?)
    }
}
