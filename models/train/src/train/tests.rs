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

/// Samples of which some have the words of other classes as well, so that trees disagree.
pub(crate) fn mixed(count: usize, seed: u64, sequence: usize) -> Samples {
    let words: [&[u8]; 3] = [b"GET /www", b"EHLO mx.", b"\x01\0\0\x01\0\0\0\0"];
    samples(count, seed, sequence).with_bytes(|row, bytes| {
        for (at, word) in words.iter().enumerate().filter(|(at, _)| row >> at & 1 == 1) {
            bytes[160 + 10 * at..][..word.len()].copy_from_slice(word);
        }
        bytes[200 - row % 7 * 20..].fill(0);
    })
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

#[test]
fn only_a_forest_that_has_more_weight_than_networks_can_settle_a_class() {
    for share in [0.1, 0.3, 0.5, 1.0] {
        assert_eq!(Join::of(share).settled, None, "{share}");
    }
    let bound = Join::of(0.9).settled.unwrap();
    assert!((0.1 / 0.9..0.1 / 0.9 + 2e-4).contains(&bound), "{bound}");
}

#[test]
fn a_class_that_is_settled_is_that_of_the_mean_for_any_networks() {
    let mut random = Random::new(4);
    for share in [0.6, 0.7, 0.8, 0.9] {
        let join = Join::of(share);
        let bound = join.settled.unwrap();
        let mut settled = 0;
        for _ in 0..4000 {
            // The lead is near the bound, and the networks are sure of the other class, or share it with a third one.
            let above = bound + (random.below(2001) as f32 - 1000.0) * 1e-6;
            let rest = (1.0 - above) / 2.0;
            let forest = [rest + above, rest, 0.0];
            let sure = random.below(1001) as f32 / 1000.0;
            for networks in [[0.0, 1.0, 0.0], [0.0, sure, 1.0 - sure], [1.0 - sure, sure, 0.0]] {
                let class = |join: Join| crate::metrics::most(&join.rows(&networks, &forest, 3));
                assert_eq!(class(join), class(Join::mean(share)), "{share} {forest:?} {networks:?}");
            }
            settled += u32::from(lead(&forest) > bound);
        }
        assert!((1..4000).contains(&settled));
    }
    assert_eq!((lead(&[0.25, 0.5, 0.5]), lead(&[0.75, 0.0, 0.25])), (0.0, 0.5));
}

#[test]
fn classes_of_a_trained_classifier_are_those_of_the_mean_and_what_is_settled_is_the_forests() {
    let (training, test) = (samples(90, 1, 2), mixed(120, 2, 2));
    let options = Options { trees: 8, ..options(Architecture::Classifier) };
    let mut trained = train(&options, (&training, &test), Course::default(), &mut |_, _| true).unwrap();
    trained.classifier.forest_share = 0.9;
    let found = probabilities(&trained, &test);
    let forest = trained.classifier.forest.as_ref().unwrap().probabilities(&test);
    let networks = trained.classifier.of_networks(&test).unwrap().unwrap();
    let mean = Join::mean(0.9).rows(&networks, &forest, 3);
    let mut settled = 0;
    for ((found, mean), forest) in found.chunks_exact(3).zip(mean.chunks_exact(3)).zip(forest.chunks_exact(3))
    {
        assert_eq!(crate::metrics::most(found), crate::metrics::most(mean));
        settled += usize::from(found == forest);
        assert!(found == forest || found == mean);
    }
    assert!((1..120).contains(&settled), "{settled}");
}
