//! What was seen of each host: every packet is of one, in any layout.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{example, fail, succeed, text, trained};
use serde_json::Value;
use std::fs;

#[test]
fn every_packet_is_of_a_host_and_lines_fit() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), "kitsune-115-clean"));
    let (capture, labels) = (text(example("synth-mini.pcap.gz")), text(example("labels.csv")));
    let replay = |name: &str, workers: &str| {
        let out = text(folder.path().join(name));
        let options = [
            "replay",
            "--no-warm-up",
            &capture,
            "--model",
            &model,
            "--threshold=0.3",
            "--labels",
            &labels,
            "--out",
            &out,
        ];
        succeed(options.iter().chain(&["--workers", workers, "--oversubscribe", "--quiet"]));
        out
    };
    let out = replay("fused", "fused");
    let report: Value = serde_json::from_str(&succeed(["hosts", &out, "--json"])).unwrap();
    let summary: Value =
        serde_json::from_str(&fs::read_to_string(format!("{out}/summary.json")).unwrap()).unwrap();
    let hosts = report["hosts"].as_array().unwrap();
    let sum = |key: &str| hosts.iter().map(|host| host[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!(
        (&summary["coverage"]["scored"], &summary["alerts"]),
        (&sum("packets").into(), &sum("above").into())
    );
    assert_eq!((&report["others"], &report["evicted"]), (&0.into(), &0.into()));
    let closed = summary["incidents"]["closed"].as_u64().unwrap();
    assert!(sum("incidents") == closed && closed > 0, "{closed}");
    let malicious = &summary["evaluation"]["confusion"];
    let malicious =
        malicious["true_positives"].as_u64().unwrap() + malicious["false_negatives"].as_u64().unwrap();
    assert_eq!(sum("malicious"), malicious);
    for host in hosts {
        let strip: u64 =
            host["strip"].as_array().unwrap().iter().map(|packets| packets.as_u64().unwrap()).sum();
        assert_eq!(host["above"], strip);
    }
    let shown = succeed(["hosts", &out, "--rows", "3"]);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert!(shown.contains(&format!("and {} hosts more", hosts.len() - 3)), "{shown}");
    // No layout shows.
    let other = replay("replicas", "source | batching extractor mapping autoencoder decision x2 | sink");
    let read = |out: &str| fs::read(format!("{out}/hosts.json")).unwrap();
    assert!(read(&out) == read(&other));
}

#[test]
fn a_folder_without_hosts_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let line = fail(["hosts", &text(folder.path())]);
    assert!(line.contains("holds no hosts.json"), "{line}");
    fs::write(folder.path().join("hosts.json"), "{").unwrap();
    let line = fail(["hosts", &text(folder.path())]);
    assert!(line.contains("hosts.json: EOF"), "{line}");
}
