//! What goes in: several captures as one, filters, and graphs that are checked without a capture.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, fail, fault, legonf, retimed, succeed, text, trained};
use legonf_core::Batch;
use legonf_io::sink::PacketFile;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

struct Bench {
    folder: tempfile::TempDir,
    model: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), "kitsune-115-clean"));
        Self { folder, model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        text(self.path(name))
    }

    /// The shipped capture as one file, and a folder with it in three, whose names say nothing of their order.
    fn cut(&self) -> (String, String) {
        let folder = self.path("parts");
        fs::create_dir(&folder).unwrap();
        retimed(&self.path("whole.pcapng"), 0..u64::MAX, |time| time);
        for (name, packets) in
            [("c.pcapng", 0..1_000), ("a.pcapng", 1_000..2_501), ("b.pcapng", 2_501..u64::MAX)]
        {
            retimed(&folder.join(name), packets, |time| time);
        }
        fs::write(folder.join("labels.csv"), "no capture").unwrap();
        (self.name("whole.pcapng"), text(folder))
    }

    /// Replays captures with every packet as an alert; gives the summary and the folder of results.
    fn replay(&self, out: &str, captures: &[&str], more: &[&str]) -> (Value, PathBuf) {
        let folder = self.name(out);
        let options = ["--model", &self.model, "--no-warm-up", "--threshold=-1", "--json", "--out", &folder];
        let printed = succeed(["replay"].iter().chain(captures).chain(&options).chain(more));
        (serde_json::from_str(&printed).unwrap(), self.path(out))
    }
}

/// The files of results that do not name their capture.
fn unnamed(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let named = ["summary.json", "scores.svg", "scores.png"];
    contents(folder).into_iter().filter(|(name, _)| !named.contains(&name.as_str())).collect()
}

#[test]
fn a_capture_in_three_files_is_one() {
    let bench = Bench::new();
    let (whole, parts) = bench.cut();
    let labels = text(example("labels.csv"));
    let (state, other) = (bench.name("state"), bench.name("other"));
    let (one, alone) = bench.replay("one", &[&whole], &["--labels", &labels, "--state-out", &state]);
    let (three, together) = bench.replay("three", &[&parts], &["--labels", &labels, "--state-out", &other]);
    assert_eq!(unnamed(&together), unnamed(&alone));
    assert_eq!(fs::read(&other).unwrap(), fs::read(&state).unwrap());
    for part in ["coverage", "score", "evaluation", "incidents", "counters"] {
        assert_eq!(three[part], one[part], "{part}");
    }
    assert_eq!(three["captures"], serde_json::json!(["c.pcapng", "a.pcapng", "b.pcapng"]));
    assert_eq!((&three["capture"], one.get("captures")), (&"c.pcapng, a.pcapng, b.pcapng".into(), None));
    let given = ["b", "c", "a"].map(|name| format!("{parts}/{name}.pcapng"));
    let given: Vec<_> = given.iter().map(String::as_str).collect();
    let more = [
        "--workers",
        "source batching | extractor x2 | mapping autoencoder decision sink",
        "--oversubscribe",
    ];
    let (_, divided) = bench.replay("divided", &given, &more);
    assert_eq!(fs::read(divided.join("scores.csv")).unwrap(), fs::read(alone.join("scores.csv")).unwrap());
}

#[test]
fn other_commands_read_several_captures_too() {
    let bench = Bench::new();
    let (whole, parts) = bench.cut();
    let matrix = |capture: &str, to: &str| {
        succeed(["features", capture, "-o", &bench.name(to)]);
        fs::read(bench.path(to)).unwrap()
    };
    assert_eq!(matrix(&parts, "parts.npy"), matrix(&whole, "whole.npy"));
    let calibrate = |capture: &str| {
        let output = bench.name("calibrated.onnx");
        let base = ["calibrate", &bench.model, capture, "--skip", "100", "-o", &output, "--json", "--force"];
        let printed = succeed(base.iter().chain(&["--method", "quantile", "--false-positive-rate", "0.05"]));
        serde_json::from_str::<Value>(&printed).unwrap()
    };
    assert_eq!(calibrate(&parts), calibrate(&whole));
    let graph = ["profile", "kitsune", &parts, "--model", &bench.model, "--runs", "1", "--json"];
    let costs: Value = serde_json::from_str(&succeed(graph)).unwrap();
    assert_eq!(costs["capture"], "c.pcapng, a.pcapng, b.pcapng");
    let new = bench.name("new.onnx");
    let few = ["--feature-mapping-packets", "500", "--training-packets", "1500", "--json"];
    succeed(["train", "kitsune", &parts, "-o", &new].iter().chain(&few));
    let model: Value = serde_json::from_str(&succeed(["model", "show", &new, "--json"])).unwrap();
    let captures = model["provenance"]["captures"].as_array().unwrap();
    let names: Vec<_> = captures.iter().map(|capture| capture["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["c.pcapng", "a.pcapng", "b.pcapng"][..names.len()]);
}

#[test]
fn what_is_wrong_with_several_captures_names_the_file() {
    let bench = Bench::new();
    let (_, parts) = bench.cut();
    let second = format!("{parts}/a.pcapng");
    let replay = |captures: &[&str]| {
        let out = bench.name("out");
        fail(["replay", "--force"].iter().chain(captures).chain(&["--model", &bench.model, "--out", &out]))
    };
    assert_eq!(replay(&[&parts, &second]), format!("{second}: this capture is given twice; leave one out"));
    let empty = bench.name("empty");
    fs::create_dir(&empty).unwrap();
    assert!(replay(&[&empty]).starts_with(&format!("{empty}: this folder holds no capture")));
    assert!(replay(&[&second, "-"]).starts_with("-: a pipe or a device can only be read alone"));
    let table = text(example("synth-mini.pcap.tsv"));
    assert!(replay(&[&table, &second]).contains(&format!("holds packets, and {table} a table of headers")));
    assert!(!bench.path("out").exists());
    let bytes = fs::read(&second).unwrap();
    fs::write(&second, &bytes[..bytes.len() / 2]).unwrap();
    let line = replay(&[&parts]);
    assert!(line.starts_with(&format!("{second}: cut off inside packet ")), "{line}");
    let scored = fs::read_to_string(bench.path("out/scores.csv")).unwrap().lines().count() - 1;
    assert!(
        scored > 1_000
            && line.ends_with(&format!("the results are complete for the {scored} packets before it")),
        "{line}"
    );
}

/// Writes the packets of the shipped capture with IPv4 directly behind Ethernet, and the labels of these; gives how many there are in
/// all.
fn only_ipv4(to: &Path, labels: &Path) -> u64 {
    let mut out = PacketFile::create(to).unwrap();
    let all = fs::read_to_string(example("labels.csv")).unwrap();
    let mut all = all.lines().filter(|line| line.ends_with(['0', '1']));
    let mut kept = String::new();
    let mut source = legonf_io::open(&example("synth-mini.pcap.gz")).unwrap();
    let (mut batch, mut packets) = (Batch::default(), 0);
    loop {
        batch.clear();
        source.fill(&mut batch).unwrap();
        if batch.is_empty() {
            break;
        }
        for (record, bytes) in batch.packets.iter() {
            let label = all.next().unwrap().rsplit(',').next().unwrap();
            if bytes.get(12..14) == Some(&[8, 0]) {
                out.packet(record, bytes).unwrap();
                kept += &format!("{label}\n");
            }
        }
        packets += batch.len() as u64;
    }
    out.finish().unwrap();
    fs::write(labels, kept).unwrap();
    packets
}

#[test]
fn a_filter_leaves_packets_out_of_the_stream() {
    let bench = Bench::new();
    let (filtered, few) = (bench.name("ipv4.pcapng"), bench.name("ipv4.csv"));
    let packets = only_ipv4(Path::new(&filtered), Path::new(&few));
    let (capture, labels) = (text(example("synth-mini.pcap.gz")), text(example("labels.csv")));
    let filter = ["--filter", "ether[12:2] = 0x0800"];
    let (before, expected) = bench.replay("before", &[&filtered], &["--labels", &few]);
    let (now, found) = bench.replay("now", &[&capture], &[&filter[..], &["--labels", &labels]].concat());
    assert_eq!(unnamed(&found), unnamed(&expected));
    let left_out = now["filtered"]["packets"].as_u64().unwrap();
    let received = now["coverage"]["received"].as_u64().unwrap();
    assert!(left_out > 0 && received > 0);
    assert_eq!(received + left_out, packets);
    assert_eq!((&now["evaluation"], &now["coverage"]), (&before["evaluation"], &before["coverage"]));
    assert_eq!(before.get("filtered"), None);
    let features = |capture: &str, to: &str, more: &[&str]| {
        let said = succeed(["features", capture, "-o", &bench.name(to)].iter().chain(more));
        (said, fs::read(bench.path(to)).unwrap())
    };
    let (said, matrix) = features(&capture, "a.npy", &filter);
    assert!(said.contains(&format!("filtered    {left_out} packets left out by --filter")), "{said}");
    assert_eq!(matrix, features(&filtered, "b.npy", &[]).1);
}

#[test]
fn a_wrong_filter_is_said_before_any_work() {
    let bench = Bench::new();
    let capture = text(example("synth-mini.pcap.gz"));
    let replay = |capture: &str, filter: &str| {
        let out = bench.name("out");
        let line = fail(["replay", capture, "--model", &bench.model, "--out", &out, "--filter", filter]);
        assert!(!bench.path("out").exists());
        line
    };
    let line = replay(&capture, "tcp prot 80");
    assert!(line.starts_with("filter `tcp prot 80`: ") && line.contains("syntax error"), "{line}");
    let table = text(example("synth-mini.pcap.tsv"));
    assert!(replay(&table, "tcp").contains("holds no packets' bytes"));
    let nflog = text(fault("nflog.pcap"));
    let line = replay(&nflog, "ether host 2:0:0:0:0:1");
    assert!(
        line.starts_with(&format!("{nflog}: filter `ether host ")) && line.contains("link type 239"),
        "{line}"
    );
    // What was trained on under one filter is not what another one leaves.
    let (model, whole) = (bench.name("tcp.onnx"), bench.name("whole.pcapng"));
    retimed(&bench.path("whole.pcapng"), 0..u64::MAX, |time| time);
    let few = ["--feature-mapping-packets", "100", "--training-packets", "200", "--filter", "ip"];
    let said = succeed(["train", "kitsune", &whole, "-o", &model].iter().chain(&few));
    assert!(said.contains("left out by --filter"), "{said}");
    let line = fail(["calibrate", &model, &whole, "--skip", "2000"]);
    assert!(line.contains("under another filter; leave it out"), "{line}");
}

#[test]
fn a_graph_is_checked_as_a_replay_does() {
    let bench = Bench::new();
    let model = ["--model", &bench.model];
    let check = |more: &[&str]| succeed(["graph", "check", "kitsune"].iter().chain(more));
    let line = check(&model);
    assert!(
        line.starts_with("ok: 5 bricks, results scores, verdicts; layout source | batching | "),
        "{line}"
    );
    let line = check(&[]);
    assert!(line.starts_with("ok: 5 bricks, ") && line.contains("give --model"), "{line}");
    let out = bench.name("out");
    let capture = text(example("synth-mini.pcap.gz"));
    let graph = succeed(["graph", "show", "--toml"]);
    for (from, to) in [
        ("kind = \"autoencoder\"", "kind = \"autoencoders\""),
        ("id = \"mapping\"", "id = \"batching\""),
        ("next = \"extractor\"", "next = \"mapping\""),
        ("schema = \"kitsune-115-clean\"", "schema = \"kitsune-py-100\""),
        ("name = \"kitsune\"", "name = \"kitsune\"\nports = 3"),
        ("[brick.config]", "[brick.config]\nspeed = 7"),
    ] {
        assert!(graph.contains(from), "{graph}");
        let file = bench.name("graph.toml");
        fs::write(&file, graph.replacen(from, to, 1)).unwrap();
        let line = fail(["graph", "check", &file].iter().chain(&model));
        let replay = ["replay", &capture, "--nf", &file, "--out", &out];
        assert_eq!(line, fail(replay.iter().chain(&model)), "{to}");
        assert!(line.starts_with(&file), "{line}");
    }
    let workers = ["--workers", "source | extractor | sink"];
    let line = fail(["graph", "check", "kitsune"].iter().chain(&model).chain(&workers));
    let replay = ["replay", &capture, "--out", &out];
    assert_eq!(line, fail(replay.iter().chain(&model).chain(&workers)));
    // Without a model what needs none is still looked at.
    let file = bench.name("graph.toml");
    fs::write(&file, graph.replacen("[brick.config]", "[brick.config]\nspeed = 7", 1)).unwrap();
    let line = fail(["graph", "check", &file]);
    assert!(line.starts_with(&file) && line.contains("speed"), "{line}");
    assert_eq!(legonf(["graph", "check"]).status.code(), Some(2));
}
