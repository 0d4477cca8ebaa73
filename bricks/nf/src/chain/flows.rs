//! What functions keep of flows: by slot, bounded, and found again by handles.

use super::packet::{FlowKey, Keyed, Packet};
use legonf_core::{SLOTS, same, slot};
use serde::{Deserialize, Serialize};

/// The flows of a function by slot, each with a value.
///
/// Who is found does not depend on other slots, so replicas, moves and checkpoints do not show.
#[derive(Clone, Debug)]
pub struct Flows<T> {
    slots: Vec<Vec<Entry>>,
    items: Vec<Item<T>>,
    free: Vec<u32>,
    most: usize,
}

/// Where a flow is, by the lower part of its hash.
#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: u32,
    item: u32,
}

/// A flow with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item<T> {
    /// What tells it from others.
    pub key: FlowKey,
    /// The lower part of its hash.
    pub tag: u32,
    slot: u16,
    /// The number of its last packet.
    pub seen: u64,
    /// The latest stream time at its last packet, in nanoseconds.
    pub last: i64,
    /// What is kept of it.
    pub value: T,
    /// Rises with every change that makes records stale (SpeedyBox's events), and when the flow goes.
    #[serde(skip)]
    epoch: u32,
}

/// A flow that was found once. It leads nowhere when the flow has gone, or an event has made what was recorded stale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowHandle {
    item: u32,
    epoch: u32,
}

impl FlowHandle {
    /// The number of its flow.
    pub fn number(self) -> u32 {
        self.item
    }
}

impl<T: Copy> Flows<T> {
    /// Slots that hold so many flows each.
    pub fn of(most: usize) -> Self {
        Self { slots: vec![Vec::new(); SLOTS], items: Vec::new(), free: Vec::new(), most }
    }

    /// The number of a flow.
    #[inline(always)]
    pub fn find(&self, keyed: &Keyed) -> Option<u32> {
        let (tag, list) = (keyed.hash as u32, &self.slots[slot(keyed.hash)]);
        let is_it =
            |entry: &&Entry| entry.tag == tag && same(&self.items[entry.item as usize].key, &keyed.key);
        list.iter().find(is_it).map(|entry| entry.item)
    }

    /// A flow by its handle; none if that leads nowhere.
    #[inline(always)]
    pub fn get(&mut self, handle: FlowHandle) -> Option<&mut Item<T>> {
        self.items.get_mut(handle.item as usize).filter(|item| item.epoch == handle.epoch)
    }

    /// The handle of a flow.
    pub fn handle(&self, number: u32) -> FlowHandle {
        FlowHandle { item: number, epoch: self.items[number as usize].epoch }
    }

    /// A flow by its number.
    pub fn item(&self, number: u32) -> &Item<T> {
        &self.items[number as usize]
    }

    /// A flow by its number, to be changed.
    pub fn item_mut(&mut self, number: u32) -> &mut Item<T> {
        &mut self.items[number as usize]
    }

    /// Makes every handle of a flow lead nowhere: an event.
    pub fn renew(&mut self, number: u32) {
        let item = &mut self.items[number as usize];
        item.epoch = item.epoch.wrapping_add(1);
    }

    /// Whether a slot has no room for another flow.
    pub fn is_full(&self, slot: usize) -> bool {
        self.slots[slot].len() >= self.most
    }

    /// The numbers of the flows of a slot, in no order.
    pub fn of_slot(&self, slot: usize) -> impl Iterator<Item = u32> {
        self.slots[slot].iter().map(|entry| entry.item)
    }

    /// The flow of a slot whose last packet came first.
    pub fn oldest(&self, slot: usize) -> Option<u32> {
        self.of_slot(slot).min_by_key(|number| self.items[*number as usize].seen)
    }

    /// Adds a flow whose first packet this is. Its slot has room.
    pub fn add(&mut self, keyed: &Keyed, packet: &Packet<'_>, value: T) -> u32 {
        let slot = slot(keyed.hash) as u16;
        let (key, tag, epoch) = (keyed.key, keyed.hash as u32, 0);
        self.put(Item { key, tag, slot, seen: packet.seq, last: packet.now, value, epoch })
    }

    /// Puts in a flow that another table had.
    pub fn put(&mut self, item: Item<T>) -> u32 {
        let number = match self.free.pop() {
            Some(number) => {
                let epoch = self.items[number as usize].epoch;
                self.items[number as usize] = Item { epoch, ..item };
                number
            }
            None => {
                self.items.push(Item { epoch: 0, ..item });
                (self.items.len() - 1) as u32
            }
        };
        self.slots[usize::from(item.slot)].push(Entry { tag: item.tag, item: number });
        number
    }

    /// Adds a flow as old as one of another table.
    pub fn add_moved<U>(&mut self, keyed: &Keyed, other: &Item<U>, value: T) -> u32 {
        let slot = slot(keyed.hash) as u16;
        let Item { seen, last, .. } = *other;
        self.put(Item { key: keyed.key, tag: keyed.hash as u32, slot, seen, last, value, epoch: 0 })
    }

    /// Lets a flow go.
    pub fn remove(&mut self, number: u32) -> Item<T> {
        let item = self.items[number as usize];
        self.slots[usize::from(item.slot)].retain(|entry| entry.item != number);
        self.renew(number);
        self.free.push(number);
        item
    }

    /// The flows of a slot, from the one whose last packet came first.
    pub fn sorted(&self, slot: usize) -> Vec<Item<T>> {
        let mut items: Vec<_> = self.of_slot(slot).map(|number| *self.item(number)).collect();
        items.sort_unstable_by_key(|item| (item.seen, item.key));
        items
    }

    /// Bytes that the flows take.
    pub fn used(&self) -> usize {
        (self.items.len() - self.free.len()) * (size_of::<Item<T>>() + size_of::<Entry>())
    }
}

impl<T> Item<T> {
    /// Notes a packet of the flow.
    #[inline]
    pub fn touch(&mut self, packet: &Packet<'_>) {
        (self.seen, self.last) = (packet.seq, packet.now);
    }

    /// Whether so many nanoseconds had passed without a packet before this one.
    #[inline]
    pub fn is_idle(&self, packet: &Packet<'_>, idle: i64) -> bool {
        self.last.saturating_add(idle) <= packet.now
    }

    /// Its slot.
    pub fn slot(&self) -> usize {
        self.slot.into()
    }
}
