//! The network alone: rows a second.

use super::{PARTS, rate};
use crate::ExperimentError;
use legonf_core::{Rows, Tiles};
use legonf_engine::measure::processor_time;
use legonf_models::kitnet::{KitNet, Precision, Scratch, TrainConfig, Trainer};

/// Rows that a network runs on, and how often over.
const ROWS: usize = 1024;
const REPEATS: usize = 64;

/// Features that vary together, and so go to one autoencoder.
const TOGETHER: usize = 8;

/// A made-up row: groups of features that vary together, each with noise of its own.
fn row(number: usize, features: usize) -> Vec<f64> {
    let of_group = |c: usize| noise(number, c / TOGETHER, 0);
    (0..features).map(|c| 10.0 * of_group(c) + noise(number, c, 1)).collect()
}

/// A number in 0 <= x < 1 that depends on every bit of its arguments.
fn noise(a: usize, b: usize, c: usize) -> f64 {
    let mixed = [a, b, c].into_iter().fold(0x9e37_79b9_7f4a_7c15_u64, |hash, word| {
        let product = (hash ^ word as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        product ^ (product >> 29)
    });
    (mixed.wrapping_mul(0x94d0_49bb_1331_11eb) >> 40) as f64 / (1_u64 << 24) as f64
}

/// A network of so many features that has learnt from made-up rows.
pub fn network(features: usize) -> Result<KitNet, ExperimentError> {
    let config = TrainConfig {
        features,
        feature_mapping_packets: 200,
        training_packets: 50,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::new(config)?;
    for number in 0..=250 {
        trainer.train(&row(number, features));
    }
    Ok(trainer.finish()?)
}

fn mapped(network: &KitNet, rows: std::ops::Range<usize>) -> Tiles {
    let rows: Vec<_> = rows.map(|number| row(number, network.features())).collect();
    let mut mapped = Tiles::default();
    network.gather(&Rows::of(rows.iter().map(Vec::as_slice)), &mut mapped);
    mapped
}

/// Rows a second of one core in batches of `size`, in the fastest part.
pub fn rows_per_second(network: &KitNet, precision: Precision, size: usize) -> f64 {
    let batches: Vec<Tiles> =
        (0..ROWS).step_by(size).map(|start| mapped(network, start..start + size)).collect();
    let (mut scratch, mut errors, mut scores) = (Scratch::default(), Tiles::default(), Vec::new());
    let mut part = |_| {
        let start = processor_time();
        for batch in batches.iter().cycle().take(batches.len() * REPEATS) {
            network.score_rows_in(precision, batch, &mut scratch, &mut errors, &mut scores);
        }
        rate((ROWS * REPEATS) as u64, processor_time() - start)
    };
    (0..PARTS).map(&mut part).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_a_positive_rate() {
        assert!(rows_per_second(&network(12).unwrap(), Precision::F32, 4) > 0.0);
    }
}
