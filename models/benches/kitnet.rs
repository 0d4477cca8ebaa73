//! Rows a second of KitNET: execution by precision and batch size, and training; and the functions that most of it goes to.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use legonf_core::{Rows, Tiles};
use legonf_models::kitnet::{KitNet, Precision, Scratch, TrainConfig, Trainer, logistic, sigmoid};
use ndarray::Array2;
use ndarray_npy::NpzReader;
use std::fs::{self, File};
use std::hint::black_box;
use std::time::Duration;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/synth-mini");
/// Rows of a batch.
const SIZES: [usize; 4] = [1, 32, 256, 1024];

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
    for (precision, size) in [Precision::F64, Precision::F32].into_iter().flat_map(|p| SIZES.map(|s| (p, s)))
    {
        let (mut mapped, mut errors, mut scores) = (Tiles::default(), Tiles::default(), Vec::new());
        let mut scratch = Scratch::default();
        let rows = features.rows().into_iter().skip(2000).take(size);
        model.gather(&Rows::of(rows.map(|row| row.to_slice().unwrap())), &mut mapped);
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("{precision} batch {size}"), |b| {
            b.iter(|| {
                model.score_rows_in(precision, black_box(&mapped), &mut scratch, &mut errors, &mut scores)
            });
        });
    }
}

/// Defines a function that replaces numbers by a function of theirs, on the widest vectors of this processor.
macro_rules! in_place {
    ($name:ident, $function:path, $real:ty) => {
        #[multiversion::multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
        fn $name(values: &mut [$real]) {
            for value in values {
                *value = $function(*value);
            }
        }
    };
}

in_place!(sigmoids, sigmoid::sigmoid, f64);
in_place!(logistics_f64, logistic::logistic_f64, f64);
in_place!(logistics_f32, logistic::logistic_f32, f32);

fn functions(c: &mut Criterion) {
    let double: [f64; 1024] = std::array::from_fn(|i| (i * 37 % 1024) as f64 / 128.0 - 4.0);
    let single = double.map(|x| x as f32);
    let mut group = c.benchmark_group("functions of 1024 numbers");
    group.throughput(Throughput::Elements(1024));
    group.bench_function("sigmoid (training)", |b| b.iter(|| sigmoids(&mut black_box(double))));
    group.bench_function("logistic f64", |b| b.iter(|| logistics_f64(&mut black_box(double))));
    group.bench_function("logistic f32", |b| b.iter(|| logistics_f32(&mut black_box(single))));
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

/// Short runs: enough for differences of a few percent on a quiet machine.
fn quick() -> Criterion {
    let (warm_up, measured) = (Duration::from_millis(300), Duration::from_secs(1));
    Criterion::default().sample_size(20).warm_up_time(warm_up).measurement_time(measured)
}

criterion_group! { name = benches; config = quick(); targets = execution, functions, training }
criterion_main!(benches);
