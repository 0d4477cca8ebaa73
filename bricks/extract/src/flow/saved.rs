//! What is kept of flows on its way from one brick to another of the same kind, as bytes: version, what must be the same on both
//! sides, and the flows of each slot, in postcard's format; at the end the CRC-32 of all before.

use super::damaged;
use crate::StateError;
use legonf_core::SLOTS;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of the format.
const VERSION: u16 = 2;
/// Bytes of the checksum.
const CHECKSUM: usize = 4;

/// The configuration of a brick that keeps something of each flow.
pub trait Keeps: Serialize + DeserializeOwned + PartialEq {
    /// What it is, where it differs.
    const WHAT: &'static str;
    /// What is kept of a flow.
    type Flow: Serialize + DeserializeOwned;

    /// The most flows of a slot.
    fn flows_per_slot(&self) -> usize;

    /// Whether what is kept of a flow can be of a brick with this configuration.
    fn allows(&self, flow: &Self::Flow) -> bool;
}

/// A slot with its flows, from the one that was not seen for the longest time.
#[derive(Serialize, Deserialize)]
pub struct Slot<F> {
    /// Its number.
    pub number: u16,
    /// Its flows.
    pub flows: Vec<F>,
}

impl<F> Slot<F> {
    /// The hash of a flow of this slot, by its tag: the slot is the upper part of a hash, and the tag the lower.
    pub fn hash(&self, tag: u32) -> u64 {
        u64::from(self.number) << 52 | u64::from(tag)
    }
}

#[derive(Serialize, Deserialize)]
struct Saved<C, F> {
    version: u16,
    config: C,
    slots: Vec<Slot<F>>,
}

/// The flows of some slots as bytes; of no flow there is no byte.
///
/// # Errors
/// If there is no such slot.
pub fn write<C: Keeps, I: Iterator<Item = C::Flow>>(
    config: &C,
    slots: &[u16],
    flows: impl Fn(usize) -> I,
) -> Result<Vec<u8>, StateError> {
    slots.iter().try_for_each(|slot| exists(*slot))?;
    let of = |number: &u16| Slot { number: *number, flows: flows((*number).into()).collect() };
    let slots = slots.iter().map(of).filter(|slot| !slot.flows.is_empty()).collect::<Vec<_>>();
    if slots.is_empty() {
        return Ok(Vec::new());
    }
    let mut out = postcard::to_allocvec(&Saved { version: VERSION, config, slots }).map_err(|_| damaged())?;
    out.extend(crc32fast::hash(&out).to_le_bytes());
    Ok(out)
}

/// The slots of such bytes, for a brick that has flows in some slots already.
///
/// # Errors
/// If they are damaged, of a brick with another configuration, or of a slot that has flows already.
pub fn read<C: Keeps>(
    config: &C,
    bytes: &[u8],
    is_occupied: impl Fn(usize) -> bool,
) -> Result<Vec<Slot<C::Flow>>, StateError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let (body, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or_else(damaged)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return Err(StateError::Damaged("the checksum differs"));
    }
    let (version, _) = postcard::take_from_bytes::<u16>(body).map_err(|_| damaged())?;
    if version != VERSION {
        return Err(StateError::Differs("version of legonf"));
    }
    let saved: Saved<C, C::Flow> = postcard::from_bytes(body).map_err(|_| damaged())?;
    if saved.config != *config {
        return Err(StateError::Differs(C::WHAT));
    }
    let check = |slot: &Slot<C::Flow>| {
        exists(slot.number)?;
        let number = slot.number.into();
        match () {
            () if slot.flows.len() > config.flows_per_slot() => Err(StateError::Full(number)),
            () if is_occupied(number) => Err(StateError::Occupied(number)),
            () if !slot.flows.iter().all(|flow| config.allows(flow)) => Err(damaged()),
            () => Ok(()),
        }
    };
    saved.slots.iter().try_for_each(check)?;
    Ok(saved.slots)
}

fn exists(slot: u16) -> Result<(), StateError> {
    if usize::from(slot) < SLOTS { Ok(()) } else { Err(StateError::NoSlot(slot.into())) }
}
