//! A model that is quiet on benign traffic: how long is trained, what the threshold stands for, and what is said where it cannot be.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{fail, legonf, succeed, text};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Benign traffic of so many packets, so many a second.
fn traffic(folder: &Path, packets: &str, rate: &str) -> String {
    let capture = text(folder.join(format!("{packets}-{rate}.pcapng")));
    succeed(["dataset", "generate", "-o", &capture, "--packets", packets, "--rate", rate]);
    capture
}

/// A training on it with a small feature map.
fn training(capture: &str, model: &str, more: &[&str]) -> Vec<String> {
    let base = ["train", "kitsune", capture, "-o", model, "--feature-mapping-packets", "500"];
    base.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
}

fn train(capture: &str, model: &str, more: &[&str]) -> Value {
    json(&succeed(training(capture, model, &[more, &["--json"]].concat())))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn minutes_of_generated_traffic_keep_the_bound() {
    let quiet = ["experiment", "quiet", "--seeds", "2", "--minutes", "25", "--rate", "100", "--threads", "1"];
    let report = json(&succeed(quiet.iter().chain(&["--json"])));
    assert_eq!((number(&report["bound"]), &report["settled_after_seconds"]), (0.001, &400.into()));
    assert!(number(&report["worst_minute"]) <= 0.002, "{report}");
    assert!(number(&report["first_minute"]) <= number(&report["worst_minute"]), "{report}");
    for (run, name) in report["runs"].as_array().unwrap().iter().zip(["seed 1", "seed 2"]) {
        assert_eq!((&run["traffic"], &run["training_seconds"]), (&name.into(), &600.into()));
        let minutes = run["minutes"].as_array().unwrap();
        assert!((16..=19).contains(&minutes.len()) && minutes[0]["second"] == 400, "{run}");
        assert!(minutes.iter().all(|minute| minute["packets"].as_u64() > Some(2_000)), "{run}");
    }
    let shown = succeed(["experiment", "quiet", "--seeds", "1", "--minutes", "25", "--rate", "100"]);
    assert!(shown.contains("worst minute  ") && shown.contains("\n   400 s "), "{shown}");
}

#[test]
fn a_capture_is_judged_as_generated_traffic_is_and_one_that_is_too_short_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let capture = traffic(folder.path(), "130000", "100");
    let report = json(&succeed(["experiment", "quiet", &capture, "--json"]));
    let run = &report["runs"][0];
    assert_eq!((&run["traffic"], &run["training_seconds"]), (&"130000-100.pcapng".into(), &600.into()));
    let line = fail(["experiment", "quiet", &capture, "--limit", "59000"]);
    assert!(
        line.contains("130000-100.pcapng: too short")
            && line.contains("training takes 55001 packets and 600 s"),
        "{line}"
    );
}

#[test]
fn a_training_over_a_time_is_that_of_the_packets_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let capture = traffic(folder.path(), "6000", "100");
    let path = |name: &str| text(folder.path().join(name));
    let by_time = train(&capture, &path("time.onnx"), &["--training-time", "30s"]);
    let packets = by_time["packets"].as_u64().unwrap();
    assert!(
        (2_900..=3_100).contains(&packets) && (30.0..30.2).contains(&number(&by_time["seconds"])),
        "{by_time}"
    );
    assert_eq!(by_time["shorter_than_seconds"], 500.0);
    let trained = (packets - 501).to_string();
    train(&capture, &path("packets.onnx"), &["--training-packets", &trained]);
    assert!(fs::read(path("time.onnx")).unwrap() == fs::read(path("packets.onnx")).unwrap());
    for layout in ["fused", "source batching | extractor x2 | sink"] {
        train(&capture, &path("other.onnx"), &["--training-time", "0.5m", "--workers", layout, "--force"]);
        assert!(fs::read(path("time.onnx")).unwrap() == fs::read(path("other.onnx")).unwrap(), "{layout}");
    }
}

#[test]
fn a_training_over_a_time_goes_on_from_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let capture = traffic(folder.path(), "6000", "100");
    let path = |name: &str| text(folder.path().join(name));
    train(&capture, &path("whole.onnx"), &["--training-time", "30s"]);
    let parts = |more: &[&str]| training(&capture, &path("parts.onnx"), more);
    let stopped = legonf(parts(&["--training-time", "30s", "--stop-after", "1400"]));
    assert_eq!(stopped.status.code(), Some(130));
    let line = fail(parts(&["--training-time", "31s", "--resume"]));
    assert!(line.contains("parts.onnx.checkpoint: was made with another --training-time"), "{line}");
    succeed(parts(&["--training-time", "30s", "--resume"]));
    assert!(fs::read(path("whole.onnx")).unwrap() == fs::read(path("parts.onnx")).unwrap());
}

#[test]
fn by_default_training_takes_six_half_lives_or_all_that_there_is_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(folder.path().join("m.onnx"));
    let long = train(&traffic(folder.path(), "80000", "100"), &model, &[]);
    assert!(
        (600.0..600.2).contains(&number(&long["seconds"])) && long["packets"].as_u64() > Some(59_000),
        "{long}"
    );
    assert!(long.get("shorter_than_seconds").is_none() && long["drift"]["drifts"] == false, "{long}");
    let short = traffic(folder.path(), "52000", "1000");
    let report = train(&short, &model, &["--force"]);
    assert_eq!((&report["packets"], &report["drift"]), (&52_000.into(), &Value::Null));
    assert_eq!(report["shorter_than_seconds"], 500.0);
    let shown = succeed(training(&short, &model, &["--force"]));
    assert!(shown.contains("warning     5") && shown.contains("less than the 500 s"), "{shown}");
    assert!(shown.contains("drift       not checked"), "{shown}");
}

#[test]
fn scores_that_rise_after_a_training_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, model) = (text(folder.path().join("c.pcapng")), text(folder.path().join("m.onnx")));
    let scan = ["--packets", "9000", "--scan", "5", "1000"];
    succeed(["dataset", "generate", "-o", &capture].iter().chain(&scan));
    let report = train(&capture, &model, &["--training-packets", "4400"]);
    let drift = &report["drift"];
    assert!(drift["drifts"] == true && number(&drift["after"]) > number(&drift["before"]), "{report}");
    let shown = succeed(training(&capture, &model, &["--training-packets", "4400", "--force"]));
    assert!(shown.contains("drift       the scores rise: "), "{shown}");
}

#[test]
fn times_that_are_none_and_captures_without_enough_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, model) = (traffic(folder.path(), "3000", "100"), text(folder.path().join("m.onnx")));
    for time in ["0s", "soon", "1h30", "-5m"] {
        let option = format!("--training-time={time}");
        assert_eq!(legonf(training(&capture, &model, &[&option])).status.code(), Some(2), "{time}");
    }
    let both = ["--training-time", "10s", "--training-packets", "9"];
    assert_eq!(legonf(training(&capture, &model, &both)).status.code(), Some(2));
    let line = fail(training(&capture, &model, &["--training-time", "2m"]));
    assert!(
        line.contains("too short: training needs 120 s, and 3000 packets of ")
            && line.contains("--training-time")
    );
    let table = text(folder.path().join("features.csv"));
    succeed(["features", &capture, "-o", &table]);
    let line = fail(training(&table, &model, &["--training-time", "10s"]));
    assert!(
        line.contains("features.csv: a table of features has no times; give --training-packets"),
        "{line}"
    );
    assert!(!Path::new(&model).exists() && !folder.path().join("m.onnx.checkpoint").exists());
}

#[test]
fn a_threshold_comes_from_settled_scores_and_says_of_what_traffic_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(folder.path().join("m.onnx"));
    let capture = traffic(folder.path(), "130000", "100");
    train(&capture, &model, &[]);
    let calibrate =
        |more: &[&str]| succeed(["calibrate", &model, &capture, "--skip", "61000"].iter().chain(more));
    let found = json(&calibrate(&["--json"]));
    assert_eq!((&found["method"]["name"], &found["settled"]), (&"minute-quantile".into(), &true.into()));
    assert!(found["unsettled"] == 0 && number(&found["false_positive_bound"]) == 0.001, "{found}");
    assert!(
        found["minutes"].as_u64() > Some(5) && found["holds_for"].as_str().unwrap().contains("stationary"),
        "{found}"
    );
    let shown = succeed(["model", "show", &model]);
    assert!(shown.contains("by minute-quantile from ") && shown.contains("holds for "), "{shown}");
    assert!(calibrate(&[]).contains("\nholds for stationary traffic, "));
}

#[test]
fn a_capture_before_the_statistics_settle_gives_a_threshold_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(folder.path().join("m.onnx"));
    let (short, long) = (traffic(folder.path(), "9000", "100"), traffic(folder.path(), "60000", "100"));
    train(&short, &model, &["--training-packets", "3000"]);
    let short = ["calibrate", &model, &short, "--skip", "3501", "--false-positive-rate", "0.01", "--as-seen"];
    let found = json(&succeed(short.iter().chain(&["--json"])));
    assert_eq!((&found["settled"], &found["unsettled"]), (&false.into(), &5_499.into()), "{found}");
    assert!(found["holds_for"].as_str().unwrap().contains("nothing is known of later packets"), "{found}");
    assert!(succeed(short).contains("unsettled the statistics settle after 400 s"));
    // The same model on what comes later: 400 s are left out.
    let long = ["calibrate", &model, &long, "--false-positive-rate", "0.01", "--as-seen", "--json"];
    let found = json(&succeed(long));
    let unsettled = found["unsettled"].as_u64().unwrap();
    assert!(found["settled"] == true && (39_000..41_000).contains(&unsettled), "{found}");
}

#[test]
fn a_model_that_does_not_fit_says_so_once() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, model) = (traffic(folder.path(), "5500", "10"), text(folder.path().join("m.onnx")));
    train(&capture, &model, &["--training-packets", "2000"]);
    let replay = |more: &[&str]| succeed(["replay", &capture, "--model", &model].iter().chain(more));
    let shown = replay(&["--threshold", "0"]);
    assert_eq!(shown.matches("the model does not fit this network").count(), 1, "{shown}");
    assert!(shown.contains("warning     100.0% of the packets of the first "), "{shown}");
    let misfit = &json(&replay(&["--threshold", "0", "--json"]))["misfit"];
    assert!(misfit["packets"] == misfit["alerts"] && misfit["bound"].is_null(), "{misfit}");
    assert!(json(&replay(&["--threshold", "1e9", "--json"])).get("misfit").is_none());
    // Of its alerts hardly any are written.
    let out = text(folder.path().join("out"));
    let found = json(&replay(&["--threshold", "0", "--json", "--out", &out]));
    let (alerts, written) = (found["alerts"].as_u64().unwrap(), found["alerts_written"].as_u64().unwrap());
    let size = fs::metadata(folder.path().join("out/eve.json")).unwrap().len();
    assert!(alerts > 1_000 && written * 10 < alerts && size < 300 * alerts, "{alerts} {written} {size}");
}

#[test]
fn an_attack_can_be_thinned() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(folder.path().join(name));
    let benign = traffic(folder.path(), "3000", "100");
    let (attack, labels) = (path("attack.pcapng"), path("attack.csv"));
    let scan = ["--packets", "3000", "--scan", "1", "1000"];
    succeed(["dataset", "generate", "-o", &attack, "--labels", &labels].iter().chain(&scan));
    let compose = |thin: &str| {
        let (attack, out, truth) =
            (format!("{attack},labels={labels},thin={thin}"), path(thin), path("l.csv"));
        let base =
            ["dataset", "compose", &benign, "--attack", &attack, "-o", &out, "--labels", &truth, "--json"];
        json(&succeed(base.iter().chain(&["--force"])))
    };
    let (whole, thinned) = (compose("1"), compose("10"));
    let written = |manifest: &Value| manifest["attacks"][0]["written"].as_u64().unwrap();
    assert_eq!(written(&thinned), written(&whole).div_ceil(10));
    let left_out = &thinned["attacks"][0]["left_out"]["thinned"];
    assert_eq!(left_out.as_u64().unwrap() + written(&thinned), written(&whole));
    let arguments = format!("{attack},thin=0");
    let line = fail([
        "dataset",
        "compose",
        &benign,
        "--attack",
        &arguments,
        "-o",
        &path("z"),
        "--labels",
        &path("z.csv"),
    ]);
    assert!(line.starts_with("thin = 0: expected a whole number above 0"), "{line}");
}
