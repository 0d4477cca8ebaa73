//! Every example graph runs: a new brick has its test by its example.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, root, succeed, text, trained};
use std::fs;
use std::path::{Path, PathBuf};

fn graphs() -> Vec<PathBuf> {
    let folder = root().join("examples/graphs");
    let mut graphs: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    graphs.sort();
    assert!(graphs.iter().all(|graph| graph.extension().is_some_and(|extension| extension == "toml")));
    graphs
}

/// The files that a replay wrote, those of forwarded packets behind them.
fn written(out: &Path) -> Vec<(String, Vec<u8>)> {
    let forwarded = out.join("forwarded");
    if !forwarded.exists() {
        return contents(out);
    }
    let packets = contents(&forwarded);
    fs::remove_dir_all(&forwarded).unwrap();
    [contents(out), packets].concat()
}

/// Replays the shipped capture by a graph, and gives what it wrote, and its counters.
fn replayed(graph: &Path, out: &Path) -> (Vec<(String, Vec<u8>)>, serde_json::Value) {
    let (capture, nf, folder) = (text(example("synth-mini.pcap.gz")), text(graph), text(out));
    let ran = succeed(["replay", &capture, "--nf", &nf, "--out", &folder, "--json"]);
    let mut summary: serde_json::Value = serde_json::from_str(&ran).unwrap();
    // These name the bricks.
    let names_bricks = |name: &str| name.contains("summary") || name.contains("playback");
    let packets = written(out).into_iter().filter(|(name, _)| !names_bricks(name)).collect();
    (packets, serde_json::json!([summary["counters"].take(), summary["coverage"].take()]))
}

#[test]
fn an_optimized_chain_does_what_the_chain_does_in_fewer_bricks() {
    let folder = tempfile::tempdir().unwrap();
    let chain = root().join("examples/graphs/chain.toml");
    let shown = succeed(["graph", "optimize", &text(&chain)]);
    assert!(shown.contains("before: 10 bricks") && shown.contains("after: 3 bricks"), "{shown}");
    assert!(shown.ends_with("are now fast-path and fast-path-actions\n"), "{shown}");
    let optimized = folder.path().join("optimized.toml");
    fs::write(&optimized, succeed(["graph", "optimize", &text(&chain), "--toml"])).unwrap();
    let [before, after] =
        [&chain, &optimized].map(|graph| replayed(graph, &folder.path().join(graph.file_stem().unwrap())));
    assert!(before.0.iter().any(|(name, _)| name.contains("pcapng")));
    assert!(before.0 == after.0);
    assert_eq!(before.1, after.1);
    let again = succeed(["graph", "optimize", &text(&optimized)]);
    assert!(again.ends_with("nothing to change\n"), "{again}");
}

#[test]
fn every_example_is_shown() {
    let graphs = graphs();
    assert!(graphs.len() >= 5, "{graphs:?}");
    for graph in graphs {
        let shown = succeed(["graph", "show", "--nf", &text(graph)]);
        assert!(shown.lines().count() > 3, "{shown}");
    }
}

#[test]
fn every_example_that_takes_no_model_or_one_runs_in_every_layout() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), "kitsune-115-clean"));
    let capture = text(example("synth-mini.pcap.gz"));
    // The others run in tests of their own, with the networks that they need.
    let of_one = |graph: &PathBuf| !fs::read_to_string(graph).unwrap().contains("[models]");
    for graph in graphs().into_iter().filter(of_one) {
        let name = graph.file_stem().unwrap().to_string_lossy().into_owned();
        let has_network = fs::read_to_string(&graph).unwrap().contains("kind = \"feature-mapping\"");
        let with_model: &[&str] = if has_network { &["--no-warm-up", "--model", &model] } else { &[] };
        let outs = ["fused", "pipeline"].map(|workers| {
            let out = folder.path().join(format!("{name} {workers}"));
            let (nf, folder) = (text(&graph), text(&out));
            let rest = ["--nf", &nf, "--workers", workers, "--out", &folder, "--json"];
            let ran = succeed(["replay", &capture].iter().chain(with_model).chain(&rest));
            let summary: serde_json::Value = serde_json::from_str(&ran).unwrap();
            let of = |key: &str| -> u64 {
                let counts = summary["coverage"][key].as_object().unwrap();
                counts.values().map(|count| count.as_u64().unwrap()).sum()
            };
            let [received, scored] =
                ["received", "scored"].map(|key| summary["coverage"][key].as_u64().unwrap());
            assert_eq!(received, scored + of("rejected") + of("dropped"), "{name}");
            assert!(received > 0 && summary["ended_early"].is_null(), "{name}");
            written(&out)
        });
        assert!(outs[0] == outs[1], "{name}");
    }
}
