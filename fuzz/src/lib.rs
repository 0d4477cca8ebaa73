//! What each fuzz target does with its bytes: it reads them, and checks what must hold whatever they are.
//!
//! A panic is a find. So is a run without an end, and memory beyond libFuzzer's limit.
#![forbid(unsafe_code)]

pub mod calls;
pub mod join;
pub mod standby;
pub mod seeds;

use legonf_controller::{Config, ControllerError, Costs, Event, Model as CostModel, Policy, full, patience};
use legonf_core::{
    BATCH, Batch, ColumnSpec, Feature, Layout, LinkType, Malformed, Packets, Rows, Schema, Source, Timestamp, Unit,
};
use legonf_io::labels::Labels;
use legonf_io::source::{any_from_reader, from_reader};
use legonf_io::{FEATURES as FEATURES_COLUMN, SourceError, SourceOptions};
use legonf_models::kitnet::{Checkpoint, KitNet, Trainer};
use legonf_models::{Bundle, ClassifierBundle, FeedForward, Foreign, Model, take_in};
use legonf_runtime::{BrickSpec, Graph, GraphSpec, Stateful};
use legonf_splitter::{GroupSet, Plan, SplitError};
use std::io::{Cursor, Read};
use std::path::Path;
use std::time::Duration;

/// Link types by the first byte of an input of [`parse`].
pub const LINKS: [LinkType; 23] = [
    LinkType::Ethernet,
    LinkType::RawIp,
    LinkType::Null,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
    LinkType::Ppp,
    LinkType::PppWithDirection,
    LinkType::Pppd,
    LinkType::PppoeSession,
    LinkType::CiscoHdlc,
    LinkType::FrameRelay,
    LinkType::Llc,
    LinkType::Fddi,
    LinkType::Wlan,
    LinkType::Radiotap,
    LinkType::Prism,
    LinkType::Avs,
    LinkType::Ppi,
    LinkType::NfLog,
    LinkType::PfLog,
    LinkType::Enc,
    LinkType::Ieee1394,
    LinkType::Unread(227),
];

/// Parses one packet, whose first byte names the link type: what it finds lies within the packet, and a packet that
/// is cut shorter never has an identity that the longer one has not, but for that of the outer one of two frames.
pub fn parse(data: &[u8]) {
    let Some((link, packet)) = data.split_first() else { return };
    let link = LINKS[usize::from(*link) % LINKS.len()];
    let whole = headers(link, packet);
    assert_eq!((whole.seq, whole.wire_len), (7, 1500));
    let cut = headers(link, &packet[..packet.len() / 2]);
    if let Some(link) = cut.link {
        let same = whole.link.map(|whole| whole.src) == Some(link.src);
        assert!(same || cut.malformed == Some(Malformed::TagTooShort), "{cut:?} {whole:?}");
    }
}

fn headers(link: LinkType, bytes: &[u8]) -> legonf_core::Headers {
    let mut packets = Packets::default();
    packets.push(7, Timestamp::new(1, 2), 1500, link, bytes);
    legonf_wire::parse(packets.record(0), bytes)
}

/// Reads a capture in the classic format: the fixed magic number, then the input.
pub fn pcap(data: &[u8]) {
    for magic in [[0xd4, 0xc3, 0xb2, 0xa1], [0xa1, 0xb2, 0x3c, 0x4d]] {
        capture(&[&magic[..], data.get(4..).unwrap_or_default()].concat());
    }
}

/// Reads a capture in the block format.
pub fn pcapng(data: &[u8]) {
    capture(&[&[0x0a, 0x0d, 0x0d, 0x0a][..], data.get(4..).unwrap_or_default()].concat());
}

/// Reads Kitsune's table of headers.
pub fn tsv(data: &[u8]) {
    capture(data);
    capture(&[&b"1.5\t60\t"[..], data].concat());
}

/// Reads compressed captures: the input as it is, and packed and cut by gzip and zstd.
pub fn compressed(data: &[u8]) {
    capture(data);
    let Some((&cut, data)) = data.split_first() else { return };
    let mut gzip = Vec::new();
    let packed = flate2::read::GzEncoder::new(data, flate2::Compression::fast()).read_to_end(&mut gzip);
    packed.expect("memory can be read");
    let zstd = zstd::encode_all(data, 1).expect("memory can be read");
    for mut packed in [gzip, zstd] {
        packed.truncate(packed.len() - usize::from(cut).min(packed.len()));
        capture(&packed);
    }
}

fn capture(data: &[u8]) {
    if let Ok(source) = from_reader("x", reader(data), None, &SourceOptions::default()) {
        drain(source);
    }
}

/// The names of the features in the tables of [`features`].
pub const FEATURES: [&str; 9] = [
    "MI_L5_weight",
    "MI_L5_mean",
    "MI_L5_var",
    "H_L5_weight",
    "H_L5_mean",
    "H_L5_var",
    "HH_L5_std",
    "HH_L5_cov",
    "HH_L5_pcc",
];

/// A schema of few features, so that short inputs reach far.
pub fn schema() -> Schema {
    let feature = |name: &str| Feature {
        name: name.into(),
        group: "MI".into(),
        statistic: "mean".into(),
        unit: Unit::Bytes,
        decay: Some(5.0),
    };
    Schema { name: "kitsune-115".into(), features: FEATURES.map(feature).into() }
}

/// Reads a table of features: every value that is delivered is finite.
pub fn features(data: &[u8]) {
    if let Ok((_, source)) = any_from_reader("x", reader(data), None, &SourceOptions::default(), &schema()) {
        drain(source);
    }
}

fn reader(data: &[u8]) -> Box<dyn Read + Send> {
    Box::new(Cursor::new(data.to_vec()))
}

/// Reads a source to its end: numbers without a gap, full batches, one fault that counts what came before it.
fn drain(mut source: Box<dyn Source>) {
    let layout = Layout::of([&FEATURES_COLUMN]).expect("one column");
    let features = layout.handle::<Rows>(&FEATURES_COLUMN).expect("the column is there");
    source.bind(&layout).expect("tables fill that column");
    let (mut batch, mut seq) = (Batch::new(&layout), 0);
    loop {
        batch.clear();
        let filled = source.fill(&mut batch);
        assert!(batch.len() <= BATCH);
        check(&batch, seq);
        check_rows(batch.columns.get(features), batch.headers.len());
        seq += batch.len() as u64;
        match filled {
            Ok(()) if batch.is_empty() => break,
            Ok(()) => {}
            Err(fault) => {
                let error: &SourceError = fault.get_ref().downcast_ref().expect("sources have one error");
                assert!(batch.is_empty() && error.packets_delivered() == seq, "{error}");
                assert_eq!(error.to_string().lines().count(), 1, "{error}");
            }
        }
    }
}

fn check(batch: &Batch, seq: u64) {
    for (expected, (record, bytes)) in (seq..).zip(batch.packets.iter()) {
        assert_eq!(record.seq, expected);
        legonf_wire::parse(record, bytes);
    }
    for (expected, headers) in (seq..).zip(&batch.headers) {
        assert_eq!(headers.seq, expected);
    }
}

fn check_rows(features: &Rows, packets: usize) {
    assert!(features.is_empty() || features.len() == packets);
    assert!(features.as_slice().iter().all(|value| value.is_finite()));
}

/// Reads a label file to its end: it is as long as what it delivered.
pub fn labels(data: &[u8]) {
    let Ok(mut labels) = Labels::from_reader("x", reader(data)) else { return };
    while let Ok(Some(_)) = labels.next_label() {}
    let read = labels.labels_read();
    if let Err(error) = labels.finish(read) {
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
}

/// Reads a graph file: what is a graph reads back from its own text, and its bricks can be made or not.
pub fn graph(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let spec = match GraphSpec::from_toml(text) {
        Ok(spec) => spec,
        Err(error) => return assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    };
    // A NaN in a configuration is not equal to itself.
    let again = GraphSpec::from_toml(&spec.to_toml()).expect("what was written is read");
    assert!(again == spec || text.to_ascii_lowercase().contains("nan"), "{text}");
    let context = legonf_catalog::Context::default();
    let _ = legonf_runtime::Graph::assemble(&spec, &[ColumnSpec::PACKETS], &[FEATURES_COLUMN], |brick| {
        legonf_catalog::build(&brick.kind, &brick.config, &context)
    });
}

/// Reads a file of state groups: its exact plan keeps its promise and reads back from its own text.
pub fn groups(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let set = match GroupSet::from_toml(text) {
        Ok(set) => set,
        Err(error) => return assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    };
    let plan = Plan::exact(&set);
    assert!(matches!(plan.check(&set), Ok(()) | Err(SplitError::Routes(_))));
    let written = toml::to_string(&plan).expect("a plan is TOML");
    assert_eq!(toml::from_str::<Plan>(&written).expect("what was written is read"), plan);
    let _ = legonf_splitter::explain(&set, plan).to_string();
    let _ = legonf_splitter::svg(&set, &legonf_splitter::Lattice::new(&set));
}

/// Reads a model: as a bundle (which is then written and read to the same), as another maker's ONNX file, and as
/// a JSON export.
pub fn model(data: &[u8]) {
    match Bundle::from_bytes(data, "x") {
        Ok(bundle) => {
            let bytes = bundle.to_bytes().expect("what was read is valid");
            assert!(Bundle::from_bytes(&bytes, "x").expect("what was written is read") == bundle);
        }
        Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    }
    if let Err(error) = ClassifierBundle::from_bytes(data, "x") {
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
    if let Ok(foreign) = Foreign::new(data.to_vec(), None) {
        let _ = Model::Foreign(foreign).features();
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = KitNet::from_reference_json(text);
    }
}

/// Reads a policy: what is one gives a period that a clock takes, and reads back from its own text.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(config) = one_line(Config::from_toml(text)) else { return };
    assert!(Duration::try_from_secs_f64(config.tick).is_ok());
    let written = toml::to_string(&config).expect("a policy is TOML");
    assert!(Config::from_toml(&written).expect("what was written is read") == config);
    let _ = Policy::new(config, Vec::new(), None);
}

/// Reads costs: what they are reads back from its own text, and plans can be made by them or not.
pub fn costs(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(costs) = one_line(Costs::from_toml(text)) else { return };
    assert!(Costs::from_toml(&costs.to_toml()).expect("what was written is read") == costs);
    assert!((1..=BATCH).contains(&full(&costs)));
    let _ = patience(&costs, &["source".into()], 5.0);
    let _ = CostModel::new(&costs, 0.9).plan_for(1e6);
}

fn one_line<T>(read: Result<T, ControllerError>) -> Option<T> {
    read.map_err(|error| assert_eq!(error.to_string().lines().count(), 1, "{error}")).ok()
}

/// Reads the lines of an event log: what is one reads back from its own text.
pub fn events(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for event in text.lines().filter_map(|line| Event::from_line(line).ok()) {
        assert!(Event::from_line(&event.to_line()).expect("what was written is read") == event);
        let _ = event.text();
    }
}

/// Reads the state of a training: one that is taken goes on, and gives a model or says why not.
pub fn checkpoint(data: &[u8]) {
    let Ok(checkpoint) = serde_json::from_slice::<Checkpoint>(data) else { return };
    let Ok(mut trainer) = Trainer::from_checkpoint(checkpoint) else { return };
    let features = trainer.config().features;
    for row in 0..8 {
        trainer.train(&vec![f64::from(row); features]);
    }
    let again = Trainer::from_checkpoint(trainer.to_checkpoint());
    assert!(again.is_ok() || again.is_err_and(|defect| !defect.reason.is_empty()));
    let _ = trainer.finish();
}

/// An extractor that has seen nothing, in a graph, and what is known of its state.
pub fn extractor() -> (Graph, Stateful) {
    let spec = GraphSpec::from_toml(seeds::GRAPH).expect("a graph of two bricks");
    let context = legonf_catalog::Context::default();
    let make = |brick: &BrickSpec| legonf_catalog::build(&brick.kind, &brick.config, &context);
    let assembled = Graph::assemble(&spec, &[ColumnSpec::PACKETS], &[FEATURES_COLUMN], make);
    let mut graph = assembled.expect("its bricks fit");
    let mut bricks = graph.stateful().expect("its state can be divided");
    (graph, bricks.remove(0))
}

/// Puts a piece of a saved state, as a file holds it behind its checksum, into an extractor: what is taken comes out again, and goes
/// into another one.
pub fn state(data: &[u8]) {
    let Some((place, piece)) = data.split_first() else { return };
    let (mut graph, brick) = extractor();
    let pieces: Vec<_> = brick.every_piece().collect();
    let (shard, slots) = &pieces[usize::from(*place) % pieces.len()];
    if let Err(error) = graph.import_state(&brick, *shard, piece) {
        return assert_eq!(error.reason.lines().count(), 1, "{}", error.reason);
    }
    let copied = graph.copy_state(&brick, *shard, slots).expect("the slots are there");
    let taken = extractor().0.import_state(&brick, *shard, &copied);
    assert!(taken.is_ok(), "{:?}", taken.map_err(|error| error.reason));
}

/// Takes in another maker's ONNX file, and prepares it for the engine of legonf's own: no file outside of an empty folder is read, and what is taken in needs none.
pub fn foreign(data: &[u8]) {
    if let Err(defect) = FeedForward::open(data) {
        assert_eq!(defect.to_string().lines().count(), 1, "{defect}");
    }
    let Ok(whole) = take_in(data, Path::new("/proc/self/task")) else { return };
    if let Err(defect) = Foreign::new(whole, None) {
        assert_eq!(defect.to_string().lines().count(), 1, "{defect}");
        assert!(!defect.reason.contains("in another file"), "{defect}");
    }
}
