//! To which replicas packets go, whatever is computed there.

use super::ways::{Packet, Ways};
use crate::{Plan, SplitError};
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
        let packet = Packet::new(0, PacketKind::of(headers), headers);
        for (shard, (ways, owners)) in self.shards.iter().zip(owners).enumerate() {
            ways.visit(&packet, owners, &mut |_| {}, &mut |replica, _| to(shard, replica));
        }
    }

    /// Tells the shard and the hash of a packet's key, for each route that it takes.
    pub fn hashes(&self, headers: &Headers, each: &mut impl FnMut(usize, u64)) {
        for (shard, ways) in self.shards.iter().enumerate() {
            let projectors = ways.projectors(PacketKind::of(headers));
            projectors.for_each(|projector| each(shard, projector.hash(headers)));
        }
    }

    /// The owner of a packet's slot on the first route that it takes of a shard.
    pub fn owner(&self, shard: usize, headers: &Headers, owners: &[Box<[u16]>]) -> Option<u16> {
        let mut projectors = self.shards.get(shard)?.projectors(PacketKind::of(headers));
        Some(owners[shard][projectors.next()?.slot(headers)])
    }
}
