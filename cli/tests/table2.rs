//! `legonf experiment lego-table2`: the exact plan changes no bit, others do, and what is refused.
#![allow(clippy::unwrap_used)]

mod common;

use common::{example, fail, shared, succeed, testbed, text, trained};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn table(capture: &Path, model: &Path, more: &[&str]) -> Value {
    let (capture, model) = (text(capture), text(model));
    let arguments = ["experiment", "lego-table2", "--capture", &capture, "--model", &model, "--json"];
    serde_json::from_str(&succeed([&arguments, more].concat())).unwrap()
}

fn row<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["rows"].as_array().unwrap().iter().find(|row| row["split"] == name).unwrap()
}

/// Every packet is accounted for, and the exact plan's scores are the single instance's.
#[track_caller]
fn check(report: &Value, replicas: usize) {
    let (exact, single) = (row(report, "exact plan"), row(report, "single"));
    assert_eq!(exact["differing_scores"], 0);
    assert_eq!(exact["average_rmse"], single["average_rmse"]);
    let number = |key: &str| report[key].as_u64().unwrap();
    assert_eq!(number("received"), number("scored") + number("rejected") + number("dropped"));
    for row in report["rows"].as_array().unwrap().iter().filter(|row| row["split"] != "single") {
        for (shard, packets) in row["costs"]["packets"].as_array().unwrap().iter().enumerate() {
            let packets: Vec<_> = packets.as_array().unwrap().iter().map(|p| p.as_u64().unwrap()).collect();
            assert_eq!(packets.len(), replicas);
            // Only ARP's second route sends a packet twice.
            let sum: u64 = packets.iter().sum();
            assert!(sum == number("received") || (shard == 1 && sum > number("received")), "{row}");
        }
    }
}

#[test]
fn the_exact_plan_changes_no_bit_and_others_do() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "kitsune-115");
    let out = text(folder.path().join("out"));
    let capture = example("synth-mini.pcap.gz");
    let report = table(&capture, &model, &["--threshold", "0.1", "--out", &out, "--skip", "2001"]);
    check(&report, 3);
    assert_eq!((&report["received"], &report["skipped"]), (&3500.into(), &2001.into()));
    for (name, paper) in
        [("SrcMAC-SrcIP", 10.082), ("SrcIP", 10.083), ("SrcIP-DstIP", 2.964), ("Socket", 2.973)]
    {
        assert!(row(&report, name)["differing_scores"].as_u64().unwrap() > 0, "{name}");
        assert_eq!(row(&report, name)["paper_average_rmse"], paper);
    }
    let lost = |name: &str| row(&report, name)["alerts_lost"].as_u64().unwrap();
    assert_eq!((lost("exact plan"), row(&report, "exact plan")["alerts_gained"].as_u64()), (0, Some(0)));
    let file = |name: &str| fs::read_to_string(Path::new(&out).join(name)).unwrap();
    assert!(file("table2.md").contains("| exact plan |") && file("table2.svg").starts_with("<svg"));
    assert_eq!(file("table2.csv").lines().count(), 7);
    // One replica cannot deviate, by any key.
    let alone = table(&capture, &model, &["--replicas", "1"]);
    check(&alone, 1);
    assert!(alone["rows"].as_array().unwrap().iter().all(|row| row["differing_scores"] == 0));
}

#[test]
fn slots_that_move_while_packets_come_change_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "kitsune-115-clean");
    let capture = testbed("capture.pcap.zst");
    let report =
        table(&capture, &model, &["--replicas", "7", "--limit", "20000", "--rebalance-every", "1777"]);
    check(&report, 7);
    assert!(row(&report, "exact plan")["slots_moved"].as_u64() > Some(1000), "{report}");
    assert_eq!(row(&report, "SrcIP")["slots_moved"], 0);
    let undivided = text(trained(folder.path(), "kitsune-py-100"));
    let capture = text(example("synth-mini.pcap.gz"));
    let arguments = ["--capture", &capture, "--model", &undivided, "--rebalance-every", "500"];
    let line = fail([&["experiment", "lego-table2"], &arguments[..]].concat());
    assert!(line.contains("'kitsune-py-100' does not divide its state into slots"), "{line}");
}

#[test]
fn a_bound_on_the_deviation_is_kept_with_few_copies() {
    let folder = tempfile::tempdir().unwrap();
    let (model, capture) = (trained(folder.path(), "kitsune-115"), example("synth-mini.pcap.gz"));
    let without = row(&table(&capture, &model, &[]), "SrcIP")["mean_absolute_deviation"].as_f64().unwrap();
    let mut copied = Vec::new();
    for part in [1.0, 0.3, 0.01] {
        let bound = without * part;
        let found = table(&capture, &model, &["--max-deviation", &bound.to_string()]);
        let found = &found["with_copies"];
        assert_eq!(found["within_bound"], true, "{found}");
        assert!(found["packets_copied_at_least"].as_u64() <= found["packets_copied"].as_u64(), "{found}");
        copied.push(found["packets_copied"].as_u64().unwrap());
    }
    assert!(copied[0] == 0 && copied[1] > 0 && copied[1] < copied[2], "{copied:?}");
}

#[test]
fn a_projection_is_called_one_and_names_the_bottleneck() {
    let folder = tempfile::tempdir().unwrap();
    let (model, out) = (trained(folder.path(), "kitsune-115"), folder.path().join("out"));
    let report = table(&example("synth-mini.pcap.gz"), &model, &["--scaling", "--out", &text(&out)]);
    let points = report["scaling"].as_array().unwrap();
    let replicas: Vec<_> = points.iter().map(|p| p["replicas"].as_u64().unwrap()).collect();
    assert_eq!(replicas, [1, 2, 4, 8, 16, 32, 64]);
    for split in points.iter().flat_map(|p| [&p["exact"], &p["approximate"]]) {
        let seconds = |key: &str| split[key].as_f64().unwrap();
        assert!(
            0.0 < seconds("bottleneck_seconds") && seconds("bottleneck_seconds") <= seconds("total_seconds")
        );
        assert!(split["bottleneck"].as_str().unwrap().len() > 4);
    }
    let file = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert!(file("scaling.md").contains("A projection:") && file("scaling.svg").contains("a projection"));
}

#[test]
fn a_schema_that_cannot_be_split_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "kitsune-py-100");
    let report = table(&example("synth-mini.pcap.gz"), &model, &["--limit", "2500"]);
    assert_eq!(row(&report, "exact plan")["differing_scores"], 0);
    let replicas = row(&report, "exact plan")["costs"]["packets"][0].as_array().unwrap();
    assert_eq!(replicas.iter().filter(|packets| **packets == 0).count(), 2);
}

#[test]
fn larger_captures_are_exact_too() {
    let folder = tempfile::tempdir().unwrap();
    let model = trained(folder.path(), "kitsune-115-clean");
    check(&table(&testbed("capture.pcap.zst"), &model, &["--replicas", "5", "--limit", "30000"]), 5);
    for name in ["data/kitsune-mirai/mirai-first20000.pcap", "data/iot23-hakai/iot23-8-1-hakai.pcap"] {
        let Some(capture) = shared(name) else { continue };
        check(&table(&capture, &model, &["--replicas", "64"]), 64);
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(trained(folder.path(), "kitsune-115"));
    let capture = text(example("synth-mini.pcap.gz"));
    let refused = |more: &[&str]| {
        let arguments = ["experiment", "lego-table2", "--capture", &capture, "--model", &model];
        fail([&arguments, more].concat())
    };
    for replicas in ["0", "255"] {
        let line = refused(&["--replicas", replicas]);
        assert!(line.starts_with(&format!("replicas = {replicas}: expected 1 to 254")), "{line}");
    }
    assert!(refused(&["--max-deviation=-1"]).contains("--max-deviation -1: expected"));
    let again = fail(["experiment", "lego-table2", "--capture", "-", "--model", &model, "--scaling"]);
    assert!(again.contains("read the capture again"), "{again}");
    let file = |name: &str, content: String| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        text(path)
    };
    let other = file("other.json", succeed(["split", "kitsune-py-100", "--json"]));
    let line = refused(&["--plan", &other]);
    assert!(
        line.contains("the plan is for the schema \"kitsune-py-100\", not for \"kitsune-115\""),
        "{line}"
    );
    let own = succeed(["split", "kitsune-115", "--json"]);
    let wrong = file("wrong.json", own.replace("\"SrcMAC\"", "\"SrcMac\""));
    assert!(refused(&["--plan", &wrong]).contains("unknown field \"SrcMac\": expected SrcMAC"));
    let exact = file("exact.json", own);
    succeed([
        "experiment",
        "lego-table2",
        "--capture",
        &capture,
        "--model",
        &model,
        "--plan",
        &exact,
        "--limit",
        "500",
    ]);
    let papers = succeed(["split", "kitsune-115", "--approximate", "--json"]);
    let line = refused(&["--plan", &file("papers.json", papers.clone())]);
    assert!(line.contains("mode = \"approximate\": expected \"exact\""), "{line}");
    let claimed = file("claimed.json", papers.replace("\"mode\": \"approximate\"", "\"mode\": \"exact\""));
    let line = refused(&["--plan", &claimed]);
    assert!(
        line.contains("called exact, but a split by SrcIP divides the streams of group \"HH\""),
        "{line}"
    );
}
