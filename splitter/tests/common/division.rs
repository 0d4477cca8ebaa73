//! Random divisions of a brick's work, and a single instance's rows.
#![allow(dead_code, clippy::unwrap_used)]

use crate::common::key;
use legonf_core::Projector;
use legonf_core::{
    ColumnSpec, Division, Element, Field, Headers, Key, PacketKind, PacketKinds, SLOTS, StateGroup,
};
use legonf_splitter::{GroupSet, Plan, Served};
use proptest::prelude::*;

/// A division into these groups, of which each fills `cells` cells, dealt out in turn.
fn division(groups: Vec<StateGroup>, cells: usize) -> Division {
    let turns = (0..cells).flat_map(|_| groups.iter().map(|group| group.name.clone()));
    Division {
        name: "random".into(),
        cells: turns.collect(),
        groups,
        seed: 7,
        fills: ColumnSpec::rows("cells", Element::F64),
    }
}

/// Sources, pairs of hosts, and pairs of sockets whose ARP packets have a key of their own: ARP takes two routes of a shard.
pub fn like_kitsune() -> Division {
    let of = |name: &str, fields: &[Field], both| StateGroup::new(name, Key::new(fields, both).unwrap());
    let hosts = [Field::SrcIp, Field::DstIp];
    let sockets = [Field::SrcIp, Field::DstIp, Field::SrcPort, Field::DstPort];
    let cards = Key::new(&[Field::SrcMac, Field::DstMac], true).unwrap();
    let arp = PacketKinds::of(&[PacketKind::Arp]);
    let groups = vec![
        of("sources", &[Field::SrcIp], false),
        of("pairs", &hosts, true),
        of("sockets", &sockets, true).except(arp, cards),
    ];
    division(groups, 3)
}

fn group(number: usize) -> impl Strategy<Value = StateGroup> {
    let kinds = prop::sample::subsequence(PacketKind::ALL.to_vec(), 1..4);
    (key(), prop::option::of((kinds, key()))).prop_map(move |(key, other)| {
        let group = StateGroup::new(format!("g{number}"), key);
        match other {
            Some((kinds, key)) => group.except(PacketKinds::of(&kinds), key),
            None => group,
        }
    })
}

/// A division of which every packet has a key, with the exact plan or one of a single key.
pub fn divisions() -> impl Strategy<Value = (Division, Plan)> {
    let random = (1..5usize).prop_flat_map(|count| (0..count).map(group).collect::<Vec<_>>());
    let random = (random, 1..4usize).prop_map(|(groups, cells)| division(groups, cells));
    let any = prop_oneof![1 => Just(like_kitsune()), 2 => random];
    (any, prop::option::weighted(0.2, key())).prop_filter_map(
        "a group that stays whole",
        |(division, key)| {
            let set = GroupSet::new(&division.name, division.groups.clone()).unwrap();
            let plan = key.map_or_else(|| Plan::exact(&set), |key| Plan::by_key(&set, key));
            (!plan.is_whole()).then_some((division, plan))
        },
    )
}

/// Owners that look random, of each shard.
pub fn owners(plan: &Plan, replicas: usize, salt: u64) -> Vec<Box<[u16]>> {
    let mix = |at: u64| (at ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    let of = |shard: u64| {
        (0..SLOTS as u64).map(|slot| (mix(slot + (shard << 32)) % replicas as u64) as u16).collect()
    };
    (0..plan.shards.len() as u64).map(of).collect()
}

/// The way that the plan names for a cell of a packet: shard, route and slot.
pub fn way(division: &Division, plan: &Plan, headers: &Headers, cell: usize) -> (usize, usize, usize) {
    let kind = PacketKind::of(headers);
    let serves = |served: &Served| served.group == division.cells[cell] && served.packets.holds(kind);
    let ways = plan.shards.iter().enumerate().flat_map(|(shard, routes)| {
        routes.routes.iter().enumerate().map(move |(route, way)| (shard, route, way))
    });
    let mut found = ways.filter(|(_, _, way)| way.serves.iter().any(serves));
    let (shard, route, way) = found.next().unwrap();
    (shard, route, Projector::new(&way.key, division.seed).slot(headers))
}

/// What a single instance puts into a cell.
pub fn value(place: usize, cell: usize) -> f64 {
    (place * 1000 + cell) as f64
}
