//! Inputs to begin with, made of the examples of the repository.

use crate::{FEATURES, LINKS, extractor, schema};
use legonf_core::{Batch, Discard, LinkType, Source};
use legonf_io::SourceOptions;
use legonf_io::source::from_reader;
use legonf_models::kitnet::{TrainConfig, Trainer};
use legonf_models::{Bundle, Model, Provenance};
use legonf_runtime::Options;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// The folder that seeds go to, if they are wanted.
const WANTED: &str = "LEGONF_SEEDS";

/// Writes the seeds of a target into the folder that `LEGONF_SEEDS` names; does nothing where it names none.
///
/// # Panics
/// If the examples cannot be read or the folder not be written.
pub fn write(target: &str) {
    let Some(folder) = std::env::var_os(WANTED) else { return };
    for (index, seed) in of(target).into_iter().enumerate() {
        fs::write(Path::new(&folder).join(format!("seed-{index}")), seed).expect("the folder is there");
    }
}

fn of(target: &str) -> Vec<Vec<u8>> {
    match target {
        "parse" => packets(),
        "pcap" => vec![pcap([0xd4, 0xc3, 0xb2, 0xa1]), pcap([0x4d, 0x3c, 0xb2, 0xa1])],
        "pcapng" => vec![capture()],
        "tsv" => vec![lines("synth-mini.pcap.tsv", 0, 8), lines("synth-mini.pcap.tsv", 40, 4)],
        "features" => vec![csv(true), csv(false), npy()],
        "compressed" => vec![pcap([0xd4, 0xc3, 0xb2, 0xa1]), gzip(&capture()), zstd(&capture())],
        "labels" => vec![lines("labels.csv", 0, 8), b"0\n1\n".to_vec(), b"x\nBenign\nMalicious\n".to_vec()],
        "graph" => vec![GRAPH.into(), GRAPH.replace("115", "115-clean").into()],
        "groups" => vec![GROUPS.into()],
        "policy" => vec![POLICY.into(), b"scaling = \"fixed\"\n[sla]\nlatency_ms = 5.0\n".to_vec()],
        "costs" => vec![COSTS.into()],
        "events" => vec![EVENTS.into()],
        "checkpoint" => vec![checkpoint(1), checkpoint(4)],
        "foreign" => vec![example_model("ext.onnx"), example_model("hang_errors_short.onnx"), model()],
        "model" => vec![model(), example("kitsune-py-100.model.json")],
        "state" => states(),
        "calls" => crate::calls::seeds(),
        "join" => crate::join::seeds(),
        "standby" => crate::standby::seeds(),
        _ => Vec::new(),
    }
}

/// Packets to features.
pub(crate) const GRAPH: &str = "name = \"kitsune\"\n\n[[brick]]\nid = \"batching\"\nkind = \"packet-batching\"\nnext = \"extractor\"\n\n\
    [[brick]]\nid = \"extractor\"\nkind = \"feature-quantization\"\n\n\
    [brick.config]\nschema = \"kitsune-115\"\n";

const GROUPS: &str = "name = \"own\"\n\n[[group]]\nname = \"pairs\"\nfields = [\"SrcIP\", \"DstIP/24\"]\n\
    packets = [\"tcp\", \"arp\"]\ncoupled = \"x\"\ndecays = [5]\n\n[[group.except]]\npackets = [\"arp\"]\n\
    fields = [\"SrcMAC\", \"DstMAC\"]\nboth_directions = true\n";

const POLICY: &str = "tick = 0.1\nhigh = 0.85\nlow = 0.5\nticks_up = 2\ncooldown = 1.0\nmax_workers = 4\n";

const COSTS: &str = "graph = \"k\"\nbatch = 256.0\nhop_ns = 1000.0\n\n[[brick]]\nid = \"source\"\nstate = \"single\"\nns = 50.0\n\n\
    [[brick]]\nid = \"extractor\"\nstate = \"stateful\"\nns = 500.0\nbytes = 920.0\nstate_bytes = 4096\n";

const EVENTS: &str = "{\"event\":\"violation\",\"at\":1.0,\"promise\":\"rate\",\"promised\":2.0,\"measured\":1.0}\n\
    {\"event\":\"end\",\"at\":2.0,\"packets\":7,\"violations\":{\"rate\":3}}\n";

/// What an extractor knows behind some packets of the example: the shortest pieces of each shard, behind their places.
fn states() -> Vec<Vec<u8>> {
    let (mut graph, brick) = extractor();
    let bytes = Box::new(std::io::Cursor::new(example("synth-mini.pcap.gz")));
    let options = SourceOptions { limit: Some(400), ..SourceOptions::default() };
    let mut source = from_reader("x", bytes, None, &options).expect("it is a capture");
    let (layout, stop) = (legonf_runtime::Layout::Fused, AtomicBool::new(false));
    let options = Options::new(&layout, &stop);
    let outcome = legonf_runtime::run(&mut graph, &mut *source, &mut Discard, options, &mut |_, _| {});
    assert!(outcome.fault.is_none() && outcome.packets == 400);
    let copy = |(place, (shard, slots)): (u8, (usize, Vec<u16>))| {
        [vec![place], graph.copy_state(&brick, shard, &slots).expect("the slots are there")].concat()
    };
    let mut pieces: Vec<_> = (0_u8..).zip(brick.every_piece()).map(copy).collect();
    pieces.sort_by_key(Vec::len);
    pieces.dedup_by_key(|piece| piece.len());
    pieces.truncate(8);
    pieces
}

/// A training of few features after some rows.
fn checkpoint(used: u32) -> Vec<u8> {
    let config = TrainConfig {
        features: FEATURES.len(),
        feature_mapping_packets: 2,
        training_packets: 2,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(config).expect("the configuration is valid");
    for row in rows(used) {
        trainer.train(&row);
    }
    serde_json::to_vec(&trainer.to_checkpoint()).expect("a checkpoint is JSON")
}

/// A small model among the inputs that were once read wrongly.
fn example_model(name: &str) -> Vec<u8> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/faults"));
    fs::read(folder.join(name)).expect("the inputs are there")
}

fn example(name: &str) -> Vec<u8> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/synth-mini"));
    fs::read(folder.join(name)).expect("the examples are there")
}

fn lines(name: &str, skip: usize, take: usize) -> Vec<u8> {
    let text = example(name);
    text.split_inclusive(|b| *b == b'\n').skip(skip).take(take).flatten().copied().collect()
}

/// The first packets of the example.
fn first() -> Batch {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/synth-mini/synth-mini.pcap.gz"));
    let mut batch = Batch::default();
    let mut source: Box<dyn Source> = legonf_io::open(path).expect("the example is a capture");
    source.fill(&mut batch).expect("the example is whole");
    batch
}

/// Ethernet headers whose last EtherType is that of a tag or a frame within, and what stands before the packet.
const TAGS: [(u16, &[u8]); 6] = [
    (0x893f, &[0, 0, 0x10, 1, 0, 0, 8, 0]),
    (0x88e5, &[0x20, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 0, 1, 8, 0]),
    (0x88e7, &[0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 6, 6, 6, 6, 6, 6, 8, 0]),
    (0x8903, &[0, 0x60, 4, 4, 4, 4, 4, 4, 6, 6, 6, 6, 6, 6, 8, 0]),
    (0x22f3, &[0, 0x49, 0, 1, 0, 2, 0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 6, 6, 6, 6, 6, 6, 8, 0]),
    (0x894f, &[0x0f, 0xc2, 1, 1, 0, 0, 1, 0xff]),
];

/// Datagrams' destination ports of tunnels, and the headers that they announce.
const TUNNELS: [(u16, &[u8]); 4] = [
    (4789, &[8, 0, 0, 0, 0, 0, 7, 0]),
    (4790, &[0x0c, 0, 0, 1, 0, 0, 7, 0]),
    (6081, &[1, 0, 8, 0, 0, 0, 7, 0, 1, 2, 3, 0]),
    (2152, &[0x34, 255, 1, 0, 0, 0, 0, 7, 0, 9, 0, 0x85, 1, 0x10, 9, 0]),
];

/// The packet of an Ethernet frame behind every tag and in every tunnel.
fn carried(frame: &[u8]) -> Vec<Vec<u8>> {
    let (macs, packet) = (&frame[..12], &frame[14..]);
    let tagged = TAGS.iter().map(|(tag, bytes)| [macs, &tag.to_be_bytes(), bytes, packet].concat());
    let tunnelled = TUNNELS.iter().map(|(port, bytes)| {
        let udp = [[4, 0], port.to_be_bytes(), [1, 0], [0, 0]].concat();
        let ip = [&[0x45, 0, 1, 20, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2][..], &udp].concat();
        [macs, &[8, 0], &ip, bytes, packet].concat()
    });
    tagged.chain(tunnelled).collect()
}

/// One packet of each length, on every link type, behind every tag and in every tunnel.
fn packets() -> Vec<Vec<u8>> {
    let batch = first();
    let mut seen = Vec::new();
    let mut all = Vec::new();
    for (_, frame) in batch.packets.iter() {
        if seen.contains(&frame.len()) || frame.len() > 400 {
            continue;
        }
        seen.push(frame.len());
        all.extend((0_u8..).zip(LINKS).map(|(number, link)| [&[number][..], &on(link, frame)].concat()));
        all.extend(carried(frame).into_iter().map(|frame| [&[0][..], &frame].concat()));
    }
    all
}

/// An Ethernet frame on another link type.
fn on(link: LinkType, frame: &[u8]) -> Vec<u8> {
    let (ethertype, packet) = (&frame[12..14], &frame[14..]);
    let is6 = ethertype == [0x86, 0xdd];
    let (family, protocol) = if is6 { (30, 0x57) } else { (2, 0x21) };
    let snap = [&[0xaa, 0xaa, 3, 0, 0, 0][..], ethertype, packet].concat();
    let wlan = [&[0x88, 1, 0, 0][..], &[2; 6], &[4; 6], &[6; 6], &[0; 4], &snap].concat();
    match link {
        LinkType::Ethernet => frame.to_vec(),
        LinkType::RawIp => packet.to_vec(),
        LinkType::Null => [&[family, 0, 0, 0], packet].concat(),
        LinkType::LinuxSll => [&[0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 7, 0, 0][..], ethertype, packet].concat(),
        LinkType::LinuxSll2 => {
            [ethertype, &[0, 0, 0, 0, 0, 3, 0, 1, 4, 6, 2, 0, 0, 0, 0, 7, 0, 0], packet].concat()
        }
        LinkType::Ppp => [&[0xff, 3, 0, protocol], packet].concat(),
        LinkType::PppWithDirection => [&[1, 0xff, 3, 0, protocol], packet].concat(),
        LinkType::Pppd => [&[1, 3, 0, protocol], packet].concat(),
        LinkType::PppoeSession => [&[0x11, 0, 0, 1, 1, 0, 0, protocol], packet].concat(),
        LinkType::CiscoHdlc => [&[0x0f, 0], ethertype, packet].concat(),
        LinkType::FrameRelay => [&[0x18, 0x41], ethertype, packet].concat(),
        LinkType::Llc => snap,
        LinkType::Fddi => [&[0x50][..], &frame[..12], &snap].concat(),
        LinkType::Wlan => wlan,
        LinkType::Radiotap => [&[0, 0, 9, 0, 2, 0, 0, 0, 0x10][..], &wlan].concat(),
        LinkType::Prism => [&[0x44, 0, 0, 0, 8, 0, 0, 0][..], &wlan].concat(),
        LinkType::Avs => [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 8][..], &wlan].concat(),
        LinkType::Ppi => [&[0, 0, 8, 0, 105, 0, 0, 0][..], &wlan].concat(),
        LinkType::NfLog => {
            [&[2, 0, 0, 5, 8, 0, 1, 0][..], ethertype, &[1, 0, 200, 0, 9, 0], packet].concat()
        }
        LinkType::PfLog => [&[61, 2][..], &[0; 62], packet].concat(),
        LinkType::Enc => [&[0; 12][..], packet].concat(),
        LinkType::Ieee1394 => [&[2; 16][..], ethertype, packet].concat(),
        LinkType::Unread(_) => frame.to_vec(),
    }
}

/// A little-endian capture in the classic format.
fn pcap(magic: [u8; 4]) -> Vec<u8> {
    let head = [&magic[..], &[2, 0, 4, 0], &[0; 8], &[0, 0, 4, 0], &[1, 0, 0, 0]].concat();
    first().packets.iter().take(6).fold(head, |mut file, (record, bytes)| {
        let (captured, original) = (record.captured_len().to_le_bytes(), record.wire_len.to_le_bytes());
        file.extend([[1, 0, 0, 0], [2, 0, 0, 0], captured, original].concat());
        file.extend(bytes);
        file
    })
}

/// The begin of the example, which is pcapng.
fn capture() -> Vec<u8> {
    let mut bytes = Vec::new();
    let file = example("synth-mini.pcap.gz");
    flate2::read::MultiGzDecoder::new(&file[..]).take(2000).read_to_end(&mut bytes).expect("a gzip file");
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
    encoder.read_to_end(&mut packed).expect("memory can be read");
    packed
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory can be read")
}

fn rows(count: u32) -> Vec<[f64; FEATURES.len()]> {
    let cell = |row: u32, column: usize| f64::from(row % 4) * 1.5 - (column * row as usize) as f64 / 7.0;
    (0..count).map(|row| std::array::from_fn(|column| cell(row, column))).collect()
}

fn csv(names: bool) -> Vec<u8> {
    let head = if names { FEATURES.join(",") + "\n" } else { String::new() };
    let line = |row: [f64; FEATURES.len()]| row.map(|value| value.to_string()).join(",") + "\n";
    rows(4).into_iter().fold(head, |text, row| text + &line(row)).into()
}

fn npy() -> Vec<u8> {
    let shape = "{'descr': '<f8', 'fortran_order': False, 'shape': (4, 9), }";
    let head = [b"\x93NUMPY\x01\x00v\x00", format!("{shape:<117}\n").as_bytes()].concat();
    rows(4).into_iter().flatten().fold(head, |mut file, value| {
        file.extend(value.to_le_bytes());
        file
    })
}

/// A network of few features, trained on a few rows.
fn model() -> Vec<u8> {
    let config = TrainConfig {
        features: FEATURES.len(),
        feature_mapping_packets: 2,
        training_packets: 2,
        max_autoencoder_size: 4,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(config.clone()).expect("the configuration is valid");
    for row in rows(20) {
        trainer.train(&row);
    }
    let network = trainer.finish().expect("twenty rows are enough").into();
    let model = Model::KitNet { network, training: config };
    let provenance = Provenance { legonf: "0".into(), rows: 5, ..Provenance::default() };
    let bundle =
        Bundle { model, schema: schema(), calibration: None, provenance };
    bundle.to_bytes().expect("the bundle is valid")
}
