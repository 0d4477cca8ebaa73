//! In steady state partitioning and joining allocate nothing.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "common/division.rs"]
mod division;
#[path = "common/replicas.rs"]
mod replicas;

use legonf_allocations::allocations;
use legonf_core::{BATCH, Headers, Layer, Link, Mac, Network};
use legonf_splitter::{GroupSet, Ownership, Partitioner, Plan, SlotSet};
use replicas::Replicas;
use std::net::Ipv4Addr;

fn packet(i: u32) -> Headers {
    let ip = |bits| Some(Ipv4Addr::from_bits(bits).into());
    let network = if i.is_multiple_of(9) { Network::Arp } else { Network::Ipv4 };
    let outer = Layer { network, src: ip(i % 300), dst: ip(i % 7), ..Layer::default() };
    let link = Link { src: Mac([i as u8; 6]), dst: Mac([1; 6]), ..Link::default() };
    Headers { seq: i.into(), outer, link: Some(link), ..Headers::default() }
}

#[test]
fn steady_state_allocates_nothing() {
    let division = division::like_kitsune();
    let plan = Plan::exact(&GroupSet::new(&division.name, division.groups.clone()).unwrap());
    assert_eq!(plan.shards.iter().map(|shard| shard.routes.len()).collect::<Vec<_>>(), [1, 2]);
    let partitioner = Partitioner::new(&division, &plan).unwrap();
    let packets: Vec<_> = (0..50_000).map(packet).collect();
    let (owners, mut replicas) = (division::owners(&plan, 3, 1), Replicas::of(3));
    let mut slots = SlotSet::none();
    (0..4096).step_by(5).for_each(|slot| slots.insert(slot));
    let moving = vec![slots; 2];
    let (mut counted, mut partial) = (0u64, 0);
    let mut round = || {
        let before = allocations();
        for (at, packets) in packets.chunks(BATCH).enumerate() {
            let moving = if at.is_multiple_of(4) { &moving[..] } else { &[] };
            let ownership = Ownership { owners: &owners, moving };
            let count = &mut |_, _| counted += 1;
            partitioner.partition(packets, |_| true, &ownership, &mut replicas.parts, count);
            partial += replicas.parts.iter().map(|part| part.at_home()[0].partial.len()).sum::<usize>();
            replicas.go(&partitioner, packets, &|place, _, _, row| row.fill(place as f64));
            assert!(replicas.homes.iter().all(|homes| *homes == 1));
        }
        allocations() - before
    };
    assert!(round() > 0);
    assert_eq!(round(), 0);
    assert!(counted > 200_000 && partial > 1000, "{counted} {partial}");
}
