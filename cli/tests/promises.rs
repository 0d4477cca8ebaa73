//! What a command promises is what the same data show: calibration, alarm budget, default schema, roofline, phases of a flood.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{example, fail, succeed, text, trained};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// Folder, model and generated capture with its labels: 4,982 benign packets, of which the model knows the first 2,001, and a scan among
/// 2,018 more.
struct Bench {
    folder: tempfile::TempDir,
    model: String,
    capture: String,
    labels: String,
}

/// Packets of which the last quarter after those of the training is benign, and others of which it is the scan.
const BENIGN: [&str; 2] = ["--limit", "4900"];
const SCANNED: [&str; 2] = ["--limit", "5800"];

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| text(folder.path().join(name));
        let (model, capture, labels) = (path("model.onnx"), path("traffic.pcapng"), path("labels.csv"));
        let scan = ["--packets", "7000", "--scan", "5", "1000"];
        succeed(["dataset", "generate", "-o", &capture, "--labels", &labels].iter().chain(&scan));
        train(&capture, &model, &[]);
        Self { folder, model, capture, labels }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The arguments of a calibration on the packets after those of the training.
    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let base = ["calibrate", &self.model, &self.capture, "--skip", "2001"];
        base.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
    }

    /// A calibration that succeeds, on benign packets alone.
    fn calibrate(&self, more: &[&str]) -> Value {
        json(&succeed(self.arguments(&[&BENIGN, more, &["--json"]].concat())))
    }

    /// A calibration that is refused, and leaves the model as it was.
    #[track_caller]
    fn refused(&self, more: &[&str]) -> String {
        let before = fs::read(&self.model).unwrap();
        let line = fail(self.arguments(more));
        assert!(fs::read(&self.model).unwrap() == before, "the model was changed");
        assert!(line.ends_with("; the model is unchanged"), "{line}");
        line
    }
}

/// Trains on the first 2,001 packets, by the default schema unless another is named, and gives the report.
fn train(capture: &str, model: &str, more: &[&str]) -> Value {
    let base = ["train", "kitsune", capture, "-o", model, "--feature-mapping-packets", "500", "--json"];
    json(&succeed(base.iter().chain(&["--training-packets", "1500"]).chain(more)))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn a_threshold_is_found_without_an_assumption_and_checked_on_packets_that_it_did_not_see() {
    let bench = Bench::new();
    let found = bench.calibrate(&["--false-positive-rate", "0.01"]);
    assert_eq!((&found["method"]["name"], &found["seen"]), (&"minute-quantile".into(), &false.into()));
    assert_eq!((&found["samples"], &found["held_out"]["samples"]), (&2174.into(), &725.into()));
    assert!(number(&found["false_positive_bound"]) <= 0.01);
    let shown = succeed(["model", "show", &bench.model]);
    let held_out = format!("{} of 725 held out above", found["held_out"]["above"]);
    assert!(
        shown.contains("by minute-quantile from 2174 benign packets") && shown.contains(&held_out),
        "{shown}"
    );
    assert!(succeed(["model", "verify", &bench.model]).contains("in order"));
    let line = bench.refused(&BENIGN);
    assert!(
        line.contains("2899 benign scores are too few for the bound asked for, which needs 3994"),
        "{line}"
    );
}

#[test]
fn a_bound_that_does_not_hold_is_refused_and_by_force_what_was_seen_is_stored() {
    let bench = Bench::new();
    let line = bench.refused(&[&SCANNED[..], &["--method", "log-normal"]].concat());
    let words = ["the log-normal fit does not hold: ", "% seen, 0.10% claimed (", " of 950 ", "--as-seen"];
    assert!(words.iter().all(|words| line.contains(words)), "{line}");
    let line = bench.refused(&[&SCANNED[..], &["--false-positive-rate", "0.01"]].concat());
    assert!(line.contains("the quantile does not hold: "), "{line}");
    let budget = ["--method", "alarm-budget", "--alarms-per-day", "240000"];
    let line = bench.refused(&[&SCANNED[..], &budget].concat());
    assert!(line.contains("the alarm budget does not hold: ") && line.contains("240000 claimed"), "{line}");
    let forced =
        bench.arguments(&[&SCANNED[..], &["--method", "log-normal", "--as-seen", "--json"]].concat());
    let forced = json(&succeed(forced));
    let held_out = &forced["held_out"];
    let seen = number(&held_out["above"]) / number(&held_out["samples"]);
    let bound = number(&forced["false_positive_bound"]);
    assert!(seen > 0.3 && bound >= seen && bound == number(&held_out["false_positive_bound"]), "{forced}");
    assert_eq!(forced["seen"], true);
    let shown = succeed(["model", "show", &bench.model]);
    assert!(shown.contains("as seen on these: the method's own bound is not shown"), "{shown}");
    let replayed =
        json(&succeed(["replay", "--no-warm-up", &bench.capture, "--model", &bench.model, "--json"]));
    assert_eq!(number(&replayed["false_positive_bound"]), bound);
}

#[test]
fn an_alarm_budget_needs_time_without_an_alarm() {
    let bench = Bench::new();
    let line =
        bench.refused(&[&BENIGN[..], &["--method", "alarm-budget", "--alarms-per-day", "10"]].concat());
    let words = [
        "10 alerts a day need at least 7 h 12 min of benign traffic without an alarm",
        "9 h 36 min with",
        "there are 3 s",
    ];
    assert!(words.iter().all(|words| line.contains(words)), "{line}");
    // A little more than what it says is possible is.
    let allowed: f64 = line.split("or allow ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let budget = allowed * 1.1;
    let found = bench.calibrate(&["--method", "alarm-budget", "--alarms-per-day", &budget.to_string()]);
    assert_eq!((&found["samples_above"], &found["seen"]), (&0.into(), &false.into()));
    assert!(number(&found["alarms_per_day"]) <= budget);
    let forced = bench.calibrate(&["--method", "alarm-budget", "--as-seen"]);
    assert_eq!(
        (&forced["seen"], &forced["alarms_per_day"]),
        (&true.into(), &forced["held_out"]["alarms_per_day"])
    );
    assert!(number(&forced["alarms_per_day"]) > allowed, "{forced}");
}

/// A capture of regular packets between two hosts, one a second, and two router solicitations among them.
fn quiet_capture() -> Vec<u8> {
    let mut capture =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];
    for seq in 0..3_000_u32 {
        let packet = if [2_200, 2_300].contains(&seq) { solicitation() } else { regular(seq) };
        let len = packet.len() as u32;
        for word in [1_700_000_000 + seq, 0, len, len] {
            capture.extend(word.to_le_bytes());
        }
        capture.extend(packet);
    }
    capture
}

/// A UDP packet of one of two hosts.
fn regular(seq: u32) -> Vec<u8> {
    let (from, to, bytes) = ((seq % 2) as u8 + 1, ((seq + 1) % 2) as u8 + 1, (60 + seq * 7 % 40) as u8);
    let mut packet =
        vec![2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0, 0x45, 0, 0, 28 + bytes, 0, 0, 0, 0, 64, 17];
    packet.extend([0, 0, 10, 0, 0, from, 10, 0, 0, to, 16, from, 16, to, 0, 8 + bytes, 0, 0]);
    packet.resize(packet.len() + usize::from(bytes), b'x');
    packet
}

/// A host that is new asks for routers.
fn solicitation() -> Vec<u8> {
    let mac = [2, 0, 0, 0, 0x0a, 0xff];
    let mut packet = vec![0x33, 0x33, 0, 0, 0, 2];
    packet.extend(mac);
    packet.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 16, 58, 255]);
    packet.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0xff]);
    packet.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    packet.extend([133, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
    packet.extend(mac);
    packet
}

#[test]
fn a_few_packets_that_decide_a_threshold_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, model) = (folder.path().join("quiet.pcap"), text(folder.path().join("model.onnx")));
    fs::write(&capture, quiet_capture()).unwrap();
    // The published schema divides by almost nothing where a feature was constant.
    train(&text(&capture), &model, &["--schema", "kitsune-115"]);
    let budget = ["--skip", "2001", "--method", "alarm-budget", "--alarms-per-day", "400"];
    let calibrate =
        |style: &[&str]| succeed(["calibrate", &model, &text(&capture)].iter().chain(&budget).chain(style));
    let found = json(&calibrate(&["--json"]));
    let named = found["decided_by"].as_array().unwrap();
    assert_eq!(named.iter().map(|packet| &packet["seq"]).collect::<Vec<_>>(), [2_200, 2_300], "{found}");
    assert_eq!(named[0]["timestamp"], "1700002200.000000000");
    assert_eq!(
        named.iter().map(|packet| number(&packet["score"])).fold(0.0, f64::max),
        number(&found["threshold"])
    );
    let text = calibrate(&[]);
    assert!(
        text.contains("decided   by 2 packets") && text.contains("2300 at 1700002300.000000000"),
        "{text}"
    );
}

#[test]
fn a_replay_sets_the_bound_beside_the_labels() {
    let bench = Bench::new();
    bench.calibrate(&["--false-positive-rate", "0.01"]);
    let replay = |labels: &str, more: &[&str]| {
        let base = ["replay", "--no-warm-up", &bench.capture, "--model", &bench.model, "--labels", labels];
        succeed(base.iter().chain(more))
    };
    let found = json(&replay(&bench.labels, &["--json"]));
    let (promise, confusion) = (&found["promise"], &found["evaluation"]["confusion"]);
    let count = |phase: &str, key: &str| promise[phase][key].as_u64().unwrap();
    let (before, since) = (count("before_attack", "above"), count("since_attack", "above"));
    assert_eq!(Some(before + since), confusion["false_positives"].as_u64(), "{promise}");
    assert_eq!((count("before_attack", "packets"), &promise["contradicted_before"]), (4_982, &false.into()));
    let benign = confusion["true_negatives"].as_u64().unwrap() + before + since;
    assert_eq!(count("before_attack", "packets") + count("since_attack", "packets"), benign);
    // If the scan were benign, its alerts would contradict the bound.
    let labels = bench.path("benign.csv");
    fs::write(&labels, "0\n".repeat(7_000)).unwrap();
    let line = replay(&text(&labels), &[]);
    assert!(
        line.contains("bound       false positives at most ") && line.contains("which contradicts it"),
        "{line}"
    );
}

#[test]
fn the_mended_schema_is_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(folder.path().join("default.onnx"));
    let report = train(&text(example("synth-mini.pcap.gz")), &model, &[]);
    assert_eq!(report["schema"], "kitsune-115-clean");
    let named = trained(folder.path(), "kitsune-115-clean");
    assert!(fs::read(&model).unwrap() == fs::read(named).unwrap());
    assert!(succeed(["graph", "show", "--toml"]).contains("schema = \"kitsune-115-clean\""));
    // A table without names is one of those that were published.
    let table = folder.path().join("table.csv");
    fs::write(&table, "0.5,".repeat(114) + "0.5\n").unwrap();
    let line = fail(["replay", "--no-warm-up", &text(&table), "--model", &model]);
    assert!(line.contains("table.csv") && line.contains("use --schema kitsune-115"), "{line}");
}

#[test]
fn no_stage_is_faster_than_the_core() {
    let bench = Bench::new();
    for precision in ["f64", "f32"] {
        let arguments = [
            "bench",
            "kitsune",
            &bench.capture,
            "--model",
            &bench.model,
            "--runs",
            "2",
            "--precision",
            precision,
            "--json",
        ];
        let report = json(&succeed(arguments));
        for brick in report["bricks"].as_array().unwrap() {
            let percent = number(&brick["percent_of_roofline"]);
            assert!(percent > 0.0 && percent <= 100.0, "{brick}");
        }
        assert!(number(&report["network"]["percent_of_peak"]) <= 100.0, "{}", report["network"]);
        let known = |name: &Value| ["avx512", "avx2", "neon", "portable"].contains(&name.as_str().unwrap());
        let sets = &report["instruction_sets"];
        assert!(
            known(&sets["features"])
                && known(&sets["network"])
                && known(&report["machine"]["instruction_set"])
        );
        assert!(report["raised"].is_array() && report.get("busy").is_some(), "{report}");
    }
}

#[test]
fn a_flood_is_measured_while_tables_fill_and_when_they_are_full() {
    let flood = |packets: &str, more: &[&str]| {
        let short = ["--settling-packets", "2000", "--training-packets", "2000"];
        succeed(["experiment", "flood", "--packets", packets].iter().chain(&short).chain(more))
    };
    let small = ["--sources-per-slot", "2", "--channels-per-slot", "3", "--sockets-per-slot", "8", "--json"];
    let report = json(&flood("200000", &small));
    let (filling, full) = (&report["phases"]["filling"], &report["phases"]["full"]);
    for phase in [filling, full] {
        assert!(number(&phase["packets"]) > 0.0 && number(&phase["packets_per_second"]) > 0.0, "{phase}");
    }
    assert!(number(&filling["grown_bytes"]) > 20.0 * number(&full["grown_bytes"]), "{filling} {full}");
    let text = flood("5000", &[]);
    assert!(text.contains("\nfilling:    ") && text.contains("\nfull:       not reached"), "{text}");
}
