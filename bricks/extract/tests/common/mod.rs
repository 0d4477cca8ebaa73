//! What the tests and benchmarks share: captures, traffic made up, and comparison by bits.
#![allow(dead_code, clippy::unwrap_used)]

use legonf_core::{Batch, Brick, Headers, Layer, Link, Mac, Network, Rows, Timestamp, Transport};
use legonf_extract::Extractor;
use legonf_wire::PacketBatching;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// A file beside the repository, or `None` with a word about it where that is absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("LEGONF_SHARED").map_or(beside, PathBuf::from);
    let file = root.join(path);
    if !file.exists() {
        println!("skipped: {} is not there", file.display());
        return None;
    }
    Some(file)
}

/// A file of the repository's `examples/synth-mini`.
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/synth-mini").join(name)
}

/// Packets of the capture that ships with the project.
pub fn example_packets() -> Vec<Headers> {
    capture(&example("synth-mini.pcap.gz"))
}

/// The headers of every packet of a capture or a table.
pub fn capture(path: &Path) -> Vec<Headers> {
    let (mut source, mut parser) = (legonf_io::open(path).unwrap(), PacketBatching::default());
    let (mut batch, mut all) = (Batch::default(), Vec::new());
    loop {
        source.fill(&mut batch).unwrap();
        if batch.is_empty() {
            return all;
        }
        parser.process(&mut batch).unwrap();
        all.append(&mut batch.headers);
        batch.clear();
    }
}

/// The features of all packets, fed in batches of `batch`.
pub fn features(extractor: &mut dyn Extractor, packets: &[Headers], batch: usize) -> Vec<f64> {
    let (mut rows, mut all) = (Rows::default(), Vec::new());
    for packets in packets.chunks(batch) {
        extractor.extract(packets, &mut rows);
        all.extend_from_slice(rows.as_slice());
    }
    all
}

/// Fails at the first cell whose bits differ, naming its column.
pub fn assert_same_bits(extractor: &dyn Extractor, ours: &[f64], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let width = extractor.schema().len();
    let differs: Vec<usize> = (0..ours.len()).filter(|&i| ours[i].to_bits() != theirs[i].to_bits()).collect();
    if let Some(&i) = differs.first() {
        let name = &extractor.schema().features[i % width].name;
        let (a, b, row) = (ours[i], theirs[i], i / width);
        panic!(
            "{what}: {} of {} cells differ; row {row} {name}: {a:?}, not {b:?}",
            differs.len(),
            ours.len()
        );
    }
}

/// A packet over TCP.
pub fn packet(seq: u64, nanos: i64, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), wire_len: u32) -> Headers {
    let outer = Layer {
        network: Network::Ipv4,
        src: Some(from.0.into()),
        dst: Some(to.0.into()),
        transport: Transport::Tcp,
        ports: Some((from.1, to.1)),
        ..Layer::default()
    };
    let mac = |ip: Ipv4Addr| Mac([2, 0, ip.octets()[0], ip.octets()[1], ip.octets()[2], ip.octets()[3]]);
    let link = Some(Link { src: mac(from.0), dst: mac(to.0), ethertype: 0x0800, vlan: None });
    let timestamp = Timestamp::from_nanos(1_540_000_000_000_000_000 + nanos);
    Headers { seq, timestamp, wire_len, link, outer, ..Headers::default() }
}

/// `count` packets of a scan: two bots probe `targets` hosts over and over at `rate` packets per second, and one
/// target in `answering` answers.
pub fn scan(count: u64, targets: u32, answering: u32, rate: i64) -> Vec<Headers> {
    let bots = [Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::new(10, 0, 0, 6)];
    let mut packets = Vec::new();
    let mut probe = 0_u32;
    while (packets.len() as u64) < count {
        let target = probe.wrapping_mul(2_654_435_761) >> 7;
        let bot = (bots[(probe % 2) as usize], 40_000 + (probe / targets % 64) as u16);
        let host = (Ipv4Addr::from_bits(0x0b00_0000 + target % targets), 23);
        let seq = packets.len() as u64;
        let now = seq as i64 * 1_000_000_000 / rate;
        packets.push(packet(seq, now, bot, host, 60 + target % 4 * 4));
        if (target % targets).is_multiple_of(answering) {
            packets.push(packet(seq + 1, now + 500, host, bot, 54));
        }
        probe += 1;
    }
    packets
}
