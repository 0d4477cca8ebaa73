//! Slots of a table on their way from one instance to another.

use super::ranks::Members;
use super::{NEW, Record, Table};
use crate::hash::SLOTS;
use crate::state::{Reader, StateError};

/// A slot as it was read.
#[derive(Debug)]
pub(crate) struct SlotState<R> {
    slot: usize,
    born: u32,
    newest: i64,
    /// Those of the queue, in order.
    queue: Vec<R>,
    heap: Vec<R>,
}

impl<R: Record> Table<R> {
    /// Appends all records of these slots to `out`.
    pub(crate) fn copy(&self, slots: &[u16], out: &mut Vec<u8>) {
        out.extend(self.ranks.per_slot().to_le_bytes());
        out.extend((slots.len() as u32).to_le_bytes());
        for slot in slots {
            let members = self.ranks.members(usize::from(*slot), &self.slab);
            out.extend(slot.to_le_bytes());
            out.extend(members.born.to_le_bytes());
            out.extend(members.newest.to_le_bytes());
            for numbers in [&members.queue, &members.heap] {
                out.extend((numbers.len() as u32).to_le_bytes());
                for record in numbers.iter().map(|number| &self.slab[*number]) {
                    out.extend(record.place().born.to_le_bytes());
                    record.write(out);
                }
            }
        }
    }

    /// Removes all records of these slots.
    pub(crate) fn remove(&mut self, slots: &[u16]) {
        for slot in slots.iter().map(|slot| usize::from(*slot)) {
            let members = self.ranks.members(slot, &self.slab);
            members.queue.into_iter().chain(members.heap).for_each(|number| self.release(number));
            self.ranks.clear(slot);
        }
    }

    /// Frees the memory of a record.
    fn release(&mut self, number: u32) {
        let record = &mut self.slab[number];
        self.index.remove(R::hash(record.key(), &self.hasher), number);
        record.place_mut().next = self.free;
        self.free = number;
        self.removals += 1;
    }

    /// Reads what [`copy`](Self::copy) wrote, and checks that it fits.
    pub(crate) fn read(&self, reader: &mut Reader<'_>) -> Result<Vec<SlotState<R>>, StateError> {
        if reader.u32()? != self.ranks.per_slot() {
            return Err(StateError::Differs("limit"));
        }
        let mut slots = Vec::new();
        let mut seen = [false; SLOTS];
        for _ in 0..reader.u32()? {
            let state = self.read_slot(reader)?;
            if std::mem::replace(&mut seen[state.slot], true) {
                return Err(StateError::Damaged("a slot comes twice"));
            }
            slots.push(state);
        }
        Ok(slots)
    }

    fn read_slot(&self, reader: &mut Reader<'_>) -> Result<SlotState<R>, StateError> {
        let slot = usize::from(reader.u16()?);
        if slot >= SLOTS {
            return Err(StateError::NoSlot(slot));
        }
        if !self.ranks.is_empty(slot) {
            return Err(StateError::Occupied(slot));
        }
        let (born, newest) = (reader.u32()?, reader.i64()?);
        let (queue, heap) = (read_records(reader)?, read_records(reader)?);
        if queue.len() + heap.len() > self.ranks.per_slot() as usize {
            return Err(StateError::Full(slot));
        }
        Ok(SlotState { slot, born, newest, queue, heap })
    }

    /// Puts in what [`read`](Self::read) returned.
    pub(crate) fn import(&mut self, slots: Vec<SlotState<R>>) {
        for SlotState { slot, born, newest, queue, heap } in slots {
            let [queue, heap] =
                [queue, heap].map(|records| records.into_iter().map(|record| self.adopt(record)).collect());
            self.ranks.put(slot, &mut self.slab, Members { born, newest, queue, heap });
        }
    }

    fn adopt(&mut self, record: R) -> u32 {
        let hash = R::hash(record.key(), &self.hasher);
        let number = self.store(record);
        self.enter(hash, number);
        number
    }

    /// Enters a record into the index, which goes on growing by that.
    #[inline]
    pub(super) fn enter(&mut self, hash: u64, number: u32) {
        self.index.insert(hash, number);
        if self.index.is_growing() {
            self.index.move_some(|number| R::hash(self.slab[number].key(), &self.hasher));
        }
    }

    /// Finds memory for a record, freed or new.
    pub(super) fn store(&mut self, record: R) -> u32 {
        if self.free != NEW {
            let number = self.free;
            self.free = self.slab[number].place().next;
            self.slab[number] = record;
            return number;
        }
        if self.index.is_full() {
            self.index.grow(|number| R::hash(self.slab[number].key(), &self.hasher));
        }
        self.slab.push(record)
    }
}

fn read_records<R: Record>(reader: &mut Reader<'_>) -> Result<Vec<R>, StateError> {
    let mut records = Vec::new();
    for _ in 0..reader.u32()? {
        let born = reader.u32()?;
        let mut record = R::read(reader)?;
        record.place_mut().born = born;
        records.push(record);
    }
    Ok(records)
}
