use super::*;
use crate::train::tests::{mixed, samples};
use crate::{Architecture, ClassWeights, Course, Options, Samples, train};
use legonf_core::{Rows, Storage, cells};
use legonf_models::{Engine, FeedForward, Port};
use std::process::Command;

fn trained(architecture: Architecture, samples: &Samples) -> Classifier {
    let options = Options {
        members: 2,
        trees: if architecture == Architecture::DeepNfv { 0 } else { 4 },
        epochs: 1,
        batch: 16,
        class_weights: ClassWeights::None,
        ..Options::of(architecture)
    };
    train(&options, (samples, samples), Course::default(), &mut |_, _| true).unwrap().classifier
}

/// What onnxruntime makes of samples; none where there is no Python with it.
fn by_onnxruntime(onnx: &[u8], samples: &Samples) -> Option<Vec<f32>> {
    let python = std::env::var("LEGONF_PYTHON").unwrap_or_else(|_| "python3".into());
    let there = Command::new(&python).args(["-c", "import onnxruntime"]).output().ok()?;
    if !there.status.success() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("m.onnx"), onnx).unwrap();
    let rows = 0..samples.len();
    let floats = |cells: &[f32]| cells.iter().flat_map(|cell| cell.to_le_bytes()).collect::<Vec<u8>>();
    std::fs::write(
        path("bytes"),
        rows.clone().flat_map(|row| samples.bytes(row).to_vec()).collect::<Vec<u8>>(),
    )
    .unwrap();
    std::fs::write(
        path("statistics"),
        rows.clone().flat_map(|row| floats(samples.statistics(row))).collect::<Vec<u8>>(),
    )
    .unwrap();
    std::fs::write(path("sequence"), rows.flat_map(|row| floats(samples.sequence(row))).collect::<Vec<u8>>())
        .unwrap();
    let script = "import numpy as n, onnxruntime as o, sys\n\
        s = o.InferenceSession('m.onnx')\n\
        read = lambda i: n.fromfile(i.name, n.uint8 if i.name == 'bytes' else n.float32).reshape(-1, i.shape[1])\n\
        s.run(['probabilities'], {i.name: read(i) for i in s.get_inputs()})[0].tofile('out')\n";
    let done = Command::new(&python).args(["-c", script]).current_dir(folder.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let out = std::fs::read(path("out")).unwrap();
    Some(out.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect())
}

/// What legonf's own engine makes of samples, and the rows that its only branch was computed for, if there is one.
fn by_legonf(onnx: &[u8], samples: &Samples) -> (Vec<f32>, Option<u64>) {
    let mut engine = FeedForward::open(onnx).unwrap();
    let rows = 0..samples.len();
    let column = |port: &Port| -> Box<dyn Storage> {
        match port.name.as_str() {
            BYTES => Box::new(Rows::of(rows.clone().map(|row| samples.bytes(row)))),
            STATISTICS_PORT => Box::new(Rows::of(rows.clone().map(|row| samples.statistics(row)))),
            _ => Box::new(Rows::of(rows.clone().map(|row| samples.sequence(row)))),
        }
    };
    let inputs: Vec<_> = engine.signature().inputs.iter().map(column).collect();
    let mut outputs = engine.signature().wanted();
    engine.run(&inputs, &mut outputs).unwrap();
    let found = cells::<f32>(&*outputs[0].column).unwrap().to_vec();
    let branches = engine.branches();
    assert!(branches.len() <= 1);
    (found, branches.first().map(|branch| branch.computed))
}

fn check(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let far = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < 1e-5, "{name} {far}");
}

#[test]
fn onnxruntime_and_legonf_give_the_probabilities_that_training_saw() {
    for (architecture, sequence, share) in [
        (Architecture::Classifier, 6, 0.9),
        (Architecture::Classifier, 6, 0.5),
        (Architecture::Classifier, 0, 0.7),
        (Architecture::DeepNfv, 0, 0.5),
    ] {
        let mut classifier = trained(architecture, &samples(40, 5, sequence));
        classifier.forest_share = share;
        let samples = mixed(90, 6, sequence);
        let expected = classifier.probabilities(&samples).unwrap();
        let onnx = classifier.onnx().unwrap();
        let (found, computed) = by_legonf(&onnx, &samples);
        check("legonf", &found, &expected);
        assert_eq!(computed.is_some(), share > 0.5);
        assert!(computed.is_none_or(|computed| (1..90).contains(&computed)), "{computed:?}");
        match by_onnxruntime(&onnx, &samples) {
            Some(found) => check("onnxruntime", &found, &expected),
            None => println!("skipped: no Python with onnxruntime (LEGONF_PYTHON names one)"),
        }
    }
}

#[test]
fn equal_classifiers_give_equal_files_with_the_inputs_that_they_read() {
    let samples = samples(24, 5, 3);
    for architecture in [Architecture::Classifier, Architecture::DeepNfv] {
        let onnx = trained(architecture, &samples).onnx().unwrap();
        assert_eq!(onnx, trained(architecture, &samples).onnx().unwrap());
        let has = |name: &str| onnx.windows(name.len()).any(|window| window == name.as_bytes());
        assert!(has("bytes") && has("probabilities"));
        assert_eq!(has("sequence"), architecture == Architecture::Classifier);
    }
}
