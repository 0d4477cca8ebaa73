//! A flood of alerts: what is written of it is bounded, the rest is counted, and what it costs is known beforehand.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, succeed, text, trained};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

struct Bench {
    folder: tempfile::TempDir,
    model: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), "kitsune-115"));
        Self { folder, model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Ten seconds of traffic, 2,000 packets in each.
    fn capture(&self, more: &[&str]) -> String {
        let capture = text(self.path("capture.pcapng"));
        let options =
            ["dataset", "generate", "-o", &capture, "--packets", "20000", "--rate", "2000", "--quiet"];
        succeed(options.iter().chain(more));
        capture
    }

    /// Replays a capture with a threshold that every score is above, and gives the folder.
    fn replay(&self, capture: &str, out: &str, more: &[&str]) -> Replayed {
        let out = self.path(out);
        let options =
            ["replay", "--no-warm-up", capture, "--model", &self.model, "--threshold=-1", "--json", "--out"];
        let out = text(&out);
        let printed = succeed(options.iter().chain(&[out.as_str()]).chain(more));
        let eve = fs::read_to_string(PathBuf::from(&out).join("eve.json")).unwrap();
        let records = eve.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Replayed { out: out.into(), summary: serde_json::from_str(&printed).unwrap(), records }
    }
}

/// What Suricata has no field for.
fn detail(record: &Value) -> &Value {
    &record["alert"]["metadata"]["legonf"]
}

struct Replayed {
    out: PathBuf,
    summary: Value,
    records: Vec<Value>,
}

impl Replayed {
    fn records(&self, kind: &str) -> Vec<&Value> {
        self.records.iter().filter(|record| record["event_type"] == kind).collect()
    }

    fn count(&self, key: &str) -> u64 {
        self.summary[key].as_u64().unwrap_or_else(|| panic!("{key}: {}", self.summary))
    }

    /// Alerts that were written in each second, and of each source in it.
    fn by_second(&self) -> (BTreeMap<String, u64>, BTreeMap<(String, String), u64>) {
        let (mut seconds, mut sources) = (BTreeMap::new(), BTreeMap::new());
        for alert in self.records("alert") {
            let second = alert["timestamp"].as_str().unwrap()[..19].to_owned();
            let source = alert["src_ip"].as_str().or(alert["ether"]["src_mac"].as_str()).unwrap().to_owned();
            *seconds.entry(second.clone()).or_default() += 1;
            *sources.entry((second, source)).or_default() += 1;
        }
        (seconds, sources)
    }

    /// That everything is counted: in the summary, in the closing record, in the files.
    fn check(&self, packets: u64, per_source: u64, per_second: u64) {
        let (alerts, written, suppressed) =
            (self.count("alerts"), self.count("alerts_written"), self.count("alerts_held_back"));
        assert_eq!((alerts, written + suppressed), (packets, packets));
        assert_eq!(self.records("alert").len() as u64, written);
        let left_out: u64 =
            self.records("held_back").iter().map(|r| detail(r)["alerts"].as_u64().unwrap()).sum();
        assert_eq!(left_out, suppressed);
        let detect = &self.records.last().unwrap()["stats"]["detect"];
        assert_eq!(
            (detect["alert"].as_u64(), detect["alerts_suppressed"].as_u64()),
            (Some(alerts), Some(suppressed))
        );
        let (seconds, sources) = self.by_second();
        assert!(seconds.values().all(|count| *count <= per_second), "{seconds:?}");
        assert!(sources.values().all(|count| *count <= per_source), "{sources:?}");
        assert!(self.records("held_back").len() <= seconds.len(), "at most one record a second");
        let scores = fs::read_to_string(self.out.join("scores.csv")).unwrap();
        assert_eq!(scores.lines().filter(|line| line.ends_with(",anomalous")).count() as u64, packets);
    }
}

#[test]
fn the_first_alerts_of_each_second_are_written_and_all_are_counted() {
    let bench = Bench::new();
    let capture = bench.capture(&[]);
    let flood = bench.replay(&capture, "out", &["--workers", "fused", "--alerts", "5/s"]);
    flood.check(20_000, 5, 10);
    let (seconds, sources) = flood.by_second();
    assert!(
        seconds.len() >= 10 && sources.len() > seconds.len() && seconds.values().any(|count| *count == 10)
    );
    for record in flood.records("held_back") {
        let sum: u64 =
            detail(record)["sources"].as_array().unwrap().iter().map(|s| s["alerts"].as_u64().unwrap()).sum();
        let others = detail(record)["others"].as_u64().unwrap();
        assert!(sum > 0 && sum + others == detail(record)["alerts"].as_u64().unwrap(), "{record}");
    }
    assert!(flood.records("alert").iter().all(|alert| detail(alert)["explanation"].is_object()));
    let printed = succeed([
        "replay",
        "--no-warm-up",
        &capture,
        "--model",
        &bench.model,
        "--threshold=-1",
        "--alerts",
        "5/s",
        "--out",
        &text(bench.path("text")),
    ]);
    let words =
        format!("20000 above the threshold of -1.000000; {} of them written", flood.count("alerts_written"));
    assert!(printed.contains(&words), "{printed}");

    // The packets are those of the alerts, and no layout shows.
    let packets = bench.replay(
        &text(flood.out.join("alerts.pcapng")),
        "again",
        &["--alerts", "all", "--alerts-per-second", "0"],
    );
    assert_eq!(packets.count("alerts"), flood.count("alerts_written"));
    let times = |replayed: &Replayed| {
        replayed.records("alert").iter().map(|a| a["timestamp"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(times(&packets), times(&flood));
    for workers in ["pipeline", "source batching | extractor x2 | mapping autoencoder x2 | decision sink"] {
        let name = format!("out-{}", workers.len());
        let other =
            bench.replay(&capture, &name, &["--workers", workers, "--oversubscribe", "--alerts", "5/s"]);
        for ((name, a), (_, b)) in contents(&flood.out).iter().zip(contents(&other.out)) {
            assert!(*a == b, "{name} differs with {workers}");
        }
    }
}

#[test]
fn a_flood_of_spoofed_sources_is_bounded_in_all() {
    let bench = Bench::new();
    let capture = bench.capture(&["--flood", "0", "200000", "--spoofed-sources", "100000"]);
    let flood = bench.replay(&capture, "out", &["--alerts", "5/s", "--alerts-per-second", "40"]);
    flood.check(20_000, 5, 40);
    let named: BTreeSet<_> = flood.records("alert").iter().map(|alert| alert["src_ip"].to_string()).collect();
    assert!(named.len() > 20, "{named:?}");
    let few = bench.replay(&capture, "few", &["--alerts", "1/s", "--alerts-per-second", "0"]);
    few.check(20_000, 1, 20_000);
    assert!(few.count("alerts_written") > 4000);
}

#[test]
fn without_a_bound_every_alert_is_written() {
    let bench = Bench::new();
    let capture = text(example("synth-mini.pcap.gz"));
    let all = bench.replay(&capture, "all", &["--alerts", "all", "--alerts-per-second", "0"]);
    assert_eq!((all.count("alerts_held_back"), all.records("held_back").len()), (0, 0));
    assert_eq!(all.count("alerts_written"), all.count("alerts"));
    assert!(all.records.last().unwrap()["stats"]["detect"]["alerts_suppressed"].is_null());
    // Rows of a table have neither time nor address.
    let table = text(bench.path("features.npy"));
    succeed(["features", &capture, "-o", &table]);
    let rows = bench.replay(&table, "rows", &[]);
    assert_eq!(rows.records("alert").len() as u64, all.count("alerts"));
    let none = succeed(["replay", "--no-warm-up", &capture, "--model", &bench.model, "--json"]);
    assert!(!none.contains("alerts_written") && none.contains("\"alerts\""), "{none}");
}

#[test]
fn a_plan_counts_what_the_sink_takes() {
    let bench = Bench::new();
    let (capture, costs) = (text(example("synth-mini.pcap.gz")), text(bench.path("costs.toml")));
    let options = ["profile", "kitsune", &capture, "--model", &bench.model, "--runs", "1", "-o", &costs];
    let shown = succeed(options.iter().chain(&["--threshold=-1"]));
    assert!(
        shown.contains("alerts: 100.000% of the packets; where every packet is one, the sink takes "),
        "{shown}"
    );
    let mut table: toml::Table = fs::read_to_string(&costs).unwrap().parse().unwrap();
    let flood = table["flood_ns"].as_float().unwrap();
    assert!(table["alert_share"].as_float() == Some(1.0) && flood > 0.0);
    let plan = |more: &[&str]| {
        let options = ["plan", "--costs", &costs, "--cores", "64", "--load", "1"];
        succeed(options.iter().chain(more))
    };
    let report: Value = serde_json::from_str(&plan(&["--json"])).unwrap();
    assert!(report["flood_capacity"].as_f64().unwrap() <= 1e9 / flood);
    assert!(report["throughput"].as_f64().unwrap() <= 1e9 / sink(&mut table));

    // With what a sink took for alerts whose explanations were slow, beside bricks that are fast on any machine.
    let bricks = table["brick"].as_array_mut().unwrap();
    for brick in &mut *bricks {
        brick.as_table_mut().unwrap()["ns"] = 100.0.into();
    }
    bricks.last_mut().unwrap().as_table_mut().unwrap()["ns"] = 21_000.0.into();
    fs::write(&costs, table.to_string()).unwrap();
    let report: Value = serde_json::from_str(&plan(&["--json"])).unwrap();
    let throughput = report["throughput"].as_f64().unwrap();
    assert!((40_000.0..=1e9 / 21_000.0).contains(&throughput) && report["undivided"] == "sink", "{report}");
    assert!(plan(&[]).contains("sink: there is one `sink`, which cannot be divided"), "{}", plan(&[]));
    let line = common::fail(["plan", "--costs", &costs, "--cores", "64", "--rate", "1Mpps"]);
    assert!(line.contains("there is one `sink`, which can take 42"), "{line}");
}

/// Nanoseconds a packet of the sink.
fn sink(costs: &mut toml::Table) -> f64 {
    let sink = costs["brick"].as_array().unwrap().last().unwrap();
    assert_eq!(sink["id"].as_str(), Some("sink"));
    sink["ns"].as_float().unwrap()
}
