//! Models of other makers: what runs is taken in, what does not is refused where it is imported, and nothing is written.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "../../models/tract/tests/common/onnx.rs"]
mod onnx;

use common::{example, fail, fault, legonf, scores, succeed, text};
use onnx::{DOUBLE, Network};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The command within an address space of 3 GiB and a minute of processor time.
fn confined(arguments: &[&str]) -> Output {
    let mut command = Command::new("prlimit");
    command.args(["--as=3221225472", "--cpu=60", "--", env!("CARGO_BIN_EXE_legonf")]);
    command.args(arguments).output().expect("prlimit starts")
}

/// The line with which the command fails within its bounds.
#[track_caller]
fn refused(arguments: &[&str]) -> String {
    let output = confined(arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{}: {error}", output.status);
    error
}

struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Imports a model as one for `kitsune-115`.
    fn import(&self, model: &Path) -> String {
        let imported = text(self.path("m.onnx"));
        succeed(["model", "import", &text(model), "--schema", "kitsune-115", "-o", &imported]);
        imported
    }

    /// The line with which an import is refused, which leaves nothing behind.
    #[track_caller]
    fn import_refused(&self, model: &Path) -> String {
        let (model, imported) = (text(model), self.path("refused.onnx"));
        let line = refused(&["model", "import", &model, "--schema", "kitsune-115", "-o", &text(&imported)]);
        assert!(line.contains(&model), "{line}");
        assert!(!imported.exists(), "{line}");
        line
    }

    /// The scores of a replay of the example, by `layout` of options.
    fn replay(&self, model: &str, layout: &[&str]) -> Vec<f64> {
        let out = self.path("out");
        let _ = fs::remove_dir_all(&out);
        let capture = text(example("synth-mini.pcap.gz"));
        let mut arguments =
            vec!["replay", "--no-warm-up", &capture, "--model", model, "--threshold", "1e9", "--out"];
        let folder = text(&out);
        arguments.push(&folder);
        arguments.extend(layout);
        succeed(arguments);
        scores(&out.join("scores.csv"))
    }
}

#[test]
fn weights_beside_the_file_are_taken_in() {
    let bench = Bench::new();
    let model = bench.import(&fault("ext.onnx"));
    assert!(succeed(["model", "verify", &model]).contains("in order"));
    let scores = bench.replay(&model, &[]);
    assert!(scores.len() > 1000 && scores.iter().all(|score| score.is_finite()));
    // Without the file there is nothing to take in.
    let alone = bench.path("ext.onnx");
    fs::copy(fault("ext.onnx"), &alone).unwrap();
    let line = bench.import_refused(&alone);
    assert!(line.contains("mn: external data \"ext.data\": No such file"), "{line}");
    fs::write(bench.path("ext.data"), [0; 500]).unwrap();
    let line = bench.import_refused(&alone);
    assert!(line.contains("460 bytes from 460 on are wanted, it has 500"), "{line}");
}

#[test]
fn a_reconstruction_is_scored_by_its_rmse() {
    let bench = Bench::new();
    let model = bench.import(&fault("import-reconstruction.onnx"));
    let shown = succeed(["model", "show", &model]);
    assert!(shown.contains("x in, r out: a reconstruction of each row"), "{shown}");
    assert!(succeed(["model", "verify", &model]).contains("one score a row"));
    let scores = bench.replay(&model, &[]);
    assert_eq!(scores, bench.replay(&model, &["--workers", "pipeline"]));
    // One row as NumPy computes it: a table of one row is a batch of its own.
    let table = bench.path("features.csv");
    let capture = text(example("synth-mini.pcap.gz"));
    succeed(["features", &capture, "-o", &text(&table), "--schema", "kitsune-115"]);
    let rows = fs::read_to_string(&table).unwrap();
    let picked = bench.path("row.csv");
    for row in [0, 63, 64, 1000] {
        let line = rows.lines().nth(row + 1).unwrap();
        fs::write(&picked, format!("{}\n{line}\n", rows.lines().next().unwrap())).unwrap();
        let out = bench.path("one");
        let _ = fs::remove_dir_all(&out);
        succeed([
            "replay",
            "--no-warm-up",
            &text(&picked),
            "--model",
            &model,
            "--threshold",
            "1e9",
            "--out",
            &text(&out),
        ]);
        assert_eq!(common::scores(&out.join("scores.csv")), [scores[row]], "row {row}");
    }
}

#[test]
fn an_output_with_too_few_rows_is_refused() {
    let bench = Bench::new();
    let model = text(fault("hang_errors_short.onnx"));
    let capture = text(example("synth-mini.pcap.gz"));
    for arguments in
        [&["model", "verify", &model][..], &["replay", "--no-warm-up", &capture, "--model", &model]]
    {
        let line = refused(arguments);
        assert!(
            line.contains("hang_errors_short.onnx: ") && line.contains("output `errors` of operator"),
            "{line}"
        );
    }
    drop(bench);
}

#[test]
fn tensors_that_grow_without_a_bound_are_refused() {
    let bench = Bench::new();
    let model = text(fault("mem_dag_12KB_11GB.onnx"));
    let capture = text(example("synth-mini.pcap.gz"));
    for arguments in
        [&["model", "verify", &model][..], &["replay", "--no-warm-up", &capture, "--model", &model]]
    {
        let line = refused(arguments);
        assert!(line.contains("(Concat)") && line.contains("at most 2147483648"), "{line}");
    }
    // A constant of a few bytes that stands for a tensor of 8 TB, or for one of 8 GB.
    for (dims, name) in [([1 << 20, 1 << 20], "huge.onnx"), ([1 << 15, 1 << 15], "large.onnx")] {
        let path = bench.path(name);
        fs::write(&path, fill(&dims)).unwrap();
        let line = bench.import_refused(&path);
        assert!(line.contains("of memory") || line.contains("failed to allocate"), "{line}");
    }
}

#[test]
fn what_cannot_run_is_refused_by_the_name_of_its_operator() {
    let bench = Bench::new();
    for (name, bytes, words) in [
        ("unknown.onnx", unary("NoSuchOperator"), "NoSuchOperator"),
        ("wide.onnx", unary("Shape"), "expected one score a row, or one value a feature"),
        (
            "cut.onnx",
            fs::read(fault("import-reconstruction.onnx")).unwrap()[..20_000].to_vec(),
            "cut.onnx: ONNX",
        ),
    ] {
        let path = bench.path(name);
        fs::write(&path, bytes).unwrap();
        let line = bench.import_refused(&path);
        assert!(line.contains(words), "{line}");
    }
}

#[test]
fn a_network_that_mixes_the_rows_of_a_batch_is_refused() {
    let bench = Bench::new();
    let path = bench.path("mix.onnx");
    fs::write(&path, softmax_over_rows()).unwrap();
    let line = bench.import_refused(&path);
    assert!(line.contains("the network mixes rows"), "{line}");
}

#[test]
fn a_bundle_with_one_changed_byte_is_refused() {
    let bench = Bench::new();
    let model = bench.import(&fault("import-reconstruction.onnx"));
    let good = fs::read(&model).unwrap();
    let bad = bench.path("bad.onnx");
    for at in (0..good.len()).step_by(good.len() / 12) {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&bad, bytes).unwrap();
        assert!(fail(["model", "show", &text(&bad)]).contains("bad.onnx: "));
    }
    assert!(legonf(["model", "show", &model]).status.success());
}

/// A network of 115 features in double precision, with an output whose shape is not stated.
fn network() -> Network {
    Network::new().input("x", DOUBLE, &[115]).output("y", DOUBLE)
}

/// One operator over the input.
fn unary(op: &str) -> Vec<u8> {
    network().node(op, &["x"], "y", &[]).file()
}

/// The sum of each row, and of a constant of this shape, filled with zeros.
fn fill(dims: &[i64]) -> Vec<u8> {
    let network = network().integers("dims", dims).integers("one", &[1]);
    let network = network.node("ConstantOfShape", &["dims"], "zeros", &[]);
    let network = network.node("ReduceMax", &["zeros"], "most", &[]);
    network.node("ReduceSum", &["x", "one"], "sums", &[]).node("Add", &["sums", "most"], "y", &[]).file()
}

/// A softmax over the rows of a batch, summed over each row.
fn softmax_over_rows() -> Vec<u8> {
    let network = network().integers("one", &[1]).node("Softmax", &["x"], "s", &[("axis", 0)]);
    network.node("ReduceSum", &["s", "one"], "y", &[]).file()
}
