//! Networks from any columns to any columns.
#![allow(clippy::unwrap_used)]

#[path = "common/onnx.rs"]
mod onnx;

use legonf_core::{Element, Rows, Storage, cells, storage};
use legonf_models::{Engine, Output, Port};
use legonf_tract::TractEngine;
use onnx::{DOUBLE, FLOAT, INT64, Network, UINT8};

const CELLS: usize = 28 * 28;
const CLASSES: usize = 10;

/// A weight of the network from cell `cell` of the image to a class.
fn weight(cell: usize, class: usize) -> f32 {
    ((cell * 7 + class * 13) % 23) as f32 / 256.0 - 0.04
}

/// Probabilities of ten classes of an image, and the sum of another row.
fn classifier() -> Vec<u8> {
    let weights: Vec<f32> =
        (0..CELLS).flat_map(|cell| (0..CLASSES).map(move |class| weight(cell, class))).collect();
    let inputs = Network::new().input("image", UINT8, &[1, 28, 28]).input("x", FLOAT, &[3]);
    let network = inputs.output("classes", FLOAT).output("total", FLOAT);
    let network = network.floats("w", &[CELLS as u64, CLASSES as u64], &weights).integers("one", &[1]);
    let network = network.node("Cast", &["image"], "single", &[("to", FLOAT)]);
    let network = network.node("Flatten", &["single"], "flat", &[("axis", 1)]);
    let network = network.node("MatMul", &["flat", "w"], "logits", &[]);
    let network = network.node("Softmax", &["logits"], "classes", &[("axis", 1)]);
    network.node("ReduceSum", &["x", "one"], "total", &[("keepdims", 0)]).file()
}

fn port(name: &str, element: Element, shape: &[usize]) -> Port {
    Port { name: name.into(), element, shape: shape.to_vec() }
}

fn pixel(row: usize, cell: usize) -> u8 {
    ((row * 31 + cell * 5) % 256) as u8
}

/// Images, and rows of three numbers.
fn inputs(rows: usize) -> (Rows<u8>, Rows<f32>) {
    let (mut images, mut numbers) = (Rows::default(), Rows::default());
    images.reset(rows, CELLS);
    numbers.reset(rows, 3);
    for row in 0..rows {
        images.row_mut(row).iter_mut().enumerate().for_each(|(cell, to)| *to = pixel(row, cell));
        numbers.row_mut(row).copy_from_slice(&[row as f32, 0.5, -1.25]);
    }
    (images, numbers)
}

/// The probabilities of a row's classes, computed in double precision.
fn expected(row: usize) -> Vec<f64> {
    let logit =
        |class| (0..CELLS).map(|cell| f64::from(pixel(row, cell)) * f64::from(weight(cell, class))).sum();
    let logits: Vec<f64> = (0..CLASSES).map(logit).collect();
    let most = logits.iter().copied().fold(f64::MIN, f64::max);
    let parts: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    parts.iter().map(|part| part / parts.iter().sum::<f64>()).collect()
}

/// The outputs of these numbers, in columns of the network's types.
fn outputs(engine: &TractEngine, numbers: &[usize]) -> Vec<Output> {
    let output = |number: &usize| {
        let port = &engine.signature().outputs[*number];
        Output { number: *number, column: storage(port.element, port.width() == 1) }
    };
    numbers.iter().map(output).collect()
}

#[test]
fn two_columns_become_two_columns() {
    let mut engine = TractEngine::open(&classifier(), 8).unwrap();
    let signature = engine.signature().clone();
    assert_eq!(signature.inputs, [port("image", Element::U8, &[1, 28, 28]), port("x", Element::F32, &[3])]);
    assert_eq!(signature.outputs, [port("classes", Element::F32, &[10]), port("total", Element::F32, &[])]);
    assert_eq!(signature.score, None);
    engine.warm().unwrap();
    engine.try_out().unwrap();
    // Two full batches and a part of one, in whichever order outputs are wanted.
    for (rows, numbers) in [(19, [0, 1]), (8, [1, 0]), (1, [1, 0])] {
        let (images, numbers_in) = inputs(rows);
        let columns: [Box<dyn Storage>; 2] = [Box::new(images), Box::new(numbers_in)];
        let mut given = outputs(&engine, &numbers);
        engine.run(&columns, &mut given).unwrap();
        given.sort_by_key(|output| output.number);
        let (classes, totals) =
            (cells::<f32>(&*given[0].column).unwrap(), cells::<f32>(&*given[1].column).unwrap());
        assert_eq!((given[0].column.filled(), given[0].column.cells(), totals.len()), (rows, CLASSES, rows));
        for (row, classes) in classes.chunks_exact(CLASSES).enumerate() {
            assert_eq!(totals[row], row as f32 - 0.75);
            for (found, expected) in classes.iter().zip(expected(row)) {
                assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
    }
}

#[test]
fn columns_that_do_not_fit_are_named() {
    let mut engine = TractEngine::open(&classifier(), 8).unwrap();
    let (images, numbers) = inputs(2);
    let mut refused = |inputs: &[Box<dyn Storage>]| {
        let mut given = outputs(&engine.clone(), &[0]);
        engine.run(inputs, &mut given).unwrap_err().to_string()
    };
    let (image, number): (Box<dyn Storage>, Box<dyn Storage>) = (Box::new(images), Box::new(numbers));
    assert_eq!(refused(std::slice::from_ref(&image)), "1 columns for the 2 inputs of a network");
    assert_eq!(refused(&[number.clone(), number.clone()]), "rows of 3 cells for the input `image` of 784");
    let few: Box<dyn Storage> = Box::new(inputs(1).1);
    assert_eq!(refused(&[image.clone(), few]), "1 rows for the input `x`, not 2");
    let mut whole = Rows::<i64>::default();
    whole.reset(2, 3);
    assert_eq!(refused(&[image, Box::new(whole)]), "the column does not hold f32");
}

/// A column of `f64` stands for one of `f32`, as scores and features do.
#[test]
fn doubles_are_taken_and_given_for_singles() {
    let network = Network::new().input("x", FLOAT, &[2]).output("y", FLOAT).integers("one", &[1]);
    let file = network.node("ReduceSum", &["x", "one"], "y", &[]).file();
    let mut engine = TractEngine::open(&file, 4).unwrap();
    assert_eq!(engine.signature().outputs, [port("y", Element::F32, &[1])]);
    let rows: Box<dyn Storage> = Box::new(Rows::of([&[0.1, 0.2][..], &[1e30, 1.0], &[f64::NAN, 1.0]]));
    let mut given = [Output { number: 0, column: storage(Element::F64, true) }];
    engine.run(&[rows], &mut given).unwrap();
    let scores = cells::<f64>(&*given[0].column).unwrap();
    assert_eq!(scores[..2], [f64::from(0.1_f32 + 0.2_f32), f64::from(1e30_f32 + 1.0)]);
    assert!(scores[2].is_nan());
}

#[test]
fn integers_and_doubles_keep_every_bit() {
    let network = Network::new().input("n", INT64, &[2, 2]).input("d", DOUBLE, &[]);
    let network = network.output("m", INT64).output("e", DOUBLE);
    let file = network.node("Neg", &["n"], "m", &[]).node("Neg", &["d"], "e", &[]).file();
    let mut engine = TractEngine::open(&file, 3).unwrap();
    let mut numbers = Rows::<i64>::default();
    numbers.reset(1, 4);
    numbers.row_mut(0).copy_from_slice(&[1 << 62, -3, 0, 9]);
    let columns: [Box<dyn Storage>; 2] = [Box::new(numbers), Box::new(vec![0.1])];
    let mut given = outputs(&engine, &[0, 1]);
    engine.run(&columns, &mut given).unwrap();
    assert_eq!(cells::<i64>(&*given[0].column).unwrap(), [-(1 << 62), 3, 0, -9]);
    assert_eq!(cells::<f64>(&*given[1].column).unwrap(), [-0.1]);
    engine.warm().unwrap();
}

#[test]
fn networks_of_another_form_are_refused() {
    let refused = |network: Network, words: &str| {
        let error = TractEngine::open(&network.file(), 4).unwrap_err().to_string();
        assert!(error.contains(words) && error.lines().count() == 1, "{error}");
    };
    let one = || Network::new().output("y", FLOAT).integers("one", &[1]).integers("none", &[0]);
    let rows = one().input("x", FLOAT, &[3]).node("ReduceSum", &["x", "none"], "y", &[("keepdims", 0)]);
    refused(rows, "output `y`");
    refused(one().input("x", 10, &[3]).node("Neg", &["x"], "y", &[]), "input `x` is of");
    refused(
        one().input("x", FLOAT, &[0]).node("Neg", &["x"], "y", &[]),
        "only the first dimension may be open",
    );
}

#[test]
fn a_network_that_mixes_rows_is_found_out() {
    let network = Network::new().input("x", FLOAT, &[3]).output("y", FLOAT);
    let file = network.node("Softmax", &["x"], "y", &[("axis", 0)]).file();
    let error = TractEngine::open(&file, 4).unwrap().try_out().unwrap_err().to_string();
    assert!(error.contains("output `y`") && error.ends_with("the network mixes rows"), "{error}");
}
