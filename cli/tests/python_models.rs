//! Models of scikit-learn (by skl2onnx), and in the form in which PyTorch exports them: each gives what its library says, or is
//! refused where it is imported, by the name of an operator.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::{legonf, scores, succeed, text};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// How far a score may be from the library's.
const TOLERANCE: f64 = 1e-5;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python_models/models.py");

/// Models, a table of rows, and what the libraries say of them.
struct Bench {
    folder: TempDir,
    expected: Value,
}

impl Bench {
    /// None, with the reason printed, without Python or one of the packages. LEGONF_PYTHON names another Python.
    fn new() -> Option<Self> {
        let python = std::env::var("LEGONF_PYTHON").unwrap_or_else(|_| "python3".into());
        let needed = "import numpy, onnx, onnxruntime, sklearn, skl2onnx";
        let has =
            Command::new(&python).args(["-c", needed]).output().is_ok_and(|found| found.status.success());
        if !has {
            eprintln!("skipped: {python} has not all of scikit-learn, skl2onnx and onnxruntime");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new(&python).arg(SCRIPT).arg(folder.path()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let expected = fs::read_to_string(folder.path().join("expected.json")).unwrap();
        Some(Self { folder, expected: serde_json::from_str(&expected).unwrap() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Imports a model. None where that is refused by an operator of it, which leaves nothing behind.
    fn import(&self, name: &str, options: &[&str]) -> Option<String> {
        let (file, model) =
            (text(self.path(&format!("{name}.onnx"))), text(self.path(&format!("{name}.legonf.onnx"))));
        let output = legonf([&["model", "import", &file, "-o", &model], options].concat());
        if output.status.success() {
            return Some(model);
        }
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        let operators = self.expected[name]["operators"].as_array().unwrap();
        let named = operators.iter().any(|operator| line.contains(operator.as_str().unwrap()));
        assert!(named && line.lines().count() == 1 && !Path::new(&model).exists(), "{name}: {line}");
        eprintln!("{name}: refused: {}", line.trim_end());
        None
    }

    fn own(&self) -> String {
        text(self.path("rows.csv"))
    }

    fn truth(&self, name: &str, key: &str) -> Vec<Value> {
        self.expected[name][key].as_array().unwrap().clone()
    }
}

#[track_caller]
fn assert_close(name: &str, found: &[f64], expected: &[Value]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (row, (found, expected)) in found.iter().zip(expected).enumerate() {
        let expected = expected.as_f64().unwrap();
        assert!((found - expected).abs() <= TOLERANCE, "{name}, row {row}: {found}, not {expected}");
    }
}

#[test]
fn detectors_and_autoencoders_give_the_scores_of_their_library() {
    let Some(bench) = Bench::new() else { return };
    let mut ran = 0;
    for (name, meaning) in [
        ("isolation-forest", "normality"),
        ("one-class-svm", "normality"),
        ("reconstruction", "reconstruction"),
        ("torch-autoencoder", "reconstruction"),
    ] {
        let Some(model) = bench.import(name, &["--schema", &bench.own()]) else { continue };
        let shown = succeed(["model", "show", &model]);
        assert!(
            shown.contains(&format!("a {meaning} of each row")) && shown.contains("rows (6 features"),
            "{shown}"
        );
        assert!(succeed(["model", "verify", &model]).contains("in order"));
        let out = bench.path(&format!("{name}.out"));
        succeed(["replay", &bench.own(), "--model", &model, "--threshold", "1e9", "--out", &text(&out)]);
        assert_close(name, &scores(&out.join("scores.csv")), &bench.truth(name, "scores"));
        ran += 1;
    }
    // What needs matrices alone runs in any build.
    assert!(ran >= 1, "{ran}");
}

/// A graph over a table of features, whose classes are those of the model.
const GRAPH: &str = r#"
name = "classes"
[models]
classes = ""
[[brick]]
id = "network"
kind = "onnx"
next = "class"
[brick.config.inputs]
X = "features"
[brick.config.outputs]
probabilities = "outputs"
[[brick]]
id = "class"
kind = "classification"
[brick.config]
logits = false
"#;

#[test]
fn classifiers_give_the_classes_of_their_library() {
    let Some(bench) = Bench::new() else { return };
    let graph = bench.path("graph.toml");
    fs::write(&graph, GRAPH).unwrap();
    for name in ["random-forest", "mlp"] {
        let classes: Vec<_> =
            bench.truth(name, "classes").iter().map(|class| class.as_str().unwrap().to_owned()).collect();
        // The classes of a forest are in the file.
        let given = ["--classes", &classes.join(",")].map(str::to_owned);
        let given: Vec<_> = given.iter().map(String::as_str).filter(|_| name == "mlp").collect();
        let own = bench.own();
        let Some(model) = bench.import(name, &[&["--schema", &own][..], &given].concat()) else { continue };
        assert!(succeed(["model", "show", &model]).contains(&classes.join(", ")));
        let (out, file) = (bench.path(&format!("{name}.out")), format!("classes={model}"));
        succeed(["replay", &own, "--nf", &text(&graph), "--model", &file, "--out", &text(&out)]);
        let table = fs::read_to_string(out.join("verdicts.csv")).unwrap();
        let cells: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
        let column = |heading: &str| cells[0].iter().position(|cell| *cell == heading).unwrap();
        let (class, confidence) = (column("class"), column("confidence"));
        for (row, truth) in cells[1..].iter().zip(bench.truth(name, "probabilities")) {
            let truth: Vec<f64> = truth.as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect();
            let best = (0..truth.len()).max_by(|a, b| truth[*a].total_cmp(&truth[*b])).unwrap();
            let found: f64 = row[confidence].parse().unwrap();
            assert!((found - truth[best]).abs() <= TOLERANCE, "{name}: {row:?}, not {truth:?}");
            let second =
                (0..truth.len()).filter(|class| *class != best).map(|class| truth[class]).fold(0.0, f64::max);
            assert!(row[class] == classes[best] || truth[best] - second < TOLERANCE, "{name}: {row:?}");
        }
        assert_eq!(cells.len() - 1, bench.truth(name, "probabilities").len());
    }
    // Images: the exporter's form, weights beside the file.
    let model = bench.import("torch-cnn", &["--schema", "image", "--classes", "a,b,c,d"]).unwrap();
    assert!(succeed(["model", "show", &model]).contains("a class of each row"));
    let refused = |name: &str, options: &[&str]| {
        let (file, model) = (text(bench.path(&format!("{name}.onnx"))), text(bench.path("refused.onnx")));
        common::fail([&["model", "import", &file, "-o", &model], options].concat())
    };
    assert!(refused("zipmap", &["--schema", &bench.own()]).contains("ZipMap"));
    let line = refused("torch-cnn", &["--schema", "image"]);
    assert!(line.contains("logits: of an image is taken for classes: name them with --classes"), "{line}");
    let line = refused("torch-cnn", &["--schema", "image", "--classes", "a,b,c"]);
    assert!(
        line.contains("output `logits` has 4 values a row: expected one for each of 3 classes"),
        "{line}"
    );
    let line = refused("torch-cnn", &["--schema", &bench.own()]);
    assert!(line.contains("expected an input of float or double with shape [batch, features]"), "{line}");
    let line = refused("mlp", &["--schema", "kitsune-115", "--classes", "a,b,c"]);
    assert!(line.contains("kitsune-115 has 115 features, the model takes 6"), "{line}");
    let line = refused("mlp", &["--schema", &bench.own(), "--classes", "a,b,a"]);
    assert!(line.contains("--classes: 'a' is empty or there twice"), "{line}");
    fs::remove_file(bench.path("torch-cnn.onnx.data")).unwrap();
    let line = refused("torch-cnn", &["--schema", "image", "--classes", "a,b,c,d"]);
    assert!(line.contains("external data \"torch-cnn.onnx.data\": No such file"), "{line}");
}
