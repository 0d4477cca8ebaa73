//! A run that waits for others, or for what does not come back: the command says who it is and ends.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{example, fail, fault, text};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Starts the command, which takes what is written to its standard input.
fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_legonf"));
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn terminate(child: &Child) {
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
}

/// Waits until a process has several threads: its graph runs.
fn wait_for_workers(child: &Child) {
    let tasks = format!("/proc/{}/task", child.id());
    let end = Instant::now() + Duration::from_secs(60);
    while std::fs::read_dir(&tasks).unwrap().count() < 4 {
        assert!(Instant::now() < end, "no worker");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The exit code and the only line of a process.
fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.lines().count(), 1, "{error}");
    (output.status.code(), error)
}

fn fifo(path: &Path) -> String {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    text(path)
}

#[test]
fn a_source_from_which_nothing_comes_does_not_outlive_the_first_signal() {
    let folder = tempfile::tempdir().unwrap();
    let output = text(folder.path().join("features.csv"));
    let mut child = start(&["features", "-", "-o", &output]);
    let input = child.stdin.take();
    let capture = std::fs::read(example("synth-mini.pcap.gz")).unwrap();
    let mut pipe = input.unwrap();
    pipe.write_all(&capture[..capture.len() / 2]).unwrap();
    wait_for_workers(&child);
    terminate(&child);
    let (code, line) = ended(child);
    assert_eq!(code, Some(130), "{line}");
    assert!(line.starts_with("legonf: interrupted: "), "{line}");
    drop(pipe);
}

#[test]
fn a_reader_that_takes_nothing_is_waited_for_but_not_after_the_first_signal() {
    let folder = tempfile::tempdir().unwrap();
    let output = fifo(&folder.path().join("features.csv"));
    let capture = text(example("synth-mini.pcap.gz"));
    let child = start(&["features", &capture, "-o", &output, "--watchdog", "1"]);
    let reader = File::open(&output).unwrap();
    wait_for_workers(&child);
    // It waits for longer than a brick might take.
    thread::sleep(Duration::from_secs(2));
    assert_eq!(
        std::fs::read_dir(format!("/proc/{}/task", child.id())).map(|tasks| tasks.count() > 3).ok(),
        Some(true)
    );
    terminate(&child);
    let (code, line) = ended(child);
    assert_eq!(code, Some(130), "{line}");
    assert!(line.contains("`sink` in worker ") && line.contains(" has been at one batch for "), "{line}");
    drop(reader);
}

#[test]
fn a_network_that_answers_too_little_ends_the_run_in_one_line() {
    let (capture, model) = (text(example("synth-mini.pcap.gz")), text(fault("hang_errors_short.onnx")));
    for more in ["fused", "pipeline", "source batching extractor | network decision x2 | sink"] {
        let options =
            ["replay", "--no-warm-up", &capture, "--model", &model, "--threshold", "0", "--workers", more];
        let line = fail(options.iter().chain(&["--oversubscribe", "--quiet"]));
        assert!(line.contains("network") || line.contains("`errors`"), "{line}");
    }
}
