//! Copies of packets for the replicas of the opposite direction.

use super::ways::{Packet, Ways};
use super::{PartialEntry, SubBatch};
use legonf_core::Headers;
use legonf_core::Projector;
use std::collections::HashSet;

/// Pairs of hosts whose packets go to the replicas of both directions.
#[derive(Clone, Debug)]
pub(super) struct Copied {
    pair: Projector,
    hashes: HashSet<u64>,
}

impl Copied {
    pub(super) fn new(pair: Projector, hashes: HashSet<u64>) -> Self {
        Self { pair, hashes }
    }

    /// Brings a packet of such a pair to those replicas, too, that have the slot of its opposite direction: by no route.
    #[cold]
    pub(super) fn bring(
        &self,
        shards: &[Ways],
        packet: &Packet<'_>,
        owners: &[Box<[u16]>],
        parts: &mut [SubBatch],
    ) {
        if !self.hashes.contains(&self.pair.hash(packet.headers)) {
            return;
        }
        let reversed = reversed(packet.headers);
        for (shard, (ways, owners)) in shards.iter().zip(owners).enumerate() {
            let Some(projector) = ways.projectors(packet.kind).next() else { continue };
            let [own, other] = [packet.headers, &reversed].map(|headers| owners[projector.slot(headers)]);
            if own == other {
                continue;
            }
            let selection = &mut parts[usize::from(other)].selections[shard][0];
            let index = selection.places.len() as u32;
            let at = selection.links.len() as u32;
            selection.push(packet.place, packet.kind, 0, at);
            selection.partial.push(PartialEntry { index, is_home: false });
        }
    }
}

/// The packet as it would be in the opposite direction.
pub fn reversed(headers: &Headers) -> Headers {
    let mut other = *headers;
    (other.outer.src, other.outer.dst) = (headers.outer.dst, headers.outer.src);
    other.outer.ports = headers.outer.ports.map(|(p, q)| (q, p));
    if let (Some(link), Some(own)) = (&mut other.link, &headers.link) {
        (link.src, link.dst) = (own.dst, own.src);
    }
    other
}
