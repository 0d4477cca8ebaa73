//! The bundle in onnxruntime, by the Python package, where one is installed.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Golden, shared, synth_mini};
use legonf_core::{Feature, Schema, Unit};
use legonf_models::{Bundle, Model, Provenance};
use ndarray::Array1;
use ndarray_npy::write_npy;
use std::process::Command;
use std::sync::Arc;

/// Largest relative difference: the sums are formed in another order.
const TOLERANCE: &str = "1e-9";

fn has_onnxruntime() -> bool {
    let probe = Command::new("python3").args(["-c", "import numpy, onnxruntime"]).output();
    let found = probe.is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: python3 with numpy and onnxruntime is not there");
    }
    found
}

fn bundle(golden: &Golden) -> Bundle {
    let feature = |i| Feature {
        name: format!("f{i}"),
        group: "G".into(),
        statistic: "s".into(),
        unit: Unit::One,
        decay: None,
    };
    let schema =
        Schema { name: "test".into(), features: (0..golden.model.features()).map(feature).collect() };
    Bundle {
        model: Model::KitNet { network: Arc::new(golden.model.clone()), training: golden.config.clone() },
        schema,
        calibration: None,
        provenance: Provenance::default(),
    }
}

fn check(golden: &Golden) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    bundle(golden).save(&path("model.onnx")).unwrap();
    let scores: Array1<f64> =
        golden.features.rows().into_iter().map(|row| golden.model.score(row.as_slice().unwrap())).collect();
    write_npy(path("features.npy"), &golden.features).unwrap();
    write_npy(path("scores.npy"), &scores).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/python/onnxruntime_agrees.py");
    let files = ["model.onnx", "features.npy", "scores.npy"].map(path);
    let run = |tolerance| {
        Command::new("python3").arg(script).args(&files).args(["--tolerance", tolerance]).output().unwrap()
    };
    let output = run(TOLERANCE);
    println!("{}", String::from_utf8_lossy(&output.stdout).trim());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!run("-1").status.success(), "the script tells a difference");
}

#[test]
fn onnxruntime_gives_the_same_scores() {
    if has_onnxruntime() {
        check(&synth_mini());
        shared("official-115/features-rmse.npz", "official-115/kitnet-model.json").iter().for_each(check);
    }
}
