//! State of functions on its way from one brick to another, as bytes.

use super::flows::{Flows, Item};
use legonf_core::SLOTS;
use legonf_extract::StateError;
use legonf_extract::flow::saved::{self, Keeps};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a function keeps of flows, as replicas pass it on: the part of [`WestEast`](legonf_core::WestEast) that is a function's own.
pub trait FlowState {
    /// The seed of the hash by which flows are divided into slots.
    fn seed(&self) -> u64;

    /// The state of some slots as bytes.
    ///
    /// # Errors
    /// If there is no such slot.
    fn copy(&self, slots: &[u16]) -> Result<Vec<u8>, StateError>;

    /// Forgets what these slots hold.
    fn remove(&mut self, slots: &[u16]);

    /// Takes in what [`copy`](Self::copy) gave.
    ///
    /// # Errors
    /// If these are no such bytes, or a slot has state here already.
    fn import(&mut self, state: &[u8]) -> Result<(), StateError>;
}

/// What two functions must have in common for one to go on with the state of the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Settings<T> {
    /// The configuration in one number.
    pub fingerprint: u32,
    pub flows_per_slot: u32,
    #[serde(skip)]
    pub kept: std::marker::PhantomData<fn() -> T>,
}

/// What is kept of a flow.
pub(crate) trait Kept: Copy + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug {
    /// Whether it can be of a function; bytes that come from elsewhere may hold anything.
    fn is_possible(&self) -> bool {
        true
    }
}

impl<T: Kept> Settings<T> {
    /// Those of a configuration.
    pub fn new(config: &impl Serialize, flows_per_slot: u32) -> Self {
        let bytes = postcard::to_allocvec(config).unwrap_or_default();
        Self { fingerprint: crc32fast::hash(&bytes), flows_per_slot, kept: std::marker::PhantomData }
    }
}

impl<T: Kept> Keeps for Settings<T> {
    const WHAT: &'static str = "configuration";
    type Flow = Item<T>;

    fn flows_per_slot(&self) -> usize {
        self.flows_per_slot as usize
    }

    fn allows(&self, flow: &Item<T>) -> bool {
        flow.slot() < SLOTS && flow.value.is_possible()
    }
}

/// The flows of some slots as bytes.
pub(crate) fn copy<T: Kept>(
    settings: &Settings<T>,
    flows: &Flows<T>,
    slots: &[u16],
) -> Result<Vec<u8>, StateError> {
    saved::write(settings, slots, |slot| flows.sorted(slot).into_iter())
}

/// Forgets the flows of some slots, and gives each.
pub(crate) fn remove<T: Kept>(flows: &mut Flows<T>, slots: &[u16], mut gone: impl FnMut(&Item<T>)) {
    for slot in slots.iter().map(|slot| usize::from(*slot)).filter(|slot| *slot < SLOTS) {
        let all: Vec<_> = flows.of_slot(slot).collect();
        all.into_iter().for_each(|number| gone(&flows.remove(number)));
    }
}

/// Takes in flows that [`copy`] gave, and gives the number of each.
pub(crate) fn import<T: Kept>(
    settings: &Settings<T>,
    flows: &mut Flows<T>,
    state: &[u8],
    mut come: impl FnMut(&mut Flows<T>, u32),
) -> Result<(), StateError> {
    let slots = saved::read(settings, state, |slot| flows.of_slot(slot).next().is_some())?;
    for slot in &slots {
        for item in &slot.flows {
            if item.slot() != usize::from(slot.number) {
                return Err(StateError::Damaged("a flow is in another slot than its own"));
            }
        }
    }
    for item in slots.into_iter().flat_map(|slot| slot.flows) {
        let number = flows.put(item);
        come(flows, number);
    }
    Ok(())
}
