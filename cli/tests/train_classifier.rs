//! `legonf train classifier`, `legonf audit` and DeepNFV's Table I: what is learnt, what is said of it, and what is refused.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;
#[path = "common/sessions.rs"]
mod sessions;

use common::{fail, legonf, shared, succeed, text};
use serde_json::Value;
use sessions::{TREES, capture, captures, session};
use std::fs;
use std::path::{Path, PathBuf};

const SIDE: usize = 28;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn idx(path: PathBuf, dims: &[usize], content: &[u8]) -> String {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    dims.iter().for_each(|dim| file.extend((*dim as u32).to_be_bytes()));
    file.extend_from_slice(content);
    fs::write(&path, file).unwrap();
    text(path)
}

/// Images and labels; gives the images' file.
fn images(folder: &Path, labels: &[u8]) -> String {
    let mut pixels = Vec::new();
    for (number, label) in labels.iter().enumerate() {
        let mut image = session(usize::from(*label) % 3, number);
        image.resize(SIDE * SIDE, 0);
        pixels.extend(image);
    }
    idx(folder.join("x-labels-idx1-ubyte"), &[labels.len()], labels);
    idx(folder.join("x-images-idx3-ubyte"), &[labels.len(), SIDE, SIDE], &pixels)
}

fn three_classes(folder: &Path) -> String {
    images(folder, &(0..60).map(|at| at % 3).collect::<Vec<u8>>())
}

fn train<'a>(inputs: &[&'a str], options: &[&'a str]) -> Vec<&'a str> {
    [&["train", "classifier"][..], inputs, options].concat()
}

#[test]
fn captures_are_divided_by_capture_and_the_model_says_what_it_was_learnt_from() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = captures(&folder.path().join("data"), &["camera", "hub", "plug"], 8);
    let model = text(folder.path().join("m.onnx"));
    let options = [&["-o", &model, "--json"][..], &TREES].concat();
    let report = json(&succeed(train(&[&inputs], &options)));
    assert_eq!(report["card"]["split"], "capture");
    assert_eq!(report["card"]["warning"], Value::Null);
    assert_eq!(report["card"]["samples"], serde_json::json!([15 * 6, 3 * 6, 6 * 6]));
    assert!(report["macro"]["recall"].as_f64().unwrap() > 0.9, "{report}");
    assert_eq!(report["classes"][0]["class"], "camera");
    let counted: u64 = report["confusion"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(counted, 36);
    let before = fs::read(&model).unwrap();
    succeed(train(&[&inputs], &[&options[..], &["--force"]].concat()));
    assert!(fs::read(&model).unwrap() == before, "two trainings with one seed give one file");
}

#[test]
fn a_classifier_is_measured_with_rows_of_flows_of_all_or_of_those_held_out() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = captures(&folder.path().join("data"), &["camera", "hub", "plug"], 8);
    let model = text(folder.path().join("m.onnx"));
    succeed(train(&[&inputs], &[&["-o", &model][..], &TREES].concat()));
    assert!(succeed(["model", "verify", &model]).contains("the same whatever rows are beside it"));
    let bench = |more: &[&str]| {
        let common = ["bench", "networks", "--rounds", "1", "--model", &model, "--rows-of", &inputs];
        json(&succeed([&common[..], more, &["--json"]].concat()))
    };
    let (all, held_out) = (bench(&[]), bench(&["--held-out"]));
    assert_eq!((&all["flows"], &held_out["flows"]), (&(24 * 6).into(), &(6 * 6).into()));
    let network = &held_out["networks"][0];
    assert_eq!(network["flops"], 0, "trees have no sums of products");
    let shares: f64 = network["first_row"].as_array().unwrap().iter().filter_map(Value::as_f64).sum();
    assert!((shares - 1.0).abs() < 1e-5, "{network}");
    let networks = folder.path().join("networks");
    succeed(["bench", "networks", "--export", &text(networks.clone())]);
    let other = text(networks.join("deepnfv.onnx"));
    let refused = |more: &[&str]| {
        let common = ["bench", "networks", "--rounds", "1", "--model", &other, "--rows-of", &inputs];
        fail([&common[..], more].concat())
    };
    assert!(refused(&["--held-out"]).contains("deepnfv.onnx: is no classifier of legonf's"));
    assert!(refused(&[]).contains("flows have nothing for the input"));
}

#[test]
fn images_without_captures_are_divided_only_if_that_is_forced_and_then_said() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = three_classes(folder.path());
    let model = text(folder.path().join("m.onnx"));
    let options = [&["-o", &model][..], &TREES].concat();
    let line = fail(train(&[&inputs], &options));
    assert!(line.contains("--force-split flow"), "{line}");
    assert!(!Path::new(&model).exists());
    let shown = succeed(train(
        &[&inputs],
        &[&options[..], &["--force-split", "flow", "--classes", "web,tls,mail"]].concat(),
    ));
    assert!(shown.contains("split by flow, not by capture") && shown.contains("mail"), "{shown}");
    let audited = json(&succeed(["audit", &model, &inputs, "--json"]));
    let hidden = audited["findings"].as_array().unwrap().iter().find(|f| f["name"] == "bytes 0 to 4 hidden");
    assert!(hidden.unwrap()["recall"].as_f64().is_some());
    assert_eq!(audited["one_capture"].as_array().unwrap().len(), 3);
    assert_eq!(audited["duplicates"]["of"], 15);
}

#[test]
fn networks_learn_go_on_from_a_checkpoint_and_from_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = three_classes(folder.path());
    let [one, two, deep, curve, drawn] =
        ["1.onnx", "2.onnx", "3.onnx", "curve.csv", "curve.svg"].map(|name| text(folder.path().join(name)));
    let options =
        ["--force-split", "flow", "--networks", "1", "--trees", "2", "--epochs", "2", "--batch", "16"];
    let report = json(&succeed(train(
        &[&inputs],
        &[&["-o", &one, "--curve", &curve, "--curve", &drawn, "--json"][..], &options].concat(),
    )));
    assert_eq!(report["curve"].as_array().unwrap().len(), 2);
    assert_eq!(fs::read_to_string(&curve).unwrap().lines().count(), 3);
    let drawn = fs::read_to_string(&drawn).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("learning curve"), "{drawn}");
    assert!(!Path::new(&format!("{one}.checkpoint")).exists());
    succeed(train(&[&inputs], &[&["-o", &two, "--fine-tune", &one][..], &options].concat()));
    assert!(fs::read(&one).unwrap() != fs::read(&two).unwrap());
    let deeper = [&["-o", &deep, "--architecture", "deepnfv", "--fine-tune", &one][..], &options].concat();
    let line = fail(train(&[&inputs], &deeper));
    assert!(line.contains("of the architecture `classifier`, not `deepnfv`"), "{line}");
    fs::write(format!("{two}.checkpoint"), b"nothing").unwrap();
    let line = fail(train(&[&inputs], &[&["-o", &two, "--force", "--resume"][..], &options].concat()));
    assert!(line.contains("2.onnx.checkpoint: not a checkpoint of a classifier"), "{line}");
}

#[test]
fn samples_that_make_no_classifier_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let model = text(path.join("m.onnx"));
    let options = [&["-o", &model, "--force-split", "flow"][..], &TREES].concat();
    let refused = |inputs: &[&str], more: &[&str]| fail(train(inputs, &[&options[..], more].concat()));

    let one = images(path, &[0; 9]);
    assert!(refused(&[&one], &[]).contains("one class only (0)"));
    let two = images(path, &[0, 1, 0, 1, 0, 1, 0, 1]);
    assert!(refused(&[&two], &["--classes", "a,b,c"]).contains("class `c` has no samples"));
    let line = refused(&[&images(path, &[0, 1, 7])], &["--classes", "a,b,c"]);
    assert!(
        line.ends_with("x-labels-idx1-ubyte: label 7 of image 2 is out of range: expected 0 to 2"),
        "{line}"
    );
    let junk = text(path.join("junk-images-idx3-ubyte"));
    fs::write(&junk, b"junk").unwrap();
    assert!(refused(&[&junk], &[]).contains("junk-images-idx3-ubyte: not an IDX file"));

    let data = captures(&path.join("data"), &["camera", "hub"], 2);
    let line = fail(train(&[&data], &[&["-o", &model][..], &TREES].concat()));
    assert!(line.contains("class `camera` has 2 captures"), "{line}");
    let line = fail(train(&[&data], &[&["-o", &model, "--test", &data][..], &TREES].concat()));
    assert!(line.contains("c0.pcap: is in both halves of the split"), "{line}");
    fs::create_dir(path.join("data/plug")).unwrap();
    assert!(refused(&[&data], &[]).contains("class `plug` has no samples"));
    assert!(!Path::new(&model).exists());
}

#[test]
fn captures_to_judge_by_can_be_given_apart() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = captures(&folder.path().join("a"), &["camera", "hub", "plug"], 4);
    let held_out = folder.path().join("b");
    captures(&held_out, &["camera", "hub", "plug"], 1);
    for (class, name) in ["camera", "hub", "plug"].iter().enumerate() {
        capture(&held_out.join(name).join("c0.pcap"), class, 5000 + class);
    }
    let (model, held_out) = (text(folder.path().join("m.onnx")), text(held_out));
    let options = [&["-o", &model, "--test", &held_out, "--json"][..], &TREES].concat();
    let report = json(&succeed(train(&[&inputs], &options)));
    assert_eq!(report["card"]["samples"], serde_json::json!([54, 18, 18]));
}

#[test]
fn options_out_of_range_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (inputs, model) = (three_classes(folder.path()), text(folder.path().join("m.onnx")));
    let line = fail(train(&[&inputs], &["-o", &model, "--epochs", "0"]));
    assert_eq!(line, "epochs = 0: expected 1 to 10000");
    let wrong = legonf(train(&[&inputs], &["-o", &model, "--test-share", "0.9"]));
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn table_1_has_the_figures_that_are_asked_for() {
    let Some(data) = shared("data") else { return };
    if !data.join("iot-sentinel").exists() {
        println!("skipped: iot-sentinel is not there");
        return;
    }
    let report = json(&succeed([
        "experiment",
        "deepnfv-table1",
        "--quick",
        "--only",
        "trees",
        "--dataset",
        "iot-sentinel",
        "--data",
        &text(data),
        "--json",
    ]));
    let dataset = &report["datasets"][0];
    assert_eq!((&dataset["name"], dataset["classes"].as_u64()), (&Value::from("iot-sentinel"), Some(11)));
    for figure in ["precision", "recall"] {
        assert!(dataset["forest"][figure].as_f64().unwrap() > 0.9, "{dataset}");
        assert!(dataset["forest"][figure].as_f64() > dataset["cart"][figure].as_f64());
    }
    assert_eq!(dataset["splits"][0]["samples"].as_array().unwrap().len(), 3);
}
