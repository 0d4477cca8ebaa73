//! What the tests of the command share.
#![allow(dead_code)]

pub mod agent;
pub mod running;
pub mod seen;

use legonf_core::{Batch, Timestamp};
use legonf_io::SourceOptions;
use legonf_io::sink::PacketFile;
use std::ffi::OsStr;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A file of the testbed's capture.
pub fn testbed(name: &str) -> PathBuf {
    root().join("examples/testbed").join(name)
}

/// A file of the small synthetic capture.
pub fn example(name: &str) -> PathBuf {
    root().join("examples/synth-mini").join(name)
}

/// A small input that was once read wrongly, see tests/faults/README.md.
pub fn fault(name: &str) -> PathBuf {
    root().join("tests/faults").join(name)
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the larger captures and vectors beside the repository; `None`, with the reason printed, without them.
pub fn shared(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("LEGONF_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let path = folder.join(name);
    if !path.exists() {
        eprintln!("skipped: {name} is not there; LEGONF_SHARED names the folder that holds it");
        return None;
    }
    Some(path)
}

/// Runs the command.
pub fn legonf<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_legonf")).args(arguments).output().expect("the command starts")
}

/// Runs the command, which must succeed, and gives its standard output.
#[track_caller]
pub fn succeed<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    let output = legonf(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// Runs the command, which must fail with exit code 1 and one line, and gives that line.
#[track_caller]
pub fn fail<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    let output = legonf(arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "not one line: {error}");
    error.strip_prefix("legonf: ").expect("the line names the program").trim_end().to_owned()
}

/// A path as an argument.
pub fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().expect("a path in UTF-8").to_owned()
}

/// Trains on the shipped capture's first packets and gives the model.
pub fn trained(folder: &Path, schema: &str) -> PathBuf {
    let model = folder.join(format!("{schema}.onnx"));
    let capture = text(example("synth-mini.pcap.gz"));
    succeed([
        "train",
        "kitsune",
        &capture,
        "-o",
        &text(&model),
        "--schema",
        schema,
        "--feature-mapping-packets",
        "500",
        "--training-packets",
        "1500",
    ]);
    model
}

/// Every file of a folder with its bytes, by name.
pub fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            (
                path.file_name().expect("a name").to_string_lossy().into_owned(),
                fs::read(&path).expect("a file"),
            )
        })
        .collect();
    files.sort();
    files
}

/// The scores of a `scores.csv`.
pub fn scores(path: &Path) -> Vec<f64> {
    let table = fs::read_to_string(path).expect("scores");
    table
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(2).expect("a score").parse().expect("a number"))
        .collect()
}

/// Writes some packets of the shipped capture, each at the time in nanoseconds that `set` makes of its own.
pub fn retimed(to: &Path, packets: Range<u64>, set: impl Fn(i64) -> i64) {
    let mut out = PacketFile::create(to).expect("a file");
    let capture = example("synth-mini.pcap.gz");
    let mut source = legonf_io::open_with(&capture, &SourceOptions::default()).expect("it ships");
    let mut batch = Batch::default();
    loop {
        batch.clear();
        source.fill(&mut batch).expect("it is whole");
        if batch.is_empty() {
            break;
        }
        for (record, bytes) in batch.packets.iter().filter(|(record, _)| packets.contains(&record.seq)) {
            let mut record = *record;
            record.timestamp = Timestamp::from_nanos(set(record.timestamp.as_nanos()));
            out.packet(&record, bytes).expect("room");
        }
    }
    out.finish().expect("room");
}
