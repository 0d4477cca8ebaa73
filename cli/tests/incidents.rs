//! Who, what, since when: alerts of the testbed's capture gathered into incidents, in any layout, and told of in every way.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, fail, succeed, testbed, text, trained};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A model of the testbed's first packets, with its threshold, made once.
fn model() -> &'static Path {
    static MODEL: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("kitsune.onnx");
        let (capture, file) = (text(testbed("capture.pcap.zst")), text(&model));
        succeed(["train", "kitsune", &capture, "-o", &file, "--quiet"]);
        succeed(["calibrate", &file, &capture, "--skip", "86265", "--limit", "130160", "--quiet"]);
        (folder, model)
    };
    &MODEL.get_or_init(make).1
}

fn replay(out: &Path, more: &[&str]) -> String {
    let (capture, model, out) = (text(testbed("capture.pcap.zst")), text(model()), text(out));
    succeed(["replay", &capture, "--model", &model, "--out", &out].iter().chain(more))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

const CAMERA: &str = "192.168.50.21";

#[test]
fn the_camera_comes_first_and_its_scan_is_told_apart_from_its_flood() {
    let folder = tempfile::tempdir().unwrap();
    let (out, table) = (folder.path().join("out"), text(folder.path().join("who.csv")));
    let labels = text(testbed("labels.csv.gz"));
    let printed = replay(&out, &["--workers", "fused", "--labels", &labels, "--incidents", &table]);
    let incidents = json(&out.join("incidents.json"));
    let incidents = incidents.as_array().unwrap();
    assert!((2..=30).contains(&incidents.len()), "{} incidents", incidents.len());
    let of_camera: Vec<_> = incidents.iter().filter(|incident| incident["src_ip"] == CAMERA).collect();
    let activities: Vec<_> = incidents[..2].iter().map(|i| (&i["src_ip"], &i["activity"])).collect();
    let expected = [(&CAMERA.into(), &"host-scan".into()), (&CAMERA.into(), &"flood".into())];
    assert!(
        activities.iter().all(|seen| expected.contains(seen)) && activities[0] != activities[1],
        "{activities:?}"
    );
    let scan = of_camera.iter().find(|incident| incident["activity"] == "host-scan").unwrap();
    let ports: Vec<_> = scan["top_ports"].as_array().unwrap().iter().map(|port| &port["value"]).collect();
    assert!(ports.contains(&&23.into()) && ports.contains(&&2323.into()), "{scan}");
    assert!(scan["hosts"].as_u64() > Some(500) && scan["malicious"].as_u64() > Some(4_000), "{scan}");
    assert!((30.0..200.0).contains(&scan["seconds"].as_f64().unwrap()), "{scan}");
    let words = scan["features"][0]["words"].as_str().unwrap();
    assert!(words.contains(" over ") && !words.contains('_'), "{words}");
    let flood = of_camera.iter().find(|incident| incident["activity"] == "flood").unwrap();
    assert!(
        flood["packets"].as_u64() > Some(4_000) && flood["top_hosts"][0]["value"] == "203.0.113.20",
        "{flood}"
    );
    // Every alert is in one incident.
    let summary = json(&out.join("summary.json"));
    let gathered: u64 = incidents.iter().map(|incident| incident["packets"].as_u64().unwrap()).sum();
    assert_eq!(summary["alerts"], gathered);

    // The summary ends in who, and the table has a line for each.
    let line = printed.lines().find(|line| line.contains("a scan of hosts")).unwrap();
    assert!(line.starts_with(&format!("  {CAMERA}: from 15:35:")) && line.contains(" hosts on "), "{line}");
    assert_eq!(fs::read_to_string(&table).unwrap().lines().count(), incidents.len() + 1);

    // Beside the labels: windows, hosts, incidents, and how soon.
    let figures = &summary["figures"];
    assert!(figures["seconds_to_first_alert"].as_f64().unwrap() < 10.0, "{figures}");
    assert!(figures["windows"]["recall"].as_f64() > Some(0.7), "{figures}");
    assert!(figures["incidents"]["confusion"]["true_positives"].as_u64() >= Some(2), "{figures}");

    // In EVE: an incident record each, and of each at least its first alert.
    let eve = fs::read_to_string(out.join("eve.json")).unwrap();
    let records: Vec<Value> = eve.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kind = |kind: &str| records.iter().filter(|record| record["event_type"] == kind).count();
    assert_eq!(kind("incident"), incidents.len());
    assert!(
        kind("alert") >= incidents.len() && kind("alert") < 40 * incidents.len(),
        "{} alerts",
        kind("alert")
    );
    assert!(eve.len() < 1 << 20, "{} bytes", eve.len());
    check_schema(&records);
    hosts(&out);
}

/// What `legonf hosts` shows of the results.
fn hosts(out: &Path) {
    let report: Value = serde_json::from_str(&succeed(["hosts", &text(out), "--json"])).unwrap();
    let camera = &report["hosts"][0];
    assert_eq!(camera["src_ip"], CAMERA);
    assert!(camera["incidents"].as_u64() >= Some(2) && camera["above"].as_u64() > Some(10_000), "{camera}");
    let shown = succeed(["hosts", &text(out)]);
    assert!(shown.lines().nth(1).unwrap().starts_with(CAMERA) && shown.contains('█'), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
}

/// The names that Suricata's schema allows at the top of a record and in an alert.
const RECORD: [&str; 18] = [
    "timestamp",
    "flow_id",
    "in_iface",
    "pcap_cnt",
    "event_type",
    "vlan",
    "src_ip",
    "src_port",
    "dest_ip",
    "dest_port",
    "proto",
    "tunnel",
    "icmp_type",
    "icmp_code",
    "pkt_src",
    "ether",
    "community_id",
    "alert",
];
const ALERT: [&str; 8] =
    ["action", "gid", "signature_id", "rev", "signature", "category", "severity", "metadata"];

fn check_schema(records: &[Value]) {
    for record in records {
        let allowed =
            |name: &String| RECORD.contains(&name.as_str()) || ["stats", "metadata"].contains(&name.as_str());
        assert!(record.as_object().unwrap().keys().all(allowed), "{record}");
        if let Some(alert) = record["alert"].as_object() {
            assert!(alert.keys().all(|name| ALERT.contains(&name.as_str())), "{record}");
        }
        if record["event_type"] == "alert" {
            assert!(record["alert"]["signature_id"] == 1_940_000, "{record}");
            let is_flow = record["proto"] == "TCP" || record["proto"] == "UDP";
            assert_eq!(is_flow, record["community_id"].is_string() && record["flow_id"].is_u64() && is_flow);
        }
    }
}

#[test]
fn no_layout_shows_in_incidents() {
    let folder = tempfile::tempdir().unwrap();
    let fused = folder.path().join("fused");
    replay(&fused, &["--workers", "fused", "--limit", "60000"]);
    let expected = contents(&fused);
    for replicas in [2, 4] {
        let out = folder.path().join(format!("x{replicas}"));
        let workers = format!("source | batching extractor mapping autoencoder decision x{replicas} | sink");
        replay(&out, &["--workers", &workers, "--oversubscribe", "--limit", "60000"]);
        for ((name, a), (_, b)) in expected.iter().zip(contents(&out)) {
            assert!(*a == b, "{name} differs at {replicas} replicas");
        }
    }
    // The controller replicates bricks and moves slots meanwhile.
    let (capture, file, out) =
        (text(testbed("capture.pcap.zst")), text(model()), folder.path().join("moved"));
    let run = ["run", "kitsune", &capture, "--model", &file, "--limit", "60000", "--out", &text(&out)];
    succeed(run.iter().copied().chain([
        "--workers",
        "source | batching extractor mapping autoencoder decision x2 | sink",
        "--oversubscribe",
    ]));
    assert!(contents(&out) == expected, "the controller shows");
}

#[test]
fn which_alerts_are_written_is_a_choice_and_all_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let count = |name: &str, alerts: &[&str]| {
        let out = folder.path().join(name);
        let printed = replay(&out, &[&["--json", "--workers", "fused"], alerts].concat());
        let report: Value = serde_json::from_str(&printed).unwrap();
        let number = |key: &str| report[key].as_u64().unwrap();
        assert_eq!(number("alerts"), number("alerts_written") + number("alerts_held_back"), "{name}");
        number("alerts_written")
    };
    let (first, peak) = (count("first", &["--alerts", "first"]), count("peak", &[]));
    let rate = count("rate", &["--alerts", "1/10s"]);
    assert!(first < peak && first < rate, "{first} {peak} {rate}");
    let incidents = json(&folder.path().join("first/incidents.json")).as_array().unwrap().len();
    assert!(first <= incidents as u64 + 1, "{first} alerts of {incidents} incidents");
}

#[test]
fn a_gap_that_is_longer_makes_fewer_incidents() {
    let folder = tempfile::tempdir().unwrap();
    let count = |gap: &str| {
        let file = folder.path().join(format!("{gap}.json"));
        let (capture, model) = (text(testbed("capture.pcap.zst")), text(model()));
        let options =
            ["replay", &capture, "--model", &model, "--incidents", &text(&file), "--incident-gap", gap];
        succeed(options.iter().copied().chain(["--quiet", "--workers", "fused"]));
        json(&file).as_array().unwrap().len()
    };
    let counts = ["1s", "30s", "10m"].map(count);
    assert!(counts[0] > counts[1] && counts[1] >= counts[2], "{counts:?}");
}

#[test]
fn a_file_of_incidents_that_cannot_be_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), "kitsune-115"));
    let capture = text(common::example("synth-mini.pcap.gz"));
    let file = text(folder.path().join("who.txt"));
    let line = fail(["replay", &capture, "--model", &model, "--threshold=1", "--incidents", &file]);
    assert_eq!(line, format!("cannot write {file}: its extension must be .json, .csv, .parquet or .log"));
    let file = text(folder.path().join("who.json"));
    fs::write(&file, "mine").unwrap();
    let line = fail(["replay", &capture, "--model", &model, "--threshold=1", "--incidents", &file]);
    assert!(
        line.contains("who.json") && line.contains("--force") && fs::read_to_string(&file).unwrap() == "mine",
        "{line}"
    );
    let results = text(folder.path().join("nothing"));
    fs::create_dir(&results).unwrap();
    assert!(
        fail(["hosts", &results])
            .starts_with(&format!("{results}: holds no hosts.json; legonf replay --out"))
    );
}
