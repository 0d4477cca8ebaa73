//! The block format (draft-ietf-opsawg-pcapng): sections of interfaces and packets.

mod interface;
mod packet;

use super::MAX_CAPTURED;
use super::input::Input;
use super::order::Order;
use super::pcap::cut_off;
use super::reader::Decode;
use crate::error::SourceErrorKind;
use crate::linktype;
use interface::Interface;
use legonf_core::{Batch, LinkType, Timestamp};
use packet::Kind;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// Length in bytes of the type and the total length, which begin a block.
const HEAD: usize = 8;

/// Length in bytes of the total length, which also ends a block.
const TAIL: usize = 4;

/// The shortest section header block in bytes.
const MIN_SECTION: u32 = 28;

/// The shortest interface description block in bytes.
const MIN_INTERFACE: u32 = 20;

/// The longest block in bytes that is taken into memory: a packet with its options, or an interface.
const MAX_BLOCK: u32 = 4 * MAX_CAPTURED;

/// The most interfaces of a section.
const MAX_INTERFACES: usize = 65_536;

/// Decoder of a pcapng file.
#[derive(Default)]
pub(crate) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    /// Time of the packet before, for packets that have none.
    last: Timestamp,
    /// The block that is being passed over.
    passing: Option<Passing>,
}

/// A block that is being passed over.
struct Passing {
    /// Where it begins.
    offset: u64,
    len: u32,
    /// Bytes left before its tail.
    left: u64,
}

impl Decode for Pcapng {
    #[inline]
    fn decode(&mut self, input: &mut Input, seq: u64, batch: &mut Batch) -> Result<bool, SourceErrorKind> {
        if let Some((len, packet)) = packet::usual(self.order, &self.interfaces, input.ready())
            && seq > 0
        {
            batch.packets.push(seq, packet.timestamp, packet.original, packet.link, packet.bytes);
            self.last = packet.timestamp;
            input.consume(len);
            return Ok(true);
        }
        self.any(input, seq, batch)
    }
}

impl Pcapng {
    /// Passes over blocks to the next packet and takes it.
    fn any(&mut self, input: &mut Input, seq: u64, batch: &mut Batch) -> Result<bool, SourceErrorKind> {
        self.pass(input)?;
        loop {
            let offset = input.offset();
            let window = input.window(HEAD + TAIL)?;
            let Some(head) = window.first_chunk::<{ HEAD + TAIL }>() else {
                return if window.is_empty() { Ok(false) } else { Err(cut_off_block(offset)) };
            };
            let (number, len) = (self.order.u32(head), self.order.u32(&head[4..]));
            match number {
                SECTION => self.section(input)?,
                INTERFACE => self.interface(input, len)?,
                _ => match Kind::of(number) {
                    None => self.skip(input, len, (HEAD + TAIL) as u32)?,
                    Some(kind) => return self.packet(input, kind, len, seq, batch).map(|()| true),
                },
            }
        }
    }

    /// Takes the packet block at the window.
    #[inline]
    fn packet(
        &mut self,
        input: &mut Input,
        kind: Kind,
        len: u32,
        seq: u64,
        batch: &mut Batch,
    ) -> Result<(), SourceErrorKind> {
        let offset = input.offset();
        let Some(block) = self.block(input, len, kind.min_block())? else {
            return Err(cut_off(seq, offset));
        };
        let packet = packet::parse(kind, self.order, &self.interfaces, block, self.last)
            .map_err(|fault| fault.at(seq, offset))?;
        if seq == 0 {
            check_link(packet.link, &self.interfaces)?;
        }
        batch.packets.push(seq, packet.timestamp, packet.original, packet.link, packet.bytes);
        self.last = packet.timestamp;
        input.consume(len as usize);
        Ok(())
    }

    /// Begins a section with the header block at the window: it sets the byte order anew and has no interfaces yet.
    fn section(&mut self, input: &mut Input) -> Result<(), SourceErrorKind> {
        let offset = input.offset();
        let Some(head) = input.window(16)?.first_chunk::<16>() else {
            return Err(cut_off_block(offset));
        };
        self.order = [Order::Little, Order::Big]
            .into_iter()
            .find(|order| order.u32(&head[8..]) == BYTE_ORDER)
            .ok_or_else(|| corrupt(offset, "a section header without byte-order magic".into()))?;
        let (len, major) = (self.order.u32(&head[4..]), self.order.u16(&head[12..]));
        if major != 1 {
            let text = format!("pcapng version {major} is not supported, expected version 1");
            return Err(SourceErrorKind::Unsupported(text));
        }
        self.interfaces.clear();
        self.skip(input, len, MIN_SECTION)
    }

    /// Adds the interface that the block at the window describes.
    fn interface(&mut self, input: &mut Input, len: u32) -> Result<(), SourceErrorKind> {
        let offset = input.offset();
        let Some(block) = self.block(input, len, MIN_INTERFACE)? else {
            return Err(cut_off_block(offset));
        };
        let interface = Interface::parse(self.order, &block[HEAD..block.len() - TAIL])
            .map_err(|reason| corrupt(offset, reason.into()))?;
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(corrupt(offset, format!("more than {MAX_INTERFACES} interfaces in one section")));
        }
        self.interfaces.push(interface);
        input.consume(len as usize);
        Ok(())
    }

    /// The whole block of `len` bytes at the window, of a type that fits into memory; `None` where it is cut off.
    #[inline]
    fn block<'a>(
        &self,
        input: &'a mut Input,
        len: u32,
        min: u32,
    ) -> Result<Option<&'a [u8]>, SourceErrorKind> {
        let offset = input.offset();
        check_len(offset, len, min)?;
        if len > MAX_BLOCK {
            return Err(bad_len(offset, len));
        }
        let Some(block) = input.window(len as usize)?.get(..len as usize) else {
            return Ok(None);
        };
        check_tail(offset, len, self.order.u32(&block[block.len() - TAIL..]))?;
        Ok(Some(block))
    }

    /// Passes over the block of `len` bytes at the window, however long it is.
    fn skip(&mut self, input: &mut Input, len: u32, min: u32) -> Result<(), SourceErrorKind> {
        let offset = input.offset();
        check_len(offset, len, min)?;
        self.passing = Some(Passing { offset, len, left: u64::from(len) - TAIL as u64 });
        self.pass(input)
    }

    /// Goes on with the block that is being passed over, if there is one: its bytes may not all have come yet.
    fn pass(&mut self, input: &mut Input) -> Result<(), SourceErrorKind> {
        let Some(Passing { offset, len, left }) = &mut self.passing else { return Ok(()) };
        if !input.skip(left)? {
            return Err(cut_off_block(*offset));
        }
        let Some(tail) = input.window(TAIL)?.first_chunk::<TAIL>() else {
            return Err(cut_off_block(*offset));
        };
        check_tail(*offset, *len, self.order.u32(tail))?;
        input.consume(TAIL);
        self.passing = None;
        Ok(())
    }
}

/// Refuses a capture that begins with a packet which cannot be parsed, where no interface so far is of a link type that
/// can. In a mixed capture such packets are delivered, to be rejected one by one.
fn check_link(link: LinkType, interfaces: &[Interface]) -> Result<(), SourceErrorKind> {
    let number = linktype::to_number(link);
    if interfaces.iter().any(Interface::is_read) {
        return Ok(());
    }
    Err(SourceErrorKind::LinkType { number, name: linktype::name(number) })
}

#[inline]
fn check_len(offset: u64, len: u32, min: u32) -> Result<(), SourceErrorKind> {
    if len < min || !len.is_multiple_of(4) { Err(bad_len(offset, len)) } else { Ok(()) }
}

#[inline]
fn check_tail(offset: u64, len: u32, tail: u32) -> Result<(), SourceErrorKind> {
    if len == tail {
        return Ok(());
    }
    Err(corrupt(offset, format!("its length is {len} bytes at its begin and {tail} at its end")))
}

#[cold]
fn bad_len(offset: u64, len: u32) -> SourceErrorKind {
    corrupt(offset, format!("a block of its type cannot be {len} bytes long"))
}

#[cold]
fn cut_off_block(offset: u64) -> SourceErrorKind {
    SourceErrorKind::CutOff { part: "a block".into(), offset }
}

#[cold]
fn corrupt(offset: u64, reason: String) -> SourceErrorKind {
    SourceErrorKind::Corrupt { part: "a block".into(), offset, reason }
}
