//! Packets dispatched per second on one core: hashing, looking the owner up, and copying headers into parcels.
#![allow(clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use legonf_core::{BATCH, Headers, Layer, Link, Mac, Network, Transport};
use legonf_splitter::{Dispatcher, Owners, Parcel, Plan, Shard};
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

fn shards() -> Vec<(&'static str, Shard)> {
    let shard = |group: &str| {
        let text = format!("name = 'x'\n[[group]]\nname = 'g'\n{group}");
        Plan::exact(&legonf_splitter::GroupSet::from_toml(&text).unwrap()).shards.remove(0)
    };
    let pair = "fields = ['SrcIP', 'DstIP']\nboth_directions = true\n";
    let arp = "[[group]]\nname = 'h'\nfields = ['SrcIP', 'DstIP', 'SrcPort', 'DstPort']\nboth_directions = true\n\
               [[group.except]]\npackets = ['arp']\nfields = ['SrcMAC', 'DstMAC']\nboth_directions = true\n";
    let socket = "fields = ['SrcIP', 'DstIP', 'SrcPort', 'DstPort', 'Protocol']\nboth_directions = true\n";
    vec![
        ("source", shard("fields = ['SrcIP']\n")),
        ("pair", shard(pair)),
        ("pair-and-arp", shard(&format!("{pair}{arp}"))),
        ("five-tuple", shard(socket)),
    ]
}

/// Processor time of this thread, which others on the machine do not add to.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

fn dispatch(criterion: &mut Criterion) {
    let packets: Vec<_> = (0..PACKETS).map(packet).collect();
    let mut group = criterion.benchmark_group("dispatch");
    group.throughput(Throughput::Elements(PACKETS.into()));
    for (name, shard) in shards() {
        for replicas in [3, 64] {
            let mut dispatcher = Dispatcher::new(&shard, Owners::even(replicas).unwrap(), 1).unwrap();
            let mut send = |replica: usize, parcel: &Parcel| {
                black_box((replica, parcel.headers.len()));
            };
            group.bench_function(format!("{name}/{replicas}"), |bencher| {
                bencher.iter_custom(|rounds| {
                    let start = processor_time();
                    for _ in 0..rounds {
                        packets.chunks(BATCH).for_each(|p| dispatcher.dispatch(p, &mut send));
                    }
                    processor_time() - start
                });
            });
        }
    }
}

criterion_group!(benches, dispatch);
criterion_main!(benches);
