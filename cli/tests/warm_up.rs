//! Scores are judged once the statistics behind them have settled.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{example, fail, legonf, retimed, root, succeed, text, trained};
use serde_json::Value;
use std::fs;
use std::path::Path;

const CLEAN: &str = "kitsune-115-clean";
/// Packets of the shipped capture before its long gap.
const PACKETS: u64 = 3_000;
const SECOND: i64 = 1_000_000_000;

/// A folder with a model and a slow capture.
struct Bench {
    folder: tempfile::TempDir,
    model: String,
}

/// A packet of `scores.csv`.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    /// Nanoseconds.
    time: i64,
    score: String,
    verdict: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), CLEAN));
        for (name, packets) in [("whole", 0..PACKETS), ("one", 0..700), ("two", 700..PACKETS)] {
            retimed(&folder.path().join(name), packets, slow);
        }
        Self { folder, model }
    }

    fn path(&self, name: &str) -> String {
        text(self.folder.path().join(name))
    }

    /// Replays a capture of the folder, and gives its rows and what it says in JSON.
    fn replay(&self, capture: &str, more: &[&str]) -> (Vec<Row>, Value) {
        let (out, capture) = (self.path("out"), self.path(capture));
        let base =
            ["replay", &capture, "--model", &self.model, "--threshold", "0.2", "--out", &out, "--json"];
        let said = succeed(base.iter().chain(more).chain(&["--force", "--oversubscribe"]));
        let table = fs::read_to_string(Path::new(&out).join("scores.csv")).unwrap();
        (table.lines().skip(1).map(row).collect(), serde_json::from_str(&said).unwrap())
    }

    fn refused(&self, capture: &str, more: &[&str]) -> String {
        let (out, capture) = (self.path("refused"), self.path(capture));
        let line = fail(["replay", &capture, "--model", &self.model, "--out", &out].iter().chain(more));
        assert!(!Path::new(&out).exists(), "{line}");
        line
    }
}

/// Ten times as slow: statistics settle in the middle.
fn slow(time: i64) -> i64 {
    let begin = 1_700_000_001 * SECOND;
    begin + (time - begin) * 10
}

fn row(line: &str) -> Row {
    let cells: Vec<_> = line.split(',').collect();
    let (seconds, nanos) = cells[1].split_once('.').unwrap();
    let time = seconds.parse::<i64>().unwrap() * SECOND + format!("{nanos:0<9}").parse::<i64>().unwrap();
    Row { time, score: cells[2].into(), verdict: cells[3].into() }
}

/// The rows as they are where the first seconds are not judged.
fn warmed(rows: &[Row], seconds: i64) -> Vec<Row> {
    let young = |row: &Row| row.time - rows[0].time < seconds * SECOND;
    let verdict = |row: &Row| if young(row) { "warming_up".to_owned() } else { row.verdict.clone() };
    rows.iter().map(|row| Row { verdict: verdict(row), ..row.clone() }).collect()
}

fn count(rows: &[Row], verdict: &str) -> usize {
    rows.iter().filter(|row| row.verdict == verdict).count()
}

#[test]
fn packets_before_statistics_have_settled_are_scored_and_not_judged() {
    let bench = Bench::new();
    let (at_once, said) = bench.replay("whole", &["--no-warm-up"]);
    assert!(said.get("warming_up").is_none() && count(&at_once, "warming_up") == 0, "{said}");
    let expected = warmed(&at_once, 400);
    let [young, alerts] = ["warming_up", "anomalous"].map(|verdict| count(&expected, verdict));
    assert!(young > 500 && alerts > 0 && alerts < count(&at_once, "anomalous"), "{young}, {alerts}");
    for workers in ["pipeline", "fused", "source | batching extractor mapping autoencoder decision x2 | sink"]
    {
        let (rows, said) = bench.replay("whole", &["--workers", workers]);
        assert!(rows == expected, "{workers}");
        assert_eq!(said["warming_up"], serde_json::json!({ "packets": young, "seconds": 400.0 }));
        assert_eq!((&said["alerts"], &said["coverage"]["scored"]), (&alerts.into(), &PACKETS.into()));
    }
    let eve = fs::read_to_string(bench.folder.path().join("out/eve.json")).unwrap();
    let records = eve.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let first = records
        .filter(|record| record["event_type"] == "alert")
        .map(|r| r["pcap_cnt"].as_u64().unwrap())
        .min();
    let judged = expected.iter().position(|row| row.verdict == "anomalous").unwrap() as u64;
    assert_eq!(first, Some(judged + 1));
    let capture = bench.path("whole");
    let shown = succeed(["replay", &capture, "--model", &bench.model, "--threshold", "0.2"]);
    assert!(
        shown.contains(&format!("warming up  {young} packets of the first 400 s, scored but not judged\n")),
        "{shown}"
    );
}

#[test]
fn a_time_or_a_capture_warms_up_instead() {
    let bench = Bench::new();
    let (at_once, _) = bench.replay("whole", &["--no-warm-up"]);
    for (time, seconds) in [("100s", 100), ("2m", 120)] {
        assert!(bench.replay("whole", &["--warm-up", time]).0 == warmed(&at_once, seconds), "{time}");
    }
    // The capture before has no scores, and its time counts.
    let one = bench.path("one");
    let (two, said) = bench.replay("two", &["--warm-up", &one]);
    assert!(two == warmed(&at_once, 400)[700..]);
    assert_eq!(said["coverage"]["received"], PACKETS - 700);
    assert!(count(&two, "warming_up") > 0 && count(&two, "benign") > 0);
}

#[test]
fn labels_are_compared_with_what_was_judged_alone() {
    let bench = Bench::new();
    let labels = bench.path("labels");
    fs::write(&labels, (0..PACKETS).map(|n| format!("{}\n", n % 3 / 2)).collect::<String>()).unwrap();
    let (rows, said) = bench.replay("whole", &["--labels", &labels]);
    let young = count(&rows, "warming_up") as u64;
    let confusion = said["evaluation"]["confusion"].as_object().unwrap();
    let compared: u64 = confusion.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((&said["evaluation"]["warming_up"], compared), (&young.into(), PACKETS - young));
    let (_, at_once) = bench.replay("whole", &["--labels", &labels, "--no-warm-up"]);
    assert!(at_once["evaluation"].get("warming_up").is_none());
    assert_ne!(said["evaluation"]["auc"], at_once["evaluation"]["auc"]);
    let (capture, base) = (bench.path("whole"), ["--threshold", "0.2", "--labels", &labels]);
    let shown = succeed(["replay", &capture, "--model", &bench.model].iter().chain(&base));
    assert!(
        shown.contains(&format!("without the {young} packets that came while statistics warmed up")),
        "{shown}"
    );
}

#[test]
fn a_graph_file_says_how_long_and_nothing_is_dropped_meanwhile() {
    let bench = Bench::new();
    let graph = bench.path("graph.toml");
    let shown = succeed(["graph", "show", "--toml"]);
    let decision = "kind = \"sample-result-quantization\"\n";
    let (before, behind) = shown.split_once(decision).unwrap();
    let action = "next = \"action\"\n[brick.config]\nwarm_up = 50\n[[brick]]\nid = \"action\"\nkind = \"disposition\"\n[brick.config.actions]\nanomalous = \"drop\"\n";
    fs::write(&graph, format!("{before}{decision}{action}{behind}")).unwrap();
    let (at_once, said) = bench.replay("whole", &["--nf", &graph, "--no-warm-up"]);
    assert_eq!(said["coverage"]["dropped"]["verdict"], count(&at_once, "anomalous"));
    let (rows, said) = bench.replay("whole", &["--nf", &graph]);
    assert!(rows == warmed(&at_once, 50) && count(&rows, "anomalous") < count(&at_once, "anomalous"));
    assert_eq!(said["coverage"]["dropped"]["verdict"], count(&rows, "anomalous"));
}

#[test]
fn what_cannot_warm_up_is_refused_before_anything_is_written() {
    let bench = Bench::new();
    let line = bench.refused("whole", &["--warm-up", "3h"]);
    assert!(line.contains("whole: its packets span ") && line.contains("--warm-up takes 10800 s"), "{line}");
    let absent = bench.path("absent.pcap");
    assert!(bench.refused("whole", &["--warm-up", &absent]).contains("absent.pcap: no such file"));
    let damaged = text(root().join("Cargo.toml"));
    assert!(bench.refused("whole", &["--warm-up", &damaged]).starts_with(&damaged));
    let table = bench.path("table.npy");
    succeed(["features", &bench.path("one"), "--output", &table]);
    assert!(bench.refused("table.npy", &["--warm-up", "10s"]).contains("a table of features has no time"));
    for given in [
        &["--warm-up", "10x"][..],
        &["--warm-up", "-5s"],
        &["--warm-up=soon"],
        &["--warm-up", "10s", "--no-warm-up"],
    ] {
        let capture = text(example("synth-mini.pcap.gz"));
        let output = legonf(["replay", &capture, "--model", &bench.model].iter().chain(given));
        assert_eq!(output.status.code(), Some(2), "{given:?}");
    }
    let shown = succeed(["replay", &bench.path("one"), "--model", &bench.model]);
    assert!(shown.contains("that is all: --state or --warm-up FILE brings statistics along"), "{shown}");
}
