//! `legonf bench kitsune` says of every stage what a packet takes and what the core could do.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{example, succeed, text, trained};
use serde_json::Value;
use std::process::{Command, Output};

fn report(schema: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), schema));
    let capture = text(example("synth-mini.pcap.gz"));
    let output = succeed(["bench", "kitsune", &capture, "--model", &model, "--runs", "1", "--json"]);
    serde_json::from_str(&output).unwrap()
}

/// Counts instructions, with this `PATH` if one is given.
fn counted(path: Option<&str>) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), "kitsune-115"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_legonf"));
    command.args(["bench", "kitsune", &text(example("synth-mini.pcap.gz")), "--model", &model]);
    command.args(["--runs", "1", "--limit", "2000", "--instructions", "--json"]);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command.output().unwrap()
}

fn stage<'a>(report: &'a Value, id: &str) -> &'a Value {
    report["bricks"].as_array().unwrap().iter().find(|brick| brick["id"] == id).unwrap()
}

#[test]
fn every_stage_is_set_beside_the_core() {
    let report = report("kitsune-115");
    for key in ["parse_pps", "features_pps", "network_pps", "end_to_end_pps"] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key}");
    }
    let number = |id: &str, key: &str| stage(&report, id)[key].as_f64().unwrap();
    for id in ["source", "batching", "extractor", "mapping", "autoencoder", "decision"] {
        assert!(number(id, "bound_ns") > 0.0 && number(id, "percent_of_roofline") > 0.0, "{id}");
    }
    assert_eq!(report["bricks"].as_array().unwrap().len(), 6);
    assert_eq!(number("mapping", "cache_bytes_per_packet"), 2.0 * 115.0 * 8.0);
    assert!(number("extractor", "memory_bytes_per_packet") >= 2.0 * 3.0 * 64.0);
    assert_eq!(
        number("source", "memory_bytes_per_packet"),
        report["capture_bytes_per_packet"].as_f64().unwrap()
    );
    assert!(
        number("autoencoder", "flops_per_packet") > report["network"]["flops_per_packet"].as_f64().unwrap()
    );
}

#[test]
fn operations_that_are_not_known_are_not_made_up() {
    let report = report("kitsune-py-100");
    assert!(stage(&report, "extractor")["flops_per_packet"].is_null());
    assert_eq!(stage(&report, "mapping")["flops_per_packet"], 0.0);
}

#[test]
fn instructions_are_counted_by_stage() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("skipped: valgrind is not installed");
        return;
    }
    let output = counted(None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |id| stage(&report, id)["instructions_per_packet"].as_f64().unwrap();
    let stages = ["source", "batching", "extractor", "mapping", "autoencoder", "decision"].map(of);
    assert!(stages.iter().all(|count| *count > 0.0), "{stages:?}");
    let all = report["instructions_per_packet"].as_f64().unwrap();
    assert!(stages.iter().sum::<f64>() < all, "{stages:?} of {all}");
    // A packet has 115 features and thousands of products of weights; its verdict is one comparison.
    assert!(of("extractor") > 1000.0 && of("autoencoder") > 500.0 && of("decision") < 100.0, "{stages:?}");
}

#[test]
fn without_valgrind_no_instructions_are_made_up() {
    let output = counted(Some("/nowhere"));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), output.stdout.len(), error.lines().count()),
        (Some(1), 0, 1),
        "{error}"
    );
    assert!(error.contains("valgrind") && error.contains("--instructions"), "{error}");
}
