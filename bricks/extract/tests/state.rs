//! Slots move between instances, and nothing shows: the same bits, the same evictions.
#![allow(clippy::unwrap_used)]

mod common;

use common::example_packets;
use legonf_core::{Headers, Layer, Link, Mac, Network, Rows, Timestamp, Transport};
use legonf_extract::{Extractor, Limits, Shard, Slots, StateError, build, build_shards};
use proptest::prelude::*;
use std::net::Ipv4Addr;

const LIMITS: Limits = Limits { sources_per_slot: 2, channels_per_slot: 3, sockets_per_slot: 4, seed: 5 };

fn new(limits: Limits, shards: &[Shard]) -> Box<dyn Extractor> {
    build_shards("kitsune-115", limits, shards).unwrap()
}

/// Replicas of one shard, and which of them has each slot.
struct Replicas {
    shard: Shard,
    slots: Slots,
    replicas: Vec<Box<dyn Extractor>>,
    owner: Vec<usize>,
}

impl Replicas {
    fn new(shard: Shard, count: usize) -> Self {
        let replicas = (0..count).map(|_| new(LIMITS, &[shard])).collect();
        Self { shard, slots: Slots::new(LIMITS.seed), replicas, owner: vec![0; Slots::COUNT] }
    }

    fn extract(&mut self, packet: &Headers, row: &mut Vec<f64>) {
        let slot = self.slots.of(packet)[self.shard as usize];
        let mut rows = Rows::default();
        self.replicas[self.owner[usize::from(slot)]].extract(&[*packet], &mut rows);
        row.extend_from_slice(rows.as_slice());
    }

    /// Moves the slots whose number has this remainder to `to`, wherever they are.
    fn gather(&mut self, to: usize, remainder: usize) {
        (0..self.replicas.len()).for_each(|from| self.shift(from, to % self.replicas.len(), remainder));
    }

    fn shift(&mut self, from: usize, to: usize, remainder: usize) {
        let moved = |slot: usize| slot % 3 == remainder && self.owner[slot] == from;
        let slots: Vec<u16> = (0..Slots::COUNT).filter(|&s| moved(s)).map(|s| s as u16).collect();
        let state = self.replicas[from].export(self.shard, &slots).unwrap();
        self.replicas[to].import(&state).unwrap();
        slots.iter().for_each(|slot| self.owner[usize::from(*slot)] = to);
    }

    fn evictions(&self) -> u64 {
        self.replicas.iter().flat_map(|replica| replica.counters()).map(|(_, count)| count).sum()
    }
}

/// Addresses whose slots as sources, or as peers of the first, are few.
fn pool() -> Vec<Ipv4Addr> {
    let slots = Slots::new(LIMITS.seed);
    let slot = |a: u32, b: u32| slots.of(&packet(Ipv4Addr::from(a), Ipv4Addr::from(b), 1, 0, 60));
    let sources = (1..).filter(|&a| slot(a, 1)[0] == slot(1, 1)[0]).take(5);
    let peers = (2..).filter(|&a| slot(1, a)[1] == slot(1, 2)[1]).take(5);
    sources.chain(peers).map(Ipv4Addr::from).collect()
}

fn packet(src: Ipv4Addr, dst: Ipv4Addr, port: u16, nanos: i64, wire_len: u32) -> Headers {
    let (network, transport, ports) = match port {
        0 => (Network::Arp, Transport::None, None),
        port => (Network::Ipv4, Transport::Udp, Some((port, 53))),
    };
    let outer =
        Layer { network, src: Some(src.into()), dst: Some(dst.into()), transport, ports, ..Layer::default() };
    let link = (wire_len != 0).then_some(Link { src: Mac([2; 6]), dst: Mac([4; 6]), ..Link::default() });
    Headers { timestamp: Timestamp::from_nanos(nanos), wire_len, link, outer, ..Headers::default() }
}

/// Seconds between packets: often none, so that streams expire together and their age decides.
fn gap() -> impl Strategy<Value = i64> {
    prop_oneof![4 => Just(0), 2 => Just(1), 2 => Just(-1), 1 => 0..300i64]
}

prop_compose! {
    fn traffic()(
        steps in prop::collection::vec((0..12usize, 0..12usize, 0..6u16, gap(), 0..1600u32), 1..160),
    ) -> Vec<Headers> {
        let (pool, mut time) = (pool(), 1_540_000_000_000_000_000);
        steps.into_iter().map(|(a, b, port, gap, length)| {
            time += gap * 1_000_000_000;
            packet(pool[a % pool.len()], pool[b % pool.len()], port, time, length)
        }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn moves_never_show(
        packets in traffic(),
        moves in prop::collection::vec((0..160usize, 0..8usize, 0..3usize), 0..40),
        count in 1..=8usize,
    ) {
        let mut single = new(LIMITS, &Shard::ALL);
        let mut split = Shard::ALL.map(|shard| Replicas::new(shard, count));
        let mut rows = Rows::default();
        for (at, packet) in packets.iter().enumerate() {
            for (_, to, remainder) in moves.iter().filter(|(when, ..)| *when == at) {
                split.iter_mut().for_each(|replicas| replicas.gather(*to, *remainder));
            }
            single.extract(&[*packet], &mut rows);
            let mut joined = Vec::new();
            split.iter_mut().for_each(|replicas| replicas.extract(packet, &mut joined));
            let bits = |row: &[f64]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(rows.as_slice()), bits(&joined), "packet {}", at);
        }
        let evicted: u64 = single.counters().into_iter().map(|(_, count)| count).sum();
        prop_assert_eq!(split.iter().map(Replicas::evictions).sum::<u64>(), evicted);
    }

    #[test]
    fn damage_is_refused_and_changes_nothing(at in any::<prop::sample::Index>(), byte in 1..=255u8, cut in any::<bool>()) {
        let mut state = exported();
        let mut empty = new(LIMITS, &Shard::ALL);
        match cut {
            true => state.truncate(at.index(state.len())),
            false => *at.get_mut(&mut state) ^= byte,
        }
        prop_assert!(matches!(empty.import(&state), Err(StateError::Damaged(_))));
        prop_assert!(all(&mut *empty) == all(&mut *new(LIMITS, &Shard::ALL)));
    }
}

proptest! {
    /// A checksum can be forged: whatever is in the bytes is refused, or runs on.
    #[test]
    fn forged_state_never_panics(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
        let mut state = exported();
        let body = state.len() - 4;
        let tables = 51;
        for (at, byte) in changes {
            state[tables + at.index(body - tables)] = byte;
        }
        let checksum = crc32fast::hash(&state[..body]).to_le_bytes();
        state[body..].copy_from_slice(&checksum);
        let mut extractor = new(LIMITS, &Shard::ALL);
        if extractor.import(&state).is_ok() {
            extractor.extract(&example_packets()[300..], &mut Rows::default());
            all(&mut *extractor);
        }
    }
}

/// The channels of the first packets of the example.
fn exported() -> Vec<u8> {
    let mut extractor = new(LIMITS, &Shard::ALL);
    extractor.extract(&example_packets()[..300], &mut Rows::default());
    all(&mut *extractor)
}

fn all(extractor: &mut dyn Extractor) -> Vec<u8> {
    let slots: Vec<u16> = (0..Slots::COUNT as u16).collect();
    extractor.export(Shard::Channels, &slots).unwrap()
}

#[test]
fn what_was_exported_is_gone_and_its_memory_is_used_again() {
    let mut extractor = new(LIMITS, &Shard::ALL);
    extractor.extract(&example_packets(), &mut Rows::default());
    let (before, state) = (extractor.state_bytes(), all(&mut *extractor));
    let empty = all(&mut *new(LIMITS, &Shard::ALL));
    assert!(all(&mut *extractor).len() == empty.len() && empty.len() < state.len());
    for _ in 0..3 {
        extractor.import(&state).unwrap();
        assert_eq!(all(&mut *extractor), state);
    }
    assert_eq!(extractor.state_bytes(), before);
}

#[test]
fn another_configuration_is_named() {
    let state = exported();
    let refused =
        |schema: &str, limits| build(schema, limits).unwrap().import(&state).unwrap_err().to_string();
    assert!(refused("kitsune-115-clean", LIMITS).contains("another schema"));
    assert!(refused("kitsune-115", Limits { seed: 6, ..LIMITS }).contains("another seed"));
    let other = Limits { channels_per_slot: 9, ..LIMITS };
    assert!(refused("kitsune-115", other).contains("another limit"));
    assert!(refused("kitsune-py-100", LIMITS).contains("does not divide"));
}

#[test]
fn slots_and_shards_that_cannot_be_are_refused() {
    let state = exported();
    let mut busy = new(LIMITS, &Shard::ALL);
    busy.extract(&example_packets()[..300], &mut Rows::default());
    assert!(matches!(busy.import(&state), Err(StateError::Occupied(_))));
    assert_eq!(busy.export(Shard::Channels, &[4096]), Err(StateError::NoSlot(4096)));
    let mut sources = new(LIMITS, &[Shard::Sources]);
    assert_eq!(sources.import(&state), Err(StateError::NoShard(Shard::Channels)));
    assert_eq!(sources.export(Shard::Sockets, &[0]), Err(StateError::NoShard(Shard::Sockets)));
    let none = build_shards("kitsune-115", LIMITS, &[]).err().unwrap();
    assert!(none.to_string().contains("at least one"));
    let py = build_shards("kitsune-py-100", LIMITS, &[Shard::Sources]).err().unwrap();
    assert!(py.to_string().contains("expected all shards"));
}
