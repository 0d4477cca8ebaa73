//! The bundle in onnxruntime, by the Python package, where one is installed.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Golden, shared, synth_mini};
use legonf_core::{Element, Feature, Rows, Schema, Storage, Unit, cells};
use legonf_models::onnx::{Network, Value};
use legonf_models::{Bundle, Engine, FeedForward, Model, Port, Provenance};
use ndarray::{Array1, Array2};
use ndarray_npy::{ReadNpyExt, write_npy};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Largest relative difference: the sums are formed in another order.
const TOLERANCE: &str = "1e-9";

fn has_onnxruntime() -> bool {
    has("numpy, onnxruntime")
}

/// Whether Python has some packages.
fn has(packages: &str) -> bool {
    let probe = Command::new("python3").args(["-c", &format!("import {packages}")]).output();
    let found = probe.is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: python3 with {packages} is not there");
    }
    found
}

/// Runs a script of `tests/python`, and says whether it ended well.
fn script(name: &str, arguments: &[&str]) -> bool {
    let script = format!("{}/../tests/python/{name}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("python3").arg(script).args(arguments).output().unwrap();
    println!("{name}: {}", String::from_utf8_lossy(&output.stdout).trim());
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
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

/// Rows of small numbers that differ for an input, as they are and as a column.
fn rows(port: &Port, count: usize) -> (Array2<f32>, Box<dyn Storage>) {
    let width = port.width();
    let number = |(row, cell): (usize, usize)| ((row * 97 + cell * 31 + cell * cell) % 251) as f32;
    if port.element == Element::U8 {
        let array = Array2::from_shape_fn((count, width), number);
        let bytes: Vec<u8> = array.iter().map(|value| *value as u8).collect();
        return (array, Box::new(Rows::of(bytes.chunks_exact(width))));
    }
    let array = Array2::from_shape_fn((count, width), |at| number(at) / 125.0 - 1.0);
    let column = Rows::of(array.as_slice().unwrap().chunks_exact(width));
    (array, Box::new(column))
}

/// Writes what a network takes and gives for some rows beside it, and compares it with what onnxruntime gives.
fn check_outputs(folder: &Path, onnx: &[u8]) {
    let mut engine = FeedForward::open(onnx).unwrap();
    let mut inputs = Vec::new();
    for port in &engine.signature().inputs {
        let (array, column) = rows(port, 70);
        let path = folder.join(format!("{}.npy", port.name));
        match port.element {
            Element::U8 => write_npy(path, &array.mapv(|value| value as u8)).unwrap(),
            _ => write_npy(path, &array).unwrap(),
        }
        inputs.push(column);
    }
    compare(folder, onnx, &mut engine, &inputs);
}

fn compare(folder: &Path, onnx: &[u8], engine: &mut FeedForward, inputs: &[Box<dyn Storage>]) {
    let mut outputs = engine.signature().wanted();
    engine.run(inputs, &mut outputs).unwrap();
    for (port, output) in engine.signature().outputs.iter().zip(&outputs) {
        let values: Vec<f64> = match cells::<f32>(&*output.column) {
            Some(singles) => singles.iter().map(|value| f64::from(*value)).collect(),
            None => cells::<i64>(&*output.column).unwrap().iter().map(|value| *value as f64).collect(),
        };
        write_npy(folder.join(format!("{}.npy", port.name)), &Array1::from(values)).unwrap();
    }
    let model = folder.join("model.onnx");
    fs::write(&model, onnx).unwrap();
    let arguments = [model.to_str().unwrap(), folder.to_str().unwrap()];
    assert!(script("onnxruntime_outputs.py", &arguments));
    assert!(!script("onnxruntime_outputs.py", &[&arguments[..], &["--tolerance", "-1"]].concat()));
}

/// Small weights that differ.
fn weights(network: &mut Network, name: &str, dims: &[usize]) {
    let count: usize = dims.iter().product();
    let number = |at: usize| ((at * 7919 + name.len() * 104_729) % 1009) as f32 / 1009.0 - 0.5;
    network.reals(name, dims, &(0..count).map(number).collect::<Vec<_>>());
}

/// Most operators of images in one network.
fn images() -> Network {
    let mut network = Network::new("images");
    let ints = |values: &[i64]| Value::Ints(values.to_vec());
    network.input("image", Element::F32, &[3, 13, 11]);
    for (name, dims) in [
        ("w1", &[7, 3, 3, 2][..]),
        ("w2", &[18, 7, 3, 3]),
        ("w3", &[33, 18 * 3 * 2]),
        ("b3", &[33]),
        ("w4", &[33, 6]),
        ("gamma", &[18]),
        ("mean", &[18]),
    ] {
        weights(&mut network, name, dims);
    }
    network.reals("variance", &[18], &[0.3; 18]);
    network.reals("least", &[], &[-0.5]);
    network.reals("most", &[], &[1.5]);
    network.node(
        "Conv",
        &["image", "w1"],
        &["c1"],
        &[("pads", ints(&[1, 0, 1, 2])), ("strides", ints(&[1, 2])), ("dilations", ints(&[1, 2]))],
    );
    network.node("Clip", &["c1", "least", "most"], &["r1"], &[]);
    network.node("BatchNormalization", &["r1", "gamma7", "gamma7", "gamma7", "variance7"], &["n1"], &[]);
    network.reals("gamma7", &[7], &[0.7, 0.6, 0.5, -0.4, 0.3, 0.2, 0.1]);
    network.reals("variance7", &[7], &[0.4; 7]);
    network.node(
        "AveragePool",
        &["n1"],
        &["p1"],
        &[
            ("kernel_shape", ints(&[3, 2])),
            ("strides", ints(&[2, 1])),
            ("pads", ints(&[1, 1, 1, 0])),
            ("ceil_mode", Value::Int(1)),
        ],
    );
    network.node("Conv", &["p1", "w2"], &["c2"], &[("auto_pad", Value::Text("SAME_UPPER"))]);
    network.node("BatchNormalization", &["c2", "gamma", "mean", "mean", "variance"], &["n2"], &[]);
    network.node("LeakyRelu", &["n2"], &["r2"], &[("alpha", Value::Float(0.1))]);
    network.node(
        "MaxPool",
        &["r2"],
        &["p2"],
        &[("kernel_shape", ints(&[2, 2])), ("strides", ints(&[2, 3])), ("pads", ints(&[0, 1, 0, 0]))],
    );
    network.node("GlobalAveragePool", &["p2"], &["mean2"], &[]);
    network.node("Sub", &["p2", "mean2"], &["d2"], &[]);
    network.node("Flatten", &["d2"], &["flat"], &[]);
    network.node(
        "Gemm",
        &["flat", "w3", "b3"],
        &["g3"],
        &[("transB", Value::Int(1)), ("alpha", Value::Float(0.5))],
    );
    network.node("Tanh", &["g3"], &["t3"], &[]);
    network.node("MatMul", &["t3", "w4"], &["g4"], &[]);
    network.node("LogSoftmax", &["g4"], &["logarithms"], &[("axis", Value::Int(-1))]);
    network.node("Sigmoid", &["g4"], &["parts"], &[]);
    network.output("logarithms", Element::F32, None);
    network.output("parts", Element::F32, None);
    network
}

/// Convolutions of 3 x 3 over many channels, with what follows them.
fn squares() -> Network {
    let mut network = Network::new("squares");
    network.input("image", Element::F32, &[3, 28, 27]);
    for (name, dims) in [
        ("w1", &[24, 3, 3, 3][..]),
        ("w2", &[40, 24, 3, 3]),
        ("b2", &[40]),
        ("w3", &[40, 40, 3, 3]),
        ("mean", &[40]),
        ("dense", &[40, 5]),
    ] {
        weights(&mut network, name, dims);
    }
    network.reals("variance", &[40], &[30.0; 40]);
    let pads = |pad| [("pads", Value::Ints(vec![pad; 4]))];
    network.node("Conv", &["image", "w1"], &["c1"], &pads(0));
    network.node("Relu", &["c1"], &["r1"], &[]);
    network.node("Conv", &["r1", "w2", "b2"], &["c2"], &pads(1));
    network.node("BatchNormalization", &["c2", "b2", "mean", "mean", "variance"], &["n2"], &[]);
    network.node("LeakyRelu", &["n2"], &["r2"], &[("alpha", Value::Float(0.1))]);
    network.node("Conv", &["r2", "w3"], &["c3"], &pads(1));
    network.node("BatchNormalization", &["c3", "b2", "mean", "mean", "variance"], &["n3"], &[]);
    network.node("Add", &["n3", "r2"], &["sum"], &[]);
    network.node("GlobalAveragePool", &["sum"], &["means"], &[]);
    network.node("Flatten", &["means"], &["flat"], &[]);
    network.node("MatMul", &["flat", "dense"], &["logits"], &[]);
    network.node("Softmax", &["logits"], &["probabilities"], &[]);
    network.output("sum", Element::F32, None);
    network.output("probabilities", Element::F32, None);
    network
}

/// Convolutions over embedded bytes, with numbers beside them.
fn sequences() -> Network {
    let mut network = Network::new("sequences");
    network.input("bytes", Element::U8, &[50]);
    network.input("statistics", Element::F32, &[6]);
    for (name, dims) in [("table", &[256, 8][..]), ("w", &[20, 8, 5]), ("b", &[20]), ("dense", &[32, 4])] {
        weights(&mut network, name, dims);
    }
    network.integers("axis", &[2]);
    network.integers("shape", &[-1, 2, 3]);
    network.integers("middle", &[1]);
    network.node("Cast", &["bytes"], &["ids"], &[("to", Value::Int(7))]);
    network.node("Gather", &["table", "ids"], &["embedded"], &[]);
    network.node("Transpose", &["embedded"], &["turned"], &[("perm", Value::Ints(vec![0, 2, 1]))]);
    let strides = [("strides", Value::Ints(vec![2])), ("pads", Value::Ints(vec![2, 2]))];
    network.node("Conv", &["turned", "w", "b"], &["c"], &strides);
    network.node("Relu", &["c"], &["r"], &[]);
    network.node("ReduceMax", &["r", "axis"], &["most"], &[("keepdims", Value::Int(0))]);
    network.node("Reshape", &["statistics", "shape"], &["pairs"], &[]);
    network.node("ReduceMean", &["pairs", "axis"], &["means"], &[("keepdims", Value::Int(0))]);
    network.node("Unsqueeze", &["means", "axis"], &["deep"], &[]);
    network.node("Mul", &["pairs", "deep"], &["scaled"], &[]);
    network.node("Softmax", &["scaled"], &["soft"], &[("axis", Value::Int(1))]);
    network.node("Squeeze", &["deep", "axis"], &["flat"], &[]);
    network.integers("six", &[0, 6]);
    network.node("Reshape", &["soft", "six"], &["six.soft"], &[]);
    network.node(
        "Concat",
        &["most", "six.soft", "flat", "means", "means"],
        &["all"],
        &[("axis", Value::Int(1))],
    );
    network.node("MatMul", &["all", "dense"], &["logits"], &[]);
    network.node("Softmax", &["logits"], &["probabilities"], &[]);
    network.output("probabilities", Element::F32, None);
    network.output("soft", Element::F32, None);
    network
}

/// Choices by conditions, of rows and of cells.
fn choices() -> Network {
    let mut network = Network::new("choices");
    network.input("statistics", Element::F32, &[6]);
    weights(&mut network, "dense", &[6, 6]);
    network.reals("bound", &[1], &[0.25]);
    network.reals("bounds", &[6], &[-0.5, -0.25, 0.0, 0.25, 0.5, 0.75]);
    network.reals("zero", &[], &[0.0]);
    network.integers("three", &[3]);
    network.integers("last", &[1]);
    network.node("TopK", &["statistics", "three"], &["top", "places"], &[]);
    network.node("ReduceMax", &["top", "last"], &["best"], &[]);
    network.node("ReduceMin", &["top", "last"], &["third"], &[]);
    network.node("Sub", &["best", "third"], &["lead"], &[]);
    network.node("Greater", &["lead", "bound"], &["far"], &[]);
    network.node("MatMul", &["statistics", "dense"], &["product"], &[]);
    network.node("Tanh", &["product"], &["tanh"], &[]);
    network.node("Where", &["far", "statistics", "tanh"], &["chosen"], &[]);
    network.node("LessOrEqual", &["statistics", "bounds"], &["low"], &[]);
    network.node("Where", &["low", "zero", "chosen"], &["high"], &[]);
    network.node("GreaterOrEqual", &["third", "zero"], &["above"], &[]);
    network.node("Where", &["above", "bounds", "high"], &["other"], &[]);
    network.node("Less", &["other", "bound"], &["less"], &[]);
    network.node("Cast", &["less"], &["cells"], &[("to", Value::Int(1))]);
    ["top", "chosen", "other", "cells"].iter().for_each(|name| network.output(name, Element::F32, None));
    network
}

#[test]
fn onnxruntime_gives_the_outputs_of_legonfs_own_engine() {
    if has_onnxruntime() {
        let folder = tempfile::tempdir().unwrap();
        check_outputs(folder.path(), &images().to_bytes());
        check_outputs(folder.path(), &squares().to_bytes());
        check_outputs(folder.path(), &sequences().to_bytes());
        check_outputs(folder.path(), &choices().to_bytes());
    }
}

#[test]
fn trees_of_scikit_learn_give_the_outputs_of_onnxruntime() {
    if !has("numpy, onnxruntime, sklearn, skl2onnx") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(script("sklearn_trees.py", &[folder.path().to_str().unwrap()]));
    let rows: Array2<f32> =
        Array2::read_npy(fs::File::open(folder.path().join("rows.npy")).unwrap()).unwrap();
    let mut run = 0;
    for file in fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "onnx") {
            continue;
        }
        let onnx = fs::read(&file).unwrap();
        let mut engine =
            FeedForward::open(&onnx).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let here = tempfile::tempdir().unwrap();
        write_npy(here.path().join(format!("{}.npy", engine.signature().inputs[0].name)), &rows).unwrap();
        let column = Rows::of(rows.as_slice().unwrap().chunks_exact(rows.ncols()));
        println!("{}", file.display());
        compare(here.path(), &onnx, &mut engine, &[Box::new(column)]);
        run += 1;
    }
    assert_eq!(run, 8);
}
