//! `kitsune-py-100` against the unmodified Python code, bit for bit.
#![allow(clippy::unwrap_used)]

mod common;

use common::{capture, example, features, shared};
use legonf_extract::{Extractor, Limits, build};
use ndarray::{Array1, Array2};
use ndarray_npy::NpzReader;
use std::fs::File;
use std::path::{Path, PathBuf};

fn extractor() -> Box<dyn Extractor> {
    build("kitsune-py-100", Limits::default()).unwrap()
}

fn golden(file: &Path) -> Array2<f64> {
    NpzReader::new(File::open(file).unwrap()).unwrap().by_name("features").unwrap()
}

/// Checks the rows of these packets; `rows` are their numbers, or all where that is `None`.
fn check(input: &Path, golden: &Array2<f64>, rows: Option<&Array1<i64>>) {
    let packets = capture(input);
    let mut extractor = extractor();
    let ours = features(&mut *extractor, &packets, 256);
    let schema = extractor.schema();
    assert!(extractor.counters().iter().all(|&(_, evicted)| evicted == 0));
    if rows.is_none() {
        assert_eq!(golden.nrows(), packets.len());
    }
    let (mut differ, mut first) = (0, None);
    for (i, expected) in golden.rows().into_iter().enumerate() {
        let row = rows.map_or(i, |rows| rows[i] as usize);
        for (column, expected) in expected.iter().enumerate() {
            let found = ours[row * schema.len() + column];
            if found.to_bits() != expected.to_bits() {
                differ += 1;
                first.get_or_insert_with(|| {
                    format!("packet {row}: {} {found:e}, not {expected:e}", schema.features[column].name)
                });
            }
        }
    }
    let cells = golden.len();
    assert_eq!(differ, 0, "{} of {cells} cells of {}; first {first:?}", differ, input.display());
    println!("{}: {cells} cells equal", input.display());
}

fn inputs(input: &str, golden: &str) -> Option<(PathBuf, PathBuf)> {
    shared(input).zip(shared(golden))
}

#[test]
fn mirai_20000() {
    let input = "data/kitsune-mirai/mirai-first20000.pcap";
    let Some((input, file)) = inputs(input, "golden/kitsune-py-100/mirai-first20000.npz") else { return };
    check(&input, &golden(&file), None);
}

#[test]
fn mirai_38k() {
    let input = "data/kitsune-mirai/mirai-first38k.pcap.tsv.gz";
    let Some((input, file)) = inputs(input, "golden/kitsune-py-100/mirai-first38k.npz") else { return };
    let index = NpzReader::new(File::open(&file).unwrap()).unwrap().by_name("index").unwrap();
    check(&input, &golden(&file), Some(&index));
}

#[test]
fn synth_mini_from_the_table() {
    check(&example("synth-mini.pcap.tsv"), &golden(&example("kitsune-py-100.npz")), None);
}

#[test]
fn synth_mini_from_the_capture() {
    check(&example("synth-mini.pcap.gz"), &golden(&example("kitsune-py-100.npz")), None);
}
