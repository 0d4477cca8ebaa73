//! `legonf dataset`: captures that are made.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{fail, succeed, text};
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
