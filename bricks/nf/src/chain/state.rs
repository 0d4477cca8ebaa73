//! State of functions on its way from one brick to another, as bytes.

use super::flows::{Flows, Item};
use super::packet::{Keyed, Packet};
use crate::NfError;
use legonf_core::{Hasher, SLOTS, slot};
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

    /// Bytes that it takes.
    fn used(&self) -> usize;
}

/// Defaults that the configurations of functions share.
pub(crate) mod default {
    /// Flows that a slot holds.
    pub const fn flows_per_slot() -> u32 {
        128
    }

    /// The seed of the hash that divides flows into slots.
    pub const fn seed() -> u64 {
        1234
    }
}

/// What two functions must have in common for one to go on with the state of the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
struct Settings<T> {
    /// The configuration in one number.
    fingerprint: u32,
    flows_per_slot: u32,
    #[serde(skip)]
    kept: std::marker::PhantomData<fn() -> T>,
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
    fn new(config: &impl Serialize, flows_per_slot: u32) -> Self {
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

/// What a function keeps of flows, with the seed by which they are in slots.
#[derive(Clone, Debug)]
pub(crate) struct KeyedState<T> {
    settings: Settings<T>,
    seed: u64,
    pub hasher: Hasher,
    pub flows: Flows<T>,
    /// Flows that went to make room.
    pub evicted: u64,
}

impl<T: Kept> KeyedState<T> {
    /// Nothing so far, by a configuration.
    ///
    /// # Errors
    /// If a slot is to hold no flow, or too many.
    pub fn new(config: &impl Serialize, flows_per_slot: u32, seed: u64) -> Result<Self, NfError> {
        NfError::within("flows_per_slot", flows_per_slot.into(), 1.0, 65_535.0)?;
        Ok(Self {
            settings: Settings::new(config, flows_per_slot),
            seed,
            hasher: Hasher::new(seed),
            flows: Flows::of(flows_per_slot as usize),
            evicted: 0,
        })
    }

    /// Adds a flow whose first packet this is. In a full slot the one whose last packet came first makes room.
    pub fn add(&mut self, keyed: &Keyed, packet: &Packet<'_>, value: T) -> u32 {
        let slot = slot(keyed.hash);
        if self.flows.is_full(slot)
            && let Some(oldest) = self.flows.oldest(slot)
        {
            self.flows.remove(oldest);
            self.evicted += 1;
        }
        self.flows.add(keyed, packet, value)
    }

    /// Begins a flow anew that is there: records of it are stale.
    pub fn begin_anew(&mut self, number: u32, packet: &Packet<'_>, value: T) {
        self.flows.renew(number);
        let item = self.flows.item_mut(number);
        item.value = value;
        item.touch(packet);
    }

    /// The flow of a packet, and whether it begins with it: it does if there was none, or if it was idle for so long. None if the packet
    /// belongs to no flow.
    #[inline]
    pub fn current(&mut self, packet: &Packet<'_>, idle: i64) -> Option<(u32, bool)>
    where
        T: Default,
    {
        let keyed = packet.flow()?.keyed(&self.hasher);
        let Some(number) = self.flows.find(&keyed) else {
            return Some((self.add(&keyed, packet, T::default()), true));
        };
        let is_new = self.flows.item(number).is_idle(packet, idle);
        if is_new {
            self.begin_anew(number, packet, T::default());
        }
        Some((number, is_new))
    }

    /// Forgets the flows of some slots, and gives each.
    pub fn remove_each(&mut self, slots: &[u16], mut gone: impl FnMut(&Item<T>)) {
        for slot in slots.iter().map(|slot| usize::from(*slot)).filter(|slot| *slot < SLOTS) {
            let all: Vec<_> = self.flows.of_slot(slot).collect();
            all.into_iter().for_each(|number| gone(&self.flows.remove(number)));
        }
    }

    /// Takes in flows that [`copy`](FlowState::copy) gave, and gives each with its number.
    pub fn import_each(
        &mut self,
        state: &[u8],
        mut come: impl FnMut(&Item<T>, u32),
    ) -> Result<(), StateError> {
        let flows = &mut self.flows;
        let slots = saved::read(&self.settings, state, |slot| flows.of_slot(slot).next().is_some())?;
        for slot in &slots {
            for item in &slot.flows {
                if item.slot() != usize::from(slot.number) {
                    return Err(StateError::Damaged("a flow is in another slot than its own"));
                }
            }
        }
        for item in slots.into_iter().flat_map(|slot| slot.flows) {
            let number = flows.put(item);
            come(flows.item(number), number);
        }
        Ok(())
    }
}

impl<T: Kept> FlowState for KeyedState<T> {
    fn seed(&self) -> u64 {
        self.seed
    }

    fn copy(&self, slots: &[u16]) -> Result<Vec<u8>, StateError> {
        saved::write(&self.settings, slots, |slot| self.flows.sorted(slot).into_iter())
    }

    fn remove(&mut self, slots: &[u16]) {
        self.remove_each(slots, |_| ());
    }

    fn import(&mut self, state: &[u8]) -> Result<(), StateError> {
        self.import_each(state, |_, _| ())
    }

    fn used(&self) -> usize {
        self.flows.used()
    }
}
