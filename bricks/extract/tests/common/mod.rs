//! What the tests share: captures read and parsed with a few lines of their own, golden arrays, bit comparison.
#![allow(dead_code)]

use legonf_core::{
    Encapsulation, Fragment, Headers, Icmp, Inner, Layer, Link, Mac, Network, Rows, Timestamp, Transport,
};
use legonf_extract::Extractor;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
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
    let (mut bytes, file) = (Vec::new(), std::fs::File::open(example("synth-mini.pcap.gz")).unwrap());
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    read_pcapng(&bytes)
}

/// The parsed packets of a little-endian pcapng file of one section, whose time stamps are in microseconds.
pub fn read_pcapng(bytes: &[u8]) -> Vec<Headers> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut packets) = (0, Vec::new());
    while at + 12 <= bytes.len() {
        if word(at) == 6 {
            let micros = i64::from(word(at + 12)) << 32 | i64::from(word(at + 16));
            let frame = &bytes[at + 28..at + 28 + word(at + 20) as usize];
            let timestamp = Timestamp::from_nanos(micros * 1000);
            packets.push(Headers {
                seq: packets.len() as u64,
                timestamp,
                wire_len: word(at + 24),
                ..parse(frame)
            });
        }
        at += word(at + 4) as usize;
    }
    packets
}

/// The parsed packets of a classic little-endian pcap file of Ethernet frames.
pub fn read_pcap(bytes: &[u8]) -> Vec<Headers> {
    let nanos = match &bytes[..4] {
        b"\xd4\xc3\xb2\xa1" => 1000,
        b"\x4d\x3c\xb2\xa1" => 1,
        other => panic!("not a little-endian pcap: {other:?}"),
    };
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut packets) = (24, Vec::new());
    while at + 16 <= bytes.len() {
        let timestamp = Timestamp::new(i64::from(word(at)), word(at + 4) * nanos);
        let (captured, wire_len) = (word(at + 8) as usize, word(at + 12));
        let frame = &bytes[at + 16..at + 16 + captured];
        packets.push(Headers { seq: packets.len() as u64, timestamp, wire_len, ..parse(frame) });
        at += 16 + captured;
    }
    packets
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn parse(frame: &[u8]) -> Headers {
    if frame.len() < 14 {
        return Headers::default();
    }
    let mac = |at: usize| Mac(frame[at..at + 6].try_into().unwrap());
    let (mut ethertype, mut at) = (word(frame, 12), 14);
    while matches!(ethertype, 0x8100 | 0x88a8) && frame.len() >= at + 4 {
        (ethertype, at) = (word(frame, at + 2), at + 4);
    }
    let link = Some(Link { src: mac(6), dst: mac(0), ethertype, vlan: None });
    let (outer, inner) = network(ethertype, &frame[at..]);
    Headers { link, outer, inner, ..Headers::default() }
}

fn v4(bytes: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
    Some(Ipv4Addr::from(octets).into())
}

fn v6(bytes: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 16] = bytes[at..at + 16].try_into().unwrap();
    Some(Ipv6Addr::from(octets).into())
}

fn network(ethertype: u16, p: &[u8]) -> (Layer, Option<Inner>) {
    match ethertype {
        0x0800 if p.len() >= 20 => ipv4(p, true),
        0x86dd if p.len() >= 40 => (ipv6(p), None),
        0x0806 if p.len() >= 28 => {
            (Layer { network: Network::Arp, src: v4(p, 14), dst: v4(p, 24), ..Layer::default() }, None)
        }
        _ => (Layer::default(), None),
    }
}

fn ipv4(p: &[u8], quotes: bool) -> (Layer, Option<Inner>) {
    let (src, dst) = (v4(p, 12), v4(p, 16));
    let mut layer = Layer { network: Network::Ipv4, src, dst, ..Layer::default() };
    if word(p, 6) & 0x1fff != 0 {
        layer.fragment = Fragment::Later;
        return (layer, None);
    }
    let rest = p.get(usize::from(p[0] & 15) * 4..).unwrap_or(&[]);
    (layer.transport, layer.ports) = transport(p[9], rest);
    let error = matches!(layer.transport, Transport::Icmp(Icmp { kind: 3 | 4 | 5 | 11 | 12, .. }));
    let quoted = (quotes && error && rest.len() >= 28).then(|| ipv4(&rest[8..], false).0);
    (layer, quoted.map(|layer| Inner { by: Encapsulation::Quoted, layer }))
}

fn ipv6(p: &[u8]) -> Layer {
    let (mut next, mut rest) = (p[6], &p[40..]);
    while matches!(next, 0 | 43 | 60) && rest.len() >= 8 {
        (next, rest) = (rest[0], rest.get((usize::from(rest[1]) + 1) * 8..).unwrap_or(&[]));
    }
    let (transport, ports) = transport(next, rest);
    Layer { network: Network::Ipv6, src: v6(p, 8), dst: v6(p, 24), transport, ports, ..Layer::default() }
}

fn transport(protocol: u8, rest: &[u8]) -> (Transport, Option<(u16, u16)>) {
    let ports = (rest.len() >= 4).then(|| (word(rest, 0), word(rest, 2)));
    match (protocol, ports) {
        (6, Some(_)) => (Transport::Tcp, ports),
        (17, Some(_)) => (Transport::Udp, ports),
        (1, _) => (Transport::Icmp(Icmp { kind: rest.first().copied().unwrap_or(8), code: 0 }), None),
        (58, _) => (Transport::Icmpv6(Icmp::default()), None),
        _ => (Transport::Other(protocol), None),
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
