//! In steady state the bricks of KitNET allocate nothing for a batch, and that of other networks nothing beside its engine.
#![allow(clippy::unwrap_used)]

use legonf_allocations::allocations_of_thread;
use legonf_core::{
    BATCH, Batch, Brick, ColumnSpec, Element, Handle, Layout as Columns, Rows, Storage, cells, cells_mut,
};
use legonf_infer::{
    Autoencoder, AutoencoderConfig, FeatureMapping, FeatureMappingConfig, Onnx, OnnxConfig, SCORES,
};
use legonf_models::kitnet::{KitNet, Precision};
use legonf_models::onnx::{Network, Value};
use legonf_models::{Engine, EngineError, FeedForward, Output, Port, Signature};
use std::sync::Arc;

fn model() -> Arc<KitNet> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/synth-mini/kitsune-py-100.model.json");
    Arc::new(KitNet::from_reference_json(&std::fs::read_to_string(path).unwrap()).unwrap().0)
}

/// One batch as the runtime gives it: cleared, then filled with `rows` rows of features.
fn process(batch: &mut Batch, features: Handle<Rows>, rows: usize, bricks: &mut [&mut dyn Brick]) {
    batch.clear();
    let features = batch.columns.get_mut(features);
    features.reset(rows, 100);
    for (i, cell) in features.as_mut_slice().iter_mut().enumerate() {
        *cell = (i % 97) as f64;
    }
    bricks.iter_mut().for_each(|brick| brick.process(batch).unwrap());
}

#[test]
fn bricks_allocate_nothing_in_steady_state() {
    [Precision::F64, Precision::F32].into_iter().for_each(check);
}

fn check(precision: Precision) {
    let mut mapping = FeatureMapping::new(FeatureMappingConfig {}, model());
    let mut network = Autoencoder::new(AutoencoderConfig { precision }, model());
    allocate_nothing(&mut [&mut mapping, &mut network]);
}

/// Runs bricks that score features over batches of several sizes, behind a first one.
fn allocate_nothing(bricks: &mut [&mut dyn Brick]) {
    let columns = Columns::binding(bricks).unwrap();
    let mut batch = Batch::new(&columns);
    let features = columns.handle::<Rows>(&ColumnSpec::rows("features", Element::F64)).unwrap();
    let scores = columns.handle::<Vec<f64>>(&SCORES).unwrap();
    process(&mut batch, features, BATCH, bricks);
    let before = allocations_of_thread();
    assert!(before > 0, "the counter counts");
    for rows in [BATCH, 1, 7, 0, 200, BATCH] {
        process(&mut batch, features, rows, bricks);
        assert_eq!(batch.columns.get(scores).len(), rows);
    }
    assert_eq!(allocations_of_thread(), before);
}

/// Sums the rows of its input, without an allocation.
struct Sum(Signature);

impl Engine for Sum {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn run(&mut self, inputs: &[Box<dyn Storage>], outputs: &mut [Output]) -> Result<(), EngineError> {
        let column = &mut *outputs[0].column;
        column.reshape(inputs[0].filled(), 1);
        let rows = cells::<f64>(&*inputs[0]).unwrap().chunks_exact(100);
        for (row, sum) in rows.zip(cells_mut::<f64>(column).unwrap()) {
            *sum = row.iter().sum();
        }
        Ok(())
    }
}

#[test]
fn columns_go_to_an_engine_and_back_without_an_allocation() {
    let port = |name: &str, shape| Port { name: name.into(), element: Element::F64, shape };
    let (inputs, outputs) = (vec![port("x", vec![100])], vec![port("y", vec![])]);
    let engine = Sum(Signature { inputs, outputs, score: None });
    let mut network = Onnx::new(&OnnxConfig::default(), Box::new(engine)).unwrap();
    allocate_nothing(&mut [&mut network]);
}

/// A dense layer for rows whose first feature is not above 48; the others give this feature.
fn branched() -> Vec<u8> {
    let mut network = Network::new("branched");
    network.input("x", Element::F32, &[100]);
    network.reals("w", &[100, 1], &[0.25; 100]);
    network.reals("bound", &[1], &[48.0]);
    network.integers("first", &[0]);
    network.node("Gather", &["x", "first"], &["feature"], &[("axis", Value::Int(1))]);
    network.node("Greater", &["feature", "bound"], &["high"], &[]);
    network.node("MatMul", &["x", "w"], &["dense"], &[]);
    network.node("Where", &["high", "feature", "dense"], &["y"], &[]);
    network.output("y", Element::F32, Some(&[1]));
    network.to_bytes()
}

#[test]
fn parts_of_a_network_for_some_rows_allocate_nothing() {
    let engine = FeedForward::open(&branched()).unwrap();
    assert_eq!(engine.branches().len(), 1);
    let mut network = Onnx::new(&OnnxConfig::default(), Box::new(engine)).unwrap();
    allocate_nothing(&mut [&mut network]);
}
