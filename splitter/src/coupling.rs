//! How often packets would have to be sent to keep coupled streams whole: near-full replication, in figures.

use legonf_core::{Address, Ends, Hasher, Headers, slot, source_words};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// The most pairs of hosts that are kept; later ones are left out, which makes the figures too low.
const MOST_PAIRS: usize = 1 << 22;

/// The hosts of a capture, who talks to whom, and how many packets each has sent.
///
/// Where a packet ages the streams of all its source's peers, the answers of a source depend on its peers' packets, and
/// through the age of their streams on those of the peers' peers: a replica that answers for a source needs them all.
#[derive(Clone, Debug, Default)]
pub struct Coupling {
    numbers: HashMap<Address, u32>,
    /// For each host the packets that it sent and its peers.
    hosts: Vec<Host>,
    pairs: HashSet<(u32, u32)>,
    packets: u64,
}

#[derive(Clone, Debug)]
struct Host {
    address: Address,
    sent: u64,
    peers: Vec<u32>,
}

/// Copies of packets at a number of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Replication {
    /// Replicas, with the sources divided among them.
    pub replicas: usize,
    /// Copies sent for each packet.
    pub copies: f64,
    /// Part of all packets that the replica with the most gets.
    pub largest_share: f64,
}

impl Coupling {
    /// Counts packets in.
    pub fn push(&mut self, packets: &[Headers]) {
        for ends in packets.iter().map(Ends::of) {
            let (src, dst) = (self.number(ends.src), self.number(ends.dst));
            self.hosts[src as usize].sent += 1;
            self.packets += 1;
            let pair = (src.min(dst), src.max(dst));
            if src != dst && self.pairs.len() < MOST_PAIRS && self.pairs.insert(pair) {
                self.hosts[src as usize].peers.push(dst);
                self.hosts[dst as usize].peers.push(src);
            }
        }
    }

    fn number(&mut self, address: Address) -> u32 {
        let next = self.hosts.len() as u32;
        let number = *self.numbers.entry(address).or_insert(next);
        if number == next {
            self.hosts.push(Host { address, sent: 0, peers: Vec::new() });
        }
        number
    }

    /// The copies that an exact split by source would take, the sources divided by the slot of their address.
    ///
    /// # Panics
    /// If there is no replica.
    pub fn replication(&self, replicas: usize, seed: u64) -> Replication {
        let hasher = Hasher::new(seed);
        let owner = |host: &Host| slot(hasher.three(source_words(host.address))) % replicas;
        let mut owned = vec![Vec::new(); replicas];
        for (number, host) in self.hosts.iter().enumerate().filter(|(_, host)| host.sent > 0) {
            owned[owner(host)].push(number as u32);
        }
        let needed: Vec<u64> = owned.into_iter().map(|sources| self.needed(sources)).collect();
        let of_all = |packets: u64| packets as f64 / self.packets.max(1) as f64;
        Replication {
            replicas,
            copies: of_all(needed.iter().sum()),
            largest_share: of_all(needed.iter().copied().max().unwrap_or(0)),
        }
    }

    /// Packets of these sources, their peers, and their peers' peers.
    fn needed(&self, sources: Vec<u32>) -> u64 {
        let mut reached = vec![false; self.hosts.len()];
        sources.iter().for_each(|source| reached[*source as usize] = true);
        let (mut all, mut edge) = (sources.clone(), sources);
        for _ in 0..2 {
            let peers: Vec<u32> =
                edge.iter().flat_map(|h| self.hosts[*h as usize].peers.iter().copied()).collect();
            edge = peers
                .into_iter()
                .filter(|peer| !std::mem::replace(&mut reached[*peer as usize], true))
                .collect();
            all.extend(&edge);
        }
        all.iter().map(|host| self.hosts[*host as usize].sent).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legonf_core::Layer;

    fn packet(from: u32, to: u32) -> Headers {
        let ip = |bits| Some(std::net::Ipv4Addr::from_bits(bits).into());
        Headers { outer: Layer { src: ip(from), dst: ip(to), ..Layer::default() }, ..Headers::default() }
    }

    #[test]
    fn one_server_couples_everyone_and_pairs_apart_do_not() {
        let (mut star, mut apart) = (Coupling::default(), Coupling::default());
        for i in 1..500 {
            star.push(&[packet(i, 9999), packet(9999, i)]);
            apart.push(&[packet(2 * i, 2 * i + 1), packet(2 * i + 1, 2 * i)]);
        }
        let star = star.replication(8, 1);
        assert_eq!((star.replicas, star.copies, star.largest_share), (8, 8.0, 1.0));
        // Both ends of a pair go where either is: to one replica or two.
        let apart = apart.replication(8, 1);
        assert!((1.8..2.0).contains(&apart.copies) && apart.largest_share < 0.35, "{apart:?}");
    }

    #[test]
    fn one_replica_needs_each_packet_once_and_no_packet_none() {
        let mut chain = Coupling::default();
        chain.push(&(1..100).map(|i| packet(i, i + 1)).collect::<Vec<_>>());
        assert_eq!(chain.replication(1, 1).copies, 1.0);
        assert_eq!(Coupling::default().replication(4, 1).copies, 0.0);
    }
}
