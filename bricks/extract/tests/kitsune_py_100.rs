//! `kitsune-py-100` against the unmodified Python code: bit for bit in reference arithmetic, within the documented
//! tolerance in fast arithmetic.
#![allow(clippy::unwrap_used)]

mod common;

use common::{capture, example, features, shared};
use legonf_core::Headers;
use legonf_extract::{Arithmetic, Extractor, Limits, build};
use ndarray::{Array1, Array2};
use ndarray_npy::NpzReader;
use std::fs::File;
use std::path::{Path, PathBuf};

fn extractor(arithmetic: Arithmetic) -> Box<dyn Extractor> {
    build("kitsune-py-100", arithmetic, Limits::default()).unwrap()
}

fn golden(file: &Path) -> Array2<f64> {
    NpzReader::new(File::open(file).unwrap()).unwrap().by_name("features").unwrap()
}

/// Checks the rows of these packets; `rows` are their numbers, or all where that is `None`.
fn check(input: &Path, golden: &Array2<f64>, rows: Option<&Array1<i64>>) {
    let packets = capture(input);
    let mut extractor = extractor(Arithmetic::Reference);
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

/// Largest deviations of fast arithmetic: of weight, mean and magnitude relative to the value, of the others to the
/// mean square of own and other end.
#[derive(Debug, Default)]
struct Worst {
    plain: f64,
    var: f64,
    pair: f64,
}

fn deviations(packets: &[Headers]) -> Worst {
    let mut reference = extractor(Arithmetic::Reference);
    let theirs = features(&mut *reference, packets, 256);
    let ours = features(&mut *extractor(Arithmetic::Fast), packets, 256);
    let schema = reference.schema();
    let mut worst = Worst::default();
    for (theirs, ours) in theirs.chunks(schema.len()).zip(ours.chunks(schema.len())) {
        for (column, feature) in schema.features.iter().enumerate() {
            let (expected, found) = (theirs[column], ours[column]);
            let off = (expected - found).abs();
            match feature.statistic.as_str() {
                "weight" | "mean" | "magnitude" if off > 0.0 => {
                    worst.plain = worst.plain.max(off / expected.abs())
                }
                "var" if off > 0.0 => {
                    let square = theirs[column - 1].powi(2) + expected;
                    worst.var = worst.var.max(off / square);
                }
                "radius" | "cov" if off > 0.0 => {
                    let radius = if feature.statistic == "cov" { column - 2 } else { column };
                    let square = theirs[radius + 1].powi(2) + theirs[radius];
                    worst.pair = worst.pair.max(off / square);
                }
                _ => {}
            }
        }
    }
    worst
}

#[test]
fn fast_arithmetic_is_within_its_tolerance() {
    let more = ["data/kitsune-mirai/mirai-first38k.pcap.tsv.gz", "data/scans/masscan-tcp.pcap"];
    let inputs = more.into_iter().filter_map(shared).chain([example("synth-mini.pcap.gz")]);
    for input in inputs {
        let worst = deviations(&capture(&input));
        println!("{}: {worst:?}", input.display());
        assert!(worst.plain <= 1e-13 && worst.var <= 1e-13 && worst.pair <= 1e-13, "{worst:?}");
        assert!(worst.plain > 0.0, "fast arithmetic was not in use");
    }
}
