//! Raw packets as a column.

use super::{Damaged, Storage, Typed, owned, put, same, same_mut, take};
use crate::{Element, Packets};
use std::ops::Range;

impl Storage for Packets {
    fn filled(&self) -> usize {
        self.len()
    }

    fn cells(&self) -> usize {
        1
    }

    fn size(&self) -> usize {
        self.iter().map(|(record, bytes)| size_of_val(record) + bytes.len()).sum()
    }

    fn clear(&mut self) {
        self.clear();
    }

    /// Packets have no default: there is none afterwards.
    fn fill(&mut self, _: usize, _: usize) {
        self.clear();
    }

    fn gather(&self, places: &[usize], to: &mut dyn Storage) {
        let to: &mut Self = same_mut(to);
        to.clear();
        let present = places.iter().filter(|place| **place < self.len());
        present.into_iter().for_each(|place| to.push_copy(self.record(*place), self.bytes(*place)));
    }

    /// Places that have no packet yet, and none in `part`, get one without bytes. Where there are none at all, as in a table of
    /// headers, there are none afterwards.
    fn scatter(&mut self, part: &dyn Storage, places: &[usize], len: usize) {
        let part: &Self = same(part);
        if part.is_empty() {
            return;
        }
        self.extend_to(len);
        for (place, (record, bytes)) in places.iter().zip(part.iter()) {
            self.replace(*place, record, bytes);
        }
    }

    /// Only sources make packets, and they have no cells: they stay as they are.
    fn reshape(&mut self, _: usize, _: usize) {}

    /// As [`reshape`](Storage::reshape).
    fn copy_cells(&mut self, _: usize, _: &[Range<usize>], _: &dyn Storage, _: usize) {}

    /// As [`reshape`](Storage::reshape).
    fn take_cells(&self, _: usize, _: &[Range<usize>], _: &mut dyn Storage, _: usize) {}

    /// As [`reshape`](Storage::reshape).
    fn put_cells(&mut self, _: usize, _: &[Range<usize>], _: &dyn Storage, _: usize) {}

    /// As [`reshape`](Storage::reshape).
    fn put_row(&mut self, _: usize, _: usize, _: &dyn Storage, _: usize) {}

    /// As [`reshape`](Storage::reshape).
    fn swap_remove(&mut self, _: usize) {}

    fn encode(&self, to: &mut Vec<u8>) {
        put(&self.len(), to);
        for (record, bytes) in self.iter() {
            put(&(record.seq, record.timestamp, record.wire_len, record.shift, record.link), to);
            // As postcard does, but at once.
            put(&bytes.len(), to);
            to.extend_from_slice(bytes);
        }
    }

    fn decode(&mut self, from: &mut &[u8]) -> Result<(), Damaged> {
        self.clear();
        let count: usize = take(from)?;
        let taken = (0..count).try_for_each(|_| {
            let (seq, timestamp, wire_len, shift, link) = take(from)?;
            let (bytes, rest) = postcard::take_from_bytes::<&[u8]>(from).map_err(|_| Damaged)?;
            self.push(seq, timestamp, wire_len, link, bytes);
            self.shift_last(shift);
            *from = rest;
            Ok(())
        });
        taken.inspect_err(|_: &Damaged| self.clear())
    }

    owned!();
}

impl Typed for Packets {
    const ELEMENT: Element = Element::Packet;
    const SCALAR: bool = true;
}
