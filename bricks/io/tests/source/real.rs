//! Captures as they are found: the one in the repository, and others where they are there.

use crate::{Run, Seen, drain};
use legonf_core::{Headers, Inner, LinkType, Timestamp};
use legonf_io::labels::Labels;
use legonf_io::open;
use std::path::{Path, PathBuf};

fn example(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/synth-mini")).join(name)
}

/// The folder of shared captures, where it is.
fn shared() -> Option<PathBuf> {
    let root = std::env::var_os("LEGONF_SHARED").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")),
        PathBuf::from,
    );
    let data = root.join("data");
    if data.is_dir() {
        return Some(data);
    }
    eprintln!("skipped: no captures in {}", data.display());
    None
}

fn run(path: &Path) -> Run {
    match open(path) {
        Ok(source) => drain(source),
        Err(error) => Run { error: Some(error), ..Run::default() },
    }
}

#[test]
fn example_capture_equals_its_table() {
    let (capture, table) = (run(&example("synth-mini.pcap.gz")), run(&example("synth-mini.pcap.tsv")));
    assert_eq!((capture.message(), table.message()), (String::new(), String::new()));
    assert_eq!((capture.packets.len(), table.headers.len()), (3500, 3500));
    for (seq, (packet, row)) in capture.packets.iter().zip(&table.headers).enumerate() {
        assert_eq!((packet.nanos, packet.wire_len), (row.timestamp.as_nanos(), row.wire_len), "packet {seq}");
        let parsed = parse(seq as u64, packet);
        assert_eq!(comparable(&parsed), comparable(row), "packet {seq}");
    }
}

fn parse(seq: u64, packet: &Seen) -> Headers {
    let mut packets = legonf_core::Packets::default();
    let time = Timestamp::from_nanos(packet.nanos);
    packets.push(seq, time, packet.wire_len, packet.link, &packet.bytes);
    legonf_wire::parse(packets.record(0), packets.bytes(0))
}

/// What a table can tell of a packet: no protocol besides TCP, UDP and ICMP, no address of an inner packet, no
/// EtherType of what is not IP or ARP.
fn comparable(headers: &Headers) -> Headers {
    use legonf_core::{Network, Transport};
    let transport =
        |t| if matches!(t, Transport::Other(_) | Transport::Icmpv6(_)) { Transport::None } else { t };
    let mut headers = *headers;
    headers.malformed = None;
    headers.outer.transport = transport(headers.outer.transport);
    if let Some(Inner { layer, .. }) = &mut headers.inner {
        (layer.src, layer.dst) = (None, None);
    }
    if let Some(link) = &mut headers.link
        && headers.outer.network == Network::None
    {
        link.ethertype = 0;
    }
    headers
}

#[test]
fn example_labels_fit_the_capture() {
    let mut labels = Labels::open(&example("labels.csv")).unwrap();
    for packet in 0..3500 {
        assert_eq!(labels.labels_read(), packet);
        labels.require().unwrap();
    }
    labels.finish(3500).unwrap();
}

/// Number of packets that capinfos counts in each capture.
const ROBUSTNESS: &str = include_str!("robustness.tsv");

/// Captures that cannot be read to their end, and why.
const REFUSED: [(&str, u64, &str); 1] = [("fuzz-2021-10-13.pcap", 1, "cut off inside packet 1 (byte ")];

#[test]
fn robustness_captures_are_read_or_refused_by_name() {
    let Some(data) = shared() else { return };
    let mut seen = 0;
    for line in ROBUSTNESS.lines() {
        let (name, count) = line.split_once('\t').unwrap();
        let run = run(&data.join("robustness").join(name));
        match REFUSED.iter().find(|(refused, ..)| *refused == name) {
            Some((_, packets, reason)) => {
                assert_eq!(run.packets.len() as u64, *packets, "{name}");
                assert!(run.message().contains(reason), "{}", run.message());
            }
            None => {
                assert_eq!(run.message(), "", "{name}");
                assert_eq!(run.packets.len(), count.parse::<usize>().unwrap(), "{name}");
            }
        }
        seen += run.packets.len();
    }
    println!("{seen} packets");
    assert_eq!(ROBUSTNESS.lines().count(), std::fs::read_dir(data.join("robustness")).unwrap().count());
}

#[test]
fn large_captures_have_their_packets() {
    let Some(data) = shared() else { return };
    for (name, count) in [
        ("kitsune-mirai/mirai-first20000.pcap", 20_000),
        ("kitsune-mirai/mirai-first38k.pcap.tsv.gz", 38_362),
        ("iot23-hakai/iot23-8-1-hakai.pcap", 23_623),
    ] {
        let run = run(&data.join(name));
        assert_eq!(run.message(), "", "{name}");
        assert_eq!(run.packets.len() + run.headers.len(), count, "{name}");
    }
    let mut labels = Labels::open(&data.join("iot23-hakai/packet_labels.csv")).unwrap();
    let attacks = (0..23_623).filter(|_| labels.require().unwrap()).count();
    assert_eq!(attacks, 12_334);
    labels.finish(23_623).unwrap();
}

/// The first 20,000 rows of the table are the packets of the capture.
#[test]
fn table_and_capture_of_one_network_agree() {
    let Some(data) = shared() else { return };
    let capture = run(&data.join("kitsune-mirai/mirai-first20000.pcap"));
    let table = run(&data.join("kitsune-mirai/mirai-first38k.pcap.tsv.gz"));
    for (seq, (packet, row)) in capture.packets.iter().zip(&table.headers).enumerate() {
        assert_eq!(packet.link, LinkType::Ethernet);
        assert_eq!(comparable(&parse(seq as u64, packet)), comparable(row), "packet {seq}");
    }
}

/// Another reader, written by others, sees the same bytes.
#[test]
fn pcap_parser_reads_the_same() {
    use pcap_parser::{PcapBlockOwned, PcapError, create_reader};
    let Some(data) = shared() else { return };
    for line in ROBUSTNESS.lines() {
        let name = line.split_once('\t').unwrap().0;
        let path = data.join("robustness").join(name);
        let ours = run(&path);
        if ours.error.is_some() {
            continue;
        }
        let mut theirs = Vec::new();
        let mut reader = create_reader(1 << 20, std::fs::File::open(&path).unwrap()).unwrap();
        loop {
            let (len, block) = match reader.next() {
                Ok(found) => found,
                Err(PcapError::Eof) => break,
                Err(PcapError::Incomplete(_)) => {
                    reader.refill().unwrap();
                    continue;
                }
                Err(error) => panic!("{name}: {error:?}"),
            };
            use pcap_parser::Block;
            match block {
                PcapBlockOwned::Legacy(p) => theirs.push((p.origlen, p.data[..p.caplen as usize].to_vec())),
                PcapBlockOwned::NG(Block::EnhancedPacket(p)) => {
                    theirs.push((p.origlen, p.data[..p.caplen as usize].to_vec()));
                }
                PcapBlockOwned::NG(Block::SimplePacket(p)) => {
                    let len = p.data.len().min(p.origlen as usize);
                    theirs.push((p.origlen, p.data[..len].to_vec()));
                }
                _ => {}
            }
            reader.consume(len);
        }
        let ours: Vec<_> = ours.packets.into_iter().map(|p| (p.wire_len, p.bytes)).collect();
        assert!(ours == theirs, "{name}: {} and {} packets", ours.len(), theirs.len());
    }
}
