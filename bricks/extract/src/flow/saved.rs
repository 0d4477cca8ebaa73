//! Flows on their way from one table to another, as bytes: version, what must be the same on both sides, and the flows of each slot,
//! in postcard's format; at the end the CRC-32 of all before.

use super::config::{Column, Config};
use super::damaged;
use super::kept::{Kept, Sample};
use crate::StateError;
use legonf_core::SLOTS;
use serde::{Deserialize, Serialize};

/// Version of the format.
const VERSION: u16 = 1;
/// Bytes of the checksum.
const CHECKSUM: usize = 4;

/// A flow with what its blocks hold.
#[derive(Serialize, Deserialize)]
pub(super) struct Flow {
    pub tag: u32,
    /// The watermark at its last packet.
    pub seen: i64,
    pub kept: Kept,
    pub bytes: Vec<u8>,
    pub samples: Vec<Sample>,
}

/// A slot with its flows, from the one that was not seen for the longest time.
#[derive(Serialize, Deserialize)]
pub(super) struct Slot {
    pub number: u16,
    pub flows: Vec<Flow>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u16,
    config: Config,
    slots: Vec<Slot>,
}

/// The flows of some slots as bytes.
pub(super) fn write<I: Iterator<Item = Flow>>(
    config: &Config,
    slots: &[u16],
    flows: impl Fn(usize) -> I,
) -> Result<Vec<u8>, StateError> {
    if let Some(slot) = slots.iter().find(|slot| usize::from(**slot) >= SLOTS) {
        return Err(StateError::NoSlot((*slot).into()));
    }
    let of = |number: &u16| Slot { number: *number, flows: flows((*number).into()).collect() };
    let slots = slots.iter().map(of).filter(|slot| !slot.flows.is_empty()).collect::<Vec<_>>();
    if slots.is_empty() {
        return Ok(Vec::new());
    }
    let saved = Saved { version: VERSION, config: config.clone(), slots };
    let mut out = postcard::to_allocvec(&saved).map_err(|_| damaged())?;
    out.extend(crc32fast::hash(&out).to_le_bytes());
    Ok(out)
}

/// The slots of such bytes; of none there is none.
pub(super) fn read(config: &Config, bytes: &[u8]) -> Result<Vec<Slot>, StateError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let (body, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or_else(damaged)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return Err(StateError::Damaged("the checksum differs"));
    }
    let saved: Saved = postcard::from_bytes(body).map_err(|_| damaged())?;
    if saved.version != VERSION {
        return Err(StateError::Differs("version of legonf"));
    }
    if saved.config != *config {
        return Err(StateError::Differs("flow table's configuration"));
    }
    saved.slots.iter().try_for_each(|slot| check(config, slot))?;
    Ok(saved.slots)
}

fn check(config: &Config, slot: &Slot) -> Result<(), StateError> {
    if usize::from(slot.number) >= SLOTS {
        return Err(StateError::NoSlot(slot.number.into()));
    }
    if slot.flows.len() > config.flows_per_slot as usize {
        return Err(StateError::Full(slot.number.into()));
    }
    // What is not filled is not kept.
    let has = |column, of_block: usize| if config.columns.contains(&column) { of_block } else { 0 };
    let fits = |flow: &Flow| {
        let Kept { bytes, samples, .. } = flow.kept;
        u32::from(bytes) <= config.bytes
            && u32::from(samples) <= config.packets
            && flow.bytes.len() == has(Column::Bytes, flow.kept.bytes_of_block())
            && flow.samples.len() == has(Column::Sequence, flow.kept.samples_of_block().into())
    };
    if slot.flows.iter().all(fits) { Ok(()) } else { Err(damaged()) }
}
