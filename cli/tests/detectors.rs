//! Detectors beside KitNET: trained, calibrated, run in any layout, refused.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, fail, legonf, scores, succeed, text};
use std::fs;
use std::path::Path;

const NAMES: [&str; 9] = [
    "ensemble",
    "pca",
    "log-pca",
    "ecod",
    "hbos",
    "isolation-forest",
    "mean-z",
    "box-plot",
    "nearest-neighbour",
];

/// Packets of the shipped capture.
const PACKETS: usize = 3500;

/// Trains a detector on the shipped capture's first packets; the file of the model.
fn detector(folder: &Path, name: &str, more: &[&str]) -> String {
    let model = text(folder.join(format!("{name}.onnx")));
    let capture = text(example("synth-mini.pcap.gz"));
    let fixed = ["train", "kitsune", &capture, "--detector", name, "-o", &model];
    let packets = ["--feature-mapping-packets", "500", "--training-packets", "1500"];
    succeed(fixed.iter().chain(&packets).chain(more));
    model
}

fn replay(folder: &Path, model: &str, more: &[&str]) -> Vec<(String, Vec<u8>)> {
    let (capture, out) = (text(example("synth-mini.pcap.gz")), folder.join("out"));
    let _ = fs::remove_dir_all(&out);
    let (threshold, out_text) = ("--threshold", text(&out));
    let fixed = ["replay", &capture, "--no-warm-up", "--model", model, threshold, "1e-3", "--out", &out_text];
    succeed(fixed.iter().chain(more));
    contents(&out)
}

#[test]
fn every_detector_scores_every_packet_alike_in_any_layout() {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        let model = detector(folder.path(), name, &[]);
        let one = replay(folder.path(), &model, &["--workers", "fused"]);
        assert_eq!(replay(folder.path(), &model, &["--workers", "pipeline"]), one, "{name}");
        let three = "source batching | extractor x3 | detector decision sink";
        assert_eq!(replay(folder.path(), &model, &["--workers", three, "--oversubscribe"]), one, "{name}");
        let found = scores(&folder.path().join("out/scores.csv"));
        assert!(found.iter().all(|score| score.is_finite()) && found.iter().any(|s| *s > 0.0), "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ensemble", "isolation-forest"] {
        let bytes = |more: &[&str]| fs::read(detector(folder.path(), name, more)).unwrap();
        let once = bytes(&[]);
        assert!(bytes(&["--force"]) == once, "{name}: the same bytes again");
    }
    let bytes = |more: &[&str]| fs::read(detector(folder.path(), "isolation-forest", more)).unwrap();
    assert!(bytes(&["--force", "--seed", "9"]) != bytes(&["--force"]), "another seed, another forest");
}

#[test]
fn a_detector_is_shown_verified_calibrated_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    let model = detector(folder.path(), "ensemble", &[]);
    assert!(succeed(["model", "show", &model]).contains("ensemble"));
    let shown: serde_json::Value =
        serde_json::from_str(&succeed(["model", "show", &model, "--json"])).unwrap();
    assert_eq!((&shown["kind"], &shown["detector"]["method"]), (&"detector".into(), &"ensemble".into()));
    assert!(succeed(["model", "verify", &model]).contains("in order"));
    assert!(fail(["model", "explain", &model]).contains("another kind of model"));
    let capture = text(example("synth-mini.pcap.gz"));
    let calibrated = succeed([
        "calibrate",
        &model,
        &capture,
        "--skip",
        "2001",
        "--method",
        "quantile",
        "--false-positive-rate",
        "0.05",
        "--as-seen",
    ]);
    assert!(calibrated.starts_with("threshold "), "{calibrated}");
    let out = text(folder.path().join("eve"));
    succeed(["replay", &capture, "--no-warm-up", "--model", &model, "--threshold", "1e-3", "--out", &out]);
    let eve = fs::read_to_string(Path::new(&out).join("eve.json")).unwrap();
    assert!(eve.contains("\"expected\""), "alerts are explained");
    let error = fail(["replay", &capture, "--model", &model, "--precision", "f32"]);
    assert_eq!(
        error,
        "--precision f32: only KitNET's own engine has a choice of numbers; leave the option out"
    );
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let capture = text(example("synth-mini.pcap.gz"));
    let model = text(folder.path().join("m.onnx"));
    let train = |more: &[&str]| {
        let fixed = ["train", "kitsune", &capture, "-o", &model];
        fixed.iter().chain(more).map(ToString::to_string).collect::<Vec<_>>()
    };
    let error = legonf(train(&["--detector", "svm"]));
    let error = String::from_utf8_lossy(&error.stderr).into_owned();
    assert!(error.contains("svm") && error.contains("ensemble, pca"), "{error}");
    let error = fail(train(&["--detector", "pca", "--resume"]));
    assert!(error.starts_with("--resume with --detector pca: "), "{error}");
    let short = ["--detector", "pca", "--feature-mapping-packets", "1", "--training-packets", "3"];
    let error = fail(train(&short));
    assert!(
        error.contains("a detector takes 20 packets or more to train on, without NaN, and 5 came"),
        "{error}"
    );
    let error = fail(train(&["--detector", "pca", "--training-packets", "100000"]));
    assert!(error.contains("too short"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
}

#[test]
fn detectors_are_compared_on_a_capture_with_labels() {
    let folder = tempfile::tempdir().unwrap();
    let capture = text(example("synth-mini.pcap.gz"));
    let labels = text(folder.path().join("labels.csv"));
    let write = |first: usize| {
        let lines: Vec<_> =
            (0..PACKETS).map(|at| if at >= first && at % 2 == 0 { "1\n" } else { "0\n" }).collect();
        fs::write(&labels, lines.concat()).unwrap();
    };
    write(1000);
    let compared = succeed(["compare", &capture, "--labels", &labels]);
    assert!(NAMES.iter().chain(&["kitnet"]).all(|name| compared.contains(name)), "{compared}");
    let json = succeed(["experiment", "detectors", &format!("{capture},labels={labels}"), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let (cold, entries) = (&report["cold"][0], report["reports"][0]["detectors"].as_array().unwrap());
    assert_eq!(
        (&cold["detector"], cold["comparisons"].as_u64(), entries.len()),
        (&"kitnet".into(), Some(1), 10)
    );
    assert!(entries.iter().all(|entry| (0.0..=1.0).contains(&entry["auc"].as_f64().unwrap())));
    write(PACKETS);
    assert!(fail(["compare", &capture, "--labels", &labels]).contains("no packet is malicious"));
    write(30);
    assert!(
        fail(["compare", &capture, "--labels", &labels])
            .contains("30 benign packets before the first attack")
    );
    let error = fail(["experiment", "detectors", &capture]);
    assert!(error.contains("has no labels: give them as CAPTURE,labels=FILE"), "{error}");
}
