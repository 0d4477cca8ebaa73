//! `legonf dataset`: captures that are made.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{example, fail, succeed, testbed, text};
use std::fs;

#[test]
fn the_same_options_make_the_same_capture_and_its_labels() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, seed: &str| {
        let path = |suffix: &str| text(folder.path().join(format!("{name}{suffix}")));
        let (capture, labels) = (path(".pcapng"), path(".csv"));
        let report = succeed([
            "dataset",
            "generate",
            "-o",
            &capture,
            "--labels",
            &labels,
            "--seed",
            seed,
            "--packets",
            "5000",
            "--scan",
            "1",
            "2000",
            "--json",
        ]);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        (capture, labels, report)
    };
    let (capture, labels, report) = make("a", "7");
    let (again, labels_again, _) = make("b", "7");
    let (other, _, _) = make("c", "8");
    assert!(fs::read(&capture).unwrap() == fs::read(&again).unwrap());
    assert!(fs::read(&labels).unwrap() == fs::read(&labels_again).unwrap());
    assert!(fs::read(&capture).unwrap() != fs::read(&other).unwrap());
    let text = fs::read_to_string(&labels).unwrap();
    let malicious = text.lines().filter(|line| line.ends_with(",1")).count();
    assert_eq!((text.lines().count(), &report["malicious"]), (5001, &malicious.into()));
    assert!(malicious > 1000, "{malicious}");

    let matrix = common::text(folder.path().join("f.npy"));
    let report = succeed(["features", &capture, "-o", &matrix, "--json"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&report).unwrap()["rows"], 5000);
    assert!(fail(["dataset", "generate", "-o", &capture, "--hosts", "0"]).contains("hosts"));
}

/// The testbed's attacks, ten times faster, among the packets of the small capture.
#[test]
fn a_composite_has_labels_and_a_manifest_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let benign = text(example("synth-mini.pcap.gz"));
    let (attack, truth) = (text(testbed("capture.pcap.zst")), text(testbed("labels.csv.gz")));
    let attack = format!("{attack},labels={truth},speed=10,start=2");
    let make = |name: &str, seed: &str| {
        let path = |suffix: &str| text(folder.path().join(format!("{name}{suffix}")));
        let (capture, labels, manifest) = (path(".pcapng"), path(".csv"), path(".pcapng.manifest.json"));
        let options = ["-o", &capture, "--labels", &labels, "--seed", seed, "--json"];
        let mut arguments = vec!["dataset", "compose", &benign, "--attack", &attack];
        arguments.extend(options);
        let report: serde_json::Value = serde_json::from_str(&succeed(arguments)).unwrap();
        let manifest: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(manifest).unwrap()).unwrap();
        assert_eq!(report, manifest);
        (capture, labels, manifest)
    };
    let (capture, labels, manifest) = make("a", "7");
    let (again, labels_again, _) = make("b", "7");
    let (other, labels_of_other, _) = make("c", "8");
    assert!(fs::read(&capture).unwrap() == fs::read(&again).unwrap());
    assert!(fs::read(&labels).unwrap() == fs::read(&labels_again).unwrap());
    assert!(fs::read(&capture).unwrap() != fs::read(&other).unwrap());
    assert!(fs::read(&labels).unwrap() == fs::read(&labels_of_other).unwrap(), "times do not depend on it");

    let malicious = fs::read_to_string(&labels).unwrap().lines().filter(|l| l.ends_with(",1")).count();
    assert_eq!((malicious, &manifest["output"]["packets"]), (13_029, &(3500 + 13_029).into()));
    assert_eq!((&manifest["kind"], &manifest["seed"]), (&"composite".into(), &7.into()));
    let digest = |part: &serde_json::Value| part["sha256"].as_str().unwrap().len();
    assert_eq!((digest(&manifest["output"]), digest(&manifest["benign"])), (64, 64));
    assert_eq!(digest(&manifest["attacks"][0]), 64);
    assert_eq!(manifest["attacks"][0]["file"], "capture.pcap.zst");

    let model = common::trained(folder.path(), "kitsune-115-clean");
    let report = succeed([
        "replay",
        "--no-warm-up",
        &capture,
        "--model",
        &text(&model),
        "--labels",
        &labels,
        "--json",
    ]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["coverage"]["received"], 3500 + 13_029);
}

#[test]
fn a_composite_never_replaces_its_sources() {
    let folder = tempfile::tempdir().unwrap();
    let benign = text(folder.path().join("benign.pcap.gz"));
    fs::copy(example("synth-mini.pcap.gz"), &benign).unwrap();
    let before = fs::read(&benign).unwrap();
    let labels = text(folder.path().join("l.csv"));
    let compose = |attack: &str, output: &str| {
        fail(["dataset", "compose", &benign, "--attack", attack, "-o", output, "--labels", &labels])
    };
    assert!(compose(&benign, &benign).ends_with("it is one of the sources; name another file"));
    assert!(compose(&benign, "-").contains("expected the name of a file"));
    let out = text(folder.path().join("c.pcapng"));
    assert!(compose(&format!("{benign},speed=0"), &out).starts_with("speed = 0: expected a factor"));
    assert!(compose("none.pcap", &out).contains("none.pcap: no such file"));
    assert!(fs::read(&benign).unwrap() == before);
    assert!(!folder.path().join("c.pcapng").exists());
}
