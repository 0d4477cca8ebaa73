//! The classic capture format (draft-ietf-opsawg-pcap): a file header, then records of a header and bytes.

use super::MAX_CAPTURED;
use super::input::Input;
use super::order::Order;
use super::reader::Decode;
use crate::error::SourceErrorKind;
use crate::linktype;
use legonf_core::{Batch, LinkType, Timestamp};

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// How a pcap file is laid out, as its magic number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// Byte order of every header.
    pub(crate) order: Order,
    /// Nanoseconds in one tick of the fraction of a second.
    pub(crate) tick: i64,
    /// Bytes behind the usual file header.
    pub(crate) more_file: usize,
    /// Bytes behind the usual header of a record.
    pub(crate) more_record: usize,
}

impl Variant {
    /// The usual layout.
    pub(crate) const fn usual(order: Order, tick: i64) -> Self {
        Self { order, tick, more_file: 0, more_record: 0 }
    }
}

/// The bits of the link-type field that hold the link type; others hold the length of the frame check sequence.
const LINK_TYPE: u32 = 0x03ff_ffff;

/// Decoder of a pcap file.
pub(crate) struct Pcap {
    order: Order,
    /// Nanoseconds in one tick of the fraction of a second.
    tick: i64,
    /// Bytes of a record before those of the packet.
    record_header: usize,
    lengths: Lengths,
    link: LinkType,
    /// Whether records are as little-endian machines write them.
    is_usual: bool,
}

/// Order of the two lengths in a record: it changed with version 2.3, in which both are found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    OriginalFirst,
    CapturedIsSmaller,
}

impl Pcap {
    /// Reads the file header, of the variant that the magic number stands for.
    pub(crate) fn new(input: &mut Input, variant: Variant) -> Result<Self, SourceErrorKind> {
        let Variant { order, tick, more_file, more_record } = variant;
        let Some(header) = input.window(FILE_HEADER + more_file)?.get(..FILE_HEADER + more_file) else {
            return Err(SourceErrorKind::CutOff { part: "the file header".into(), offset: 0 });
        };
        let version = (order.u16(&header[4..]), order.u16(&header[6..]));
        let number = order.u32(&header[20..]) & LINK_TYPE;
        let aix = aix_link_type(version, number).filter(|_| more_file + more_record == 0);
        let (number, tick) = aix.map_or((number, tick), |number| (number, 1));
        let lengths = if aix.is_some() { Lengths::CapturedIsSmaller } else { lengths(version)? };
        let link = linktype::from_number(number)
            .ok_or(SourceErrorKind::LinkType { number, name: linktype::name(number) })?;
        input.consume(FILE_HEADER + more_file);
        let is_usual = order == Order::Little && lengths == Lengths::CapturedFirst && more_record == 0;
        Ok(Self { order, tick, record_header: RECORD_HEADER + more_record, lengths, link, is_usual })
    }

    /// Captured and original length.
    #[inline]
    fn lengths(&self, header: &[u8; RECORD_HEADER]) -> (u32, u32) {
        let (a, b) = (self.order.u32(&header[8..]), self.order.u32(&header[12..]));
        match self.lengths {
            Lengths::CapturedFirst => (a, b),
            Lengths::OriginalFirst => (b, a),
            Lengths::CapturedIsSmaller => (a.min(b), a.max(b)),
        }
    }

    #[inline]
    fn timestamp(&self, header: &[u8; RECORD_HEADER]) -> Timestamp {
        let (seconds, ticks) = (self.order.u32(header), self.order.u32(&header[4..]));
        Timestamp::from_nanos(i64::from(seconds) * 1_000_000_000 + i64::from(ticks) * self.tick)
    }
}

/// The link type of a capture by AIX, which writes version 2.2 with the interface's type and nanoseconds; `None` for others.
fn aix_link_type(version: (u16, u16), number: u32) -> Option<u32> {
    match (version, number) {
        ((2, 2), 6) => Some(1),
        ((2, 2), 15) => Some(10),
        ((2, 2), 24) => Some(0),
        _ => None,
    }
}

fn lengths((major, minor): (u16, u16)) -> Result<Lengths, SourceErrorKind> {
    match (major, minor) {
        (2, 4..) => Ok(Lengths::CapturedFirst),
        (2, 3) => Ok(Lengths::CapturedIsSmaller),
        // Version 543 is that of DG/UX.
        (2, _) | (543, 0) => Ok(Lengths::OriginalFirst),
        _ => Err(SourceErrorKind::Unsupported(format!(
            "pcap version {major}.{minor} is not supported, expected version 2"
        ))),
    }
}

impl Decode for Pcap {
    #[inline]
    fn decode(&mut self, input: &mut Input, seq: u64, batch: &mut Batch) -> Result<bool, SourceErrorKind> {
        if let Some((header, bytes)) = self.usual(input.ready()) {
            batch.packets.push(
                seq,
                self.timestamp(header),
                Order::Little.u32(&header[12..]),
                self.link,
                bytes,
            );
            let record = RECORD_HEADER + bytes.len();
            input.consume(record);
            return Ok(true);
        }
        self.any(input, seq, batch)
    }
}

impl Pcap {
    /// The record at the start of `bytes` where it is whole and as records of little-endian machines are; `None` for
    /// any other.
    #[inline(always)]
    fn usual<'a>(&self, bytes: &'a [u8]) -> Option<(&'a [u8; RECORD_HEADER], &'a [u8])> {
        let (header, rest) = bytes.split_first_chunk::<RECORD_HEADER>()?;
        let captured = Order::Little.u32(&header[8..]);
        let is_usual = self.is_usual & (captured <= MAX_CAPTURED);
        let bytes = rest.get(..captured as usize)?;
        is_usual.then_some((header, bytes))
    }

    /// Takes the record at the window.
    fn any(&mut self, input: &mut Input, seq: u64, batch: &mut Batch) -> Result<bool, SourceErrorKind> {
        let offset = input.offset();
        let window = input.window(self.record_header)?;
        let Some(header) = window.first_chunk::<RECORD_HEADER>() else {
            return if window.is_empty() { Ok(false) } else { Err(cut_off(seq, offset)) };
        };
        let (captured, original) = self.lengths(header);
        let timestamp = self.timestamp(header);
        if captured > MAX_CAPTURED {
            return Err(too_long(seq, offset, captured));
        }
        let record = self.record_header + captured as usize;
        let Some(bytes) = input.window(record)?.get(self.record_header..record) else {
            return Err(cut_off(seq, offset));
        };
        batch.packets.push(seq, timestamp, original, self.link, bytes);
        input.consume(record);
        Ok(true)
    }
}

/// The input ends inside packet `seq`, which begins at `offset`.
#[cold]
pub(crate) fn cut_off(seq: u64, offset: u64) -> SourceErrorKind {
    SourceErrorKind::CutOff { part: format!("packet {seq}"), offset }
}

/// Packet `seq`, which begins at `offset`, claims more bytes than a packet can have.
#[cold]
pub(crate) fn too_long(seq: u64, offset: u64, captured: u32) -> SourceErrorKind {
    let reason = format!("captured length {captured} is more than {MAX_CAPTURED} bytes");
    SourceErrorKind::Corrupt { part: format!("packet {seq}"), offset, reason }
}
