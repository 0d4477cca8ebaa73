//! Who owns which slots, as of an epoch, and which of them move.

use crate::message::Message;
use crate::sync::Sender;
use legonf_core::SLOTS;

/// The replica that owns each slot, for each shard.
pub(crate) type Owners = Vec<Box<[u16]>>;

/// A set of slots.
pub(crate) struct Slots([u64; SLOTS / 64]);

impl Slots {
    /// Slots that there are.
    pub const COUNT: usize = SLOTS;

    pub fn none() -> Self {
        Self([0; SLOTS / 64])
    }

    pub fn all() -> Self {
        Self([u64::MAX; SLOTS / 64])
    }

    pub fn insert(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    pub fn iter(&self) -> impl Iterator<Item = usize> {
        (0..SLOTS).filter(|slot| self.holds(*slot))
    }

    pub fn holds(&self, slot: usize) -> bool {
        self.0[slot / 64] & 1 << (slot % 64) != 0
    }
}

/// Slots of a shard that move from one replica to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shift {
    pub shard: usize,
    pub from: u16,
    pub to: u16,
    pub slots: Vec<u16>,
}

/// State on its way to a replica, or why it is not.
pub(crate) struct Arrival {
    pub shard: usize,
    pub slots: Vec<u16>,
    pub state: Result<Vec<u8>, String>,
}

/// Who takes part from an epoch on: the owners of the slots, and the queue of each replica.
pub(crate) struct Deal {
    pub epoch: u64,
    pub owners: Owners,
    pub ports: Vec<Sender<Message>>,
    /// Replicas that took part until now, behind those that stay: they get a last parcel, which is empty.
    pub leaving: Vec<Sender<Message>>,
    pub shifts: Vec<Shift>,
    moving: Vec<Slots>,
}

impl Deal {
    /// `owners` are those before the slots of `shifts` move.
    pub fn new(epoch: u64, mut owners: Owners, ports: Vec<Sender<Message>>, shifts: Vec<Shift>) -> Self {
        let none = if shifts.is_empty() { 0 } else { owners.len() };
        let mut moving: Vec<_> = (0..none).map(|_| Slots::none()).collect();
        for shift in &shifts {
            for slot in shift.slots.iter().map(|slot| usize::from(*slot)) {
                owners[shift.shard][slot] = shift.to;
                moving[shift.shard].insert(slot);
            }
        }
        Self { epoch, owners, ports, leaving: Vec::new(), shifts, moving }
    }

    /// The slots of a shard that move at this epoch, if any does.
    pub fn moving(&self, shard: usize) -> Option<&Slots> {
        self.moving.get(shard)
    }
}

/// What must move for other owners to hold, at most so many slots at a time.
pub(crate) fn shifts(before: &Owners, after: &Owners) -> Vec<Shift> {
    let mut all: Vec<Shift> = Vec::new();
    for (shard, (before, after)) in before.iter().zip(after).enumerate() {
        for slot in (0..SLOTS).filter(|slot| before[*slot] != after[*slot]) {
            let (from, to) = (before[slot], after[slot]);
            match all.iter_mut().find(|s| (s.shard, s.from, s.to) == (shard, from, to)) {
                Some(shift) => shift.slots.push(slot as u16),
                None => all.push(Shift { shard, from, to, slots: vec![slot as u16] }),
            }
        }
    }
    all
}
