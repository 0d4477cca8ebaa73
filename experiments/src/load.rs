//! Which streams weigh most in the slots of a shard.

use legonf_core::{Address, Ends, Headers, SLOTS, slot};
use legonf_splitter::{Router, SlotCounters};
use std::cmp::Reverse;
use std::fmt;

/// One packet in so many votes for the stream that its slot is named by.
const SAMPLE: u64 = 16;

/// Packets by slot, and for each slot the stream that has most of its packets, if one has more than half.
#[derive(Debug)]
pub struct Loads {
    /// Of this one shard.
    packets: SlotCounters,
    total: u64,
    /// A majority vote for each slot (Boyer and Moore), over a sample of the packets.
    leaders: Vec<Leader>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Leader {
    hash: u64,
    votes: u32,
    /// Sampled packets of this slot, and those of the leader since it leads.
    seen: u32,
    own: u32,
    ends: (Address, Address),
}

/// A slot with many packets.
#[derive(Clone, Debug, PartialEq)]
pub struct Heavy {
    /// The slot.
    pub slot: usize,
    /// Its packets.
    pub packets: u64,
    /// Their part of all packets.
    pub share: f64,
    /// Source and destination of a packet of the stream that leads in the slot.
    pub ends: (Address, Address),
    /// The stream's part of all packets, estimated from a sample.
    pub stream_share: f64,
}

/// A stream that is more than an even share of the packets: no placement relieves the replica that has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Overload {
    /// The slot and its stream.
    pub heavy: Heavy,
    /// Replicas among which the packets are divided.
    pub replicas: usize,
}

impl Default for Loads {
    fn default() -> Self {
        Self { packets: SlotCounters::new(1), total: 0, leaders: vec![Leader::default(); SLOTS] }
    }
}

impl Loads {
    /// Loads of so many shards, of which none has a packet.
    pub fn of_shards(shards: usize) -> Vec<Self> {
        (0..shards).map(|_| Self::default()).collect()
    }

    /// Counts packets in their slots of each shard, once for each route that they take.
    pub fn count_all(loads: &mut [Self], router: &Router, packets: &[Headers]) {
        for headers in packets {
            router.hashes(headers, &mut |shard, hash| loads[shard].count(hash, headers));
        }
    }

    /// Counts a packet whose key has this hash.
    #[inline]
    fn count(&mut self, hash: u64, headers: &Headers) {
        let slot = slot(hash);
        self.packets.count(0, slot);
        self.total += 1;
        if self.total.is_multiple_of(SAMPLE) {
            self.leaders[slot].vote(hash, headers);
        }
    }

    /// Packets of a slot.
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn of(&self, slot: usize) -> u64 {
        self.packets.of(0, slot)
    }

    /// Packets of all slots.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The `k` slots with the most packets, the heaviest first.
    pub fn heaviest(&self, k: usize) -> Vec<Heavy> {
        let mut slots: Vec<usize> = (0..SLOTS).filter(|slot| self.of(*slot) > 0).collect();
        slots.sort_by_key(|slot| (Reverse(self.of(*slot)), *slot));
        slots.truncate(k);
        slots.into_iter().map(|slot| self.heavy(slot)).collect()
    }

    fn heavy(&self, slot: usize) -> Heavy {
        let leader = &self.leaders[slot];
        let share = self.of(slot) as f64 / self.total.max(1) as f64;
        let of_slot = f64::from(leader.own) / f64::from(leader.seen.max(1));
        Heavy { slot, packets: self.of(slot), share, ends: leader.ends, stream_share: share * of_slot }
    }

    /// Streams that alone are more than an even share among so many replicas.
    pub fn overloads(&self, replicas: usize) -> Vec<Overload> {
        let even = 1.0 / replicas.max(1) as f64;
        let heavy = self.heaviest(replicas).into_iter().filter(|heavy| heavy.stream_share > even);
        heavy.map(|heavy| Overload { heavy, replicas }).collect()
    }

    /// Packets of each slot.
    pub fn by_slot(&self) -> Vec<u64> {
        (0..SLOTS).map(|slot| self.of(slot)).collect()
    }

    /// Packets of each of so many replicas under these owners.
    ///
    /// # Panics
    /// If an owner is none of them, or there are not as many as slots.
    pub fn by_replica(&self, owners: &[u16], replicas: usize) -> Vec<u64> {
        let mut sums = vec![0; replicas];
        (0..SLOTS).for_each(|slot| sums[usize::from(owners[slot])] += self.of(slot));
        sums
    }
}

impl Leader {
    fn vote(&mut self, hash: u64, headers: &Headers) {
        self.seen = self.seen.saturating_add(1);
        if self.hash == hash && self.votes > 0 {
            self.votes = self.votes.saturating_add(1);
            self.own = self.own.saturating_add(1);
        } else if self.votes > 0 {
            self.votes -= 1;
        } else {
            let ends = Ends::of(headers);
            *self = Self { hash, votes: 1, seen: self.seen, own: 1, ends: (ends.src, ends.dst) };
        }
    }
}

impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Heavy { slot, ends: (src, dst), stream_share, .. } = &self.heavy;
        write!(
            f,
            "the stream of {src} (such as to {dst}; slot {slot}) alone is {:.1}% of the packets, more than the {:.1}% of \
             an even share among {} replicas: no placement relieves the replica that has it; a faster core for it or, \
             not exactly, a finer granularity would",
            stream_share * 100.0,
            100.0 / self.replicas as f64,
            self.replicas
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::{Hasher, Layer};

    /// Loads of one source with `heavy` packets and of 4,000 others with one each, spread among them.
    fn loads(heavy: usize) -> (Loads, usize) {
        let (mut loads, hasher) = (Loads::default(), Hasher::new(1));
        let source = |low: u32| Headers {
            outer: Layer {
                src: Some(std::net::Ipv4Addr::from_bits(low).into()),
                dst: Some(std::net::Ipv4Addr::from_bits(9).into()),
                ..Layer::default()
            },
            ..Headers::default()
        };
        let hash = |low: u32| hasher.three([0, low.into(), 2]);
        for i in 0..4000u32 {
            loads.count(hash(i + 2), &source(i + 2));
            (0..heavy / 4000).for_each(|_| loads.count(hash(1), &source(1)));
        }
        (loads, slot(hash(1)))
    }

    #[test]
    fn the_heaviest_stream_is_found_and_named() {
        let (loads, at) = loads(12_000);
        let heaviest = &loads.heaviest(3)[0];
        assert_eq!((heaviest.slot, loads.total()), (at, 16_000));
        assert!((12_000..12_010).contains(&heaviest.packets));
        assert_eq!(heaviest.ends.0.to_string(), "0.0.0.1");
        assert!((0.7..0.8).contains(&heaviest.stream_share), "{heaviest:?}");
        let overloads = loads.overloads(2);
        assert_eq!(overloads.len(), 1);
        let text = overloads[0].to_string();
        assert!(text.contains("0.0.0.1") && text.contains("more than the 50.0%"), "{text}");
        assert!(loads.overloads(1).is_empty());
    }
}
