//! Captures whose clock was set, or shows a wrong time.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, fault, succeed, text, trained};
use legonf_core::{Batch, Timestamp};
use legonf_io::SourceOptions;
use legonf_io::sink::PacketFile;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const CLEAN: &str = "kitsune-115-clean";
const SECOND: i64 = 1_000_000_000;
const YEAR: i64 = 365 * 86_400 * SECOND;

/// Packets of the shipped capture before its long gap.
const PACKETS: u64 = 3_000;

/// A folder with a model.
struct Bench {
    folder: tempfile::TempDir,
    model: String,
}

impl Bench {
    fn new(schema: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), schema));
        Self { folder, model }
    }

    fn path(&self, name: &str) -> String {
        text(self.folder.path().join(name))
    }

    /// The first packets of the shipped capture, each at the time that `set` makes of its own and its number.
    fn set(&self, name: &str, set: impl Fn(u64, i64) -> i64) -> String {
        let path = self.path(name);
        let mut out = PacketFile::create(Path::new(&path)).unwrap();
        let mut source =
            legonf_io::open_with(&example("synth-mini.pcap.gz"), &SourceOptions::default()).unwrap();
        let mut batch = Batch::default();
        loop {
            batch.clear();
            source.fill(&mut batch).unwrap();
            if batch.is_empty() {
                break;
            }
            for (record, bytes) in batch.packets.iter().filter(|(record, _)| record.seq < PACKETS) {
                let mut record = *record;
                record.timestamp = Timestamp::from_nanos(set(record.seq, record.timestamp.as_nanos()));
                out.packet(&record, bytes).unwrap();
            }
        }
        out.finish().unwrap();
        path
    }

    /// What a replay says in JSON, and its folder.
    fn replay(&self, capture: &str, out: &str, more: &[&str]) -> (Value, PathBuf) {
        let out = self.path(out);
        let base =
            ["replay", "--no-warm-up", capture, "--model", &self.model, "--json", "--threshold", "0.2"];
        let said = succeed(base.iter().chain(&["--out", &out]).chain(more));
        (json(&said), out.into())
    }

    /// The verdicts of a replay, and what it says of the clock.
    fn verdicts(&self, name: &str, set: impl Fn(u64, i64) -> i64) -> (Vec<String>, Value) {
        let (said, out) = self.replay(&self.set(name, set), &format!("{name}.out"), &[]);
        let table = fs::read_to_string(out.join("scores.csv")).unwrap();
        let verdict = |line: &str| line.rsplit(',').next().unwrap().to_owned();
        (table.lines().map(verdict).collect(), said["clock"].clone())
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn faults(clock: &Value) -> [u64; 3] {
    ["steps_back", "jumps", "first_seq"].map(|key| clock[key].as_u64().unwrap())
}

#[test]
fn a_clock_that_was_set_moves_no_threshold() {
    let bench = Bench::new(CLEAN);
    let calibrate = |name: &str, more: &[&str]| {
        let (capture, output) = (text(fault(name)), bench.path(&format!("{name}.onnx")));
        let base = [
            "calibrate",
            &bench.model,
            &capture,
            "-o",
            &output,
            "--method",
            "quantile",
            "--force",
            "--as-seen",
        ];
        succeed(base.iter().chain(&["--false-positive-rate", "0.05"]).chain(more))
    };
    let right = json(&calibrate("calibrate-ok.pcap", &["--json"]));
    assert!(right.get("clock").is_none(), "{right}");
    let threshold = |said: &Value| said["threshold"].as_f64().unwrap();
    for (name, found) in
        [("calibrate-clock-back.pcap", [1, 0, 200]), ("calibrate-two-days.pcap", [0, 1, 200])]
    {
        let said = json(&calibrate(name, &["--json"]));
        let (is, should) = (threshold(&said), threshold(&right));
        assert!((is / should - 1.0).abs() < 1e-2, "{name}: {is} is not {should}");
        assert_eq!(said["samples_above"], right["samples_above"], "{name}");
        assert_eq!((faults(&said["clock"]), &said["clock"]["left_out"]), (found, &true.into()), "{name}");
        // The same span of time, and so the same alarms a day.
        let a_day = |said: &Value| said["alarms_per_day"].as_f64().unwrap();
        assert!((a_day(&said) / a_day(&right) - 1.0).abs() < 1e-2, "{name}: {said}");
        fs::remove_file(bench.path(&format!("{name}.onnx"))).unwrap();
    }
    let said = calibrate("calibrate-two-days.pcap", &[]);
    assert!(said.contains("clock       1 jump ahead (10.0 days); first at packet 200 (from 0)"), "{said}");
}

#[test]
fn one_wrong_time_stamp_and_a_clock_a_year_ahead_alarm_nobody() {
    let bench = Bench::new(CLEAN);
    let (right, clock) = bench.verdicts("right.pcapng", |_, time| time);
    assert_eq!(faults(&clock)[..2], [0, 0]);
    assert!(right.iter().any(|verdict| verdict == "anomalous") && right.len() == 3_001);
    let wrong = 4_294_967_295 * SECOND;
    let (verdicts, clock) =
        bench.verdicts("2106.pcapng", |seq, time| if seq == 2_500 { wrong } else { time });
    assert_eq!((verdicts == right, faults(&clock)[..2].to_vec()), (true, vec![1, 1]));
    for (name, by, found) in [("ahead.pcapng", YEAR, [0, 1]), ("back.pcapng", -YEAR, [1, 0])] {
        let (verdicts, clock) = bench.verdicts(name, |seq, time| if seq >= 2_500 { time + by } else { time });
        assert_eq!((verdicts == right, faults(&clock)[..2].to_vec()), (true, found.to_vec()), "{name}");
    }
}

#[test]
fn the_published_schema_follows_the_clock_as_the_reference_does_and_counts() {
    let bench = Bench::new("kitsune-115");
    let capture = bench.set("ahead.pcapng", |seq, time| if seq >= 2_500 { time + YEAR } else { time });
    let features = |schema: &str, capture: &str| {
        let output = bench.path(&format!("{schema}.npy"));
        let said = json(&succeed(["features", capture, "--schema", schema, "-o", &output, "--json"]));
        let bytes = fs::read(&output).unwrap();
        fs::remove_file(output).unwrap();
        (bytes, said["clock"].clone())
    };
    // A capture from which the clock is not known to be ahead: the features are those of its time stamps.
    let right = bench.set("right.pcapng", |_, time| time);
    let (published, clock) = features("kitsune-115", &capture);
    assert!(published != features("kitsune-115", &right).0);
    assert_eq!((faults(&clock)[..2].to_vec(), &clock["left_out"]), (vec![0, 1], &false.into()));
    assert_eq!(features(CLEAN, &capture).1["left_out"], true);
    let said = succeed(["replay", "--no-warm-up", &capture, "--model", &bench.model]);
    assert!(said.contains(": kitsune-115 takes them as they are, as the reference does"), "{said}");
}

#[test]
fn every_summary_says_that_time_ran_backwards() {
    let bench = Bench::new(CLEAN);
    let capture = text(fault("backwards.pcap"));
    let line = "clock       1 step back (1.0 h), 1 jump ahead (1.0 h); first at packet 5 (from 0): kitsune-115-clean goes on as if no time had passed\n";
    let model = ["--model", &bench.model];
    let said = succeed(["replay", "--no-warm-up", &capture].iter().copied().chain(model));
    assert!(said.contains(line), "{said}");
    let said = succeed(["run", "kitsune", &capture].iter().copied().chain(model));
    assert!(said.contains(line), "{said}");
    let output = bench.path("f.npy");
    let said = succeed(["features", &capture, "--schema", CLEAN, "-o", &output]);
    assert!(said.contains(line), "{said}");
    let few = ["--feature-mapping-packets", "4", "--training-packets", "5", "-o", &bench.path("few.onnx")];
    let said = succeed(["train", "kitsune", &capture, "--schema", CLEAN].iter().chain(&few));
    assert!(said.contains(line), "{said}");
    let calibrate =
        ["calibrate", &bench.model, &capture, "-o", &bench.path("c.onnx"), "--method", "quantile"];
    let said = succeed(calibrate.iter().chain(&["--false-positive-rate", "0.9"]));
    assert!(said.contains(line), "{said}");

    let (said, out) = bench.replay(&capture, "out", &[]);
    let summary = json(&fs::read_to_string(out.join("summary.json")).unwrap());
    assert_eq!(summary["clock"], said["clock"]);
    assert_eq!(faults(&summary["clock"]), [1, 1, 5]);
    let eve = fs::read_to_string(out.join("eve.json")).unwrap();
    let stats = json(eve.lines().last().unwrap());
    assert!(stats.to_string().contains(r#""legonf.clock-jumps":1,"legonf.clock-steps-back":1"#), "{stats}");
    assert_eq!(stats["stats"]["uptime"], 9);
}

#[test]
fn the_layout_does_not_show_where_the_clock_is_set() {
    for schema in [CLEAN, "kitsune-115"] {
        let bench = Bench::new(schema);
        let capture = bench.set("set.pcapng", |seq, time| match seq {
            700 => 4_294_967_295 * SECOND,
            1_500..2_000 => time - 5 * SECOND,
            2_400.. => time + YEAR,
            _ => time,
        });
        let whole = contents(&bench.replay(&capture, "fused", &["--workers", "fused"]).1);
        for (name, workers) in [
            ("pipeline", "pipeline"),
            ("shared", "source batching | extractor x2 | mapping autoencoder | decision sink"),
        ] {
            let (said, out) = bench.replay(&capture, name, &["--workers", workers]);
            assert_eq!(faults(&said["clock"])[..2], [2, 3], "{said}");
            assert!(contents(&out) == whole, "{schema} {workers}");
        }
    }
}

/// How far the source reads beyond what training needs depends on the layout.
#[test]
fn a_training_speaks_of_the_packets_that_it_needed() {
    let folder = tempfile::tempdir().unwrap();
    let capture = text(example("synth-mini.pcap.gz"));
    for workers in ["fused", "pipeline"] {
        let model = text(folder.path().join(format!("{workers}.onnx")));
        let given = ["train", "kitsune", &capture, "-o", &model, "--json", "--workers", workers];
        let packets = ["--feature-mapping-packets", "500", "--training-packets", "1500"];
        let clock = json(&succeed(given.iter().chain(&packets)))["clock"].clone();
        // Behind them come nine others and a long gap.
        assert_eq!((&clock["reordered"], faults(&clock)), (&10.into(), [0, 0, 1_025]), "{workers}");
    }
}

#[test]
fn captures_of_a_training_are_separate_spans() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench { model: String::new(), folder };
    let first = bench.set("first.pcapng", |_, time| time);
    let train = |schema: &str, second: &str| {
        let model = bench.path(&format!("{schema}-{}.onnx", second.len()));
        let given = ["train", "kitsune", &first, second, "--schema", schema, "-o", &model, "--json"];
        let packets = ["--feature-mapping-packets", "500", "--training-packets", "4000"];
        let said = json(&succeed(given.iter().chain(&packets)));
        fs::remove_file(model).unwrap();
        assert!(said["clock"].get("jumps").is_none_or(|jumps| jumps == 0), "{said}");
        said["last_training_rmse"].as_f64().unwrap()
    };
    let later = [30 * SECOND, 9 * YEAR, -9 * YEAR].map(|by| {
        let second = bench.set(&format!("second{by}.pcapng"), |_, time| time + by);
        (train(CLEAN, &second), train("kitsune-115", &second))
    });
    // The second goes on where the first ended, wherever its clock stands; published features follow the time stamps.
    assert_eq!((later[0].0, later[0].0), (later[1].0, later[2].0));
    assert!(later[0].1 != later[1].1);
}
