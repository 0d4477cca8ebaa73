//! The packets that leave a graph, as capture files.

use super::{PacketFile, SinkError};
use legonf_core::{Batch, BindError, ColumnSpec, Disposition, Dispositions, Fault, Layout, Sink};
use std::path::Path;

/// Writes a pcapng file for each port of a graph, with the packets that leave by it, copies among them, in the order of arrival
/// and with their times. A packet that was captured in part is written in part.
#[derive(Debug)]
pub struct ForwardedFiles {
    ports: Vec<PacketFile>,
    dispositions: Dispositions,
    skipped: u64,
}

impl ForwardedFiles {
    /// Creates `PORT.pcapng` in a folder for each port, for its owner alone to read.
    ///
    /// # Errors
    /// When a file cannot be created.
    pub fn create(folder: &Path, ports: &[String]) -> Result<Self, SinkError> {
        let file = |port: &String| PacketFile::create_private(&folder.join(Self::name(port)));
        let (ports, dispositions) =
            (ports.iter().map(file).collect::<Result<_, _>>()?, Dispositions::default());
        Ok(Self { ports, dispositions, skipped: 0 })
    }

    /// Packets that could not be written because the input has no packet bytes (a table of headers).
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The name of a port's file.
    pub fn name(port: &str) -> String {
        format!("{port}.pcapng")
    }

    fn packet(&mut self, batch: &Batch, place: usize, disposition: Disposition) -> Result<(), SinkError> {
        for port in disposition.ports() {
            // The bricks of a graph know no other ports than its own.
            if let Some(file) = self.ports.get_mut(port.index()) {
                file.packet(batch.packets.record(place), batch.packets.bytes(place))?;
            }
        }
        Ok(())
    }
}

impl Sink for ForwardedFiles {
    fn write(&mut self, batch: &Batch) -> Result<(), Fault> {
        self.skipped += (batch.len() - batch.packets.len()) as u64;
        for place in 0..batch.packets.len() {
            self.packet(batch, place, self.dispositions.of(batch, place))?;
        }
        Ok(())
    }

    fn reads(&self) -> Option<Vec<ColumnSpec>> {
        Some(vec![ColumnSpec::PACKETS, ColumnSpec::DISPOSITION])
    }

    fn bind(&mut self, layout: &Layout) -> Result<(), BindError> {
        self.dispositions = Dispositions::bind(layout)?;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        Ok(self.ports.iter_mut().try_for_each(PacketFile::flush)?)
    }

    fn finish(&mut self) -> Result<(), Fault> {
        Ok(self.ports.iter_mut().try_for_each(PacketFile::finish)?)
    }
}
