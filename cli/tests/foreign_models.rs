//! Models of other makers: what runs is taken in, what does not is refused where it is imported, and nothing is written.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{example, fail, fault, legonf, scores, succeed, text};
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
        let mut arguments = vec!["replay", &capture, "--model", model, "--threshold", "1e9", "--out"];
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
        succeed(["replay", &text(&picked), "--model", &model, "--threshold", "1e9", "--out", &text(&out)]);
        assert_eq!(common::scores(&out.join("scores.csv")), [scores[row]], "row {row}");
    }
}

#[test]
fn an_output_with_too_few_rows_is_refused() {
    let bench = Bench::new();
    let model = text(fault("hang_errors_short.onnx"));
    let capture = text(example("synth-mini.pcap.gz"));
    for arguments in [&["model", "verify", &model][..], &["replay", &capture, "--model", &model]] {
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
    for arguments in [&["model", "verify", &model][..], &["replay", &capture, "--model", &model]] {
        let line = refused(arguments);
        assert!(line.contains("(Concat)") && line.contains("at most 2147483648"), "{line}");
    }
    // A constant of a few bytes that stands for a tensor of 8 TB, or for one of 8 GB.
    for (dims, name) in [([1 << 20, 1 << 20], "huge.onnx"), ([1 << 15, 1 << 15], "large.onnx")] {
        let path = bench.path(name);
        fs::write(&path, onnx::fill(&dims)).unwrap();
        let line = bench.import_refused(&path);
        assert!(line.contains("of memory") || line.contains("failed to allocate"), "{line}");
    }
}

#[test]
fn what_cannot_run_is_refused_by_the_name_of_its_operator() {
    let bench = Bench::new();
    for (name, bytes, words) in [
        ("unknown.onnx", onnx::unary("NoSuchOperator"), "NoSuchOperator"),
        ("wide.onnx", onnx::unary("Shape"), "expected one score a row, or one value a feature"),
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
    fs::write(&path, onnx::softmax_over_rows()).unwrap();
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

/// Small ONNX files, field by field.
mod onnx {
    fn put(message: &mut Vec<u8>, tag: u8, content: &[u8]) {
        message.push(tag << 3 | 2);
        let mut len = content.len();
        while len > 127 {
            message.push(len as u8 | 128);
            len >>= 7;
        }
        message.push(len as u8);
        message.extend_from_slice(content);
    }

    fn number(message: &mut Vec<u8>, tag: u8, mut value: u64) {
        message.push(tag << 3);
        while value > 127 {
            message.push(value as u8 | 128);
            value >>= 7;
        }
        message.push(value as u8);
    }

    fn node(op: &str, inputs: &[&str], output: &str, axis: Option<u64>) -> Vec<u8> {
        let mut node = Vec::new();
        inputs.iter().for_each(|input| put(&mut node, 1, input.as_bytes()));
        put(&mut node, 2, output.as_bytes());
        put(&mut node, 3, output.as_bytes());
        put(&mut node, 4, op.as_bytes());
        if let Some(axis) = axis {
            let mut attribute = Vec::new();
            put(&mut attribute, 1, b"axis");
            number(&mut attribute, 3, axis);
            // The kind: an integer. Its tag, 20, takes two bytes.
            attribute.extend([0xa0, 1, 2]);
            put(&mut node, 5, &attribute);
        }
        node
    }

    /// A tensor of integers.
    fn integers(name: &str, values: &[i64]) -> Vec<u8> {
        let mut tensor = Vec::new();
        number(&mut tensor, 1, values.len() as u64);
        number(&mut tensor, 2, 7);
        put(&mut tensor, 8, name.as_bytes());
        put(&mut tensor, 9, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
        tensor
    }

    /// A value of doubles: rows of 115 columns, or of none that is stated.
    fn value(name: &str, columns: Option<u64>) -> Vec<u8> {
        let (mut batch, mut shape, mut tensor, mut kind, mut value) =
            (vec![], vec![], vec![], vec![], vec![]);
        put(&mut batch, 2, b"b");
        put(&mut shape, 1, &batch);
        if let Some(columns) = columns {
            let mut dim = Vec::new();
            number(&mut dim, 1, columns);
            put(&mut shape, 1, &dim);
        }
        number(&mut tensor, 1, 11);
        put(&mut tensor, 2, &shape);
        put(&mut kind, 1, &tensor);
        put(&mut value, 1, name.as_bytes());
        put(&mut value, 2, &kind);
        value
    }

    fn model(nodes: &[Vec<u8>], initializers: &[Vec<u8>]) -> Vec<u8> {
        let (mut graph, mut opset, mut model) = (vec![], vec![], vec![]);
        nodes.iter().for_each(|node| put(&mut graph, 1, node));
        put(&mut graph, 2, b"g");
        initializers.iter().for_each(|tensor| put(&mut graph, 5, tensor));
        put(&mut graph, 11, &value("x", Some(115)));
        put(&mut graph, 12, &value("y", None));
        number(&mut model, 1, 8);
        put(&mut model, 7, &graph);
        number(&mut opset, 2, 13);
        put(&mut model, 8, &opset);
        model
    }

    /// One operator over the input.
    pub fn unary(op: &str) -> Vec<u8> {
        model(&[node(op, &["x"], "y", None)], &[])
    }

    /// The sum of each row, and of a constant of this shape, filled with zeros.
    pub fn fill(dims: &[i64]) -> Vec<u8> {
        let nodes = [
            node("ConstantOfShape", &["dims"], "zeros", None),
            node("ReduceMax", &["zeros"], "most", None),
            node("ReduceSum", &["x", "one"], "sums", None),
            node("Add", &["sums", "most"], "y", None),
        ];
        model(&nodes, &[integers("dims", dims), integers("one", &[1])])
    }

    /// A softmax over the rows of a batch, summed over each row.
    pub fn softmax_over_rows() -> Vec<u8> {
        let nodes = [node("Softmax", &["x"], "s", Some(0)), node("ReduceSum", &["s", "one"], "y", None)];
        model(&nodes, &[integers("one", &[1])])
    }
}
