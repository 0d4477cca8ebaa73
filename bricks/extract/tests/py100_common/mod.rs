//! What the tests and benches of `kitsune-py-100` share.
#![allow(dead_code)]

use legonf_core::{
    Encapsulation, Headers, Icmp, Inner, Layer, Link, LinkType, Mac, Network, Packets, Timestamp, Transport,
};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// A file beside the repository, or `None` with a word about it where that is absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let file = std::env::var_os("LEGONF_SHARED").map_or(beside, PathBuf::from).join(path);
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

/// The headers of every packet of a pcap or pcapng file or a table, gzipped or not.
pub fn capture(path: &Path) -> Vec<Headers> {
    let (file, mut bytes) = (std::fs::read(path).unwrap(), Vec::new());
    if file.starts_with(&[0x1f, 0x8b]) {
        flate2::read::GzDecoder::new(&file[..]).read_to_end(&mut bytes).unwrap();
    } else {
        bytes = file;
    }
    match &bytes[..4] {
        b"fram" => table(std::str::from_utf8(&bytes).unwrap()),
        [0x0a, 0x0d, ..] => pcapng(&bytes),
        _ => pcap(&bytes),
    }
}

fn add(all: &mut Vec<Headers>, timestamp: Timestamp, wire_len: u32, frame: &[u8]) {
    let mut packets = Packets::default();
    packets.push(all.len() as u64, timestamp, wire_len, LinkType::Ethernet, frame);
    all.push(legonf_wire::parse(packets.record(0), frame));
}

/// Of a little-endian pcap file of Ethernet frames.
fn pcap(bytes: &[u8]) -> Vec<Headers> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let tick = if word(0) == 0xa1b2_c3d4 { 1000 } else { 1 };
    let (mut at, mut all) = (24, Vec::new());
    while at + 16 <= bytes.len() {
        let timestamp = Timestamp::new(word(at).into(), word(at + 4) * tick);
        let end = at + 16 + word(at + 8) as usize;
        add(&mut all, timestamp, word(at + 12), &bytes[at + 16..end]);
        at = end;
    }
    all
}

/// Of a little-endian pcapng file of Ethernet frames with time stamps in microseconds.
fn pcapng(bytes: &[u8]) -> Vec<Headers> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut all) = (0, Vec::new());
    while at + 12 <= bytes.len() {
        if word(at) == 6 {
            let micros = i64::from(word(at + 12)) << 32 | i64::from(word(at + 16));
            let frame = &bytes[at + 28..][..word(at + 20) as usize];
            add(&mut all, Timestamp::from_nanos(micros * 1000), word(at + 24), frame);
        }
        at += word(at + 4) as usize;
    }
    all
}

/// Of Kitsune's 19 columns.
fn table(text: &str) -> Vec<Headers> {
    text.lines().skip(1).enumerate().map(|(seq, line)| row(seq as u64, line)).collect()
}

fn row(seq: u64, line: &str) -> Headers {
    let cells: Vec<&str> = line.split('\t').collect();
    let ip = |i: usize| cells[i].parse::<IpAddr>().ok();
    let ports = |i: usize| cells[i].parse().ok().zip(cells[i + 1].parse().ok());
    let (seconds, nanos) = cells[0].split_once('.').unwrap();
    let timestamp = Timestamp::new(seconds.parse().unwrap(), nanos.parse().unwrap());
    let link =
        (!cells[2].is_empty()).then(|| Link { src: mac(cells[2]), dst: mac(cells[3]), ..Link::default() });
    let with = |network, at: usize| Layer { network, src: ip(at), dst: ip(at + 1), ..Layer::default() };
    let mut outer = match (cells[4], cells[17]) {
        ("", "") => Layer::default(),
        ("", _) => with(Network::Ipv6, 17),
        _ => with(Network::Ipv4, 4),
    };
    if !cells[12].is_empty() {
        outer = Layer { network: Network::Arp, src: ip(14), dst: ip(16), ..Layer::default() };
    }
    let (tcp, udp): (Option<(u16, u16)>, Option<(u16, u16)>) = (ports(6), ports(8));
    let mut inner = None;
    let mut transports = [(Transport::Tcp, tcp), (Transport::Udp, udp)].into_iter().filter(|t| t.1.is_some());
    if let Ok(kind) = cells[10].parse() {
        outer.transport = Transport::Icmp(Icmp { kind, code: 0 });
    } else if let Some((transport, ports)) = transports.next() {
        outer = Layer { transport, ports, ..outer };
    }
    if let Some((transport, ports)) = transports.next() {
        inner =
            Some(Inner { by: Encapsulation::Quoted, layer: Layer { transport, ports, ..Layer::default() } });
    }
    Headers { seq, timestamp, wire_len: cells[1].parse().unwrap(), link, outer, inner, malformed: None }
}

fn mac(cell: &str) -> Mac {
    let mut bytes = cell.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap());
    Mac([0; 6].map(|_: u8| bytes.next().unwrap()))
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
        if target % targets % answering == 0 {
            packets.push(packet(seq + 1, now + 500, host, bot, 54));
        }
        probe += 1;
    }
    packets
}
