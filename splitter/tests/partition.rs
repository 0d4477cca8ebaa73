//! Random traffic over random divisions and owners: every packet has one home, every cell one origin, and order is kept.
#![allow(clippy::unwrap_used)]

#[path = "common/division.rs"]
mod division;
#[path = "common/replicas.rs"]
mod replicas;
#[path = "common/traffic.rs"]
mod traffic;

mod common;

use division::{divisions, like_kitsune, owners, value, way};
use legonf_core::Projector;
use legonf_core::{Division, Field, Headers, Key, Layer, Link, Mac, Network, PacketKind, SLOTS};
use legonf_splitter::{
    GroupSet, Mode, Ownership, Partitioner, Plan, Route, Router, SlotSet, SplitError, SubBatch, reversed,
};
use proptest::prelude::*;
use replicas::Replicas;
use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use traffic::traffic;

/// A cell that nobody should look at.
const POISON: f64 = -1.0;

/// The routes of a shard that a kind of packet takes, a bit each.
fn taken(plan: &Plan, shard: usize, headers: &Headers) -> u8 {
    let routes = plan.shards[shard].routes.iter().enumerate();
    let bit = |(at, route): (usize, &Route)| u8::from(route.packets.holds(PacketKind::of(headers))) << at;
    routes.map(bit).sum()
}

/// The slot of a packet on each route that it takes of a shard.
fn slots<'a>(
    division: &'a Division,
    plan: &'a Plan,
    shard: usize,
    headers: &'a Headers,
) -> impl Iterator<Item = (usize, usize)> + 'a {
    let taken = taken(plan, shard, headers);
    let routes = plan.shards[shard].routes.iter().enumerate().filter(move |(at, _)| taken & 1 << at != 0);
    routes.map(|(at, route)| (at, Projector::new(&route.key, division.seed).slot(headers)))
}

/// With compact rows or without.
fn partitioner(division: &Division, plan: &Plan, salt: u64) -> Partitioner {
    let partitioner = Partitioner::new(division, plan).unwrap();
    if salt.is_multiple_of(2) { partitioner } else { partitioner.compacted() }
}

fn partition(
    partitioner: &Partitioner,
    packets: &[Headers],
    chosen: impl Fn(usize) -> bool,
    ownership: &Ownership<'_>,
    parts: &mut [SubBatch],
) -> HashMap<(usize, usize), u64> {
    let mut counts = HashMap::new();
    let count = &mut |shard, slot| *counts.entry((shard, slot)).or_insert(0) += 1;
    partitioner.partition(packets, chosen, ownership, parts, count);
    counts
}

/// Every packet comes to the owner of its slot on each route, once where one replica has several, and in order.
fn check_selections(
    (division, plan): &(Division, Plan),
    packets: &[Headers],
    chosen: impl Fn(usize) -> bool,
    owners: &[Box<[u16]>],
    parts: &[SubBatch],
) -> Result<(), TestCaseError> {
    for (shard, owners) in owners.iter().enumerate() {
        let mut routes: HashMap<(usize, usize), u8> = HashMap::new();
        for (replica, selection) in parts.iter().enumerate().flat_map(|(replica, part)| {
            part.selections[shard].iter().map(move |selection| (replica, selection))
        }) {
            prop_assert!(selection.places.is_sorted_by(|a, b| a < b), "order of arrival");
            prop_assert_eq!(selection.places.len(), selection.entries.len());
            for (place, entry) in selection.places.iter().zip(&selection.entries) {
                prop_assert!(chosen(*place) && entry.kind == PacketKind::of(&packets[*place]));
                prop_assert!(entry.routes != 0 && routes.insert((*place, replica), entry.routes).is_none());
            }
        }
        let mut expected: HashMap<(usize, usize), u8> = HashMap::new();
        for (place, headers) in packets.iter().enumerate().filter(|(place, _)| chosen(*place)) {
            for (route, slot) in slots(division, plan, shard, headers) {
                *expected.entry((place, owners[slot].into())).or_insert(0) |= 1 << route;
            }
        }
        prop_assert_eq!(routes, expected);
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_packet_has_one_home_and_every_cell_one_origin(
        divided in divisions(), packets in traffic(200), count in 1..65usize, salt in any::<u64>(), every in 1..4usize,
    ) {
        let (division, plan) = &divided;
        let partitioner = partitioner(division, plan, salt);
        let owners = owners(plan, count, salt);
        let chosen = |place: usize| place.is_multiple_of(every);
        let mut replicas = Replicas::of(count);
        let counts = partition(
            &partitioner, &packets, chosen, &Ownership { owners: &owners, moving: &[] }, &mut replicas.parts,
        );
        check_selections(&divided, &packets, chosen, &owners, &replicas.parts)?;
        // A replica knows what the streams of its slots say, and nothing else.
        replicas.go(&partitioner, &packets, &|place, replica, at, row| {
            for (cell, known) in row.iter_mut().enumerate() {
                let (shard, _, slot) = way(division, plan, &packets[place], cell);
                let is_own = shard == at && usize::from(owners[shard][slot]) == replica;
                *known = if is_own { value(place, cell) } else { POISON };
            }
        });
        for place in 0..packets.len() {
            prop_assert_eq!(replicas.homes[place], u32::from(chosen(place)), "packet {}", place);
            for (cell, found) in replicas.whole.row(place).iter().enumerate().filter(|_| chosen(place)) {
                prop_assert_eq!(*found, value(place, cell), "packet {} cell {}", place, cell);
            }
        }
        // A packet counts once at each replica that gets it, in a slot of that replica.
        let sent: usize = replicas.parts.iter().flat_map(|p| p.selections.iter().flatten()).map(|s| s.places.len()).sum();
        prop_assert_eq!(counts.values().sum::<u64>(), sent as u64);
        prop_assert!(replicas.parts.iter().all(|part| part.stalls == 0));
    }

    #[test]
    fn packets_of_one_stream_never_go_to_two_replicas(
        divided in divisions(), packets in traffic(200), count in 1..65usize, salt in any::<u64>(),
    ) {
        let (division, plan) = &divided;
        prop_assume!(plan.mode == Mode::Exact);
        let owners = owners(plan, count, salt);
        for (cell, name) in division.cells.iter().enumerate() {
            let group = division.groups.iter().find(|group| group.name == *name).unwrap();
            for keyed in &group.keys {
                let projector = Projector::new(&keyed.key, division.seed);
                let mut met: HashMap<u64, u16> = HashMap::new();
                for packet in packets.iter().filter(|p| keyed.packets.holds(PacketKind::of(p))) {
                    let (shard, _, slot) = way(division, plan, packet, cell);
                    let owner = owners[shard][slot];
                    prop_assert_eq!(*met.entry(projector.hash(packet)).or_insert(owner), owner);
                }
            }
        }
    }

    #[test]
    fn packets_of_slots_on_the_move_wait_and_nothing_overtakes_them(
        divided in divisions(), packets in traffic(200), count in 1..9usize, salt in any::<u64>(), rate in 1..5usize,
    ) {
        let (division, plan) = &divided;
        let partitioner = partitioner(division, plan, salt);
        let owners = owners(plan, count, salt);
        let moving: Vec<_> = (0..plan.shards.len()).map(|shard| moving(rate + shard)).collect();
        let mut replicas = Replicas::of(count);
        let ownership = Ownership { owners: &owners, moving: &moving };
        partition(&partitioner, &packets, |_| true, &ownership, &mut replicas.parts);
        check_selections(&divided, &packets, |_| true, &owners, &replicas.parts)?;
        for (replica, part) in replicas.parts.iter().enumerate() {
            for shard in 0..plan.shards.len() {
                let own = |slot: usize| usize::from(owners[shard][slot]) == replica;
                let slots = |place: usize| {
                    let all = slots(division, plan, shard, &packets[place]).map(|(_, slot)| slot);
                    all.filter(|slot| own(*slot)).collect::<Vec<_>>()
                };
                check_waiting(part, shard, &slots, &moving[shard])?;
            }
        }
    }
}

proptest! {
    /// Copies go where the opposite direction goes, by no route, and change no row.
    #[test]
    fn copies_go_to_the_opposite_direction_and_change_no_row(
        packets in traffic(200), count in 1..9usize, salt in any::<u64>(), rate in 1..4u64,
    ) {
        let (division, source) = (like_kitsune(), Key::new(&[Field::SrcIp], false).unwrap());
        let set = GroupSet::new(&division.name, division.groups.clone()).unwrap();
        let plan = Plan::by_key(&set, source);
        let pair = Projector::new(&Key::new(&[Field::SrcIp, Field::DstIp], true).unwrap(), division.seed);
        let hashes: HashSet<u64> = packets.iter().map(|p| pair.hash(p)).filter(|hash| hash % rate == 0).collect();
        let partitioner = Partitioner::new(&division, &plan).unwrap().copying(pair, hashes.clone());
        prop_assert!(!partitioner.is_exact());
        let (owners, mut replicas) = (owners(&plan, count, salt), Replicas::of(count));
        let owner = |headers: &Headers| owners[0][Projector::new(&source, division.seed).slot(headers)];
        let ownership = Ownership { owners: &owners, moving: &[] };
        partition(&partitioner, &packets, |_| true, &ownership, &mut replicas.parts);
        for (replica, part) in replicas.parts.iter().enumerate() {
            let [selection, _] = part.at_home();
            let came: Vec<_> = selection.places.iter().zip(&selection.entries).map(|(p, e)| (*p, e.routes)).collect();
            let expected = packets.iter().enumerate().filter_map(|(place, headers)| {
                let own = usize::from(owner(headers)) == replica;
                let other = hashes.contains(&pair.hash(headers)) && usize::from(owner(&reversed(headers))) == replica;
                (own || other).then_some((place, u8::from(own)))
            });
            prop_assert_eq!(came, expected.collect::<Vec<_>>());
        }
        replicas.go(&partitioner, &packets, &|place, replica, _, row| {
            let own = usize::from(owner(&packets[place])) == replica;
            row.iter_mut().enumerate().for_each(|(cell, x)| *x = if own { value(place, cell) } else { POISON });
        });
        for place in 0..packets.len() {
            prop_assert_eq!(replicas.homes[place], 1);
            prop_assert!(replicas.whole.row(place).iter().enumerate().all(|(cell, x)| *x == value(place, cell)));
        }
    }

    #[test]
    fn a_router_counts_what_a_partitioner_sends(
        divided in divisions(), packets in traffic(200), count in 1..65usize, salt in any::<u64>(),
    ) {
        let (division, plan) = &divided;
        let (partitioner, router) =
            (Partitioner::new(division, plan).unwrap(), Router::new(plan, division.seed).unwrap());
        let (owners, mut parts) = (owners(plan, count, salt), vec![SubBatch::default(); count]);
        partition(&partitioner, &packets, |_| true, &Ownership { owners: &owners, moving: &[] }, &mut parts);
        let mut sent = vec![vec![0; count]; plan.shards.len()];
        packets.iter().for_each(|headers| {
            router.route(headers, &owners, &mut |shard, replica| sent[shard][replica] += 1);
        });
        for (shard, sent) in sent.iter().enumerate() {
            let came: Vec<_> = parts.iter().map(|part| part.selections[shard][0].places.len()).collect();
            prop_assert_eq!(sent, &came);
        }
        for headers in &packets {
            let (mut told, mut expected) = (HashSet::new(), HashSet::new());
            router.hashes(headers, &mut |shard, hash| _ = told.insert((shard, legonf_core::slot(hash))));
            for shard in 0..plan.shards.len() {
                expected.extend(slots(division, plan, shard, headers).map(|(_, slot)| (shard, slot)));
            }
            prop_assert_eq!(told, expected);
        }
    }
}

/// One slot in so many.
fn moving(rate: usize) -> SlotSet {
    let mut slots = SlotSet::none();
    (0..SLOTS).step_by(rate).for_each(|slot| slots.insert(slot));
    slots
}

/// Packets of slots that move wait, those behind them in any of their slots too, and no other without need.
fn check_waiting(
    part: &SubBatch,
    shard: usize,
    slots: &dyn Fn(usize) -> Vec<usize>,
    moving: &SlotSet,
) -> Result<(), TestCaseError> {
    let lanes = part.selections[shard].iter().enumerate();
    let mut packets: Vec<_> = lanes
        .flat_map(|(lane, selection)| selection.places.iter().map(move |place| (*place, lane)))
        .collect();
    packets.sort_unstable();
    let (mut held, mut is_stalled) = (HashSet::new(), false);
    for (place, lane) in packets {
        let slots = slots(place);
        let moves = slots.iter().filter(|slot| moving.holds(**slot)).count();
        prop_assert!(lane == 1 || slots.iter().all(|slot| !held.contains(slot)), "overtaken at {}", place);
        is_stalled |= moves > 0 && moves < slots.len();
        prop_assert_eq!(lane == 1, moves > 0 || is_stalled, "packet {}", place);
        held.extend(slots.into_iter().filter(|_| lane == 1));
    }
    prop_assert_eq!(part.stalls & 1 << shard != 0, is_stalled);
    Ok(())
}

fn arp(i: u8) -> Headers {
    let ip = |last| Some(Ipv4Addr::new(10, 0, 0, last).into());
    let outer = Layer { network: Network::Arp, src: ip(i), dst: ip(255), ..Layer::default() };
    let link = Link { src: Mac([i; 6]), dst: Mac([255; 6]), ..Link::default() };
    Headers { link: Some(link), outer, ..Headers::default() }
}

/// So the tests above see what they are for: ARP on two routes of one shard, which lead to one replica or to two.
#[test]
fn arp_takes_two_routes_of_one_shard() {
    let division = like_kitsune();
    let plan = Plan::exact(&GroupSet::new(&division.name, division.groups.clone()).unwrap());
    let partitioner = Partitioner::new(&division, &plan).unwrap();
    let packets: Vec<_> = (0..200).map(arp).collect();
    let mut parts = vec![SubBatch::default(); 2];
    let owners = owners(&plan, 2, 1);
    partition(&partitioner, &packets, |_| true, &Ownership { owners: &owners, moving: &[] }, &mut parts);
    let partial = |part: &SubBatch| part.at_home()[0].partial_of(0..packets.len()).to_vec();
    let homes = |is_home| parts.iter().flat_map(partial).filter(|partial| partial.is_home == is_home).count();
    assert!((40..160).contains(&homes(true)) && homes(true) == homes(false), "{}", homes(true));
}

#[test]
fn what_cannot_be_divided_is_refused() {
    let division = like_kitsune();
    let set = |division: &Division| GroupSet::new(&division.name, division.groups.clone()).unwrap();
    let whole = Plan::by_key(&set(&division), Key::ALL);
    assert_eq!(Partitioner::new(&division, &whole).err(), Some(SplitError::Whole("random".into())));
    let mut unknown = division.clone();
    unknown.cells[4] = "nobody's".into();
    let plan = Plan::exact(&set(&unknown));
    assert!(matches!(Partitioner::new(&unknown, &plan).err(), Some(SplitError::Cells { .. })));
}
