//! Detectors beside those of scikit-learn, pyod and onnxruntime, by their Python packages, where these are installed.
#![allow(clippy::unwrap_used)]

use legonf_core::{Feature, Schema, Unit};
use legonf_models::detectors::{Method, Trainer};
use legonf_models::{Bundle, Model, Provenance};
use ndarray::{Array1, Array2};
use ndarray_npy::write_npy;
use std::process::Command;
use std::sync::Arc;

const WIDTH: usize = 23;
/// Largest relative difference: sums are formed in another order, and eigenvectors found in another way.
const TOLERANCE: &str = "1e-8";
/// The exit code of the script where a package is missing.
const SKIPPED: i32 = 77;

/// Python with the packages: that of the environment variable LEGONF_PYTHON, or the system's.
fn python() -> String {
    std::env::var("LEGONF_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// Rows whose features take few values (so that cells hold one each, and none lies on the edge of a bar), depend on each other, and are in part constant.
fn rows(count: usize, offset: usize) -> Array2<f64> {
    Array2::from_shape_fn((count, WIDTH), |(row, column)| {
        let row = row + offset;
        let level = (row * 7 + row / 5) % 8;
        match column {
            0 => 4.0,
            1..12 => ((level * column + row / 9) % 8).pow(2) as f64 * 0.5,
            _ => ((row * (column + 1) * 11 + row * row) % 7).pow(2) as f64 * f64::from(1 << (column - 12)),
        }
    })
}

fn check(method: Method, python: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (train, mut test) = (rows(700, 0), rows(60, 1500));
    (0..20).for_each(|row| test[(row, 1 + row % (WIDTH - 1))] = 1e4 + row as f64);
    let mut trainer = Trainer::new(WIDTH, 1);
    train.rows().into_iter().for_each(|row| assert!(trainer.train(row.as_slice().unwrap(), 0)));
    let fitted = trainer.finish(method).unwrap();
    let scores: Array1<f64> =
        test.rows().into_iter().map(|row| fitted.detector.score(row.as_slice().unwrap())).collect();
    let feature = |i| Feature {
        name: format!("f{i}"),
        group: "G".into(),
        statistic: "s".into(),
        unit: Unit::One,
        decay: None,
    };
    let schema = Schema { name: "test".into(), features: (0..WIDTH).map(feature).collect() };
    let model = Model::Detector { detector: Arc::new(fitted.detector), training: fitted.config };
    let bundle = Bundle { model, schema, calibration: None, provenance: Provenance::default() };
    bundle.save(&path("model.onnx")).unwrap();
    write_npy(path("train.npy"), &train).unwrap();
    write_npy(path("test.npy"), &test).unwrap();
    write_npy(path("scores.npy"), &scores).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/python/detectors_agree.py");
    let files = ["model.onnx", "train.npy", "test.npy", "scores.npy"].map(path);
    let run = |tolerance| {
        let command = Command::new(python)
            .args([script, method.label()])
            .args(&files)
            .args(["--tolerance", tolerance])
            .output();
        command.unwrap()
    };
    let output = run(TOLERANCE);
    println!("{}", String::from_utf8_lossy(&output.stdout).trim());
    if output.status.code() == Some(SKIPPED) {
        return false;
    }
    assert!(output.status.success(), "{method}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(!run("-1").status.success(), "the script tells a difference");
    true
}

#[test]
fn other_packages_give_the_same_scores() {
    let python = python();
    let probe = Command::new(&python).args(["-c", "import numpy"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} with numpy is not there (LEGONF_PYTHON names one)");
        return;
    }
    for method in Method::ALL {
        if !check(method, &python) {
            return;
        }
    }
}
