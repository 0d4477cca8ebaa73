//! `legonf bench kitsune` says of every stage what a packet takes and what the core could do.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{example, succeed, text, trained};
use serde_json::Value;

fn report(schema: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), schema));
    let capture = text(example("synth-mini.pcap.gz"));
    let output = succeed(["bench", "kitsune", &capture, "--model", &model, "--runs", "1", "--json"]);
    serde_json::from_str(&output).unwrap()
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
