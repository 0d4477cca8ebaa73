//! A graph that classifies: its verdicts are classes, and what comes after follows them.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "../../models/tract/tests/common/onnx.rs"]
mod onnx;

use common::{contents, example, fail, root, succeed, text};
use onnx::{FLOAT, Network};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Two logits of a row of features: 2 for the light class, and for the heavy one a part of the packets' mean length.
fn network() -> Vec<u8> {
    let mut weights = vec![0.0_f32; 115 * 2];
    weights[3] = 0.01;
    let network = Network::new().input("x", FLOAT, &[115]).output("logits", FLOAT);
    let network = network.floats("w", &[115, 2], &weights).floats("b", &[2], &[2.0, 0.0]);
    network.node("MatMul", &["x", "w"], "part", &[]).node("Add", &["part", "b"], "logits", &[]).file()
}

/// The rows of a table, by heading.
fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let table = fs::read_to_string(path).unwrap();
    let mut lines = table.lines().map(|line| line.split(','));
    let headings: Vec<_> = lines.next().unwrap().map(str::to_owned).collect();
    lines.map(|cells| headings.iter().cloned().zip(cells.map(str::to_owned)).collect()).collect()
}

#[test]
fn the_class_of_a_packet_says_what_happens_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("classes.onnx");
    fs::write(&model, network()).unwrap();
    let (capture, model) = (text(example("synth-mini.pcap.gz")), format!("classes={}", text(model)));
    let graph = text(root().join("examples/graphs/classifier.toml"));
    let replay = |out: &str, workers: &str| {
        let out = folder.path().join(out);
        let (folder, options) = (text(&out), ["--oversubscribe", "--workers", workers, "--json"]);
        let replay = ["replay", &capture, "--nf", &graph, "--model", &model, "--out", &folder];
        (succeed([&replay[..], &options].concat()), out)
    };
    let (json, fused) = replay("fused", "fused");
    let replicas = "source | batching extractor network class mark action x3 | sink";
    for (name, workers) in [("pipeline", "pipeline"), ("replicas", replicas)] {
        let (_, out) = replay(name, workers);
        for file in ["verdicts.csv", "summary.json"] {
            assert!(
                fs::read(fused.join(file)).unwrap() == fs::read(out.join(file)).unwrap(),
                "{name}: {file}"
            );
        }
        assert!(contents(&fused.join("forwarded")) == contents(&out.join("forwarded")), "{name}");
    }

    let rows = rows(&fused.join("verdicts.csv"));
    let mut counted = BTreeMap::new();
    for row in &rows {
        *counted.entry(row["class"].clone()).or_insert(0_u64) += 1;
        let confidence: f64 = row["confidence"].parse().unwrap();
        assert_eq!(row["class"] == "unknown", confidence < 0.6, "{row:?}");
        assert!((0.5..=1.0).contains(&confidence), "{row:?}");
    }
    assert!(["light", "heavy", "unknown"].iter().all(|class| counted.get(*class) > Some(&0)), "{counted:?}");
    let summary: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(summary["classes"]["class"], serde_json::to_value(&counted).unwrap());
    assert_eq!(summary["coverage"]["scored"], rows.len());
    assert!(!fused.join("eve.json").exists() && !fused.join("scores.csv").exists());

    // Every packet of the class has the code point, and no other has; of the uncertain there is a copy.
    let heavy = dscp(&fused.join("forwarded/out.pcapng")).into_iter().filter(|dscp| *dscp == Some(8)).count();
    let marked = rows.iter().filter(|row| row["class"] == "heavy").count();
    assert!(heavy > 0 && heavy <= marked, "{heavy} of {marked}");
    assert_eq!(dscp(&fused.join("forwarded/inspect.pcapng")).len() as u64, counted["unknown"]);
}

/// The code point of each packet of a capture, where it is IPv4 on Ethernet.
fn dscp(path: &Path) -> Vec<Option<u8>> {
    let (mut source, mut batch) = (legonf_io::open(path).unwrap(), legonf_core::Batch::default());
    let mut found = Vec::new();
    loop {
        batch.clear();
        source.fill(&mut batch).unwrap();
        if batch.packets.is_empty() {
            return found;
        }
        let of = |bytes: &[u8]| (bytes[12..14] == [8, 0]).then(|| bytes[15] >> 2);
        found.extend(batch.packets.iter().map(|(_, bytes)| of(bytes)));
    }
}

/// Number, stream time in nanoseconds and bytes on the wire of each packet of a capture.
fn packets(path: &Path) -> Vec<(u64, i128, i128)> {
    let (mut source, mut batch) = (legonf_io::open(path).unwrap(), legonf_core::Batch::default());
    let (mut found, mut clock) = (Vec::new(), legonf_core::Clock::default());
    loop {
        batch.clear();
        source.fill(&mut batch).unwrap();
        if batch.packets.is_empty() {
            return found;
        }
        clock.mark(&mut batch);
        found.extend(batch.packets.iter().map(|(record, _)| {
            (record.seq, i128::from(record.stream_time().as_nanos()), i128::from(record.wire_len))
        }));
    }
}

/// Which packets of a class pass a bucket of tokens, one after the other: a second implementation.
fn passing(packets: &[(u64, i128, i128)], rate: i128, burst: i128) -> Vec<u64> {
    let (mut tokens, mut latest) = (burst * 1_000_000_000, packets[0].1);
    let passes = |(seq, time, bytes): &(u64, i128, i128)| {
        tokens = (tokens + (time - latest).max(0) * rate).min(burst * 1_000_000_000);
        latest = latest.max(*time);
        let fits = tokens >= bytes * 1_000_000_000;
        tokens -= if fits { bytes * 1_000_000_000 } else { 0 };
        fits.then_some(*seq)
    };
    packets.iter().filter_map(passes).collect()
}

#[test]
fn a_class_has_its_rate_its_code_point_and_its_firewall() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("classes.onnx");
    fs::write(&model, network()).unwrap();
    let (capture, model) = (example("synth-mini.pcap.gz"), format!("classes={}", text(model)));
    let replay = |out: &str, graph: &str, workers: &str| {
        let (out, graph) = (folder.path().join(out), text(root().join("examples/graphs").join(graph)));
        let options =
            ["--out", &text(&out), "--oversubscribe", "--workers", workers, "--json"].map(str::to_owned);
        let replay = ["replay", &text(&capture), "--nf", &graph, "--model", &model].map(str::to_owned);
        let summary: serde_json::Value =
            serde_json::from_str(&succeed([&replay[..], &options].concat())).unwrap();
        (summary, out)
    };
    let (_, plain) = replay("plain", "classifier.toml", "fused");
    let (summary, fused) = replay("fused", "qos.toml", "fused");
    let replicas = "source | batching extractor network class firewall mark x3 | limit | sink";
    for (name, workers) in [("pipeline", "pipeline"), ("replicas", replicas)] {
        let (_, out) = replay(name, "qos.toml", workers);
        assert!(contents(&out.join("forwarded")) == contents(&fused.join("forwarded")), "{name}");
        let table = |folder: &Path| fs::read(folder.join("verdicts.csv")).unwrap();
        assert!(table(&out) == table(&fused), "{name}");
    }

    let of_class = |folder: &Path, class: &str| {
        let of = rows(&folder.join("verdicts.csv")).into_iter().filter(|row| row["class"] == class);
        of.map(|row| row["seq"].parse().unwrap()).collect::<Vec<u64>>()
    };
    let heavy = of_class(&plain, "heavy");
    let offered: Vec<_> =
        packets(&capture).into_iter().filter(|packet| heavy.binary_search(&packet.0).is_ok()).collect();
    let expected = passing(&offered, 50_000, 20_000);
    assert!(!expected.is_empty() && expected.len() < heavy.len(), "{} of {}", expected.len(), heavy.len());
    assert_eq!(of_class(&fused, "heavy"), expected);
    for class in ["light", "unknown"] {
        assert_eq!(of_class(&fused, class), of_class(&plain, class), "{class}");
    }

    // Each packet that is dropped is counted, and each that left has the code point of its class.
    let dropped = (heavy.len() - expected.len()) as u64;
    assert_eq!(summary["coverage"]["dropped"], serde_json::json!({ "rate-limit": dropped }));
    let received = summary["coverage"]["received"].as_u64().unwrap();
    assert_eq!(summary["coverage"]["scored"].as_u64().unwrap() + dropped, received);
    let points = dscp(&fused.join("forwarded/out.pcapng"));
    assert_eq!(points.len() as u64 + dropped, received);
    assert!(points.iter().flatten().all(|point| [0, 8, 34].contains(point)));
    let of = |point| points.iter().filter(|found| **found == Some(point)).count();
    assert!(of(8) <= expected.len() && of(34) <= of_class(&plain, "light").len() && of(8).min(of(34)) > 0);
}

#[test]
fn branches_and_actions_name_labels_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let (model, nf) = (folder.path().join("classes.onnx"), text(folder.path().join("graph.toml")));
    fs::write(&model, network()).unwrap();
    let (capture, model) = (text(example("synth-mini.pcap.gz")), format!("classes={}", text(model)));
    let shipped = |name| fs::read_to_string(root().join("examples/graphs").join(name)).unwrap();
    let (qos, shipped) = (shipped("qos.toml"), shipped("classifier.toml"));
    let refused = |from: &str, to: &str, options: &[&str]| {
        let shipped = if shipped.contains(from) { &shipped } else { &qos };
        assert!(shipped.contains(from));
        fs::write(&nf, shipped.replace(from, to)).unwrap();
        let replay = ["replay", &capture, "--nf", &nf, "--model", &model];
        fail([&replay, options].concat())
    };
    let line = refused("heavy = \"mark\"", "anomalous = \"mark\"", &[]);
    let expected = "brick `class`: branch.anomalous: the column class has no verdict of this name \
                    (there are: light, heavy, unknown, rejected)";
    assert!(line.starts_with(&nf) && line.ends_with(expected), "{line}");
    let line = refused("unknown = \"mirror:inspect\"", "benign = \"mirror:inspect\"", &[]);
    assert!(line.contains("brick `action`: the column class has no verdict named `benign`"), "{line}");
    let line = refused("[\"light\", \"heavy\"]", "[\"light\", \"heavy\", \"other\"]", &[]);
    assert!(
        line.contains("reads outputs as f32[3], but brick `network` (onnx) fills it as f32[2]"),
        "{line}"
    );
    for (from, to, brick) in [("light = 34", "lights = 34", "mark"), ("heavy = {", "lights = {", "limit")] {
        let line = refused(from, to, &[]);
        let expected = format!(
            "brick `{brick}`: the column class has no verdict named `lights` (there are: light, heavy, unknown, rejected)"
        );
        assert!(line.starts_with(&nf) && line.ends_with(&expected), "{line}");
    }
    let labels = folder.path().join("labels.csv");
    fs::write(&labels, "0\n").unwrap();
    let line = refused("name = ", "name = ", &["--labels", &text(labels)]);
    assert!(line.starts_with(&nf) && line.contains("decides on no score"), "{line}");
    let line = refused("name = ", "name = ", &["--threshold", "1"]);
    assert!(line.starts_with(&nf) && line.ends_with("leave --threshold out"), "{line}");
}
