//! Who has which slots, as of an epoch, and which of them move.

use crate::sync::Sender;
use crate::worker::message::Message;
use legonf_core::SLOTS;
use legonf_splitter::{Ownership, SlotSet};

/// For each shard the replica that has each slot.
pub(crate) type Owners = Vec<Box<[u16]>>;

/// Slots of a shard that move from one replica to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Migration {
    pub shard: usize,
    pub from: u16,
    pub to: u16,
    pub slots: Vec<u16>,
}

/// State on its way to a replica, or why it is not.
pub(crate) struct SlotState {
    pub shard: usize,
    pub slots: Vec<u16>,
    pub state: Result<Vec<u8>, String>,
}

/// Who takes part from an epoch on: the owners of the slots, and the queue of each replica.
pub(crate) struct OwnershipTable {
    pub epoch: u64,
    pub owners: Owners,
    pub ports: Vec<Sender<Message>>,
    /// Replicas that took part until now, behind those that stay: the first batch of the epoch has a part for them, too, which
    /// is empty.
    pub leaving: Vec<Sender<Message>>,
    pub migrations: Vec<Migration>,
    moving: Vec<SlotSet>,
}

impl OwnershipTable {
    /// `owners` are those before the slots of `migrations` move.
    pub fn new(
        epoch: u64,
        mut owners: Owners,
        ports: Vec<Sender<Message>>,
        migrations: Vec<Migration>,
    ) -> Self {
        let sets = if migrations.is_empty() { 0 } else { owners.len() };
        let mut moving: Vec<_> = (0..sets).map(|_| SlotSet::none()).collect();
        for migration in &migrations {
            for slot in migration.slots.iter().map(|slot| usize::from(*slot)) {
                owners[migration.shard][slot] = migration.to;
                moving[migration.shard].insert(slot);
            }
        }
        Self { epoch, owners, ports, leaving: Vec::new(), migrations, moving }
    }

    /// What the partitioner needs to know for a batch: slots move at the first one of the epoch, and are then waited for.
    pub fn ownership(&self) -> Ownership<'_> {
        Ownership { owners: &self.owners, moving: &self.moving }
    }

    /// The queues of the replicas that have a part of a batch.
    pub fn ports(&self, is_first: bool) -> impl Iterator<Item = &Sender<Message>> {
        self.ports.iter().chain(if is_first { &self.leaving[..] } else { &[] })
    }
}

/// What must move for other owners to hold.
pub(crate) fn migrations(before: &Owners, after: &Owners) -> Vec<Migration> {
    let mut all: Vec<Migration> = Vec::new();
    for (shard, (before, after)) in before.iter().zip(after).enumerate() {
        for slot in (0..SLOTS).filter(|slot| before[*slot] != after[*slot]) {
            let (from, to) = (before[slot], after[slot]);
            match all.iter_mut().find(|m| (m.shard, m.from, m.to) == (shard, from, to)) {
                Some(migration) => migration.slots.push(slot as u16),
                None => all.push(Migration { shard, from, to, slots: vec![slot as u16] }),
            }
        }
    }
    all
}
