//! How replicas share a flow table: its state by slot, and what it does for a part of a batch.

use super::super::config::{Column, Config};
use super::super::kept::{Block, Kept, Sample};
use super::super::record::Reason;
use super::super::saved::{self, Keeps, Slot};
use super::super::{division, fault, key};
use super::{AT_ONCE, FlowTable};
use crate::StateError;
use legonf_core::{Batch, BrickError, Division, SLOTS, Storage, WestEast};
use serde::{Deserialize, Serialize};

/// A flow on its way to another replica, with what its blocks hold.
#[derive(Serialize, Deserialize)]
pub struct Moving {
    tag: u32,
    /// The watermark at its last packet.
    seen: i64,
    kept: Kept,
    bytes: Vec<u8>,
    samples: Vec<Sample>,
}

impl Keeps for Config {
    const WHAT: &'static str = "flow table's configuration";
    type Flow = Moving;

    fn flows_per_slot(&self) -> usize {
        self.flows_per_slot as usize
    }

    fn allows(&self, flow: &Moving) -> bool {
        // What is not filled is not kept.
        let has = |column, of_block: usize| if self.columns.contains(&column) { of_block } else { 0 };
        let Kept { bytes, samples, .. } = flow.kept;
        u32::from(bytes) <= self.bytes
            && u32::from(samples) <= self.packets
            && flow.bytes.len() == has(Column::Bytes, flow.kept.bytes_of_block())
            && flow.samples.len() == has(Column::Sequence, flow.kept.samples_of_block().into())
    }
}

impl WestEast for FlowTable {
    fn division(&self) -> Division {
        let Config { vlan, tunnel, seed, .. } = self.config;
        division(Self::KIND, key(vlan, tunnel), seed, self.specs()[0].clone())
    }

    fn process_part(
        &mut self,
        _: usize,
        _: &Batch,
        _: &[usize],
        _: &mut dyn Storage,
    ) -> Result<(), BrickError> {
        Err(BrickError { brick: Self::KIND, reason: "it has rows of flows, none of packets".into() })
    }

    fn process_flows(
        &mut self,
        _: usize,
        batch: &Batch,
        places: &[usize],
        flows: &mut Batch,
    ) -> Result<(), BrickError> {
        let watermarks: &Vec<i64> = batch.columns.get(self.columns.watermark);
        for places in places.chunks(AT_ONCE) {
            let found = self.anticipate(&batch.headers, places);
            for (place, found) in places.iter().zip(found) {
                self.take(found, batch, *place, watermarks, flows);
            }
        }
        Ok(())
    }

    fn expire(&mut self, _: usize, watermarks: &[i64], flows: &mut Batch) -> Result<(), BrickError> {
        self.end_idle(watermarks, flows);
        Ok(())
    }

    fn end(&mut self, _: usize, slots: &[u16], flows: &mut Batch) -> Result<(), BrickError> {
        for slot in slots.iter().map(|slot| usize::from(*slot)) {
            if slot >= SLOTS {
                return Err(fault(Self::KIND)(StateError::NoSlot(slot)));
            }
            while let Some(oldest) = self.flows.oldest(slot) {
                self.tell(oldest.number, Reason::Forced, 0, flows);
                self.forget_oldest(slot);
            }
        }
        Ok(())
    }

    fn export(&mut self, part: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        let state = self.copy(part, slots)?;
        for slot in slots.iter().map(|slot| usize::from(*slot)) {
            while self.flows.oldest(slot).is_some() {
                self.forget_oldest(slot);
            }
        }
        Ok(state)
    }

    fn copy(&self, _: usize, slots: &[u16]) -> Result<Vec<u8>, BrickError> {
        let moving = |(tag, seen, kept): (u32, i64, &Kept)| {
            let samples = self.samples.of_block(kept.samples_at);
            let samples = &samples[..samples.len().min(kept.samples_of_block().into())];
            let bytes = self.bytes.of_block(kept.bytes_at);
            let bytes = &bytes[..bytes.len().min(kept.bytes_of_block())];
            Moving { tag, seen, kept: *kept, bytes: bytes.into(), samples: samples.into() }
        };
        saved::write(&self.config, slots, |slot| self.flows.of_slot(slot).map(moving))
            .map_err(fault(Self::KIND))
    }

    fn import(&mut self, _: usize, state: &[u8]) -> Result<(), BrickError> {
        let slots = saved::read(&self.config, state, |slot| self.flows.oldest(slot).is_some());
        slots.map_err(fault(Self::KIND))?.iter().for_each(|slot| self.take_in(slot));
        Ok(())
    }
}

impl FlowTable {
    fn take_in(&mut self, slot: &Slot<Moving>) {
        for Moving { tag, seen, kept, bytes, samples } in &slot.flows {
            let mut kept = Kept { bytes_at: Block::NONE, samples_at: Block::NONE, ..*kept };
            if !bytes.is_empty() {
                kept.bytes_at = self.bytes.give();
                self.bytes.of_block_mut(kept.bytes_at)[..bytes.len()].copy_from_slice(bytes);
            }
            if !samples.is_empty() {
                kept.samples_at = self.samples.give();
                self.samples.of_block_mut(kept.samples_at)[..samples.len()].copy_from_slice(samples);
            }
            self.flows.add(slot.hash(*tag), kept, *seen);
        }
        self.note_oldest(slot.number.into());
    }
}
