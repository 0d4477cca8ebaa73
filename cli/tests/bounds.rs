//! Bounds on what is read: sizes of files, numbers in them, bricks of a graph. What is beyond is refused by name.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{contents, example, fail, fault, legonf, succeed, text, trained};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The line with which the command fails within an address space of 2 GiB.
#[track_caller]
fn refused(arguments: &[&str]) -> String {
    let limited = ["--as=2147483648", "--cpu=60", "--", env!("CARGO_BIN_EXE_legonf")];
    let output = Command::new("prlimit").args(limited).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{}: {error}", output.status);
    error
}

#[test]
fn files_without_an_end_are_read_up_to_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, model) = (text(example("synth-mini.pcap.gz")), text(trained(folder.path(), "kitsune-115")));
    let (endless, imported) = ("/dev/zero", text(folder.path().join("imported.onnx")));
    for arguments in [
        &["run", "kitsune", &capture, "--model", &model, "--policy", endless][..],
        &["run", "kitsune", &capture, "--model", &model, "--costs", endless],
        &["plan", "--costs", endless, "--cores", "4"],
        &["graph", "show", "--graph", endless],
        &["graph", "show", "--costs", endless],
        &["events", endless],
        &["replay", &capture, "--model", endless],
        &["replay", &capture, "--model", &model, "--graph", endless],
        &["model", "show", endless],
        &["model", "import", endless, "--schema", "kitsune-115", "-o", &imported],
        &["experiment", "lego-table2", "--capture", &capture, "--model", &model, "--plan", endless],
    ] {
        let line = refused(arguments);
        assert!(line.contains("/dev/zero: larger than ") && line.contains(" bytes"), "{arguments:?}: {line}");
    }
    let groups = folder.path().join("groups.toml");
    std::os::unix::fs::symlink(endless, &groups).unwrap();
    assert!(refused(&["split", &text(&groups)]).contains("groups.toml: larger than 4194304 bytes"));
}

#[test]
fn numbers_of_a_policy_have_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, model) = (text(example("synth-mini.pcap.gz")), text(trained(folder.path(), "kitsune-115")));
    let run =
        |policy: &Path| fail(["run", "kitsune", &capture, "--model", &model, "--policy", &text(policy)]);
    let line = run(&fault("policy_tick.toml"));
    assert!(
        line.contains("policy_tick.toml: tick = 100000000000000000000: expected seconds, 0.001 to 86400"),
        "{line}"
    );
    let own = folder.path().join("own.toml");
    fs::write(&own, "cooldown = 1e300\n").unwrap();
    assert!(run(&own).contains("own.toml: cooldown = 1"), "{}", run(&own));
}

#[test]
fn graphs_have_a_bound_and_are_checked_up_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let chain = |bricks: usize| {
        let brick = |index: usize| {
            let next =
                if index + 1 < bricks { format!("next = \"b{}\"\n", index + 1) } else { String::new() };
            format!("[[brick]]\nid = \"b{index}\"\nkind = \"packet-batching\"\n{next}")
        };
        let path = folder.path().join(format!("{bricks}.toml"));
        let text = (0..bricks).map(brick).fold("name = \"g\"\n".to_owned(), |graph, brick| graph + &brick);
        fs::write(&path, text).unwrap();
        common::text(path)
    };
    // All that is wrong with it is that each brick does what the one before it has done.
    let line = refused(&["graph", "show", "--graph", &chain(4096)]);
    assert!(line.contains("fills headers, which brick `b0` has filled before it"), "{line}");
    let line = refused(&["graph", "show", "--graph", &chain(20_000)]);
    assert!(line.contains("20000 bricks; a graph has at most 4096"), "{line}");
    let line = refused(&["graph", "show", "--graph", &chain(100_000)]);
    assert!(line.contains("larger than 4194304 bytes"), "{line}");
}

/// A training that was ended half way, and what is needed to go on with it.
struct Training {
    folder: TempDir,
    model: String,
}

impl Training {
    fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = text(folder.path().join("m.onnx"));
        let training = Self { folder, model };
        let output = legonf(training.arguments(&["--stop-after", "900"]));
        assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
        training
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let capture = text(example("synth-mini.pcap.gz"));
        let options = ["--feature-mapping-packets", "300", "--training-packets", "900"];
        let all = ["train", "kitsune", &capture, "-o", &self.model].into_iter().chain(options);
        all.chain(more.iter().copied()).map(str::to_owned).collect()
    }

    fn checkpoint(&self) -> String {
        format!("{}.checkpoint", self.model)
    }
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let training = Training::begin();
    let (path, resume) = (training.checkpoint(), training.arguments(&["--resume"]));
    let good = fs::read(&path).unwrap();
    let step = (good.len() / 12).max(1);
    for at in [0, 18, 30, 84, 85].into_iter().chain((100..good.len()).step_by(step)) {
        let mut bad = good.clone();
        bad[at] ^= 4;
        fs::write(&path, &bad).unwrap();
        let line = fail(&resume);
        assert!(
            line.contains("m.onnx.checkpoint: ") && line.contains("train without --resume"),
            "byte {at}: {line}"
        );
        assert!(!Path::new(&training.model).exists());
    }
    // That of the version before had no checksum.
    let json = good.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    fs::write(&path, &good[json..]).unwrap();
    let line = fail(&resume);
    assert!(
        line.contains("a checkpoint of another version of legonf; use that one; train without --resume"),
        "{line}"
    );
    fs::write(&path, &good).unwrap();
    succeed(&resume);
    let names: Vec<_> = contents(training.folder.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["m.onnx"]);
}
