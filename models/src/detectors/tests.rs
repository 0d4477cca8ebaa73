use super::*;
use legonf_core::{Explain, Feature, Rows, Schema, Unit};
use std::sync::Arc;

const WIDTH: usize = 13;

/// Rows whose features depend on each other; feature 11 takes two values, feature 12 is constant.
pub(crate) fn rows(count: usize, seed: u32) -> Vec<Vec<f64>> {
    let mut random = crate::kitnet::Mt19937::new(seed);
    let row = |_| {
        let (a, b) = (random.uniform(-1.0, 1.0), random.uniform(0.0, 1.0));
        let mut noise = || random.uniform(-0.05, 0.05);
        let mut row: Vec<f64> =
            (0..WIDTH - 2).map(|c| a * c as f64 + b * b * (c % 3) as f64 * 100.0 + noise()).collect();
        row.extend([f64::from(u8::from(b > 0.7)), 5.0]);
        row
    };
    (0..count).map(row).collect()
}

pub(crate) fn trained(method: Method) -> Fitted {
    let mut trainer = Trainer::new(WIDTH, 3);
    rows(600, 1).iter().enumerate().for_each(|(at, row)| assert!(trainer.train(row, at as u64)));
    trainer.finish(method).unwrap()
}

fn schema() -> Arc<Schema> {
    let feature = |i| Feature {
        name: format!("f{i}"),
        group: "G".into(),
        statistic: "mean".into(),
        unit: Unit::Bytes,
        decay: None,
    };
    Arc::new(Schema { name: "test".into(), features: (0..WIDTH).map(feature).collect() })
}

/// Scores of benign rows, rising.
fn benign_scores(detector: &Detector) -> Vec<f64> {
    let mut scores: Vec<f64> = rows(400, 2).iter().map(|row| detector.score(row)).collect();
    scores.sort_by(f64::total_cmp);
    scores
}

#[test]
fn rows_whose_features_are_odd_outrank_benign_ones() {
    for method in Method::ALL {
        let detector = trained(method).detector;
        let mut outlier = rows(1, 2).remove(0);
        outlier.iter_mut().take(WIDTH - 2).for_each(|cell| *cell += 4000.0);
        let (score, benign) = (detector.score(&outlier), benign_scores(&detector));
        assert!(score > benign[380], "{method}: {score}, of benign rows {}", benign[380]);
    }
}

#[test]
fn one_odd_feature_outranks_benign_rows_by_its_size_but_not_by_its_rank() {
    for method in Method::ALL {
        let detector = trained(method).detector;
        let (benign, row) = (benign_scores(&detector), rows(1, 2).remove(0));
        let with = |value: f64| {
            let mut row = row.clone();
            row[4] = value;
            detector.score(&row)
        };
        let (odd, odder) = (with(4000.0), with(1e9));
        // These three know of a value beyond those of training only that it is beyond them: the score does not grow with its size.
        // So one feature of thirteen adds a bounded amount (in ECOD, ln 601 = 6.4), less than by which the rows of training differ,
        // whose features are low and high together. Rows that are odd in more features are found (the test above).
        if matches!(method, Method::Ecod | Method::Hbos | Method::IsolationForest) {
            assert_eq!(odd, odder, "{method}");
            assert!(odd > detector.score(&row), "{method}: {odd}");
        } else {
            assert!(odd > benign[380] && odder >= odd, "{method}: {odd}, of benign rows {}", benign[380]);
        }
    }
}

#[test]
fn ecod_adds_at_most_the_logarithm_of_the_rows_for_one_feature() {
    let detector = trained(Method::Ecod).detector;
    let row = rows(1, 2).remove(0);
    let mut odd = row.clone();
    odd[4] = 4000.0;
    let rise = detector.score(&odd) - detector.score(&row);
    assert!(rise > 0.0 && rise <= 601_f64.ln(), "{rise}");
}

#[test]
fn outliers_are_explained() {
    for method in Method::ALL {
        let detector = Arc::new(trained(method).detector);
        let mut outlier = rows(1, 2).remove(0);
        outlier[4] = 4000.0;
        let explanation = DetectorExplainer::new(detector.clone(), schema()).unwrap().explain(&outlier, 3);
        let first = &explanation.groups[0];
        assert_eq!(explanation.groups.len(), detector.members().len(), "{method}");
        assert!((0.0..=1.0).contains(&first.share) && first.features.len() <= 3, "{method}: {first:?}");
        let named =
            first.features.iter().any(|feature| feature.feature == "f4" && feature.observed == 4000.0);
        assert!(named || method == Method::IsolationForest, "{method}: {explanation:?}");
        assert!(first.features.iter().all(|feature| feature.expected.is_finite()), "{method}: {first:?}");
    }
}

#[test]
fn an_ensemble_looks_at_no_statistic_that_has_not_settled() {
    let decays = |seconds: f64| {
        let mut schema = schema().as_ref().clone();
        schema.features.iter_mut().enumerate().for_each(|(at, feature)| {
            feature.decay = Some(if at == 4 { 0.01 } else { 1.0 });
        });
        let mut trainer = Trainer::new(WIDTH, 3).with_decays(&schema);
        rows(600, 1).iter().enumerate().for_each(|(at, row)| assert!(trainer.train(row, at as u64)));
        trainer.lasted(std::time::Duration::from_secs_f64(seconds));
        trainer
    };
    let row = rows(1, 2).remove(0);
    let mut odd = row.clone();
    odd[4] = 4000.0;
    // Its half-life is 100 s, and two of them have to pass; where nothing has settled, everything is looked at.
    for (seconds, seen) in [(199.0, false), (200.0, true), (1.0, true)] {
        let detector = decays(seconds).finish(Method::Ensemble).unwrap().detector;
        assert_eq!(detector.score(&odd) > detector.score(&row), seen, "{seconds}");
        let explanation = DetectorExplainer::new(Arc::new(detector), schema()).unwrap().explain(&odd, 3);
        let features = explanation.groups.iter().flat_map(|group| &group.features);
        assert_eq!(features.filter(|feature| feature.feature == "f4").count() > 0, seen, "{seconds}");
        let alone = decays(seconds).finish(Method::Pca).unwrap().detector;
        assert!(alone.score(&odd) > alone.score(&row), "{seconds}");
    }
}

#[test]
fn any_batch_size_gives_the_same_bits() {
    let all = rows(70, 5);
    for method in Method::ALL {
        let detector = trained(method).detector;
        let alone: Vec<f64> = all.iter().map(|row| detector.score(row)).collect();
        let (mut scratch, mut scores) = (Scratch::default(), Vec::new());
        for size in [1, 2, 3, 4, 7, 15, 16, 17, 33, 70] {
            let mut found = Vec::new();
            for rows in all.chunks(size) {
                let rows = Rows::of(rows.iter().map(Vec::as_slice));
                detector.score_rows(&rows, &mut scratch, &mut scores);
                found.extend_from_slice(&scores);
            }
            assert_eq!(found, alone, "{method} in batches of {size}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_detector() {
    for method in Method::ALL {
        assert_eq!(trained(method).detector, trained(method).detector, "{method}");
    }
}

#[test]
fn rows_that_are_not_numbers_have_no_score_and_teach_nothing() {
    for method in Method::ALL {
        let detector = trained(method).detector;
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut row = rows(1, 2).remove(0);
            row[3] = odd;
            assert!(detector.score(&row).is_nan(), "{method}: {odd}");
        }
    }
    let mut trainer = Trainer::new(WIDTH, 3);
    assert!(!trainer.train(&[f64::NAN; WIDTH], 0));
    rows(19, 1).iter().for_each(|row| assert!(trainer.train(row, 0)));
    let error = trainer.finish(Method::Ecod).unwrap_err().to_string();
    assert_eq!(error, "a detector takes 20 packets or more to train on, without NaN, and 19 came");
    assert_eq!(trainer.progress(), (19, 1));
}

#[test]
fn constant_rows_are_learnt_and_others_stand_out() {
    for method in Method::ALL {
        let mut trainer = Trainer::new(3, 1);
        (0..50).for_each(|at| assert!(trainer.train(&[1.0, 0.0, 1e6], at)));
        let detector = trainer.finish(method).unwrap().detector;
        let (same, other) = (detector.score(&[1.0, 0.0, 1e6]), detector.score(&[1.0, 9.0, 1e6]));
        assert!(same.is_finite() && other.is_finite(), "{method}: {same}, {other}");
        // A forest has no feature to split by.
        assert!(other > same || method == Method::IsolationForest, "{method}: {same}, {other}");
    }
}

#[test]
fn names_are_those_of_the_methods() {
    for method in Method::ALL {
        assert_eq!(method.label().parse(), Ok(method));
        assert_eq!(serde_json::to_string(&method).unwrap(), format!("\"{method}\""));
    }
    let error = "svm".parse::<Method>().unwrap_err().to_string();
    assert!(error.starts_with("\"svm\" is no detector (there are: ensemble, pca, "), "{error}");
}
