//! Packets per second of the extractor: a real capture where there is one, and a million channels.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use legonf_core::{Headers, Layer, Link, Mac, Network, Rows, Timestamp, Transport};
use legonf_extract::{Extractor, Limits, build};
use std::net::Ipv4Addr;

fn run(extractor: &mut dyn Extractor, packets: &[Headers], rows: &mut Rows) {
    packets.chunks(256).for_each(|batch| extractor.extract(batch, rows));
}

fn extractor() -> Box<dyn Extractor> {
    build("kitsune-115", Limits::default()).unwrap()
}

/// A packet of a host to one of `hosts` others, 10 µs after the one before.
fn packet(seq: u64, hosts: u32) -> Headers {
    let other = (seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u32 % hosts;
    let ends = [Ipv4Addr::from(0x0a00_0001), Ipv4Addr::from(0x0b00_0000 + other)];
    let way = (seq / 7) as usize & 1;
    let outer = Layer {
        network: Network::Ipv4,
        src: Some(ends[way].into()),
        dst: Some(ends[1 - way].into()),
        transport: Transport::Udp,
        ports: Some((53, 53)),
        ..Layer::default()
    };
    let link = Some(Link { src: Mac([2; 6]), dst: Mac([4; 6]), ..Link::default() });
    let timestamp = Timestamp::from_nanos(1_540_000_000_000_000_000 + seq as i64 * 10_000);
    Headers { seq, timestamp, wire_len: 60 + other % 1400, link, outer, ..Headers::default() }
}

fn mirai(c: &mut Criterion) {
    let Some(file) = common::shared("data/kitsune-mirai/mirai-first20000.pcap") else { return };
    let packets = common::capture(&file);
    let mut group = c.benchmark_group("mirai");
    group.throughput(Throughput::Elements(packets.len() as u64)).sample_size(20);
    let mut rows = Rows::default();
    group.bench_function("first20000", |b| {
        b.iter_batched_ref(
            extractor,
            |extractor| run(&mut **extractor, &packets, &mut rows),
            BatchSize::PerIteration,
        );
    });
}

fn million(c: &mut Criterion) {
    let packets: Vec<_> = (0..1 << 16).map(|seq| packet(seq, 1_000_000)).collect();
    let mut group = c.benchmark_group("million-channels");
    group.throughput(Throughput::Elements(packets.len() as u64)).sample_size(10);
    group.bench_function("made-up", |b| {
        let (mut rows, mut extractor) = (Rows::default(), extractor());
        (0..1 << 22).for_each(|seq| extractor.extract(&[packet(seq, 1_000_000)], &mut rows));
        b.iter(|| run(&mut *extractor, &packets, &mut rows));
    });
}

criterion_group!(benches, mirai, million);
criterion_main!(benches);
