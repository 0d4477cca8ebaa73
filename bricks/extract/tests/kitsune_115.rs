//! `kitsune-115` against the reference's vectors and the authors' published rows.
#![allow(clippy::unwrap_used)]

mod common;

use common::{assert_same_bits, capture, example, example_packets, features, shared};
use legonf_core::Headers;
use legonf_extract::{Extractor, Limits, build};
use ndarray::{Array1, Array2};
use ndarray_npy::NpzReader;
use std::fs::File;

const GOLDEN: &str = "golden/official-115/features-rmse.npz";
const CAPTURE: &str = "data/kitsune-mirai/mirai-first20000.pcap";

fn reference() -> Box<dyn Extractor> {
    build("kitsune-115", Limits::default()).unwrap()
}

fn mirai() -> Option<(Vec<Headers>, NpzReader<File>)> {
    let (file, golden) = (shared(CAPTURE)?, shared(GOLDEN)?);
    Some((capture(&file), NpzReader::new(File::open(golden).unwrap()).unwrap()))
}

#[test]
fn every_golden_cell_has_the_same_bits() {
    let Some((packets, mut golden)) = mirai() else { return };
    let expected: Array2<f64> = golden.by_name("features").unwrap();
    let mut extractor = reference();
    let rows = features(&mut *extractor, &packets, 256);
    assert_same_bits(&*extractor, &rows, expected.as_slice().unwrap(), "mirai");
    assert!(extractor.counters().iter().all(|(_, evicted)| *evicted == 0));
}

/// The tolerance of kitsune-115.md §7: the published CSV itself carries about one ulp of noise.
#[test]
fn the_published_rows_agree() {
    let Some((packets, mut golden)) = mirai() else { return };
    let index: Array1<i64> = golden.by_name("official_index").unwrap();
    let official: Array2<f64> = golden.by_name("official").unwrap();
    let rows = features(&mut *reference(), &packets, 256);
    assert_eq!(official.dim(), (907, 115));
    for (at, theirs) in index.iter().zip(official.rows()) {
        let ours = &rows[*at as usize * 115..][..115];
        for (column, (a, b)) in ours.iter().zip(theirs).enumerate() {
            let off = (a - b).abs();
            assert!(off <= 2e-6 || off <= 1e-9 * b.abs(), "packet {at} column {column}: {a} and {b}");
        }
    }
}

#[test]
fn the_shipped_capture_has_the_same_bits() {
    let mut golden = NpzReader::new(File::open(example("kitsune-115.npz")).unwrap()).unwrap();
    let index: Array1<i64> = golden.by_name("index").unwrap();
    let expected: Array2<f64> = golden.by_name("features").unwrap();
    let mut extractor = reference();
    let rows = features(&mut *extractor, &example_packets(), 256);
    let chosen: Vec<f64> =
        index.iter().flat_map(|&at| rows[at as usize * 115..][..115].iter().copied()).collect();
    assert_same_bits(&*extractor, &chosen, expected.as_slice().unwrap(), "synth-mini");
}
