//! Packets per second that the generator makes straight into memory.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use legonf_core::{Batch, Source};
use legonf_datasets::generate::{Attack, Config, Generator};

const PACKETS: u64 = 1 << 20;

fn run(generator: &mut Generator, batch: &mut Batch) {
    loop {
        batch.clear();
        generator.fill(batch).unwrap();
        if batch.is_empty() {
            return;
        }
    }
}

fn memory(c: &mut Criterion) {
    let benign = Config { packets: PACKETS, ..Config::default() };
    let attack = Some(Attack { start: 0.0, rate: 1e6 });
    let mut group = c.benchmark_group("generate");
    group.throughput(Throughput::Elements(PACKETS)).sample_size(10);
    for (name, config) in [
        ("benign", benign),
        ("benign-100k-flows", Config { hosts: 10_000, flows: 100_000, ..benign }),
        ("scan", Config { scan: attack, ..benign }),
        ("spoofed-flood", Config { flood: attack, spoofed_sources: 100_000_000, ..benign }),
    ] {
        let mut batch = Batch::default();
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                || Generator::new(config).unwrap(),
                |generator| run(generator, &mut batch),
                BatchSize::PerIteration,
            );
        });
    }
}

criterion_group!(benches, memory);
criterion_main!(benches);
