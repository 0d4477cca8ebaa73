//! Packets as a capture file.

use super::{OutputFile, SinkError};
use crate::linktype;
use legonf_core::{LinkType, PacketRecord};
use std::path::Path;

/// Block types of the pcapng format (draft-ietf-opsawg-pcapng §4).
const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

/// A pcapng file that is being written: times in nanoseconds, lengths on the wire kept.
///
/// There is one interface for each link type, in the order in which they appear. Times before 1970 are written
/// as 1970, since the format has none.
#[derive(Debug)]
pub struct PacketFile {
    out: OutputFile,
    block: Vec<u8>,
    /// Link types in the order of their interfaces.
    interfaces: Vec<LinkType>,
    written: u64,
}

impl PacketFile {
    /// Creates the file; `-` is standard output.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, SinkError> {
        let out = OutputFile::create(path)?;
        let mut this = Self { out, block: Vec::new(), interfaces: Vec::new(), written: 0 };
        this.put(SECTION_HEADER, |body| {
            body.extend(0x1A2B_3C4D_u32.to_le_bytes());
            body.extend(1_u16.to_le_bytes());
            body.extend(0_u16.to_le_bytes());
            body.extend((-1_i64).to_le_bytes());
        })?;
        Ok(this)
    }

    /// Packets written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Name of the file, for messages.
    pub fn name(&self) -> String {
        self.out.name()
    }

    /// Appends a packet with its captured bytes.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn packet(&mut self, record: &PacketRecord, bytes: &[u8]) -> Result<(), SinkError> {
        let interface = self.interface(record.link)?;
        let nanos = u64::try_from(record.timestamp.as_nanos()).unwrap_or(0);
        self.written += 1;
        self.put(ENHANCED_PACKET, |body| {
            for field in
                [interface, (nanos >> 32) as u32, nanos as u32, record.captured_len(), record.wire_len]
            {
                body.extend(field.to_le_bytes());
            }
            body.extend(bytes);
        })
    }

    /// The number of the interface for a link type, described in the file before its first packet.
    fn interface(&mut self, link: LinkType) -> Result<u32, SinkError> {
        let known = self.interfaces.iter().position(|known| *known == link);
        if known.is_none() {
            self.interfaces.push(link);
            self.put(INTERFACE, |body| {
                body.extend((linktype::to_number(link) as u16).to_le_bytes());
                // Reserved; then no limit on the captured length.
                body.extend([0; 2 + 4]);
                // Option if_tsresol (9), 1 byte, 10^-9 s, padding; then the end of the options.
                body.extend([9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
            })?;
        }
        Ok(known.unwrap_or(self.interfaces.len() - 1) as u32)
    }

    /// Writes one block: type, length, body, padding to 4 bytes, length.
    fn put(&mut self, kind: u32, body: impl FnOnce(&mut Vec<u8>)) -> Result<(), SinkError> {
        self.block.clear();
        self.block.extend(kind.to_le_bytes());
        self.block.extend([0; 4]);
        body(&mut self.block);
        self.block.resize(self.block.len().next_multiple_of(4), 0);
        let length = (self.block.len() as u32 + 4).to_le_bytes();
        self.block[4..8].copy_from_slice(&length);
        self.block.extend(length);
        self.out.put(&self.block)
    }

    /// Hands what was gathered to the system.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.out.drain()
    }

    /// Completes the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(&mut self) -> Result<(), SinkError> {
        if self.interfaces.is_empty() {
            // Some readers refuse a file without any interface.
            self.interface(LinkType::Ethernet)?;
        }
        self.out.finish()
    }
}
