//! To which replicas packets go, whatever is computed there.

use super::partitioner::{Packet, Ways};
use crate::{Loads, Plan, SplitError};
use legonf_core::{Headers, PacketKind};

/// Tells to which replicas of each shard a plan sends a packet, and by what: for counting.
#[derive(Clone, Debug)]
pub struct Router {
    shards: Vec<Ways>,
}

impl Router {
    /// A router by a plan, with the seed of the hash.
    ///
    /// # Errors
    /// If a shard has no route, or too many.
    pub fn new(plan: &Plan, seed: u64) -> Result<Self, SplitError> {
        let ways = plan.shards.iter().map(|shard| Ways::new(shard, &[], seed));
        Ok(Self { shards: ways.collect::<Result<_, _>>()? })
    }

    /// Tells shard and replica of each copy of a packet. `owners` has for each shard the replica of each slot.
    pub fn route(&self, headers: &Headers, owners: &[Box<[u16]>], to: &mut impl FnMut(usize, usize)) {
        let packet = Packet::new(0, headers);
        for (shard, (ways, owners)) in self.shards.iter().zip(owners).enumerate() {
            ways.visit(&packet, owners, &mut |_| {}, &mut |replica, _| to(shard, replica));
        }
    }

    /// Counts a packet in its slot of each shard and route that it takes.
    pub fn count(&self, headers: &Headers, loads: &mut [Loads]) {
        for (ways, loads) in self.shards.iter().zip(loads) {
            let projectors = ways.projectors(PacketKind::of(headers));
            projectors.for_each(|projector| loads.count(projector.hash(headers), headers));
        }
    }

    /// The owner of a packet's slot on the first route that it takes of a shard.
    pub fn owner(&self, shard: usize, headers: &Headers, owners: &[Box<[u16]>]) -> Option<u16> {
        let mut projectors = self.shards.get(shard)?.projectors(PacketKind::of(headers));
        Some(owners[shard][projectors.next()?.slot(headers)])
    }
}
