//! In steady state partitioning and joining allocate nothing.
#![allow(clippy::unwrap_used)]
#![allow(unsafe_code)]

mod common;
#[path = "common/division.rs"]
mod division;
#[path = "common/replicas.rs"]
mod replicas;

use legonf_core::{BATCH, Headers, Layer, Link, Mac, Network};
use legonf_splitter::{GroupSet, Ownership, Partitioner, Plan, SlotSet};
use replicas::Replicas;
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator, which upholds the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract of `dealloc`, and the block is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for (at, packets) in packets.chunks(BATCH).enumerate() {
            let moving = if at.is_multiple_of(4) { &moving[..] } else { &[] };
            let ownership = Ownership { owners: &owners, moving };
            let count = &mut |_, _| counted += 1;
            partitioner.partition(packets, |_| true, &ownership, &mut replicas.parts, count);
            partial += replicas.parts.iter().map(|part| part.at_home()[0].partial.len()).sum::<usize>();
            replicas.go(&partitioner, packets, &|place, _, _, row| row.fill(place as f64));
            assert!(replicas.homes.iter().all(|homes| *homes == 1));
        }
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    assert!(round() > 0);
    assert_eq!(round(), 0);
    assert!(counted > 200_000 && partial > 1000, "{counted} {partial}");
}
