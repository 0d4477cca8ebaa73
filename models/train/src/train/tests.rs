use super::*;
use crate::network::{Body, Steps};
use crate::random::Random;
use crate::samples::Flow;
use crate::{Architecture, Confusion};
use legonf_models::{ClassifierBundle, ModelCard, Provenance};

/// Three classes, told apart by a word somewhere in the payload.
pub(crate) fn samples(count: usize, seed: u64, sequence: usize) -> Samples {
    let mut random = Random::new(seed);
    let mut samples = Samples::new(["web", "mail", "name"].map(String::from).to_vec(), Vec::new(), sequence);
    for at in 0..count {
        let label = at % 3;
        let mut bytes: Vec<u8> = (0..200).map(|_| 128 + random.below(4) as u8).collect();
        bytes[random.below(150)..][..8]
            .copy_from_slice([b"GET /www", b"EHLO mx.", b"\x01\0\0\x01\0\0\0\0"][label]);
        samples.push(&Flow { bytes: &bytes, sequence: &vec![at as f32; sequence], label, group: 0 });
    }
    samples
}

fn options(architecture: Architecture) -> Options {
    Options { members: 1, trees: 3, epochs: 2, batch: 16, ..Options::of(architecture) }
}

fn probabilities(trained: &Trained, samples: &Samples) -> Vec<f32> {
    trained.classifier.probabilities(samples).unwrap()
}

#[test]
fn a_network_learns_what_is_in_the_bytes_and_twice_the_same() {
    let (training, validation) = (samples(150, 1, 0), samples(60, 2, 0));
    let options = Options { epochs: 3, trees: 0, ..options(Architecture::Classifier) };
    let train = || train(&options, (&training, &validation), Course::default(), &mut |_, _| true).unwrap();
    let (one, two) = (train(), train());
    let found = probabilities(&one, &validation);
    assert_eq!(found, probabilities(&two, &validation));
    assert_eq!(one.curve, two.curve);
    let accuracy = Confusion::of(&validation.classes, validation.labels(), &found).accuracy();
    assert!(accuracy > 0.8, "{accuracy} {:?}", one.curve);
}

#[test]
fn what_was_broken_off_goes_on_to_the_same_end() {
    let (training, validation) = (samples(32, 1, 2), samples(12, 2, 2));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.checkpoint");
    for architecture in [Architecture::Classifier, Architecture::DeepNfv] {
        let options = Options { members: 2, ..options(architecture) };
        let parts = (&training, &validation);
        let whole = train(&options, parts, Course::default(), &mut |_, _| true).unwrap();
        let course = Course { checkpoint: Some(&path), resume: false, base: None };
        let mut left = 3;
        let stopped = train(&options, parts, course, &mut |_, epoch| {
            left -= u32::from(epoch.is_some());
            left > 0
        });
        assert!(matches!(stopped.err(), Some(TrainError::Stopped)));
        let resumed = train(&options, parts, Course { resume: true, ..course }, &mut |_, _| true).unwrap();
        assert_eq!(probabilities(&resumed, &validation), probabilities(&whole, &validation));
        assert_eq!(resumed.curve, whole.curve);
    }
}

#[test]
fn a_checkpoint_of_another_training_is_refused_by_name() {
    let (training, validation) = (samples(24, 1, 0), samples(12, 2, 0));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.checkpoint");
    let course = Course { checkpoint: Some(&path), resume: false, base: None };
    let deep = options(Architecture::DeepNfv);
    let _ = train(&deep, (&training, &validation), course, &mut |_, epoch| epoch.is_none());
    let refused = |options: &Options, training: &Samples| {
        let course = Course { resume: true, ..course };
        train(options, (training, &validation), course, &mut |_, _| true).err().unwrap().to_string()
    };
    let text = refused(&options(Architecture::Classifier), &training);
    assert!(text.contains("m.checkpoint: of the architecture `deepnfv`, not `classifier`"), "{text}");
    assert!(refused(&Options { batch: 8, ..deep.clone() }, &training).contains("of another training"));
    assert!(refused(&deep, &samples(24, 3, 0)).contains("of another training"));
    std::fs::write(&path, b"nothing").unwrap();
    assert!(refused(&deep, &training).contains("not a checkpoint"));
}

fn steps(trained: &Trained) -> Steps {
    match &trained.classifier.networks[0].body {
        Body::Line(line) => line.steps.clone(),
        Body::Image(_) => Steps::default(),
    }
}

#[test]
fn fine_tuning_keeps_the_steps_that_the_weights_belong_to_and_goes_on_with_them() {
    let (first, training, validation) = (samples(24, 1, 2), samples(40, 7, 2), samples(12, 2, 2));
    let options = Options { trees: 0, ..options(Architecture::Classifier) };
    let begun = train(&options, (&first, &validation), Course::default(), &mut |_, _| true).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [base, checkpoint] = ["base.onnx", "m.checkpoint"].map(|name| folder.path().join(name));
    let bundle = ClassifierBundle {
        onnx: begun.classifier.onnx().unwrap(),
        classes: first.classes.clone(),
        unknown_below: 0.0,
        card: ModelCard { architecture: "classifier".into(), ..ModelCard::default() },
        provenance: Provenance::default(),
    };
    bundle.save(&base).unwrap();
    let parts = (&training, &validation);
    let anew = train(&options, parts, Course::default(), &mut |_, _| true).unwrap();
    assert_ne!(steps(&anew), steps(&begun));
    let course = Course { checkpoint: Some(&checkpoint), resume: false, base: Some(&base) };
    let whole = train(&options, parts, course, &mut |_, _| true).unwrap();
    assert_eq!(steps(&whole), steps(&begun));
    let _ = train(&options, parts, course, &mut |_, epoch| epoch.is_none());
    let resumed = train(&options, parts, Course { resume: true, ..course }, &mut |_, _| true).unwrap();
    assert_eq!(steps(&resumed), steps(&begun));
    assert_eq!(probabilities(&resumed, &validation), probabilities(&whole, &validation));
}
