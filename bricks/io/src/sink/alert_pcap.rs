//! The packets behind the alerts, as a capture file.

use super::scored::Results;
use super::{PacketFile, SinkError};
use legonf_core::{Batch, BindError, ColumnSpec, Fault, Layout, Sink, Verdict};
use std::path::Path;

/// Writes the packets with [`Verdict::ANOMALOUS`] as pcapng, or some of them.
#[derive(Debug)]
pub struct AlertPcap {
    out: PacketFile,
    skipped: u64,
    results: Results,
}

impl AlertPcap {
    /// Creates the file, which only its owner can read: it holds what others sent. `-` is standard output.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        Ok(Self { out: PacketFile::create_private(path)?, skipped: 0, results: Results::default() })
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

impl AlertPcap {
    /// Writes the packets of a batch that are `wanted`, as [`Eve::written`](super::Eve::written) says it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_some(&mut self, batch: &Batch, wanted: &[bool]) -> Result<(), Fault> {
        let places = wanted.iter().enumerate().filter(|(_, wanted)| **wanted);
        places.map(|(place, _)| place).try_for_each(|place| self.packet(batch, place))
    }

    fn packet(&mut self, batch: &Batch, place: usize) -> Result<(), Fault> {
        if place < batch.packets.len() {
            return Ok(self.out.packet(batch.packets.record(place), batch.packets.bytes(place))?);
        }
        self.skipped += 1;
        Ok(())
    }
}

impl Sink for AlertPcap {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        let rows = self.results.of(batch, || self.out.name())?.enumerate();
        let alerts =
            rows.filter(|(_, row)| row.verdict == Verdict::ANOMALOUS && !row.disposition.is_unseen());
        alerts.map(|(place, _)| place).try_for_each(|place| self.packet(batch, place))
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        let mut columns = Results::columns();
        columns.push(ColumnSpec::PACKETS);
        Some(columns)
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.results = Results::bind(layout)?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        Ok(self.out.flush()?)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(self.out.finish()?)
    }
}
