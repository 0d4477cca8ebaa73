//! Packets that share a slot under one seed do not under another.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::packet;
use legonf_core::Headers;
use legonf_extract::{Shard, Slots};
use std::collections::HashSet;
use std::net::Ipv4Addr;

/// A packet of a host that an attacker chose, to one host.
fn chosen(number: u32) -> Headers {
    let to = (Ipv4Addr::new(192, 168, 0, 1), 80);
    packet(u64::from(number), 0, (Ipv4Addr::from_bits(0x0a00_0000 + number), 1024), to, 60)
}

#[test]
fn packets_chosen_for_one_slot_scatter_under_another_seed() {
    let (known, secret) = (Slots::new(1234), Slots::new(4321));
    for (index, shard) in Shard::ALL.into_iter().enumerate() {
        let packets: Vec<_> = (0..1 << 20).map(chosen).filter(|h| known.of(h)[index] == 7).collect();
        let slots: HashSet<_> = packets.iter().map(|headers| secret.of(headers)[index]).collect();
        // Some 256 packets over 4,096 slots: 248 different ones are expected.
        assert!(packets.len() > 180, "{shard:?}: {}", packets.len());
        assert!(slots.len() * 10 > packets.len() * 9, "{shard:?}: {} of {}", slots.len(), packets.len());
    }
}
