//! Fast arithmetic against the reference, within the tolerance that the documentation states.
#![allow(clippy::unwrap_used)]

mod common;

use common::{capture, example_packets, features, shared};
use legonf_core::{Headers, Schema};
use legonf_extract::{Arithmetic, Limits, build, schema_by_name};

/// Largest deviation seen of each statistic, in units of what is allowed.
#[derive(Debug, Default)]
struct Worst {
    plain: f64,
    var: f64,
    cov: f64,
    pcc: f64,
    pcc_cells: usize,
}

fn at<'a>(row: &'a [f64], schema: &Schema, column: usize, statistic: &str) -> &'a f64 {
    let rate = |c: usize| (&schema.features[c].group, schema.features[c].decay);
    let found = (column.saturating_sub(7)..(column + 7).min(row.len()))
        .find(|&c| rate(c) == rate(column) && schema.features[c].statistic == statistic);
    &row[found.unwrap()]
}

impl Worst {
    fn note(&mut self, schema: &Schema, reference: &[f64], fast: &[f64], interval: f64) {
        for (column, (r, f)) in reference.iter().zip(fast).enumerate() {
            let feature = &schema.features[column];
            let off = (r - f).abs();
            let of = |name| at(reference, schema, column, name);
            let jitter = feature.group == "HH_jit";
            let pair = !jitter && feature.group.starts_with('H') && feature.group != "H";
            // Mean square of the values, own plus opposite.
            let square = match (jitter, pair) {
                (true, _) => interval * interval,
                (_, true) => of("magnitude").powi(2) + of("radius"),
                _ => of("mean").powi(2) + of("var"),
            };
            match feature.statistic.as_str() {
                "mean" if jitter => self.plain = self.plain.max(off / (1e-13 * interval.max(1e-300))),
                "weight" | "mean" | "magnitude" => {
                    self.plain = self.plain.max(off / (1e-13 * r.abs().max(1e-300)))
                }
                "var" | "radius" => self.var = self.var.max(off / (1e-13 * square.max(1e-300))),
                "std" => self.var = self.var.max(off * off / (1e-13 * square.max(1e-300))),
                "cov" => self.cov = self.cov.max(off / (1e-13 * square.max(1e-300))),
                _ => self.note_pcc(off, *of("std"), *of("radius"), square),
            }
        }
    }

    /// Only where both standard deviations exceed 1e-3 of the root mean square.
    fn note_pcc(&mut self, off: f64, std: f64, radius: f64, square: f64) {
        let other = (radius * radius - std.powi(4)).max(0.0).sqrt();
        if (std * std).min(other) > 1e-6 * square {
            self.pcc = self.pcc.max(off / 1e-9);
            self.pcc_cells += 1;
        }
    }
}

fn compare(schema: &str, packets: &[Headers]) -> Worst {
    let new = |arithmetic| build(schema, arithmetic, Limits::default()).unwrap();
    let reference = features(&mut *new(Arithmetic::Reference), packets, 256);
    let fast = features(&mut *new(Arithmetic::Fast), packets, 256);
    let schema = schema_by_name(schema).unwrap();
    let interval = if schema.name.ends_with("clean") { 1e4 } else { 2e9 };
    let mut worst = Worst::default();
    for (reference, fast) in reference.chunks(115).zip(fast.chunks(115)) {
        worst.note(&schema, reference, fast, interval);
    }
    worst
}

fn assert_within(worst: &Worst) {
    let Worst { plain, var, cov, pcc, pcc_cells } = worst;
    assert!(*plain <= 1.0 && *var <= 1.0 && *cov <= 1.0 && *pcc <= 1.0, "{worst:?}");
    assert!(*pcc_cells > 5_000, "{worst:?}");
}

#[test]
fn mirai_is_within_the_tolerance() {
    let Some(file) = shared("data/kitsune-mirai/mirai-first20000.pcap") else { return };
    let packets = capture(&file);
    for schema in ["kitsune-115", "kitsune-115-clean"] {
        let worst = compare(schema, &packets);
        println!("{schema}: {worst:?}");
        assert_within(&worst);
    }
}

/// In order of time: that of the capture runs backwards here and there.
#[test]
fn the_shipped_capture_is_within_the_tolerance() {
    let mut packets = example_packets();
    packets.sort_by_key(|p| p.timestamp);
    for schema in ["kitsune-115", "kitsune-115-clean"] {
        let worst = compare(schema, &packets);
        println!("{schema}: {worst:?}");
        assert_within(&worst);
    }
}
