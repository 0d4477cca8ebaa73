//! Kitsune from capture to verdict, against the reference implementation's vectors.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, legonf, scores, shared, succeed, testbed, text, trained};
use ndarray::{Array1, Array2, Axis};
use ndarray_npy::NpzReader;
use std::fs::{self, File};
use std::path::Path;

fn golden(path: &Path) -> (Array2<f64>, Array1<f64>) {
    let mut npz = NpzReader::new(File::open(path).unwrap()).unwrap();
    (npz.by_name("features").unwrap(), npz.by_name("rmse").unwrap())
}

fn assert_close(ours: &[f64], reference: &[f64], first: usize) {
    assert_eq!(ours.len(), reference.len());
    for (i, (a, b)) in ours.iter().zip(reference).enumerate().skip(first) {
        assert!((a - b).abs() <= 1e-9 * b.abs(), "packet {i}: {a} is not {b}");
    }
}

fn assert_same_bits(ours: &Array2<f64>, reference: &Array2<f64>) {
    assert_eq!(ours.dim(), reference.dim());
    for ((row, column), a) in ours.indexed_iter() {
        let b = reference[(row, column)];
        assert_eq!(a.to_bits(), b.to_bits(), "packet {row}, column {column}: {a} is not {b}");
    }
}

#[test]
fn features_of_kitsune_py_are_the_references_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (reference, _) = golden(&example("kitsune-py-100.npz"));
    for capture in ["synth-mini.pcap.gz", "synth-mini.pcap.tsv"] {
        let matrix = folder.path().join(format!("{capture}.npy"));
        succeed(["features", &text(example(capture)), "--schema", "kitsune-py-100", "-o", &text(&matrix)]);
        assert_same_bits(&ndarray_npy::read_npy(&matrix).unwrap(), &reference);
    }
}

#[test]
fn training_and_replay_give_the_references_scores() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "kitsune-py-100");
    let (_, rmse) = golden(&example("kitsune-py-100.npz"));
    let out = folder.path().join("out");
    succeed([
        "replay",
        "--no-warm-up",
        &text(example("synth-mini.pcap.gz")),
        "--model",
        &text(model),
        "--out",
        &text(&out),
    ]);
    // The reference scores packets after its training; the first 2,001 are those it was trained on.
    assert_close(&scores(&out.join("scores.csv")), rmse.as_slice().unwrap(), 2001);
}

/// Extracts, trains and replays with the reference's parameters, against its features and the scores of the packets
/// after training; `rows` picks the packets whose features it has.
fn reproduces(
    capture: &str,
    vectors: &str,
    schema: &str,
    training: [&str; 2],
    rows: impl Fn() -> Vec<usize>,
) {
    let (Some(capture), Some(vectors)) = (shared(capture), shared(vectors)) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(folder.path().join(name));
    let (capture, matrix, model, out) = (text(capture), path("f.npy"), path("m.onnx"), path("out"));
    let (reference, rmse) = golden(&vectors);
    succeed(["features", &capture, "--schema", schema, "-o", &matrix]);
    let features: Array2<f64> = ndarray_npy::read_npy(&matrix).unwrap();
    assert_same_bits(&features.select(Axis(0), &rows()), &reference);
    let [mapping, ensemble] = training;
    let packets = ["--feature-mapping-packets", mapping, "--training-packets", ensemble];
    succeed(["train", "kitsune", &capture, "-o", &model, "--schema", schema].iter().chain(&packets));
    succeed(["replay", "--no-warm-up", &capture, "--model", &model, "--out", &out]);
    let first = training.iter().map(|n| n.parse::<usize>().unwrap()).sum::<usize>() + 1;
    assert_close(&scores(&Path::new(&out).join("scores.csv")), rmse.as_slice().unwrap(), first);
}

#[test]
fn the_published_feature_vector_from_the_real_capture() {
    let (capture, vectors) =
        ("data/kitsune-mirai/mirai-first20000.pcap", "golden/official-115/features-rmse.npz");
    reproduces(capture, vectors, "kitsune-115", ["2000", "10000"], || (0..20_000).collect());
}

#[test]
fn kitsune_py_on_the_real_capture() {
    let (capture, vectors) =
        ("data/kitsune-mirai/mirai-first20000.pcap", "golden/kitsune-py-100/mirai-first20000.npz");
    reproduces(capture, vectors, "kitsune-py-100", ["2000", "10000"], || (0..20_000).collect());
}

#[test]
fn kitsune_py_on_the_table_of_the_real_capture() {
    let vectors = "golden/kitsune-py-100/mirai-first38k.npz";
    let rows = || {
        let mut npz = NpzReader::new(File::open(shared(vectors).unwrap()).unwrap()).unwrap();
        let index: Array1<i64> = npz.by_name("index").unwrap();
        index.iter().map(|i| *i as usize).collect()
    };
    let table = "data/kitsune-mirai/mirai-first38k.pcap.tsv.gz";
    reproduces(table, vectors, "kitsune-py-100", ["5000", "20000"], rows);
}

/// The same network as the reference's export and as two ONNX files of other makers.
#[test]
fn models_of_other_makers_give_their_scores() {
    let folder = tempfile::tempdir().unwrap();
    let Some(capture) = shared("data/kitsune-mirai/mirai-first20000.pcap") else { return };
    let imported = |file: &str| {
        let foreign = shared(&format!("golden/kitsune-py-100/{file}"))?;
        let path = |suffix: &str| text(folder.path().join(format!("{file}{suffix}")));
        succeed(["model", "import", &text(foreign), "-o", &path(".model"), "--schema", "kitsune-py-100"]);
        succeed([
            "replay",
            &text(&capture),
            "--model",
            &path(".model"),
            "--threshold",
            "1",
            "--out",
            &path(".out"),
        ]);
        Some(scores(&folder.path().join(format!("{file}.out/scores.csv"))))
    };
    let Some(reference) = imported("foreign-kitnet.model.json") else { return };
    for (file, tolerance) in [("foreign-kitnet-f64.onnx", 1e-12), ("foreign-kitnet-f32-fused.onnx", 1e-4)] {
        let theirs = imported(file).unwrap();
        assert_eq!(theirs.len(), reference.len());
        let worst = theirs.iter().zip(&reference).map(|(a, b)| (a - b).abs() / b).fold(0.0, f64::max);
        assert!(worst <= tolerance, "{file}: {worst:e}");
    }
}

#[test]
fn two_replays_write_the_same_bytes_whatever_the_workers() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), "kitsune-115"));
    let (capture, labels) = (text(example("synth-mini.pcap.gz")), text(example("labels.csv")));
    let rate = ["--false-positive-rate", "0.01"];
    succeed(["calibrate", &model, &capture, "--skip", "2001", "--limit", "3000"].iter().chain(&rate));
    let replay = |out: &str, workers: &str| {
        let out = folder.path().join(out);
        succeed([
            "replay",
            "--no-warm-up",
            &capture,
            "--model",
            &model,
            "--out",
            &text(&out),
            "--labels",
            &labels,
            "--workers",
            workers,
            "--oversubscribe",
        ]);
        contents(&out)
    };
    let first = replay("a", "bricks");
    let names: Vec<_> = first.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "alerts.pcapng",
            "eve.json",
            "hosts.json",
            "incidents.json",
            "playback.jsonl",
            "scores.csv",
            "scores.png",
            "scores.svg",
            "summary.json"
        ]
    );
    let replicated = "source | batching x2 | extractor | mapping autoencoder x3 | decision sink";
    for (other, workers) in [("b", "pipeline"), ("c", "fused"), ("d", replicated)] {
        for ((name, a), (_, b)) in first.iter().zip(replay(other, workers)) {
            assert!(*a == b, "{name} differs with --workers {workers}");
        }
    }
}

#[test]
fn replicas_that_share_the_extractors_state_write_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), "kitsune-115"));
    let capture = text(example("synth-mini.pcap.gz"));
    let replay = |out: &str, layout: &[&str]| {
        let out = folder.path().join(out);
        let arguments =
            ["replay", "--no-warm-up", &capture, "--model", &model, "--out", &text(&out), "--workers"];
        succeed(arguments.iter().chain(layout).map(|argument| argument.to_string()));
        contents(&out)
    };
    let first = replay("a", &["fused"]);
    let shared = "source batching | extractor x2 | mapping autoencoder | decision sink";
    let whole = "source | batching extractor mapping autoencoder decision x2 | sink";
    let layouts: [&[&str]; 3] = [&[shared], &[whole, "--checkpoint", "1"], &["fused", "--checkpoint", "1"]];
    for (at, layout) in layouts.into_iter().enumerate() {
        assert!(replay(&format!("b{at}"), layout) == first, "the results differ with --workers {layout:?}");
    }
}

#[test]
fn the_attacks_in_the_shipped_capture_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(folder.path().join("model.onnx"));
    let (capture, labels) = (text(testbed("capture.pcap.zst")), text(testbed("labels.csv.gz")));
    let trained = succeed(["train", "kitsune", &capture, "-o", &model, "--json"]);
    let trained: serde_json::Value = serde_json::from_str(&trained).unwrap();
    assert_eq!((&trained["packets"], &trained["drift"]["drifts"]), (&86_265.into(), &false.into()));
    // The attacks begin with packet 130,160.
    succeed(["calibrate", &model, &capture, "--skip", "86265", "--limit", "130160"]);
    let report = succeed(["replay", &capture, "--model", &model, "--labels", &labels, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["coverage"]["received"], 184_208);
    assert_eq!(report["coverage"]["scored"], 184_208);
    assert_eq!(report["false_positive_bound"], 0.001);
    assert!(report["evaluation"]["tpr"].as_f64() > Some(0.95), "{}", report["evaluation"]);
    assert!(report["evaluation"]["auc"].as_f64() > Some(0.98), "{}", report["evaluation"]);
}

#[test]
fn an_interrupted_training_goes_on_to_the_same_model() {
    let folder = tempfile::tempdir().unwrap();
    let whole = trained(folder.path(), "kitsune-115");
    let (capture, model) = (text(example("synth-mini.pcap.gz")), text(folder.path().join("resumed.onnx")));
    // A capture that is too short leaves no checkpoint; so the run is cut short by its options, and the checkpoint taken in
    // mid-training.
    let arguments = |extra: &[&str]| {
        let base = [
            "train",
            "kitsune",
            &capture,
            "-o",
            &model,
            "--schema",
            "kitsune-115",
            "--feature-mapping-packets",
            "500",
        ];
        base.iter().chain(extra).map(|s| (*s).to_owned()).collect::<Vec<_>>()
    };
    let output = legonf(arguments(&[
        "--training-packets",
        "1500",
        "--checkpoint-every",
        "700",
        "--stop-after",
        "1400",
    ]));
    assert_eq!(output.status.code(), Some(130));
    let checkpoint = format!("{model}.checkpoint");
    assert!(Path::new(&checkpoint).exists());
    let error = common::fail(arguments(&["--training-packets", "1501", "--resume"]));
    assert!(error.contains("other training options"), "{error}");
    succeed(arguments(&["--training-packets", "1500", "--resume"]));
    assert!(fs::read(whole).unwrap() == fs::read(&model).unwrap(), "the resumed model differs");
    assert!(!Path::new(&checkpoint).exists());
}
