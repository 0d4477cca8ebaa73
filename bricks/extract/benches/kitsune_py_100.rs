//! Packets per second of `kitsune-py-100`: the golden captures where they are, and scans.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{capture, example, scan, shared};
use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use legonf_core::{Headers, Rows};
use legonf_extract::{Limits, build};

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, packets: &[Headers]) {
    group.throughput(Throughput::Elements(packets.len() as u64)).sample_size(10);
    let mut rows = Rows::default();
    group.bench_function(name, |b| {
        b.iter_batched_ref(
            || build("kitsune-py-100", Limits::default()).unwrap(),
            |extractor| packets.chunks(256).for_each(|batch| extractor.extract(batch, &mut rows)),
            BatchSize::PerIteration,
        );
    });
}

fn captures(c: &mut Criterion) {
    let mut group = c.benchmark_group("kitsune-py-100");
    for input in [
        "data/kitsune-mirai/mirai-first20000.pcap",
        "data/kitsune-mirai/mirai-first38k.pcap.tsv.gz",
        "data/iot23-hakai/iot23-8-1-hakai.pcap",
        "data/scans/masscan-tcp.pcap",
        "data/scans/nmap-services.pcap",
        "data/scans/synflood-spoofed.pcap",
        "data/scans/dns-amplification-fragmented.pcap",
    ] {
        if let Some(path) = shared(input) {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            measure(&mut group, &name, &capture(&path));
        }
    }
    measure(&mut group, "synth-mini", &capture(&example("synth-mini.pcap.gz")));
    for (targets, answering) in [(1_500, u32::MAX), (1_500, 10), (1_500, 1), (50_000, 10)] {
        measure(
            &mut group,
            &format!("scan-{targets}-of-{answering}"),
            &scan(200_000, targets, answering, 10_000),
        );
    }
}

criterion_group!(benches, captures);
criterion_main!(benches);
