//! Bundles written, read, damaged.

use super::*;
use crate::kitnet::{Autoencoder, Trainer};
use legonf_core::{Feature, Unit};
use metadata::ARITHMETIC_VERSION;

fn config() -> TrainConfig {
    TrainConfig {
        features: 13,
        feature_mapping_packets: 40,
        training_packets: 60,
        max_autoencoder_size: 4,
        ..TrainConfig::default()
    }
}

fn network() -> KitNet {
    let mut trainer = Trainer::new(config()).unwrap();
    for i in 0..101 {
        let row: Vec<f64> = (0..13).map(|c| ((i * (c + 3) + c * 7) % 31) as f64 * 0.3).collect();
        trainer.train(&row);
    }
    trainer.finish().unwrap()
}

fn bundle() -> Bundle {
    let feature = |i| Feature {
        name: format!("f{i}"),
        group: "MI".into(),
        statistic: "mean".into(),
        unit: Unit::Bytes,
        decay: Some(0.1),
    };
    let capture =
        CaptureProvenance { name: "a.pcap".into(), sha256: "00".repeat(32), packets: 101, filter: None };
    Bundle {
        model: Model::KitNet { network: Arc::new(network()), training: config() },
        schema: Schema { name: "test".into(), features: (0..13).map(feature).collect() },
        calibration: Some(Calibration {
            method: "log-normal".into(),
            threshold: 0.123_456_789_012_345_67,
            false_positive_bound: 1e-4,
            samples: 1000,
            log_mean: Some(-2.5),
            log_sd: Some(0.1),
            alarms_per_day: None,
            confidence: None,
            source: "b.pcap".into(),
            held_out: Some(HeldOut { samples: 250, above: 1 }),
            seen: false,
            minutes: Some(12),
            holds_for: Some("such traffic".into()),
            packets: Some(CalibratedOn { captures: vec![capture.clone()], first: 101, end: 900 }),
        }),
        provenance: Provenance {
            legonf: "0.1.0".into(),
            captures: vec![capture],
            rows: 101,
            ..Provenance::default()
        },
    }
}

fn proto() -> Proto {
    Proto::decode(&*bundle().to_bytes().unwrap()).unwrap()
}

type Change = Box<dyn FnOnce(&mut Proto)>;

/// The error of a bundle after `change`.
fn error(change: impl FnOnce(&mut Proto)) -> String {
    Bundle::from_bytes(&changed(change), "m.onnx").unwrap_err().to_string()
}

/// A bundle after `change`, with the checksum that belongs to it then.
fn changed(change: impl FnOnce(&mut Proto)) -> Vec<u8> {
    let mut proto = proto();
    change(&mut proto);
    proto.metadata_props.retain(|p| p.key != seal::KEY);
    let mut bytes = proto.encode_to_vec();
    seal::put(&mut bytes);
    bytes
}

fn set_property(proto: &mut Proto, key: &str, value: &str) {
    proto.metadata_props.iter_mut().find(|p| p.key == key).unwrap().value = value.into();
}

fn set_double(proto: &mut Proto, name: &str, index: usize, value: f64) {
    let tensors = &mut proto.graph.as_mut().unwrap().initializer;
    let tensor = tensors.iter_mut().find(|t| t.name == name).unwrap();
    tensor.raw_data[index * 8..][..8].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn what_is_written_is_read_bit_for_bit() {
    let bytes = bundle().to_bytes().unwrap();
    let read = Bundle::from_bytes(&bytes, "m.onnx").unwrap();
    assert_eq!(read, bundle());
    assert_eq!(read.to_bytes().unwrap(), bytes);
}

#[test]
fn verify_and_describe_state_the_figures() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    bundle().save(&path).unwrap();
    let (_, checks) = OnnxFile::verify(&path).unwrap();
    assert!(checks.iter().any(|c| c.part == "ensemble" && c.finding.contains("zero outside")), "{checks:?}");
    let description = Bundle::load(&path).unwrap().describe();
    assert_eq!((description.kind.as_str(), description.features), ("kitnet", 13));
    let named: usize = description.ensemble.iter().map(|a| a.features.len()).sum();
    assert_eq!(named, 13);
    let more = |mut bytes: Vec<u8>| {
        bytes.extend([0x32, 1, b'x']);
        std::fs::write(&path, bytes).unwrap();
    };
    more(bundle().to_bytes().unwrap());
    let error = Bundle::load(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("legonf.checksum: is not the last part of the file: it was changed or cut short"),
        "{error}"
    );
    more(bundle().encode(UNSEALED_VERSION).unwrap());
    assert!(Bundle::load(&path).is_ok(), "fields of ONNX that are not used here are passed over");
    let error = OnnxFile::verify(&path).unwrap_err().to_string();
    assert!(error.ends_with("file: holds more than what is read of it"), "{error}");
}

#[test]
fn a_calibration_of_before_scores_were_held_out_is_read_and_written_as_it_is() {
    let mut bundle = bundle();
    bundle.calibration.as_mut().unwrap().held_out = None;
    let bytes = bundle.to_bytes().unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("held_out") && !text.contains("\"seen\""));
    assert_eq!(Bundle::from_bytes(&bytes, "m.onnx").unwrap(), bundle);
}

#[test]
fn what_was_held_out_is_checked() {
    let refused = |held_out, seen| {
        let mut bundle = bundle();
        let calibration = bundle.calibration.take().unwrap();
        bundle.calibration = Some(Calibration { held_out, seen, ..calibration });
        bundle.validate().unwrap_err().to_string()
    };
    assert!(refused(None, true).contains("legonf.calibration"));
    for held_out in [HeldOut { samples: 0, above: 0 }, HeldOut { samples: 5, above: 6 }] {
        assert!(refused(Some(held_out), false).contains("held_out"));
    }
}

#[test]
fn a_file_that_is_cut_short_is_refused() {
    let bytes = bundle().to_bytes().unwrap();
    for len in (0..bytes.len()).rev().step_by(37) {
        let error = Bundle::from_bytes(&bytes[..len], "m.onnx").unwrap_err().to_string();
        assert!(error.starts_with("m.onnx: ") && error.lines().count() == 1, "{len}: {error}");
        assert!(error.contains("cut short") || error.contains("missing"), "{len}: {error}");
    }
}

#[test]
fn no_flipped_bit_goes_unnoticed_in_the_network_and_none_panics() {
    let bytes = bundle().to_bytes().unwrap();
    let network = bundle().model;
    for i in (0..bytes.len()).step_by(11) {
        let mut damaged = bytes.clone();
        damaged[i] ^= 1 << (i % 8);
        if let Ok(read) = Bundle::from_bytes(&damaged, "m.onnx") {
            let Model::KitNet { network: read, .. } = read.model else { panic!("another kind") };
            assert!(matches!(&network, Model::KitNet { network, .. } if *network == read), "byte {i}");
        }
    }
}

#[test]
fn foreign_files_are_named_as_such() {
    for bytes in [&b""[..], b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00", b"{\"a\": 1}", b"\x0a"] {
        let error = Bundle::from_bytes(bytes, "m.onnx").unwrap_err();
        assert!(error.to_string().starts_with("m.onnx: not an ONNX model"), "{error}");
    }
    let error = error(|p| p.metadata_props.clear());
    assert_eq!(
        error,
        "m.onnx: legonf.format_version: is missing: not a legonf model (`legonf model import` makes one of any ONNX file), or cut short"
    );
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    let nan = error(|p| set_double(p, "ensemble.weights", 0, f64::NAN));
    assert_eq!(nan, "m.onnx: ensemble[0].weights[0]: NaN is not a finite number");
    let infinite = error(|p| set_double(p, "output.hidden_bias", 1, f64::INFINITY));
    assert_eq!(infinite, "m.onnx: output.hidden_bias[1]: inf is not a finite number");
}

#[test]
fn parts_at_odds_with_each_other_are_named() {
    let last = |p: &Proto| p.graph.as_ref().unwrap().initializer[3].raw_data.len() / 8 - 1;
    let ones = format!("{:?}", vec![1; network().ensemble().len()]);
    let cases: [(&str, Change); 9] = [
        (
            "ensemble.weights: differs",
            Box::new(|p| {
                let hidden = Blocks::hidden();
                set_double(p, "ensemble.weights", hidden - 1, 0.5);
            }),
        ),
        (
            "legonf.content_hash",
            Box::new(move |p| {
                let at = last(p);
                set_double(p, "ensemble.weights", at, 0.25)
            }),
        ),
        ("legonf.normalization", Box::new(|p| set_double(p, "ensemble.norm_min", 0, -5.0))),
        ("graph: has other nodes", Box::new(|p| p.graph.as_mut().unwrap().node[4].op_type = "Mul".into())),
        ("legonf.feature_map", Box::new(|p| set_property(p, "legonf.feature_map", "7"))),
        (
            "ensemble.weights: is not a tensor",
            Box::new(move |p| set_property(p, "legonf.hidden_units", &ones)),
        ),
        ("legonf.schema_hash", Box::new(|p| set_property(p, "legonf.schema_hash", "00"))),
        ("legonf.format_version", Box::new(|p| set_property(p, "legonf.format_version", "9"))),
        ("legonf.kind", Box::new(|p| set_property(p, "legonf.kind", "cnn"))),
    ];
    for (expected, change) in cases {
        let error = error(change);
        assert!(error.starts_with(&format!("m.onnx: {expected}")), "{expected}: {error}");
    }
}

/// Sizes of the test's ensemble.
struct Blocks;

impl Blocks {
    fn hidden() -> usize {
        network().ensemble().iter().map(Autoencoder::hidden).sum()
    }
}

#[test]
fn nothing_is_written_that_could_not_be_read() {
    let refuse = |change: &dyn Fn(&mut Bundle), key: &str| {
        let mut bundle = bundle();
        change(&mut bundle);
        assert_eq!(bundle.to_bytes().unwrap_err().key, key);
    };
    refuse(
        &|b| {
            b.schema.features.pop();
        },
        "legonf.schema",
    );
    refuse(&|b| b.calibration.as_mut().unwrap().threshold = f64::NAN, "legonf.calibration.threshold");
    refuse(&|b| b.calibration.as_mut().unwrap().method = "guess".into(), "legonf.calibration.method");
    refuse(&|b| b.calibration.as_mut().unwrap().threshold = -1.0, "legonf.calibration.threshold");
    refuse(&|b| b.calibration.as_mut().unwrap().confidence = Some(1.5), "legonf.calibration.confidence");
    refuse(
        &|b| b.calibration.as_mut().unwrap().false_positive_bound = f64::NAN,
        "legonf.calibration.false_positive_bound",
    );
    refuse(&|b| b.provenance.rows = 100, "legonf.provenance.rows");
    refuse(
        &|b| {
            let Model::KitNet { training, .. } = &mut b.model else { panic!("a KitNET") };
            training.learning_rate = f64::INFINITY;
        },
        "legonf.training.learning_rate",
    );
}

#[test]
fn every_changed_byte_is_found() {
    let good = bundle().to_bytes().unwrap();
    for at in (0..good.len()).step_by(7).chain(good.len() - 120..good.len()) {
        for bit in [1, 0x80] {
            let mut bad = good.clone();
            bad[at] ^= bit;
            assert!(Bundle::from_bytes(&bad, "m.onnx").is_err(), "byte {at} of {}", good.len());
        }
    }
}

#[test]
fn the_formats_before_are_read_too() {
    for earlier in [UNSEALED_VERSION, ARITHMETIC_VERSION] {
        let old = bundle().encode(earlier).unwrap();
        let (read, version) = Bundle::versioned(&old, "m.onnx").unwrap();
        assert_eq!((&read, version), (&bundle(), earlier));
        assert_eq!(read.encode(version).unwrap(), old);
        assert_ne!(read.to_bytes().unwrap(), old);
    }
    // What says that it is of that format and has a checksum was changed.
    let error = error(|p| set_property(p, "legonf.format_version", UNSEALED_VERSION));
    assert!(error.contains("legonf.format_version: 1 has no checksum"), "{error}");
}

#[test]
fn features_that_no_extractor_computes_are_refused_with_the_remedy() {
    let stating = |arithmetic: &str| {
        let property = Property { key: "legonf.arithmetic".into(), value: arithmetic.into() };
        changed(|p| p.metadata_props.push(property))
    };
    assert_eq!(Bundle::from_bytes(&stating("reference"), "m.onnx").unwrap(), bundle());
    let error = Bundle::from_bytes(&stating("fast"), "m.onnx").unwrap_err().to_string();
    assert!(error.contains("m.onnx") && error.contains("legonf.arithmetic"), "{error}");
    assert!(error.contains("\"fast\"") && error.ends_with("train or import it again"), "{error}");
}

#[test]
fn a_foreign_model_is_kept_byte_by_byte() {
    let mut original = proto();
    original.metadata_props = vec![Property { key: "author".into(), value: "somebody".into() }];
    let onnx = original.encode_to_vec();
    let foreign = Foreign::new(onnx.clone(), None).unwrap();
    assert_eq!((foreign.input.as_str(), foreign.output.as_str(), foreign.features), ("features", "rmse", 13));
    let bundle = Bundle { model: Model::Foreign(foreign), ..bundle() };
    let bytes = bundle.to_bytes().unwrap();
    let read = Bundle::from_bytes(&bytes, "m.onnx").unwrap();
    assert_eq!(read, bundle);
    assert!(matches!(&read.model, Model::Foreign(f) if f.onnx == onnx));
    assert!(Foreign::new(bytes.clone(), None).unwrap_err().to_string().contains("legonf model already"));
    let Model::Foreign(foreign) = bundle.model.clone() else { panic!("a foreign model") };
    let meaning = Meaning::Reconstruction;
    let reconstruction = Bundle { model: Model::Foreign(Foreign { meaning, ..foreign }), ..bundle };
    let again = Bundle::from_bytes(&reconstruction.to_bytes().unwrap(), "m.onnx").unwrap();
    assert_eq!(again, reconstruction);
    for len in (0..bytes.len()).step_by(41) {
        assert!(Bundle::from_bytes(&bytes[..len], "m.onnx").is_err());
    }
}

#[test]
fn foreign_ports_are_checked() {
    let error = |change: &dyn Fn(&mut proto::Graph), output| {
        let mut proto = proto();
        proto.metadata_props.clear();
        change(proto.graph.as_mut().unwrap());
        Foreign::new(proto.encode_to_vec(), output).unwrap_err().key
    };
    assert_eq!(error(&|_| (), Some("nothing")), "output");
    assert_eq!(error(&|g| g.output[0].name = "x".into(), None), "output");
    assert_eq!(error(&|g| g.input.clear(), None), "input");
    let many = |g: &mut proto::Graph| g.node = vec![proto::Node::default(); MAX_NODES + 1];
    assert_eq!(error(&many, None), "graph");
    assert_eq!(error(&|g| g.input[0].r#type = None, None), "features");
}

#[test]
fn detectors_are_written_and_read_bit_for_bit() {
    use crate::detectors::{Method, Trainer as DetectorTrainer};
    let mut trainer = DetectorTrainer::new(13, 5);
    for i in 0..300 {
        let row: Vec<f64> = (0..13).map(|c| ((i * (c + 3) + c * 7) % 31) as f64 * 0.3).collect();
        assert!(trainer.train(&row, 0));
    }
    for method in Method::ALL {
        let fitted = trainer.finish(method).unwrap();
        let model = Model::Detector { detector: Arc::new(fitted.detector), training: fitted.config };
        let detector = Bundle { model, ..bundle() };
        let bytes = detector.to_bytes().unwrap();
        let read = Bundle::from_bytes(&bytes, "d.onnx").unwrap();
        assert_eq!(read, detector, "{method}");
        assert_eq!(read.to_bytes().unwrap(), bytes, "{method}");
        let wrong = |key: &str, value: &str| {
            let mut proto = Proto::decode(&*bytes).unwrap();
            set_property(&mut proto, key, value);
            proto.metadata_props.retain(|p| p.key != seal::KEY);
            let mut bytes = proto.encode_to_vec();
            seal::put(&mut bytes);
            Bundle::from_bytes(&bytes, "d.onnx").unwrap_err().to_string()
        };
        let other = if method == Method::Pca { "ecod" } else { "pca" };
        assert!(wrong("legonf.detector", "svm").contains("\"svm\" is no detector"), "{method}");
        assert!(wrong("legonf.detector", other).starts_with("d.onnx: "), "{method}");
        assert!(wrong("legonf.typical", "[1.0]").starts_with("d.onnx: "), "{method}");
    }
}

#[test]
fn a_kind_that_is_not_known_is_named() {
    let error = error(|proto| set_property(proto, "legonf.kind", "oracle"));
    assert!(error.contains("expected kitnet, detector or foreign, found \"oracle\""), "{error}");
}
