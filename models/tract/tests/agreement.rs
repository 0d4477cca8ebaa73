//! tract against the fused kernel, on every golden packet, within declared tolerances.
#![allow(clippy::unwrap_used)]

use legonf_core::{BATCH, Element, Feature, Rows, Schema, Storage, Tiles, Unit, cells, storage};
use legonf_models::kitnet::{KitNet, Scratch, TrainConfig};
use legonf_models::{Bundle, Engine, EngineError, Foreign, Model, Output, Provenance};
use legonf_tract::TractEngine;
use ndarray::{Array2, Axis};
use ndarray_npy::NpzReader;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest relative difference in `f64`: the sums are formed in another order.
const F64_TOLERANCE: f64 = 1e-9;
/// Largest relative difference of a network in `f32`.
const F32_TOLERANCE: f64 = 1e-4;

fn shared() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    std::env::var_os("LEGONF_SHARED").map_or_else(|| default.into(), PathBuf::from).join("golden")
}

fn features(npz: &Path) -> Array2<f64> {
    NpzReader::new(File::open(npz).unwrap()).unwrap().by_name("features").unwrap()
}

fn reference(json: &Path) -> (KitNet, TrainConfig) {
    KitNet::from_reference_json(&fs::read_to_string(json).unwrap()).unwrap()
}

fn bundle(model: Model) -> Bundle {
    let feature = |i| Feature {
        name: format!("f{i}"),
        group: "G".into(),
        statistic: "s".into(),
        unit: Unit::One,
        decay: None,
    };
    let schema = Schema { name: "test".into(), features: (0..model.features()).map(feature).collect() };
    Bundle { model, schema, calibration: None, provenance: Provenance::default() }
}

/// Native scores and errors of a batch.
fn native(network: &KitNet, rows: &Rows) -> (Vec<f64>, Vec<f64>) {
    let (mut mapped, mut errors, mut scores) = (Tiles::default(), Tiles::default(), Vec::new());
    network.gather(rows, &mut mapped);
    network.score_rows(&mapped, &mut Scratch::default(), &mut errors, &mut scores);
    let errors = (0..errors.len()).flat_map(|row| errors.row(row)).collect();
    (scores, errors)
}

/// Scores and errors of rows by an engine; none where the network gives no errors.
fn run(engine: &mut TractEngine, rows: &Rows) -> Result<(Vec<f64>, Vec<f64>), EngineError> {
    let doubles = |scalar| storage(Element::F64, scalar);
    let mut outputs: Vec<_> = engine
        .signature()
        .outputs
        .iter()
        .enumerate()
        .map(|(number, port)| Output { number, column: doubles(port.width() == 1) })
        .collect();
    let inputs: [Box<dyn Storage>; 1] = [Box::new(rows.clone())];
    engine.run(&inputs, &mut outputs)?;
    let values = |output: &Output| cells(&*output.column).unwrap().to_vec();
    Ok((values(&outputs[0]), outputs.get(1).map_or_else(Vec::new, values)))
}

fn batches(features: &Array2<f64>) -> impl Iterator<Item = Rows> {
    features.axis_chunks_iter(Axis(0), BATCH).map(|chunk| {
        let mut rows = Rows::default();
        rows.reset(chunk.nrows(), chunk.ncols());
        rows.as_mut_slice().iter_mut().zip(&chunk).for_each(|(to, from)| *to = *from);
        rows
    })
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    // An error is what remains of inputs of the order of 1, so their rounding, 1e-16, is the least it can differ by.
    let relative = |(a, b): (&f64, &f64)| (a - b).abs() / b.abs().max(1e-6);
    a.iter().zip(b).map(relative).fold(0.0, f64::max)
}

fn check_exported(name: &str, npz: &Path, json: &Path) {
    let (network, training) = reference(json);
    let network = Arc::new(network);
    let mut engine =
        TractEngine::from_bundle(&bundle(Model::KitNet { network: network.clone(), training }), BATCH)
            .unwrap();
    let (mut packets, mut largest) = (0, 0.0_f64);
    for rows in batches(&features(npz)) {
        let (scores, errors) = run(&mut engine, &rows).unwrap();
        let (native_scores, native_errors) = native(&network, &rows);
        let of_scores = largest_difference(&scores, &native_scores);
        let of_errors = largest_difference(&errors, &native_errors);
        largest = largest.max(of_scores).max(of_errors);
        packets += rows.len();
    }
    println!("{name}: {packets} packets, largest relative difference {largest:.1e}");
    assert!(largest <= F64_TOLERANCE, "{name}: {largest:e}");
}

#[test]
fn the_exported_graph_agrees_with_the_kernel() {
    let mini = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/synth-mini"));
    check_exported("synth-mini", &mini.join("kitsune-py-100.npz"), &mini.join("kitsune-py-100.model.json"));
    let folders = [
        ("official-115", "official-115/features-rmse.npz", "official-115/kitnet-model.json"),
        ("mirai", "kitsune-py-100/mirai-first20000.npz", "kitsune-py-100/mirai-first20000.model.json"),
        ("mirai-38k", "kitsune-py-100/mirai-first38k.npz", "kitsune-py-100/mirai-first38k.model.json"),
    ];
    for (name, npz, json) in folders {
        let npz = shared().join(npz);
        if npz.exists() {
            check_exported(name, &npz, &shared().join(json));
        } else {
            println!("skipped: {} is not there (set LEGONF_SHARED)", npz.display());
        }
    }
}

/// Imports a foreign file, runs it, and compares it with the same network run natively. Returns the largest relative
/// differences of the scores, in ascending order.
fn differences(onnx: &str) -> Option<Vec<f64>> {
    let folder = shared().join("kitsune-py-100");
    if !folder.join(onnx).exists() {
        println!("skipped: {} is not there (set LEGONF_SHARED)", folder.join(onnx).display());
        return None;
    }
    let foreign = Foreign::new(fs::read(folder.join(onnx)).unwrap(), None).unwrap();
    let bytes = bundle(Model::Foreign(foreign)).to_bytes().unwrap();
    let imported = Bundle::from_bytes(&bytes, onnx).unwrap();
    let mut engine = TractEngine::from_bundle(&imported, BATCH).unwrap();
    let network = reference(&folder.join("foreign-kitnet.model.json")).0;
    let mut all = Vec::new();
    for rows in batches(&features(&folder.join("mirai-first20000.npz"))) {
        let scores = run(&mut engine, &rows).unwrap().0;
        let native = native(&network, &rows).0;
        all.extend(scores.iter().zip(&native).map(|(a, b)| (a - b).abs() / b));
    }
    all.sort_by(f64::total_cmp);
    let (median, largest) = (all[all.len() / 2], all[all.len() - 1]);
    println!(
        "{onnx}: {} packets, relative difference: median {median:.1e}, largest {largest:.1e}",
        all.len()
    );
    Some(all)
}

#[test]
fn a_foreign_f64_model_gives_its_scores() {
    if let Some(all) = differences("foreign-kitnet-f64.onnx") {
        assert!(all[all.len() - 1] <= F64_TOLERANCE);
    }
}

#[test]
fn a_foreign_f32_model_gives_its_scores() {
    if let Some(all) = differences("foreign-kitnet-f32-fused.onnx") {
        assert!(all[all.len() - 1] <= F32_TOLERANCE);
    }
}

#[test]
fn a_smaller_last_batch_and_another_width() {
    let mini = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/synth-mini"));
    let (network, training) = reference(&mini.join("kitsune-py-100.model.json"));
    let network = Arc::new(network);
    let model = Model::KitNet { network: network.clone(), training };
    let mut engine = TractEngine::from_bundle(&bundle(model), 8).unwrap();
    let rows = batches(&features(&mini.join("kitsune-py-100.npz"))).last().unwrap();
    let mut few = Rows::default();
    few.reset(11, rows.width());
    few.as_mut_slice().copy_from_slice(&rows.as_slice()[..11 * rows.width()]);
    let scores = run(&mut engine, &few).unwrap().0;
    assert!(largest_difference(&scores, &native(&network, &few).0) <= F64_TOLERANCE);
    few.reset(2, 3);
    let error = run(&mut engine, &few).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("rows of 3 cells for the input `{}` of 100", engine.signature().inputs[0].name)
    );
    assert!(run(&mut engine, &Rows::default()).unwrap().0.is_empty());
}
