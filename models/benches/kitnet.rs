//! Rows a second of KitNET: execution by batch size, and training.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use legonf_core::Rows;
use legonf_models::kitnet::{KitNet, Scratch, TrainConfig, Trainer};
use ndarray::Array2;
use ndarray_npy::NpzReader;
use std::fs::{self, File};
use std::hint::black_box;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/synth-mini");

fn features() -> Array2<f64> {
    let mut npz = NpzReader::new(File::open(format!("{FOLDER}/kitsune-py-100.npz")).unwrap()).unwrap();
    npz.by_name("features").unwrap()
}

fn model() -> (KitNet, TrainConfig) {
    let json = fs::read_to_string(format!("{FOLDER}/kitsune-py-100.model.json")).unwrap();
    KitNet::from_reference_json(&json).unwrap()
}

fn execution(c: &mut Criterion) {
    let (features, model) = (features(), model().0);
    let mut group = c.benchmark_group("execution");
    for size in [1, 32, 256] {
        let (mut mapped, mut errors, mut scores) = (Rows::default(), Rows::default(), Vec::new());
        let mut scratch = Scratch::default();
        let rows = features.rows().into_iter().skip(2500).take(size);
        model.gather(&Rows::of(rows.map(|row| row.to_slice().unwrap())), &mut mapped);
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("batch {size}"), |b| {
            b.iter(|| model.score_rows(black_box(&mapped), &mut scratch, &mut errors, &mut scores));
        });
    }
}

fn training(c: &mut Criterion) {
    let (features, config) = (features(), TrainConfig { training_packets: u64::MAX >> 12, ..model().1 });
    let mut trainer = Trainer::new(config).unwrap();
    let rows: Vec<Vec<f64>> = features.rows().into_iter().map(|row| row.to_vec()).collect();
    rows.iter().take(501).for_each(|row| {
        trainer.train(row);
    });
    let mut next = rows.iter().cycle();
    let mut group = c.benchmark_group("training");
    group.throughput(Throughput::Elements(1));
    group.bench_function("row", |b| b.iter(|| trainer.train(next.next().unwrap())));
}

criterion_group!(benches, execution, training);
criterion_main!(benches);
