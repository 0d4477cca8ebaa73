use super::*;
use crate::assembly::assemble_extraction;
use crate::nf;
use legonf_core::{BATCH, Batch, ColumnSpec, Discard, Fault, Headers, Layer, Progress, Source, Timestamp};
use legonf_runtime::{GraphSpec, Layout, Options, run};
use sha2::{Digest, Sha256};
use std::fs;
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicBool;

/// Packets without bytes, of some hosts.
struct Hosts(u64);

impl Source for Hosts {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let first = 300 - self.0;
        let packets = self.0.min(BATCH as u64);
        self.0 -= packets;
        batch.headers.extend((first..first + packets).map(|seq| {
            let ip = |low: u64| Some(Ipv4Addr::from_bits(low as u32).into());
            let outer = Layer { src: ip(seq * seq % 17), dst: ip(seq % 5 + 20), ..Layer::default() };
            let timestamp = Timestamp::from_nanos(1_000_000 * seq as i64);
            Headers { seq, wire_len: 60, timestamp, outer, ..Headers::default() }
        }));
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress::default()
    }
}

/// The extractor alone, for packets that are parsed already.
fn spec(schema: &str, limits: &str) -> GraphSpec {
    let mut spec = nf::extraction(schema);
    spec.bricks[1].config.extend(limits.parse::<toml::Table>().unwrap());
    spec
}

fn graph(spec: &GraphSpec) -> Graph {
    assemble_extraction(spec).unwrap()
}

/// A file with the state of a graph that has seen some packets, and its bytes.
fn saved(folder: &Path) -> (PathBuf, Vec<u8>) {
    let path = folder.join("state");
    let spec = GraphSpec { bricks: spec("kitsune-115", "").bricks.split_off(1), ..GraphSpec::default() };
    let models = crate::models::Models::default();
    let make = |brick: &legonf_runtime::BrickSpec| models.build(&spec, brick, None);
    let mut graph =
        Graph::assemble(&spec, &[ColumnSpec::HEADERS], &[legonf_extract::FEATURES], make).unwrap();
    let (layout, stop) = (Layout::Fused, AtomicBool::new(false));
    let options = Options::new(&layout, &stop);
    let outcome = run(&mut graph, &mut Hosts(300), &mut Discard, options, &mut |_, _| {});
    assert_eq!((outcome.packets, outcome.fault.is_none()), (300, true));
    save(&path, &mut graph, outcome.clock).unwrap();
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

fn load(path: &Path, spec: &GraphSpec) -> Result<(Clock, Graph), Error> {
    let mut graph = graph(spec);
    Ok((Saved::open(path)?.load(&mut graph)?, graph))
}

#[test]
fn what_was_saved_is_there_again_and_saves_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = saved(folder.path());
    let (clock, mut graph) = load(&path, &spec("kitsune-115", "")).unwrap();
    assert_eq!(clock.elapsed(), 299_000_000);
    let again = folder.path().join("again");
    save(&again, &mut graph, clock).unwrap();
    assert!(fs::read(again).unwrap() == bytes);
}

#[test]
fn what_is_otherwise_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = saved(folder.path());
    let refused = |spec: &GraphSpec| load(&path, spec).err().unwrap().to_string();
    let schema = refused(&spec("kitsune-115-clean", ""));
    assert!(
        schema.contains("`extractor` had the schema kitsune-115, and has kitsune-115-clean here"),
        "{schema}"
    );
    let seed = refused(&spec("kitsune-115", "limits.seed = 7"));
    assert!(seed.contains("had the slot seed 1234, and has 7 here"), "{seed}");
    let limits = refused(&spec("kitsune-115", "limits.channels_per_slot = 7"));
    assert!(limits.contains("brick `extractor`: ") && limits.contains("another limit"), "{limits}");
    let mut named = spec("kitsune-115", "");
    named.bricks[1].id = "other".into();
    named.bricks[0].next = vec!["other".into()];
    assert!(refused(&named).contains("it is of the bricks extractor, and those with state are other here"));
    let shards = refused(&spec("kitsune-115", "shards = [\"sources\"]"));
    assert!(shards.contains("kept other state groups"), "{shards}");
    let coupled = refused(&spec("kitsune-py-100", ""));
    assert!(coupled.contains("brick `extractor`: its state cannot be taken out"), "{coupled}");
}

/// Every byte of the header and of the ends of pieces, and others here and there.
#[test]
fn every_cut_and_every_changed_byte_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, good) = saved(folder.path());
    let spec = spec("kitsune-115", "");
    let places = (0..900).chain((900..good.len()).step_by(1009)).chain(good.len() - 40..good.len());
    for at in places {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&path, &bad).unwrap();
        let error = load(&path, &spec).err().unwrap_or_else(|| panic!("byte {at}")).to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        fs::write(&path, &good[..at]).unwrap();
        let error = load(&path, &spec).err().unwrap_or_else(|| panic!("cut at {at}")).to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// A checksum can be forged: whatever is in the bytes is refused, or taken in.
#[test]
fn forged_bytes_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (path, good) = saved(folder.path());
    let (good, spec) = (&good[..good.len() - 32], spec("kitsune-115", ""));
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for round in 0..100 {
        let mut bytes = good.to_vec();
        let end = if round % 2 == 0 { 900 } else { bytes.len() };
        for _ in 0..=random(9) {
            bytes[15 + random(end - 15)] = random(256) as u8;
        }
        let sum = Sha256::digest(&bytes);
        bytes.extend(sum);
        fs::write(&path, &bytes).unwrap();
        if let Err(error) = load(&path, &spec) {
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
    }
}

#[test]
fn what_is_no_state_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    for (bytes, words) in [
        (&b""[..], "not a state of legonf"),
        (b"PK", "not a state of legonf"),
        (b"legonf-state 2\n", "another version"),
        (b"legonf-state 1\n", "checksum differs"),
        (b"legonf-state 1\nabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", "checksum differs"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = Saved::open(&path).err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert!(Saved::open(folder.path()).err().unwrap().to_string().contains("not a regular file"));
    assert!(Saved::open(&folder.path().join("none")).err().unwrap().to_string().contains("none: "));
}
