//! A capture that a graph of the cluster reads as it comes, and what one thread makes of it.

use super::IMAGE;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;
use tempfile::TempDir;

/// A folder with a model, what a run in one process gives, and a pipe from which a graph of the cluster reads.
pub struct Capture {
    folder: TempDir,
    bytes: Vec<u8>,
}

impl Capture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/synth-mini/synth-mini.pcap.gz");
        let capture = Self { folder, bytes: fs::read(&file).unwrap() };
        let (model, file, expected) =
            (capture.path("m.onnx"), file.display().to_string(), capture.path("expected"));
        let model = model.display().to_string();
        let train = ["--feature-mapping-packets", "500", "--training-packets", "1500", "--quiet"];
        legonf(&[&["train", "kitsune", &file, "-o", &model][..], &train].concat());
        let out = expected.display().to_string();
        let replay = ["--model", &model, "--no-warm-up", "--workers", "fused", "--quiet", "--out", &out];
        legonf(&[&["replay", &file][..], &replay].concat());
        fs::write(capture.path("fixed.toml"), "scaling = \"fixed\"\nfuse = false\nchallenge = 0.0\n")
            .unwrap();
        let made = Command::new("mkfifo").arg(capture.path("pipe")).status().unwrap();
        assert!(made.success());
        capture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A resource that reads the pipe, with one replica of the extractor at each of the first two agents.
    pub fn spec(&self, agents: Value, places: &[&str]) -> Value {
        let workers = "source batching | extractor x2 | mapping autoencoder decision sink";
        let mut args = vec![
            "--no-warm-up",
            "--workers",
            workers,
            "--oversubscribe",
            "--policy",
            "/files/data/fixed.toml",
        ];
        args.extend(["--out", "/files/data/out", "--json"]);
        args.extend(places.iter().flat_map(|place| ["--place", place]));
        json!({
            "image": IMAGE, "imagePullPolicy": "Never", "models": ["/files/data/m.onnx"],
            "input": { "capture": "/files/data/pipe" }, "agents": agents, "args": args,
            "volumes": [{ "name": "data", "hostPath": self.folder.path(), "writable": true }],
        })
    }

    #[track_caller]
    pub fn check(&self) {
        for file in ["scores.csv", "incidents.json", "eve.json"] {
            let [expected, found] =
                ["expected", "out"].map(|folder| fs::read(self.path(folder).join(file)).unwrap());
            assert!(!expected.is_empty() && found == expected, "{file} differs");
        }
    }
}

fn legonf(arguments: &[&str]) {
    let program = std::env::var_os("LEGONF_BINARY").expect("test.sh sets it");
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Feeds a pipe once somebody reads it: a little at a time, until the rest is to come at once.
pub struct Feed {
    thread: JoinHandle<usize>,
    rest: Arc<AtomicBool>,
}

impl Feed {
    pub fn new(capture: &Capture) -> Self {
        let (path, bytes, rest) =
            (capture.path("pipe"), capture.bytes.clone(), Arc::new(AtomicBool::new(false)));
        let hurry = rest.clone();
        let feed = move || {
            let mut pipe = File::options().write(true).open(path).unwrap();
            let mut given = 0;
            for piece in bytes.chunks(150) {
                pipe.write_all(piece).unwrap();
                if !hurry.load(Relaxed) {
                    given += 1;
                    sleep(Duration::from_millis(200));
                }
            }
            given
        };
        Self { thread: spawn(feed), rest }
    }

    /// Gives the rest, of which there must be some: until now packets came all the time.
    #[track_caller]
    pub fn end(self, capture: &Capture) {
        self.rest.store(true, Relaxed);
        let given = self.thread.join().unwrap();
        assert!(given > 0 && given * 150 < capture.bytes.len(), "all {given} pieces came before the end");
    }
}
