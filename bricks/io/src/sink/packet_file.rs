//! Packets as a capture file.

use super::{Lines, OutputFile, SinkError};
use crate::linktype;
use legonf_core::{LinkType, PacketRecord};
use std::path::Path;

/// Block types of the pcapng format (draft-ietf-opsawg-pcapng §4).
const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

/// Bytes that are gathered at most before they go to an output that others follow.
const GATHERED: usize = 1 << 20;

/// A pcapng file that is being written: times in nanoseconds, lengths on the wire kept.
///
/// There is one interface for each link type, in the order in which they appear. Times before 1970 are written
/// as 1970, since the format has none.
#[derive(Debug)]
pub struct PacketFile {
    out: Box<dyn Lines>,
    /// Blocks that are not yet with the output, and how many bytes of them there may be.
    blocks: Vec<u8>,
    gather: usize,
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
        Self::begin(Box::new(OutputFile::create(path)?), 0, None)
    }

    /// As [`create`](Self::create); only the file's owner can read it.
    ///
    /// # Errors
    /// As `create`.
    pub fn create_private(path: &Path) -> Result<Self, SinkError> {
        Self::begin(Box::new(OutputFile::create_private(path)?), 0, None)
    }

    /// As [`create`](Self::create), over an open output that others follow: packets go there with [`flush`](Self::flush). The
    /// section's comment is `comment`.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn over(out: Box<dyn Lines>, comment: &str) -> Result<Self, SinkError> {
        Self::begin(out, GATHERED, Some(comment))
    }

    fn begin(out: Box<dyn Lines>, gather: usize, comment: Option<&str>) -> Result<Self, SinkError> {
        let mut this = Self { out, blocks: Vec::new(), gather, interfaces: Vec::new(), written: 0 };
        this.head(SECTION_HEADER, |body| {
            body.extend(0x1A2B_3C4D_u32.to_le_bytes());
            body.extend(1_u16.to_le_bytes());
            body.extend(0_u16.to_le_bytes());
            body.extend((-1_i64).to_le_bytes());
            if let Some(comment) = comment {
                put_comment(body, comment);
            }
        })?;
        Ok(this)
    }

    /// Where the blocks go.
    pub fn output(&mut self) -> &mut dyn Lines {
        &mut *self.out
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
        push(&mut self.blocks, ENHANCED_PACKET, |body| {
            for field in
                [interface, (nanos >> 32) as u32, nanos as u32, record.captured_len(), record.wire_len]
            {
                body.extend(field.to_le_bytes());
            }
            body.extend(bytes);
        });
        if self.blocks.len() > self.gather { self.give() } else { Ok(()) }
    }

    /// Gives the packets so far to the output.
    fn give(&mut self) -> Result<(), SinkError> {
        if !self.blocks.is_empty() {
            self.out.put(&self.blocks)?;
            self.blocks.clear();
        }
        Ok(())
    }

    /// The number of the interface for a link type, described in the file before its first packet.
    fn interface(&mut self, link: LinkType) -> Result<u32, SinkError> {
        let known = self.interfaces.iter().position(|known| *known == link);
        if known.is_none() {
            self.interfaces.push(link);
            self.head(INTERFACE, |body| {
                body.extend((linktype::to_number(link) as u16).to_le_bytes());
                // Reserved; then no limit on the captured length.
                body.extend([0; 2 + 4]);
                // Option if_tsresol (9), 1 byte, 10^-9 s, padding; then the end of the options.
                body.extend([9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
            })?;
        }
        Ok(known.unwrap_or(self.interfaces.len() - 1) as u32)
    }

    /// Writes a block that packets behind it refer to.
    fn head(&mut self, kind: u32, body: impl FnOnce(&mut Vec<u8>)) -> Result<(), SinkError> {
        self.give()?;
        let mut block = Vec::new();
        push(&mut block, kind, body);
        self.out.begin_with(&block)
    }

    /// Hands what was gathered to the system.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.give()?;
        self.out.flush()
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
        self.flush()?;
        self.out.finish()
    }
}

/// Appends one block: type, length, body, padding to 4 bytes, length.
fn push(blocks: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = blocks.len();
    blocks.extend(kind.to_le_bytes());
    blocks.extend([0; 4]);
    body(blocks);
    pad(blocks, start);
    let length = ((blocks.len() - start) as u32 + 4).to_le_bytes();
    blocks[start + 4..start + 8].copy_from_slice(&length);
    blocks.extend(length);
}

/// Option opt_comment (1), padded; then the end of the options.
fn put_comment(body: &mut Vec<u8>, comment: &str) {
    let text = &comment.as_bytes()[..comment.len().min(usize::from(u16::MAX))];
    let start = body.len();
    body.extend(1_u16.to_le_bytes());
    body.extend((text.len() as u16).to_le_bytes());
    body.extend(text);
    pad(body, start);
    body.extend([0; 4]);
}

/// Pads what begins at `start` to whole words of 4 bytes.
fn pad(bytes: &mut Vec<u8>, start: usize) {
    bytes.resize(start + (bytes.len() - start).next_multiple_of(4), 0);
}
