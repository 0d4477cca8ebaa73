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

#[test]
fn outliers_score_above_benign_rows_and_are_explained() {
    let benign = rows(400, 2);
    for method in Method::ALL {
        let detector = Arc::new(trained(method).detector);
        let mut scores: Vec<f64> = benign.iter().map(|row| detector.score(row)).collect();
        scores.sort_by(f64::total_cmp);
        let mut outlier = benign[0].clone();
        outlier[4] = 4000.0;
        let score = detector.score(&outlier);
        // One feature of thirteen adds no more than its rank to a sum, and few trees look at it.
        let by_rank = matches!(method, Method::Ecod | Method::Hbos | Method::IsolationForest);
        let least = if by_rank { detector.score(&benign[0]) } else { scores[380] };
        assert!(score > least, "{method}: {score}, of benign rows {least}");
        let explanation = DetectorExplainer::new(detector.clone(), schema()).unwrap().explain(&outlier, 3);
        let first = &explanation.groups[0];
        assert_eq!(explanation.groups.len(), detector.members().len(), "{method}");
        assert!((0.0..=1.0).contains(&first.share) && first.features.len() <= 3, "{method}: {first:?}");
        let named =
            first.features.iter().any(|feature| feature.feature == "f4" && feature.observed == 4000.0);
        assert!(named || method == Method::IsolationForest, "{method}: {explanation:?}");
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
