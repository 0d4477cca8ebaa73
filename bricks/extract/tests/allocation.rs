//! In steady state no packet allocates.
#![allow(clippy::unwrap_used)]

mod common;

use common::example_packets;
use legonf_allocations::allocations;
use legonf_core::{Batch, Brick, Headers, Layout as Columns, Timestamp};
use legonf_extract::{Config, FeatureQuantization};

/// Runs the packets through the brick and returns the allocations of that.
fn run(brick: &mut FeatureQuantization, batch: &mut Batch, packets: &[Headers]) -> u64 {
    let before = allocations();
    for packets in packets.chunks(256) {
        batch.headers.clear();
        batch.headers.extend_from_slice(packets);
        brick.process(batch).unwrap();
    }
    allocations() - before
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
