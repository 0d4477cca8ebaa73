//! Packets parsed per second on one core: batches through the packet batching brick.
#![allow(clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use legonf_core::{BATCH, Batch, Brick, LinkType, Packets, Timestamp};
use legonf_wire::{Config, PacketBatching};
use std::hint::black_box;

fn ethernet(tags: &[u8], packet: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], tags, packet].concat()
}

fn ip4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len() as u16).to_be_bytes();
    let fixed = [0x45, 0, len[0], len[1], 0, 1, 0x40, 0, 64, protocol, 0, 0, 192, 168, 4, 10, 10, 0, 0, 5];
    [&fixed[..], payload].concat()
}

fn ip6(next: u8, payload: &[u8]) -> Vec<u8> {
    let fixed = [0x60, 0, 0, 0, 0, payload.len() as u8, next, 64];
    [&fixed[..], &[0x20; 32], payload].concat()
}

fn transport(header: usize) -> Vec<u8> {
    let mut bytes = vec![0; header + 32];
    bytes[..8].copy_from_slice(&[0x9c, 0x41, 0x01, 0xbb, 0, 40, 0, 0]);
    bytes
}

fn vxlan(frame: &[u8]) -> Vec<u8> {
    let len = (16 + frame.len() as u16).to_be_bytes();
    [&[0x9c, 0x41, 0x12, 0xb5, len[0], len[1], 0, 0, 8, 0, 0, 0, 0, 1, 2, 0][..], frame].concat()
}

/// Each kind of packet alone, so that what it costs is seen.
fn generated() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let (tcp, udp) = (ip4(6, &transport(20)), ip4(17, &transport(8)));
    let tcp6 = ip6(6, &transport(20));
    let extended = ip6(0, &[&[6, 0, 1, 4, 0, 0, 0, 0][..], &transport(20)].concat());
    let plain = ethernet(&[8, 0], &tcp);
    vec![
        ("ipv4-tcp", vec![plain.clone()]),
        (
            "ipv4-tcp-and-udp",
            vec![plain.clone(), ethernet(&[8, 0], &udp), ethernet(&[8, 0], &udp), plain.clone()],
        ),
        ("ipv6-tcp", vec![ethernet(&[0x86, 0xdd], &tcp6)]),
        ("ipv6-extension-tcp", vec![ethernet(&[0x86, 0xdd], &extended)]),
        ("qinq-ipv4-tcp", vec![ethernet(&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2, 8, 0], &tcp)]),
        ("vxlan-ipv4-tcp", vec![ethernet(&[8, 0], &ip4(17, &vxlan(&plain)))]),
    ]
}

fn batches(packets: &Packets) -> Vec<Batch> {
    let mut batches = vec![Batch::default()];
    for (record, bytes) in packets.iter() {
        if batches.last().is_none_or(|b| b.len() == BATCH) {
            batches.push(Batch::default());
        }
        let last = batches.len() - 1;
        batches[last].packets.push(record.seq, record.timestamp, record.wire_len, record.link, bytes);
    }
    batches
}

fn repeated(frames: &[Vec<u8>]) -> Packets {
    let mut packets = Packets::default();
    for (seq, frame) in frames.iter().cycle().take(4 * BATCH).enumerate() {
        let time = Timestamp::new(1, seq as u32);
        packets.push(seq as u64, time, frame.len() as u32, LinkType::Ethernet, frame);
    }
    packets
}

fn measure(criterion: &mut Criterion, name: &str, packets: &Packets) {
    let mut brick = PacketBatching::new(Config {});
    let mut batches = batches(packets);
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(packets.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for batch in &mut batches {
                batch.headers.clear();
                brick.process(batch).expect("parsing has no fault");
                black_box(&batch.headers);
            }
        });
    });
    group.finish();
}

fn parse(criterion: &mut Criterion) {
    for (name, frames) in generated() {
        measure(criterion, name, &repeated(&frames));
    }
    if let Some(folder) = common::shared("kitsune-mirai") {
        measure(criterion, "mirai", &common::read(&folder.join("mirai-first20000.pcap")));
    }
}

criterion_group!(benches, parse);
criterion_main!(benches);
