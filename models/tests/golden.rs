//! KitNET against the reference: the same feature map, and RMSEs equal to 1e-9 relative.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Golden, shared, synth_mini};
use legonf_core::{Rows, Tiles};
use legonf_models::kitnet::{KitNet, Phase, Precision, Scratch, Trainer};

const TOLERANCE: f64 = 1e-9;

/// Scores of all rows in batches of 256.
fn scores(precision: Precision, model: &KitNet, golden: &Golden) -> Vec<f64> {
    let (mut mapped, mut errors, mut batch) = (Tiles::default(), Tiles::default(), Vec::new());
    let (mut scratch, mut scores) = (Scratch::default(), Vec::new());
    for rows in golden.features.axis_chunks_iter(ndarray::Axis(0), 256) {
        let rows = Rows::of(rows.rows().into_iter().map(|row| row.to_slice().unwrap()));
        model.gather(&rows, &mut mapped);
        model.score_rows_in(precision, &mapped, &mut scratch, &mut errors, &mut batch);
        scores.extend_from_slice(&batch);
    }
    scores
}

/// Compares the scores of all executed packets; returns how many there are and the largest relative error.
fn compare(model: &KitNet, golden: &Golden) -> (usize, f64) {
    let (mut packets, mut largest) = (0, 0.0_f64);
    for (row, score) in scores(Precision::F64, model, golden).into_iter().enumerate() {
        let packet = golden.index.as_ref().map_or(row, |index| usize::try_from(index[row]).unwrap());
        if packet as u64 >= golden.config.packets_needed() {
            let expected = golden.rmse[packet];
            let relative = (score - expected).abs() / expected;
            assert!(relative <= TOLERANCE, "packet {packet}: {score:e}, expected {expected:e}");
            largest = largest.max(relative);
            packets += 1;
        }
    }
    (packets, largest)
}

/// The largest relative difference that single precision makes to the score of any row.
fn single_precision(golden: &Golden) -> f64 {
    let [double, single] = [Precision::F64, Precision::F32].map(|p| scores(p, &golden.model, golden));
    let mut largest = 0.0_f64;
    for (row, (double, single)) in double.iter().zip(&single).enumerate() {
        let relative = (single - double).abs() / double;
        assert!(relative <= Precision::F32_TOLERANCE, "row {row}: {single:e}, in f64 {double:e}");
        largest = largest.max(relative);
    }
    largest
}

fn train(golden: &Golden) -> KitNet {
    let mut trainer = Trainer::new(golden.config.clone()).unwrap();
    for row in golden.features.rows() {
        if trainer.progress().phase == Phase::Complete {
            break;
        }
        trainer.train(row.as_slice().unwrap());
    }
    trainer.finish().unwrap()
}

fn check(name: &str, golden: &Golden) {
    let (packets, loaded) = compare(&golden.model, golden);
    let trained = train(golden);
    assert_eq!(trained.feature_map(), golden.model.feature_map());
    let (_, from_scratch) = compare(&trained, golden);
    let single = single_precision(golden);
    println!(
        "{name}: {packets} packets, relative error {loaded:.1e} with the reference's weights, {from_scratch:.1e} trained, {single:.1e} in f32"
    );
}

#[test]
fn synth_mini_is_reproduced() {
    check("synth-mini", &synth_mini());
}

#[test]
fn official_115_is_reproduced() {
    if let Some(golden) = shared("official-115/features-rmse.npz", "official-115/kitnet-model.json") {
        check("official-115", &golden);
    }
}

#[test]
fn mirai_first20000_is_reproduced() {
    let (npz, model) = ("kitsune-py-100/mirai-first20000.npz", "kitsune-py-100/mirai-first20000.model.json");
    if let Some(golden) = shared(npz, model) {
        check("mirai-first20000", &golden);
    }
}

/// Only every 20th row of this one is there, so it is not trained.
#[test]
fn mirai_first38k_is_reproduced_with_its_weights() {
    let (npz, model) = ("kitsune-py-100/mirai-first38k.npz", "kitsune-py-100/mirai-first38k.model.json");
    if let Some(golden) = shared(npz, model) {
        let (packets, largest) = compare(&golden.model, &golden);
        let single = single_precision(&golden);
        println!(
            "mirai-first38k: {packets} packets, relative error {largest:.1e} with the reference's weights, {single:.1e} in f32"
        );
    }
}
