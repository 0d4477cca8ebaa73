//! Models that change while packets flow: from one packet on another one judges, in any layout, and none is lost.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, fail, legonf, retimed, succeed, text, trained};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

/// Where the model changes: not where a batch ends by itself.
const SEQ: usize = 2_345;
/// Packets that are looked at.
const PACKETS: usize = 3_500;

/// Two models of the same features, which score differently and have other ensembles.
struct Bench {
    folder: TempDir,
    old: String,
    new: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let old = text(trained(folder.path(), "kitsune-115-clean"));
        let (new, capture) = (text(folder.path().join("new.onnx")), text(example("synth-mini.pcap.gz")));
        let sizes =
            ["--feature-mapping-packets", "900", "--training-packets", "700", "--max-autoencoder-size", "5"];
        succeed(
            [&["train", "kitsune", &capture, "-o", &new, "--schema", "kitsune-115-clean"][..], &sizes]
                .concat(),
        );
        Self { folder, old, new }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the capture under the controller, and gives the folder of the results.
    fn run(&self, out: &str, model: &str, options: &[&str]) -> PathBuf {
        let folder = self.path(out);
        let (capture, limit) = (text(example("synth-mini.pcap.gz")), PACKETS.to_string());
        let run = [
            "run",
            "kitsune",
            &capture,
            "--model",
            model,
            "--no-warm-up",
            "--threshold",
            "1",
            "--limit",
            &limit,
        ];
        succeed([&run[..], &["--out", &text(&folder)], options].concat());
        folder
    }
}

fn lines(folder: &Path) -> Vec<String> {
    let table = fs::read_to_string(folder.join("scores.csv")).unwrap();
    table.lines().skip(1).map(str::to_owned).collect()
}

/// The lines of the old model before a packet, and of the new one from it on.
fn joined(old: &[String], new: &[String], seq: usize) -> Vec<String> {
    [&old[..seq], &new[seq..]].concat()
}

#[test]
fn from_a_packet_on_another_model_judges_in_any_layout() {
    let bench = Bench::new();
    let old = lines(&bench.run("old", &bench.old, &[]));
    let new = lines(&bench.run("new", &bench.new, &[]));
    assert!(old.len() == PACKETS && old[SEQ..] != new[SEQ..] && old[..SEQ] != new[..SEQ]);
    let swap = format!("{SEQ}={}", bench.new);
    let again = format!("{}={}", SEQ + 100, bench.old);
    let replicas = "source | batching | extractor mapping autoencoder decision x3 | sink";
    let one = "source batching extractor mapping autoencoder x2 | decision | sink";
    let mut written = Vec::new();
    for (name, workers) in
        [("fused", "fused"), ("pipeline", "pipeline"), ("replicas", replicas), ("two", one)]
    {
        if !legonf([
            "graph",
            "check",
            "kitsune",
            "--model",
            &bench.old,
            "--oversubscribe",
            "--workers",
            workers,
        ])
        .status
        .success()
        {
            assert_eq!(name, "two", "{workers}");
            continue;
        }
        let events = text(bench.path(&format!("{name}.jsonl")));
        let options = ["--oversubscribe", "--workers", workers, "--events", &events, "--swap", &swap];
        let out = bench.run(name, &bench.old, &options);
        assert!(lines(&out) == joined(&old, &new, SEQ), "{name}");
        let summary = fs::read_to_string(out.join("summary.json")).unwrap();
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(summary["swaps"][0]["seq"], SEQ, "{summary}");
        assert_eq!(summary["swaps"][0]["model"], "new.onnx");
        assert_eq!(summary["coverage"]["received"], PACKETS);
        let log = fs::read_to_string(&events).unwrap();
        let swaps: Vec<_> = log.lines().filter(|line| line.contains("\"event\":\"swap\"")).collect();
        assert!(swaps.len() == 1 && swaps[0].contains(&format!("\"seq\":{SEQ}")), "{swaps:?}");
        written.push(contents(&out));

        // And back again, within a batch.
        let back = bench.run(
            &format!("{name} back"),
            &bench.old,
            &[&options[..], &["--swap", &again, "--force"]].concat(),
        );
        let twice = [&old[..SEQ], &new[SEQ..SEQ + 100], &old[SEQ + 100..]].concat();
        assert!(lines(&back) == twice, "{name}");
    }
    assert!(written.len() >= 3 && written.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let bench = Bench::new();
    let other = text(trained(bench.folder.path(), "kitsune-115"));
    let (capture, out) = (text(example("synth-mini.pcap.gz")), text(bench.path("out")));
    let refused = |swaps: &[&str]| {
        let run = ["run", "kitsune", &capture, "--model", &bench.old, "--no-warm-up", "--out", &out];
        let swaps: Vec<_> = swaps.iter().flat_map(|swap| ["--swap", swap]).collect();
        let line = fail([&run[..], &swaps].concat());
        assert!(!Path::new(&out).exists(), "{line}");
        line
    };
    let line = refused(&[&format!("10={other}")]);
    assert!(line.starts_with(&other) && line.contains("takes features of schema kitsune-115 ("), "{line}");
    assert!(line.contains("those of kitsune-115-clean (") && line.ends_with("which goes on"), "{line}");
    let (first, second) = (format!("10={}", bench.new), format!("10={}", bench.old));
    assert!(refused(&[&first, &second]).contains("changes come one after the other"));
    assert!(refused(&[&format!("0={}", bench.new)]).contains("the first behind packet 0"));
    assert!(
        refused(&[&format!("10=x={}", bench.new)]).contains("the graph has no such model (give FILE alone)")
    );
    assert!(refused(&["10=missing.onnx"]).starts_with("missing.onnx: "));
    let output = legonf(["run", "kitsune", &capture, "--model", &bench.old, "--swap", "ten=new.onnx"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_live_run_changes_its_model_and_loses_no_packet() {
    let bench = Bench::new();
    let old = lines(&bench.run("old", &bench.old, &[]));
    let new = lines(&bench.run("new", &bench.new, &[]));
    let (capture, scores) = (bench.path("plain.pcapng"), bench.path("scores.csv"));
    retimed(&capture, 0..PACKETS as u64, |time| time);
    let bytes = fs::read(&capture).unwrap();
    let (socket, scored) = (text(bench.path("control")), text(&scores));
    let live = ["live", "-", "--model", &bench.old, "--no-warm-up", "--threshold", "1", "--scores", &scored];
    let mut child = Command::new(env!("CARGO_BIN_EXE_legonf"))
        .args([&live[..], &["--control", &socket, "--json"]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&bytes[..bytes.len() / 2]).unwrap();
    while !Path::new(&socket).exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended");
        sleep(Duration::from_millis(10));
    }
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&fs::metadata(&socket).unwrap()) & 0o777, 0o600);

    // A model of other features is refused, and the old one goes on.
    let other = text(trained(bench.folder.path(), "kitsune-115"));
    assert!(fail(["model", "swap", &other, "--control", &socket]).contains("which goes on"));
    let notes = text(bench.path("notes.onnx"));
    fs::write(&notes, "no model").unwrap();
    let line = fail(["model", "swap", &notes, "--control", &socket]);
    assert!(line.contains("notes.onnx: "), "{line}");
    let swapped = succeed(["model", "swap", &bench.new, "--control", &socket, "--json"]);
    let swapped: serde_json::Value = serde_json::from_str(&swapped).unwrap();
    let seq = swapped["seq"].as_u64().unwrap() as usize;

    input.write_all(&bytes[bytes.len() / 2..]).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("new.onnx is in force from packet"), "{said}");
    assert!(!Path::new(&socket).exists());
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["coverage"]["received"], PACKETS);
    assert_eq!(summary["swaps"][0]["seq"], seq);
    let table = fs::read_to_string(&scores).unwrap();
    let found: Vec<_> = table.lines().skip(1).map(str::to_owned).collect();
    assert!(found == joined(&old, &new, seq), "from packet {seq} on");
    assert!(fail(["model", "swap", &bench.new, "--control", &socket]).contains("No such file"));
}
