//! Packets partitioned per second on one core: hashing, looking the owner up, and writing down who takes which.
#![allow(clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use legonf_core::{
    ColumnSpec, Division, Element, Headers, LARGEST_BATCH, Layer, Link, Mac, Network, SLOTS, Transport,
};
use legonf_splitter::{GroupSet, Ownership, Partitioner, SubBatch};
use nix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

const PACKETS: u32 = 1 << 14;

fn packet(i: u32) -> Headers {
    let ip =
        |bits: u32| Some(Ipv4Addr::from_bits(0x0a00_0000 | bits.wrapping_mul(2_654_435_761) >> 12).into());
    let outer = Layer {
        network: Network::Ipv4,
        src: ip(i % 5000),
        dst: ip(i % 700),
        transport: Transport::Tcp,
        ports: Some((i as u16, 443)),
        ..Layer::default()
    };
    let link = Link { src: Mac([i as u8; 6]), dst: Mac([1; 6]), ..Link::default() };
    Headers { seq: i.into(), wire_len: 60, outer, link: Some(link), ..Headers::default() }
}

fn divisions() -> Vec<(&'static str, Partitioner)> {
    let division = |groups: &str| {
        let text = format!("name = 'x'\n[[group]]\nname = 'g'\n{groups}");
        let groups = GroupSet::from_toml(&text).unwrap().groups().to_vec();
        let cells = groups.iter().flat_map(|group| vec![group.name.clone(); 40]).collect();
        let division = Division {
            name: "x".into(),
            groups,
            seed: 1,
            fills: ColumnSpec::rows("cells", Element::F64),
            cells,
        };
        Partitioner::exact(&division).unwrap()
    };
    let pair = "fields = ['SrcIP', 'DstIP']\nboth_directions = true\n";
    let arp = "[[group]]\nname = 'h'\nfields = ['SrcIP', 'DstIP', 'SrcPort', 'DstPort']\nboth_directions = true\n\
               [[group.except]]\npackets = ['arp']\nfields = ['SrcMAC', 'DstMAC']\nboth_directions = true\n";
    let source = "[[group]]\nname = 's'\nfields = ['SrcIP']\n";
    let socket = "fields = ['SrcIP', 'DstIP', 'SrcPort', 'DstPort', 'Protocol']\nboth_directions = true\n";
    vec![
        ("source", division("fields = ['SrcIP']\n")),
        ("pair", division(pair)),
        ("pair-and-arp", division(&format!("{pair}{arp}"))),
        ("source-and-pair", division(&format!("{pair}{source}"))),
        ("five-tuple", division(socket)),
    ]
}

/// Processor time of this thread, which others on the machine do not add to.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

fn partition(criterion: &mut Criterion) {
    let packets: Vec<_> = (0..PACKETS).map(packet).collect();
    let mut group = criterion.benchmark_group("partition");
    group.throughput(Throughput::Elements(PACKETS.into()));
    for (name, partitioner) in divisions() {
        for replicas in [3, 64] {
            let even: Box<[u16]> = (0..SLOTS).map(|slot| (slot % replicas) as u16).collect();
            let owners = vec![even; partitioner.shards()];
            let (ownership, mut parts) =
                (Ownership { owners: &owners, moving: &[] }, vec![SubBatch::default(); replicas]);
            let mut work = |packets: &[Headers]| {
                let count = &mut |shard, slot| _ = black_box((shard, slot));
                partitioner.partition(packets, |_| true, &ownership, &mut parts, count);
                black_box(&parts);
            };
            group.bench_function(format!("{name}/{replicas}"), |bencher| {
                bencher.iter_custom(|rounds| {
                    let start = processor_time();
                    (0..rounds).for_each(|_| packets.chunks(LARGEST_BATCH).for_each(&mut work));
                    processor_time() - start
                });
            });
        }
    }
}

criterion_group!(benches, partition);
criterion_main!(benches);
