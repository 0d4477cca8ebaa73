//! Suppressions: packets stay in the features, and their alerts are counted and not told of.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{example, fail, legonf, scores, succeed, text, trained};
use serde_json::Value;
use std::collections::BTreeSet;
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

    /// A file of suppressions.
    fn rules(&self, content: &str) -> String {
        let path = self.path("suppress.toml");
        fs::write(&path, content).unwrap();
        text(path)
    }

    /// Replays the small capture with an alert for every packet.
    fn replay(&self, out: &str, more: &[&str]) -> (Value, Vec<Value>, PathBuf) {
        let (capture, out) = (text(example("synth-mini.pcap.gz")), self.path(out));
        let folder = text(&out);
        let options = [
            "replay",
            "--no-warm-up",
            &capture,
            "--model",
            &self.model,
            "--threshold=-1",
            "--json",
            "--out",
            &folder,
        ];
        let every = ["--alerts", "all", "--alerts-per-second", "0"];
        let printed = succeed(options.iter().chain(&every).chain(more));
        let eve = fs::read_to_string(out.join("eve.json")).unwrap();
        let records = eve.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (serde_json::from_str(&printed).unwrap(), records, out)
    }
}

fn alerts(records: &[Value]) -> Vec<&Value> {
    records.iter().filter(|record| record["event_type"] == "alert").collect()
}

/// The source that most alerts are of.
fn busiest(records: &[Value]) -> String {
    let sources: Vec<_> = alerts(records).iter().filter_map(|alert| alert["src_ip"].as_str()).collect();
    let set: BTreeSet<_> = sources.iter().collect();
    let count = |source: &&&str| sources.iter().filter(|other| other == source).count();
    (**set.iter().max_by_key(|source| count(source)).unwrap()).to_owned()
}

#[test]
fn alerts_of_a_suppressed_host_are_counted_and_scores_stay() {
    let bench = Bench::new();
    let (whole, before, plain) = bench.replay("plain", &[]);
    let host = busiest(&before);
    let rules = bench.rules(&format!(
        "[[suppress]]\naddress = \"{host}\"\ncomment = \"ours\"\n\n[[suppress]]\nport = 1\n"
    ));
    let (report, after, out) = bench.replay("out", &["--suppress", &rules]);
    let involves = |record: &&&Value| record["src_ip"] == *host || record["dest_ip"] == *host;
    let expected = alerts(&before).iter().filter(involves).count() as u64;
    assert!(
        expected > 100 && report["alerts_suppressed"] == expected,
        "{expected} {}",
        report["alerts_suppressed"]
    );
    assert_eq!(
        report["suppressions"][0],
        serde_json::json!({"line": 1, "of": host, "comment": "ours", "alerts": expected})
    );
    assert_eq!((&report["suppressions"][1]["alerts"], &report["alerts"]), (&0.into(), &whole["alerts"]));
    let written = alerts(&after);
    assert!(written.iter().filter(involves).count() == 0 && report["alerts_written"] == written.len());
    assert_eq!(written.len() as u64 + expected, whole["alerts"].as_u64().unwrap());
    let incidents = fs::read_to_string(out.join("incidents.json")).unwrap();
    assert!(incidents.contains("src_ip") && !incidents.contains(&format!("\"src_ip\": \"{host}\"")));
    assert_eq!(scores(&out.join("scores.csv")), scores(&plain.join("scores.csv")));
    let capture = text(example("synth-mini.pcap.gz"));
    let shown = succeed([
        "replay",
        "--no-warm-up",
        &capture,
        "--model",
        &bench.model,
        "--threshold=-1",
        "--suppress",
        &rules,
    ]);
    assert!(shown.contains(&format!("; {expected} suppressed (--suppress)")), "{shown}");
}

#[test]
fn a_suppression_ends_at_its_time() {
    let bench = Bench::new();
    let suppressed = |until: &str| {
        let rules = bench.rules(&format!("[[suppress]]\nprefix = \"0.0.0.0/0\"\nuntil = {until}\n"));
        let (report, ..) = bench.replay(&until.replace(':', ""), &["--suppress", &rules]);
        (report["alerts_suppressed"].as_u64().unwrap(), report["alerts"].as_u64().unwrap())
    };
    assert_eq!(suppressed("1970-01-02T00:00:00Z").0, 0);
    let (all, alerts) = suppressed("2100-01-01T00:00:00+01:00");
    assert!(all > alerts / 2, "{all} of {alerts}");
}

#[test]
fn a_file_that_is_not_right_is_one_line_and_nothing_is_written() {
    let bench = Bench::new();
    let (capture, out) = (text(example("synth-mini.pcap.gz")), bench.path("out"));
    let refused = |content: &str| {
        let rules = bench.rules(content);
        let options = [
            "replay",
            &capture,
            "--model",
            &bench.model,
            "--threshold=1",
            "--suppress",
            &rules,
            "--out",
            &text(&out),
        ];
        let line = fail(options);
        assert!(!out.exists(), "{line}");
        line.strip_prefix(&format!("{rules}: ")).unwrap_or_else(|| panic!("{line}")).to_owned()
    };
    for (content, expected) in [
        ("", "holds no [[suppress]]"),
        (
            "[[suppress]]\naddress = \"10.0.0.256\"\n",
            "line 2: address = \"10.0.0.256\": expected an IP address",
        ),
        ("[[suppress]]\nprefix = \"10.0.0.0\"\n", "line 2: prefix = \"10.0.0.0\": expected a network"),
        (
            "[[suppress]]\nport = 22\nuntil = 2026-12-31T00:00:00\n",
            "line 3: until = \"2026-12-31T00:00:00\": expected a time",
        ),
        ("[[suppress]]\nport = 22\nuntill = 2026-12-31T00:00:00Z\n", "line 3: unknown field `untill`"),
        ("[[suppress]]\nport = 22\ncomment = \"not closed\n", "line 3: "),
        ("[[suppress]\nport = 22\n", "line 1: "),
    ] {
        let line = refused(content);
        assert!(line.starts_with(expected), "{content:?}: {line}");
    }
    let missing = text(bench.path("none.toml"));
    let line = fail(["replay", &capture, "--model", &bench.model, "--threshold=1", "--suppress", &missing]);
    assert!(line.starts_with(&missing), "{line}");
    // A time that is no time, and a word that is none, are told of by the command line.
    for option in [["--incident-gap", "soon"], ["--alerts", "some"]] {
        let output = legonf(["replay", &capture, "--model", &bench.model].iter().chain(&option));
        assert_eq!(output.status.code(), Some(2));
    }
}
