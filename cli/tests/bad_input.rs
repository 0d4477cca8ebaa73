//! Bad input: one clear line, exit code 1, nothing half-written under a good name, nothing lost silently.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, fail, legonf, root, shared, succeed, text, trained};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

struct Bench {
    folder: tempfile::TempDir,
    model: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(trained(folder.path(), "kitsune-115-clean"));
        Self { folder, model }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        text(path)
    }

    /// The line with which a replay of `capture` fails.
    #[track_caller]
    fn refused(&self, capture: &str) -> String {
        fail(["replay", capture, "--model", &self.model])
    }

    /// The shipped capture, unpacked: pcapng.
    fn capture(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let file = File::open(example("synth-mini.pcap.gz")).unwrap();
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        bytes
    }
}

#[test]
fn captures_that_are_none_say_what_they_are() {
    let bench = Bench::new();
    let png = bench.file("a.pcap", b"\x89PNG\r\n\x1a\n0000");
    let nothing = text(bench.path("nothing"));
    fs::create_dir(&nothing).unwrap();
    for (capture, words) in [
        (text(bench.path("missing.pcap")), "no such file"),
        (bench.file("empty.pcap", b""), "empty"),
        (png, "PNG"),
        (nothing, "holds no capture"),
    ] {
        let line = bench.refused(&capture);
        assert!(line.contains(words) && line.contains(&capture), "{line}");
    }
    // What was meant is plain, so the command line is wrong.
    let swapped = legonf(["replay", &bench.model, "--model", &bench.model]);
    let line = String::from_utf8_lossy(&swapped.stderr);
    assert!(swapped.status.code() == Some(2) && line.contains("is a model, not a capture"), "{line}");
}

#[test]
fn a_truncated_capture_is_scored_up_to_the_cut() {
    let bench = Bench::new();
    let whole = bench.capture();
    let capture = bench.file("cut.pcap", &whole[..whole.len() / 2 + 7]);
    let out = bench.path("out");
    let output = legonf(["replay", &capture, "--model", &bench.model, "--out", &text(&out)]);
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), line.lines().count()), (Some(1), 1), "{line}");
    let rows = fs::read_to_string(out.join("scores.csv")).unwrap().lines().count() - 1;
    assert!(rows > 1000 && line.contains(&format!("complete for the {rows} packets before it")), "{line}");
    assert!(contents(&out).iter().all(|(name, _)| !name.ends_with(".partial")));
    let summary: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["coverage"]["received"], rows);
    assert!(summary["ended_early"].as_str().unwrap().contains("cut"), "{summary}");
}

#[test]
fn models_that_are_none_say_so() {
    let bench = Bench::new();
    let model = fs::read(&bench.model).unwrap();
    let capture = text(example("synth-mini.pcap.gz"));
    let half = bench.file("half.onnx", &model[..model.len() / 2]);
    let empty = bench.file("empty.onnx", b"");
    let foreign = bench.file("foreign.onnx", b"not a model");
    for model in [half.as_str(), &empty, &foreign, "missing.onnx", &text(bench.folder.path())] {
        let line = fail(["replay", &capture, "--model", model]);
        assert!(line.contains(model), "{line}");
        let line = fail(["model", "verify", model]);
        assert!(line.contains(model), "{line}");
    }
    for arguments in [&["replay", &capture, "--model", &capture][..], &["model", "verify", &capture]] {
        let output = legonf(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("is a capture, not a model"),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_model_for_another_schema_is_refused() {
    let bench = Bench::new();
    let capture = text(example("synth-mini.pcap.gz"));
    let toml = succeed(["graph", "show", "--toml"]).replace("kitsune-115-clean", "kitsune-py-100");
    let graph = bench.file("graph.toml", toml.as_bytes());
    let line = fail(["replay", &capture, "--model", &bench.model, "--graph", &graph]);
    assert!(line.contains("kitsune-py-100") && line.contains("trained on kitsune-115"), "{line}");
}

#[test]
fn graphs_that_do_not_fit_name_the_brick() {
    let bench = Bench::new();
    let capture = text(example("synth-mini.pcap.gz"));
    let good = succeed(["graph", "show", "--toml"]);
    for (toml, words) in [
        (good.replace("next = \"mapping\"", "next = \"autoencoder\""), "both lead to `autoencoder`"),
        (good.replace("packet-batching", "packet-batch"), "not in the catalogue"),
        (good.replace("next = \"extractor\"", "next = \"nowhere\""), "\"nowhere\" names no brick"),
        (
            good.replace("packet-batching", "line\\nbreak\\u001b[31m"),
            "kind = \"line\\nbreak\\u{1b}[31m\" is not",
        ),
        (good.replace("schema =", "schemas ="), "unknown field `schemas`"),
        ("name = 3".into(), "line 1"),
    ] {
        let graph = bench.file("graph.toml", toml.as_bytes());
        let line = fail(["replay", &capture, "--model", &bench.model, "--graph", &graph]);
        assert!(line.contains(words), "{line}");
    }
}

#[test]
fn labels_must_be_as_many_as_the_packets() {
    let bench = Bench::new();
    let capture = text(example("synth-mini.pcap.gz"));
    let labels = fs::read_to_string(example("labels.csv")).unwrap();
    let fewer: Vec<_> = labels.lines().take(3000).collect();
    for (text, words) in [
        (fewer.join("\n"), "2999 labels, but the capture has at least 3000"),
        (format!("{labels}3500,0\n"), "3501 labels, but the capture has 3500"),
        (labels.replace("\n17,0", "\n17,maybe"), "line 19"),
    ] {
        let labels = bench.file("labels.csv", text.as_bytes());
        let line = fail(["replay", &capture, "--model", &bench.model, "--labels", &labels]);
        assert!(line.contains(words), "{line}");
    }
}

#[test]
fn an_output_folder_that_exists_is_left_alone() {
    let bench = Bench::new();
    let capture = text(example("synth-mini.pcap.gz"));
    let out = bench.path("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("scores.csv"), "mine").unwrap();
    let line = fail(["replay", &capture, "--model", &bench.model, "--out", &text(&out)]);
    assert!(line.contains("exists already") && line.contains("--force"), "{line}");
    assert_eq!(fs::read(out.join("scores.csv")).unwrap(), b"mine");
    succeed(["replay", &capture, "--model", &bench.model, "--out", &text(&out), "--force"]);
    assert_ne!(fs::read(out.join("scores.csv")).unwrap(), b"mine");
}

#[test]
fn a_capture_too_short_to_train_says_what_is_missing() {
    let bench = Bench::new();
    let (capture, model) = (text(example("synth-mini.pcap.gz")), text(bench.path("new.onnx")));
    let line = fail(["train", "kitsune", &capture, "-o", &model]);
    assert!(line.contains("needs 55001 packets") && line.contains("51501 are missing"), "{line}");
    assert!(!Path::new(&model).exists());
}

#[test]
fn packets_that_the_model_was_trained_on_do_not_calibrate() {
    let bench = Bench::new();
    let capture = text(example("synth-mini.pcap.gz"));
    let line = fail(["calibrate", &bench.model, &capture]);
    assert!(line.contains("--skip 2001"), "{line}");
}

#[test]
fn a_closed_pipe_is_quiet() {
    let bench = Bench::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_legonf"))
        .args(["model", "explain", &bench.model])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(141), 0), "{output:?}");
}

#[test]
fn standard_input_is_a_capture_too() {
    let bench = Bench::new();
    let direct = succeed(["replay", &text(example("synth-mini.pcap.gz")), "--model", &bench.model, "--json"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_legonf"))
        .args(["replay", "-", "--model", &bench.model, "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let bytes = fs::read(example("synth-mini.pcap.gz")).unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let piped = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let score = |report: &str| serde_json::from_str::<serde_json::Value>(report).unwrap()["score"].clone();
    assert_eq!(score(&direct), score(&piped));
}

#[test]
fn a_full_disk_leaves_nothing_that_looks_whole() {
    let bench = Bench::new();
    let mount = bench.path("small");
    fs::create_dir(&mount).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&mount).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: a file system of 64 KiB needs the right to mount one");
        return;
    }
    let out = mount.join("out");
    let capture = text(example("synth-mini.pcap.gz"));
    let output = legonf(["replay", &capture, "--model", &bench.model, "--out", &text(&out)]);
    let names: Vec<_> = contents(&out).into_iter().map(|(name, _)| name).collect();
    Command::new("umount").arg(&mount).status().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), line.lines().count()), (Some(1), 1), "{line}");
    assert!(line.contains("scores.csv") && line.contains("the disk is full"), "{line}");
    assert!(names.iter().all(|name| name.ends_with(".partial")), "{names:?}");
}

#[test]
fn hostile_packets_are_scored_like_any_other() {
    let bench = Bench::new();
    let mut capture = Vec::new();
    capture.extend([0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]);
    // Time runs backwards from packet to packet; lengths of 0, 65,535, and a wire length beyond all frames.
    for (seconds, bytes, wire) in
        [(900_u32, 0_usize, 0_u32), (800, 65_535, 65_535), (0, 13, u32::MAX), (700, 60, 60)]
    {
        let bytes = vec![0x5a; bytes];
        for word in [seconds, 0, bytes.len() as u32, wire] {
            capture.extend(word.to_le_bytes());
        }
        capture.extend(bytes);
    }
    let capture = bench.file("hostile.pcap", &capture);
    let report = succeed(["replay", &capture, "--model", &bench.model, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["coverage"]["received"], 4);
    assert_eq!(report["counters"]["link-too-short"], 2);
}

#[test]
fn every_robustness_capture_is_accounted_for() {
    let Some(folder) = shared("data/robustness") else { return };
    let bench = Bench::new();
    let (mut whole, mut refused) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let capture = text(entry.unwrap().path());
        let output = legonf(["replay", &capture, "--model", &bench.model, "--json"]);
        let error = String::from_utf8(output.stderr).unwrap();
        let report: Option<serde_json::Value> = serde_json::from_slice(&output.stdout).ok();
        match output.status.code() {
            Some(0) => whole += 1,
            Some(1) => refused.push(error.clone()),
            other => panic!("{capture}: {other:?} {error}"),
        }
        assert_eq!(error.lines().count(), usize::from(output.status.code() == Some(1)), "{capture}: {error}");
        let Some(report) = report else { continue };
        let coverage = &report["coverage"];
        let rejected: u64 =
            coverage["rejected"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
        let scored = coverage["scored"].as_u64().unwrap();
        assert_eq!(coverage["received"].as_u64().unwrap(), scored + rejected, "{capture}");
    }
    // Whatever is refused has a link type that is not supported, or is cut off.
    assert!(refused.iter().all(|line| line.contains("link type") || line.contains("cut off")), "{refused:?}");
    assert!(whole >= 250, "{whole} whole, {refused:?}");
}

#[test]
fn every_command_has_help() {
    for command in [
        vec!["--help"],
        vec!["features", "--help"],
        vec!["train", "kitsune", "--help"],
        vec!["calibrate", "--help"],
        vec!["replay", "--help"],
        vec!["graph", "show", "--help"],
        vec!["model", "--help"],
    ] {
        assert!(succeed(&command).len() > 200, "{command:?}");
    }
    assert_eq!(legonf(["replay"]).status.code(), Some(2));
    assert!(root().join("README.md").exists());
}
