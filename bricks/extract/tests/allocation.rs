//! In steady state no packet allocates.
#![allow(clippy::unwrap_used)]
#![allow(unsafe_code)]

mod common;

use common::example_packets;
use legonf_core::{Batch, Brick, Headers, Layout as Columns, Timestamp};
use legonf_extract::{Config, FeatureQuantization};
use std::alloc::{GlobalAlloc, Layout, System};
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

/// Runs the packets through the brick and returns the allocations of that.
fn run(brick: &mut FeatureQuantization, batch: &mut Batch, packets: &[Headers]) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    for packets in packets.chunks(256) {
        batch.headers.clear();
        batch.headers.extend_from_slice(packets);
        brick.process(batch).unwrap();
    }
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

#[test]
fn steady_state_allocates_nothing() {
    let packets = example_packets();
    let later: Vec<Headers> = packets
        .iter()
        .map(|p| Headers { timestamp: Timestamp::from_nanos(p.timestamp.as_nanos() + 600_000_000_000), ..*p })
        .collect();
    for schema in ["kitsune-115", "kitsune-115-clean"] {
        for sockets_per_slot in [1, 1024] {
            let mut config = Config { schema: schema.into(), ..Config::default() };
            config.limits.sockets_per_slot = sockets_per_slot;
            let mut brick = FeatureQuantization::new(&config).unwrap();
            let mut batch = Batch::new(&Columns::binding(&mut [&mut brick]).unwrap());
            assert!(run(&mut brick, &mut batch, &packets) > 0);
            assert_eq!(run(&mut brick, &mut batch, &later), 0, "{schema} {sockets_per_slot}");
        }
    }
}
